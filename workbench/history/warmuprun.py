"""The warm-ups of one symbol on their way: by priority, side by side, the rest going on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass, replace
from functools import partial

from workbench.clock import Clock
from workbench.errors import WorkbenchError
from workbench.history.barloader import BarLoader, Loaded
from workbench.history.readings import reading
from workbench.history.sharedbars import SharedBars
from workbench.history.warmevents import FetchError, HistoricalFetchProgress, Outbox, ready
from workbench.history.warmresults import Result, Status
from workbench.history.warmups import PRIORITIES, Call, Series, Warmup, plan
from workbench.store.frames import dataframe

__all__ = ["Means", "WarmupRun"]


@dataclass(frozen=True, slots=True)
class Means:
    """What all runs of a coordinator share.

    Attributes
    ----------
    warmups : tuple of Warmup
    loader : BarLoader
    shared : SharedBars
    pool : Executor
    outbox : Outbox
    clock : Clock
    per_minute : int
        Requests that the provider allows; 0 is no limit.
    use_priority_mode : bool
        Whether a group waits for the one before.
    """

    warmups: tuple[Warmup, ...]
    loader: BarLoader
    shared: SharedBars
    pool: Executor
    outbox: Outbox
    clock: Clock
    per_minute: int
    use_priority_mode: bool


class WarmupRun:
    """The warm-ups of one symbol; safe to ask from any thread.

    Parameters
    ----------
    symbol : str
        In our spelling.
    means : Means
    since : float or None
        Take nothing that was asked for before this moment of the clock that never steps.
    """

    def __init__(self, symbol: str, means: Means, *, since: float | None = None) -> None:
        self.symbol = symbol
        self._means = means
        self._since = since
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._future: Future[dict[str, Result]] = Future()
        self._results = {one.name: Result(one, symbol) for one in means.warmups}
        self._loaded: dict[str, Loaded] = {}
        self._calls: dict[str, Call] = {}
        self._groups: list[list[Warmup]] = []
        self._jobs: list[Future[None]] = []
        self._pending = 0
        self._over = False

    def __repr__(self) -> str:
        return f"<warm-ups of {self.status.summary}>"

    @property
    def done(self) -> bool:
        """Whether nothing more will come: all are over, or it was cancelled."""
        return self._future.done()

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._future.cancelled()

    @property
    def status(self) -> Status:
        """How far it is."""
        with self._lock:
            return Status(self.symbol, not self._over, dict(self._results))

    @property
    def results(self) -> dict[str, Result]:
        """What there is so far, by name."""
        return self.status.results

    @property
    def errors(self) -> dict[str, str]:
        """What went wrong, by name."""
        return self.status.errors

    def result(self, timeout: float | None = None) -> dict[str, Result]:
        """Wait for all results and return them by name; not to be called by event receivers.

        Parameters
        ----------
        timeout : float or None
            Seconds; None waits for as long as it takes.

        Raises
        ------
        concurrent.futures.CancelledError
            If it was cancelled.
        TimeoutError
            If it took longer.
        """
        return self._future.result(timeout)

    def _repr_html_(self) -> str:
        return self.status._repr_html_()

    def start(self) -> None:
        """Begin; a second call has no effect."""
        means = self._means
        with self._lock:
            if self._over or self._groups or self._jobs:
                return
            longest: dict[str, int] = {}
            for one in means.warmups:
                longest[one.timeframe] = max(one.bars, longest.get(one.timeframe, 0))
            for timeframe, bars in longest.items():
                held = means.shared.fresh(self.symbol, timeframe, bars, self._since)
                if held is not None:
                    self._loaded[timeframe] = Loaded(held.rows, "cache", held.fetched)
            wanted = [one for one in means.warmups if one.timeframe not in self._loaded]
            for call in plan(wanted, means.per_minute):
                self._calls |= {each.timeframe: call for each in call.covers}
            self._groups = _groups(means.warmups, by_priority=means.use_priority_mode)
            total = len(means.warmups)
            means.outbox.put(HistoricalFetchProgress(self.symbol, 0, total))
        means.outbox.send()
        self._next()

    def cancel(self) -> None:
        """Let go of what waits; what is on its way to the provider ends by itself."""
        self._close(self._future.cancel)

    def _close(self, last: Callable[[], object]) -> None:
        """End it, with a call that settles the future after all events."""
        with self._lock:
            if self._over:
                return
            self._over = True
            self._stop.set()
            for name, one in self._results.items():
                if not one.over:
                    self._results[name] = replace(one, state="cancelled")
            jobs, self._jobs = self._jobs, []
            self._means.outbox.put(last)
        for job in jobs:
            job.cancel()
        self._means.outbox.send()

    def _next(self) -> None:
        """Hand the jobs of the next group to the pool, or end."""
        with self._lock:
            if self._over:
                return
            jobs = self._parts(self._groups.pop(0)) if self._groups else []
            self._pending = len(jobs)
        if not jobs:
            self._close(self._finish)
            return
        for call, some in jobs:
            try:
                job = self._means.pool.submit(self._serve, call, some)
            except RuntimeError:  # the pool was shut down in between
                self.cancel()
                return
            with self._lock:
                self._jobs.append(job)
            job.add_done_callback(self._ended)

    def _finish(self) -> None:
        self._future.set_result(self._results)

    def _parts(self, group: list[Warmup]) -> list[tuple[Call, list[Warmup]]]:
        """Return the warm-ups of a group by the call that serves them."""
        parts: dict[Call, list[Warmup]] = {}
        for one in group:
            call = self._calls.get(one.timeframe)
            if call is None:
                call = Call(one.timeframe, one.bars, (Series(one.timeframe, one.bars),))
            parts.setdefault(call, []).append(one)
        return list(parts.items())

    def _ended(self, job: Future[None]) -> None:
        if job.cancelled():
            return
        error = job.exception()
        if isinstance(error, CancelledError):
            self.cancel()
        elif error is not None:
            self._close(partial(self._future.set_exception, error))
        else:
            with self._lock:
                self._pending -= 1
                more = self._pending == 0
            if more:
                self._next()

    def _serve(self, call: Call, some: Sequence[Warmup]) -> None:
        """Get what a call brings, once in a run, and settle the warm-ups it serves."""
        begun = self._means.clock.monotonic()
        with self._lock:
            if self._over:
                raise CancelledError
            for one in some:
                self._results[one.name] = replace(self._results[one.name], state="running")
            known = call.covers[0].timeframe in self._loaded
        if not known:
            found = self._means.loader.load(self.symbol, call, since=self._since, stop=self._stop)
            with self._lock:
                self._loaded |= found
        for one in some:
            if self._stop.is_set():
                raise CancelledError
            result = self._read(one, self._loaded[one.timeframe])
            seconds = self._means.clock.monotonic() - begun
            self._settle(replace(result, seconds=seconds))

    def _read(self, one: Warmup, loaded: Loaded) -> Result:
        reason = "" if loaded.error is None else loaded.error.message
        empty = Result(one, self.symbol, "failed", reason=reason, origin=loaded.origin)
        if loaded.rows is None:
            return empty
        rows = loaded.rows[-one.bars :]
        if not len(rows):
            return replace(empty, reason=f"there are no {one.timeframe} bars of {self.symbol}")
        try:
            value, words = reading(one, rows, self.symbol)
        except (WorkbenchError, ValueError) as error:
            return replace(empty, reason=f"its bars cannot be read: {error}")
        return replace(
            empty,
            state="done" if loaded.origin == "provider" else "cached",
            bars=dataframe("bar", rows),
            value=value,
            words=words,
            fetched=loaded.fetched,
        )

    def _settle(self, result: Result) -> None:
        failed = result.state == "failed"
        with self._lock:
            if self._over:
                raise CancelledError
            self._results[result.name] = result
            completed = sum(one.over for one in self._results.values())
            outbox, total = self._means.outbox, len(self._results)
            if result.reason:
                event = FetchError(self.symbol, result.name, result.reason, not failed)
                outbox.put(event)
            if not failed:
                outbox.put(ready(result))
            outbox.put(HistoricalFetchProgress(self.symbol, completed, total, result.name))
        self._means.outbox.send()


def _groups(warmups: Sequence[Warmup], *, by_priority: bool) -> list[list[Warmup]]:
    if not by_priority:
        return [list(warmups)]
    groups = ([one for one in warmups if one.priority == each] for each in PRIORITIES)
    return [group for group in groups if group]
