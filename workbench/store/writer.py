"""The thread that writes: a bounded queue in front of a store."""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from workbench.clock import Clock, SystemClock
from workbench.errors import StoreBusyError, StoreError, StoreFullError
from workbench.records import Batch
from workbench.store.stats import Counts, Loss, Losses, State, WriterStats, per_symbol
from workbench.store.store import Store
from workbench.symbols import SymbolTable

__all__ = ["State", "Writer", "WriterStats"]

log = logging.getLogger("workbench.store.writer")

#: Rows of one transaction at most, when more than a group is waiting.
_MOST_ROWS = 20_000
#: Rows kept aside at most; older ones make room.
_ASIDE_ROWS = 10_000
_LOG_SECONDS = 60.0
#: Seconds between looks at a store that takes its time at the end.
_LOOK_SECONDS = 0.05
#: Shorter pauses between them are those of a busy machine.
_STOP_SECONDS = 1.0
_PASSING = ("SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")


class Writer:
    """Write batches to a store in a thread of its own, many in one transaction.

    Parameters
    ----------
    store : Store
        Open for writing; the caller closes it after the writer.
    table : SymbolTable
        Names of the symbols in the rows.
    capacity : int
        Rows that may wait; beyond it :meth:`put` refuses.
    group_rows : int
        Rows that are committed without waiting for more.
    group_seconds : float
        Seconds that fewer rows wait for company.
    clock : Clock or None
        Times the log lines, and the patience at the end; None is the machine's.
    on_error : callable or None
        Called in the writer's thread with rows that can never be stored and the reason, after
        they were kept aside.
    retry_seconds : float
        First pause when the store is full or busy; it doubles up to twenty times that.

    Examples
    --------
    >>> import tempfile
    >>> from workbench.records import empty
    >>> from workbench.store.store import open_store
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_store(f"{folder}/market.db") as store:
    ...         writer = Writer(store, SymbolTable(["AAPL"]))
    ...         accepted = writer.put(Batch("trade", empty("trade", 1)))
    ...         print(accepted, writer.close(), writer.stats.written)
    True True {'trade': 1}
    """

    def __init__(
        self,
        store: Store,
        table: SymbolTable,
        *,
        capacity: int = 200_000,
        group_rows: int = 1000,
        group_seconds: float = 0.1,
        clock: Clock | None = None,
        on_error: Callable[[Batch, Exception], None] | None = None,
        retry_seconds: float = 0.25,
    ) -> None:
        self._store = store
        self._table = table
        self._capacity = capacity
        self._group_rows = group_rows
        self._group_seconds = group_seconds
        self._clock = clock or SystemClock()
        self._on_error = on_error
        self._retry_seconds = retry_seconds
        self._wake = threading.Condition()
        # All below is guarded by `_wake`.
        self._queue: deque[Batch] = deque()
        self._queued = 0  # rows in the queue and in the commit under way
        self._waiting = 0  # rows in the queue
        self._put = 0  # rows ever accepted
        self._settled = 0  # rows ever committed or kept aside
        self._hurry = 0  # flushes that wait
        self._closing = False
        self._abandon = False
        self._ended = False
        self._state: State = "running"
        self._counts = Counts()
        self._losses = Losses()
        self._aside: deque[tuple[Batch, str]] = deque()
        self._logged: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="workbench-writer", daemon=True)
        self._thread.start()
        # A daemon, so that a forgotten close cannot hang the interpreter; this drains it.
        atexit.register(self.close)

    def put(self, batch: Batch) -> bool:
        """Queue a batch without ever waiting for the store.

        Parameters
        ----------
        batch : Batch

        Returns
        -------
        bool
            False if it was refused as a whole, since the queue is full or closed: it is
            counted as dropped, and the caller has a gap to mark.
        """
        n = len(batch)
        if not n:
            return True
        with self._wake:
            if not self._closing and self._queued + n <= self._capacity:
                before = self._waiting
                self._queue.append(batch)
                self._queued += n
                self._waiting += n
                self._put += n
                # Waking the thread for each batch would make it fight the feed for the GIL.
                if before == 0 or before < self._group_rows <= self._waiting:
                    self._wake.notify_all()
                return True
        self._drop(batch)
        return False

    def _drop(self, batch: Batch) -> None:
        found = per_symbol(batch, self._table)
        with self._wake:
            for loss, count in found:
                self._counts.dropped[loss.kind, loss.symbol] += count
                self._losses.add(loss)
        self._say("dropped", "the writer's queue is full or closed: rows are dropped")

    def mark(self) -> int:
        """Return a mark of all that was put so far, for :meth:`settled`."""
        with self._wake:
            return self._put

    def settled(self, mark: int) -> bool:
        """Tell, without waiting, whether what was put before a mark is committed or kept aside.

        What was not stored then is in :meth:`take_losses`.

        Parameters
        ----------
        mark : int
            From :meth:`mark`.
        """
        with self._wake:
            return self._settled >= mark

    def take_losses(self) -> list[Loss]:
        """Return where rows were dropped, kept aside or left at the end, since last asked.

        Returns
        -------
        list of Loss
            One for each kind and symbol, from the first to the last time of such rows: what is
            between them may be stored, and has to be looked for all the same.
        """
        with self._wake:
            return self._losses.take()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was put before is committed or kept aside.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait; None is for ever.

        Returns
        -------
        bool
            False if the time was over first.
        """
        with self._wake:
            goal = self._put
            self._hurry += 1
            self._wake.notify_all()
            try:
                self._wake.wait_for(lambda: self._settled >= goal or self._ended, timeout)
                return self._settled >= goal
            finally:
                self._hurry -= 1

    def close(self, timeout: float | None = 10.0) -> bool:
        """Take no more, write what is queued, and end the thread.

        Parameters
        ----------
        timeout : float or None
            Seconds that a store which is full or busy may take to recover; None is for ever.
            A slow one that goes on taking rows may take any time.

        Returns
        -------
        bool
            False if rows are left that were not written: `stats.queued` tells how many.
        """
        with self._wake:
            self._closing = True
            self._wake.notify_all()
            self._abandon = not self._drained(timeout)
            self._wake.notify_all()
        self._thread.join()
        atexit.unregister(self.close)
        with self._wake:
            self._state = "closed"
            left = self._queued
        if left:
            self._say("left", f"closed with {left} rows that the store did not take")
        return left == 0

    def _drained(self, timeout: float | None) -> bool:
        """Wait for the end; return False if for too long the store took nothing."""
        settled, since = self._settled, self._clock.monotonic()
        now = since
        while not self._ended:
            self._wake.wait(None if timeout is None else min(timeout, _LOOK_SECONDS))
            looked, now = now, self._clock.monotonic()
            # Where this process itself stood still, the store had no chance either.
            stopped = timeout is not None and now - looked > max(timeout / 2, _STOP_SECONDS)
            if stopped or self._settled > settled:
                settled, since = self._settled, now
            elif timeout is not None and now - since >= timeout:
                return False
        return True

    @property
    def stats(self) -> WriterStats:
        """Counts so far, taken at one moment."""
        wal = self._store.wal_bytes
        with self._wake:
            return WriterStats(
                state=self._state,
                written=dict(self._counts.written),
                changed=self._counts.changed,
                queued=self._queued,
                commits=self._counts.commits,
                dropped=dict(self._counts.dropped),
                errors=self._counts.errors,
                aside=self._counts.aside,
                wal_bytes=wal,
            )

    @property
    def aside(self) -> tuple[tuple[Batch, str], ...]:
        """Rows that can never be stored, with the reason: the newest 10,000 of them."""
        with self._wake:
            return tuple(self._aside)

    def _run(self) -> None:
        group: list[Batch] = []
        try:
            while (group := self._gather()) and not self._abandon:
                self._write(group)
        finally:
            with self._wake:
                left = [*group, *self._queue]
            self._lose(left)
            with self._wake:
                self._ended = True
                self._wake.notify_all()

    def _lose(self, batches: Iterable[Batch]) -> None:
        found = [loss for batch in batches for loss, _ in per_symbol(batch, self._table)]
        with self._wake:
            for loss in found:
                self._losses.add(loss)

    def _gather(self) -> list[Batch]:
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._closing)
            if self._queue and self._waiting < self._group_rows:
                self._wake.wait_for(
                    lambda: self._waiting >= self._group_rows or self._hurry or self._closing,
                    self._group_seconds,
                )
            group: list[Batch] = []
            rows = 0
            while self._queue and (not group or rows + len(self._queue[0]) <= _MOST_ROWS):
                group.append(self._queue.popleft())
                rows += len(group[-1])
            self._waiting -= rows
            return group

    def _write(self, group: list[Batch]) -> None:
        todo = [group]
        pause = self._retry_seconds
        while todo:
            part = todo.pop()
            try:
                changed = self._store.append_many(part, self._table)
            except Exception as error:  # noqa: BLE001 - the edge where a batch does not store
                if _passes(error):
                    todo.append(part)
                    if not self._wait(error, pause):
                        self._lose(batch for some in todo for batch in some)
                        return
                    pause = min(2 * pause, 20 * self._retry_seconds)
                    continue
                halves = _halves(part, rows=not isinstance(error, StoreError))
                if halves is None:
                    self._keep_aside(part[0], error)
                else:
                    todo.extend(reversed(halves))
            else:
                pause = self._retry_seconds
                self._commit(part, changed)

    def _commit(self, part: list[Batch], changed: int) -> None:
        with self._wake:
            for batch in part:
                self._counts.written[batch.kind] += len(batch)
                self._settle(len(batch))
            self._counts.changed += changed
            self._counts.commits += 1
            recovered = self._state != "running"
            self._state = "running"
            self._wake.notify_all()
        if recovered:
            log.info("the store takes rows again")

    def _settle(self, n: int) -> None:
        self._queued -= n
        self._settled += n

    def _wait(self, error: Exception, seconds: float) -> bool:
        """Wait before the next try; return False if there is to be none."""
        state: State = "store_full" if isinstance(error, StoreFullError) else "store_failing"
        with self._wake:
            self._counts.errors += 1
            self._state = state
        self._say(state, f"the store does not take rows now, they wait: {error}")
        with self._wake:
            return not self._wake.wait_for(lambda: self._abandon, seconds)

    def _keep_aside(self, batch: Batch, error: Exception) -> None:
        self._lose([batch])
        with self._wake:
            self._counts.errors += 1
            self._aside.append((batch, f"{type(error).__name__}: {error}"))
            self._counts.aside += len(batch)
            held = sum(len(kept) for kept, _ in self._aside)
            while held > _ASIDE_ROWS and len(self._aside) > 1:
                held -= len(self._aside.popleft()[0])
            self._settle(len(batch))
            self._wake.notify_all()
        self._say("aside", f"{len(batch)} {batch.kind} rows cannot be stored: {error}")
        if self._on_error is not None:
            try:
                self._on_error(batch, error)
            except Exception:  # a guest's callback must not end the writing
                log.exception("on_error raised")

    def _say(self, what: str, text: str) -> None:
        now = self._clock.monotonic()
        with self._wake:
            if now - self._logged.get(what, -_LOG_SECONDS) < _LOG_SECONDS:
                return
            self._logged[what] = now
        log.warning("%s", text)


def _passes(error: Exception) -> bool:
    """Tell whether trouble is the store's, and may pass, rather than that of the rows."""
    if isinstance(error, (StoreFullError, StoreBusyError)):
        return True
    return isinstance(error, StoreError) and str(error.status).startswith(_PASSING)


def _halves(part: list[Batch], *, rows: bool) -> tuple[list[Batch], list[Batch]] | None:
    """Split batches, or if `rows` those of a single one, in order; None if it is one already."""
    if len(part) > 1:
        middle = len(part) // 2
        return part[:middle], part[middle:]
    batch = part[0]
    if len(batch) < 2 or not rows:
        return None
    middle = len(batch) // 2
    first = replace(batch, rows=batch.rows[:middle])
    return [first], [replace(batch, rows=batch.rows[middle:])]
