"""Filling the holes of a live feed from the provider's history, in threads of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.clock import Clock
from workbench.errors import AuthError, ConfigError, ConnectError, DecodeError, ProviderError
from workbench.history.archive import Archive
from workbench.history.ledger import Ledger
from workbench.history.request import Request
from workbench.records import Batch, Kind, Rows
from workbench.store.coverage import OPEN, Series
from workbench.timeframes import timeframe

__all__ = ["AtHand", "Keep", "Repair"]

_log = logging.getLogger("workbench.flow.repair")

_SECOND = 1_000_000_000
#: Live trades of so long after a hole show whether the history tells of that time yet.
_WITNESS = 5 * _SECOND
#: A history that tells some of them, but not others, so long after them will not tell those.
_SETTLED = 60 * _SECOND
#: Holes nearer to each other are fetched together.
_NEAR = 60 * _SECOND
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
_TROUBLE = (ProviderError, ConnectError, DecodeError, ConfigError)


class AtHand(Protocol):
    """What of a series is there already."""

    def held(self, one: Series, start: int, end: int) -> Rows:
        """Return the rows of [start, end) that were stored, or are in memory."""
        ...

    def witnesses(self, one: Series, start: int, end: int, before: int) -> Rows:
        """Return live rows of [start, end) that were received before a time."""
        ...


#: ``keep(series, (start, end), batch, begun)`` stores rows and that their range came whole.
Keep = Callable[[Series, tuple[int, int], Batch, int], None]


@dataclass(slots=True)
class _Work:
    """How the repair of one series goes."""

    due: float
    #: Of the newest try, monotonic seconds.
    begun: float
    tries: int = 0
    #: Seconds of trying so far; those for which the machine slept are not among them.
    tried: float = 0.0
    why: str = ""
    future: Future[None] | None = None


class Repair:
    """Fetch what a ledger doubts, until it has come or has to be given up.

    A range is struck out only for what came by a request that was sent after the series was
    live again. Trades that the provider tells late are fetched too: each fetch begins `overlap`
    before its hole. Where the history is behind, as the live trades after a hole tell, it is
    asked again.

    Parameters
    ----------
    archive : Archive
        Closed by the caller, after this.
    ledger : Ledger
    keep : callable
        Stores rows of a page, and tells the ledger what came whole.
    at_hand : AtHand
    deliver : callable
        Takes the rows that were not there yet; called in threads of this.
    tell : callable
        ``tell(kind, text)`` of an event.
    clock : Clock
    lag : float
        Seconds after which the provider's history tells of a time; only used where no live
        trade shows it.
    overlap : float
        Seconds before a hole that are fetched too.
    patience : float
        Seconds of trying after which a hole is declared missing.
    workers : int
        Series at a time.
    """

    def __init__(
        self,
        archive: Archive,
        ledger: Ledger,
        keep: Keep,
        at_hand: AtHand,
        deliver: Callable[[Batch], None],
        tell: Callable[[str, str], None],
        clock: Clock,
        *,
        lag: float = 3.0,
        overlap: float = 900.0,
        patience: float = 900.0,
        workers: int = 4,
    ) -> None:
        self._archive = archive
        self._ledger = ledger
        self._keep = keep
        self._at_hand = at_hand
        self._deliver = deliver
        self._tell = tell
        self._clock = clock
        self._lag = round(lag * _SECOND)
        self._overlap = round(overlap * _SECOND)
        self._patience = round(patience * _SECOND)
        self._work: dict[Series, _Work] = {}
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="workbench-repair")

    @property
    def busy(self) -> int:
        """Series that are being repaired or wait for the next try."""
        return len(self._work)

    def look(self, series: Iterable[Series], now: Callable[[Series], int]) -> None:
        """Begin what is due; to be called about once a second.

        Parameters
        ----------
        series : iterable of Series
            Those that are live.
        now : callable
            ``now(series)``: time of its market, ns UTC.
        """
        at = self._clock.monotonic()
        for one in series:
            work = self._work.get(one)
            if work is not None and work.future is not None:
                if not work.future.done():
                    continue
                self._ended(one, work)
            holes = self.holes(one)
            if not holes:
                self._work.pop(one, None)
                continue
            work = self._work.setdefault(one, _Work(at, at))
            if at < work.due or self._stop.is_set():
                continue
            work.tries += 1
            work.tried += min(at - work.begun, _LONGEST_WAIT)
            work.begun = at
            work.future = self._pool.submit(self._mend, one, holes, now(one), work)

    def holes(self, one: Series) -> list[tuple[int, int, int]]:
        """Return what of a live series is in doubt and can be fetched now, and since when."""
        return [
            (max(doubt.start, 0), doubt.end, doubt.ready)
            for doubt in self._ledger.intervals(one)
            if doubt.state == "doubt" and doubt.ready != OPEN
        ]

    def _ended(self, one: Series, work: _Work) -> None:
        """Plan the next try of what a job has left."""
        future, work.future = work.future, None
        assert future is not None
        error = None if future.cancelled() else future.exception()
        if error is not None:  # a defect of ours: the hole stays, and is tried again
            _log.error("repair of %s failed", one, exc_info=error)
            work.why = f"{type(error).__name__}: {error}"
        wait = min(_FIRST_WAIT * 2 ** min(work.tries - 1, 10), _LONGEST_WAIT)
        work.due = self._clock.monotonic() + wait

    def _mend(
        self, one: Series, holes: Sequence[tuple[int, int, int]], now: int, work: _Work
    ) -> None:
        for start, end, since in _clusters(holes):
            if self._stop.is_set():
                return
            try:
                self._fill(one, start, end, now)
            except CancelledError:
                return
            except _TROUBLE as error:
                work.why = error.message
                if isinstance(error, (AuthError, ConfigError)) or self._tried(work, since):
                    self._give_up(one, start, end, work)
                else:
                    _log.info("%s is not whole yet: %s", one, error)
                    return

    def _tried(self, work: _Work, since: int) -> bool:
        """Tell whether a hole of a series was tried for long enough.

        Some holes are old when the first try begins, of a process before this one.
        """
        passed = min(self._clock.now() - since, round(work.tried * _SECOND))
        return work.tries > 1 and passed >= self._patience

    def _give_up(self, one: Series, start: int, end: int, work: _Work) -> None:
        now = self._clock.now()
        self._ledger.declare_missing(one, start, end, tries=work.tries, at=now, why=work.why)
        self._tell("missing", f"{_name(one)} {_span(start, end)}: {work.why}")

    def _fill(self, one: Series, start: int, end: int, now: int) -> None:
        wish = self._wish(one, start, end)
        reached, fetched, new = wish.start, 0, 0
        lagging = False
        after: list[Rows] = []
        # Later pages may be of what was known when the first one was asked for.
        first = self._clock.now()
        for page in self._archive.pages(wish):
            rows, upto = page.batch.rows, page.reached
            after.append(rows[rows["time"] >= end])
            if one.timeframe:
                # The history may not tell yet of bars that were just closed. One that ends after
                # the hole will be told live.
                length = timeframe(one.timeframe)
                closed = length.start(now - self._lag)
                rows = rows[rows["time"] < closed]
                lagging = closed < length.start(end)
                upto = min(upto, closed) if lagging else upto
            elif page.next is None and not self._caught_up(one, end, after, first, now):
                lagging = True
                upto = int(rows["time"][-1]) - _WITNESS if len(rows) else reached
            fresh = self._fresh(one, rows)
            whole = max(reached, start), min(upto, end)
            self._keep(one, whole, Batch(wish.kind, rows, page.batch.timeframe), first)
            if len(fresh):
                self._deliver(Batch(wish.kind, fresh, page.batch.timeframe))
            inside = (fresh["time"] >= start) & (fresh["time"] < end)
            fetched, new = fetched + len(rows), new + int(inside.sum())
            reached = max(reached, upto)
            if self._stop.is_set():
                return
        if lagging:
            raise ProviderError("the provider's history does not tell of that time yet")
        self._tell("filled", f"{_name(one)} {_span(start, end)}: {new} of {fetched} rows were new")

    def _wish(self, one: Series, start: int, end: int) -> Request:
        kind: Kind = one.kind  # type: ignore[assignment]
        if not one.timeframe:
            return Request(one.symbol, kind, None, max(0, start - self._overlap), end + _WITNESS)
        length = timeframe(one.timeframe)
        last = length.start(end - 1) + length.ns
        return Request(one.symbol, kind, length, length.start(start), last)

    def _caught_up(
        self, one: Series, end: int, after: Sequence[Rows], begun: int, now: int
    ) -> bool:
        """Tell whether the history knows of the time up to the end of a hole.

        `after` is what its pages told of the time from then on.
        """
        seen = self._at_hand.witnesses(one, end, end + _WITNESS, begun - _SECOND)
        if len(seen):
            known = _among(seen, np.concatenate(after))
            return bool(known.all() or (known.any() and now - end >= _SETTLED))
        return now - self._lag >= end

    def _fresh(self, one: Series, rows: Rows) -> Rows:
        if not len(rows) or one.timeframe:
            return rows
        held = self._at_hand.held(one, int(rows["time"][0]), int(rows["time"][-1]) + 1)
        new: Rows = rows[~_among(rows, held)]
        return new

    def close(self) -> None:
        """Give up what is on its way, and end the threads."""
        self._stop.set()
        self._archive.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _clusters(holes: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return holes, those near to each other as one.

    >>> _clusters([(0, 1, 5), (2, 3, 6), (90 * 10**9, 91 * 10**9, 7)])
    [(0, 3, 6), (90000000000, 91000000000, 7)]
    """
    made: list[tuple[int, int, int]] = []
    for start, end, since in holes:
        if made and start - made[-1][1] < _NEAR:
            made[-1] = (made[-1][0], max(made[-1][1], end), max(made[-1][2], since))
        else:
            made.append((start, end, since))
    return made


def _keys(rows: Rows) -> npt.NDArray[np.void]:
    names = ["time", "sequence", "exchange", "id"]
    if "bid" in (rows.dtype.names or ()):
        names = ["time", "sequence", "bid_exchange", "ask_exchange", "bid", "ask"]
    keys = np.zeros(len(rows), [(name, rows.dtype[name]) for name in names])
    for name in names:
        keys[name] = rows[name]
    return keys


def _among(rows: Rows, others: Rows) -> npt.NDArray[np.bool_]:
    """Tell of each row whether it is among others, by what names it."""
    if not len(others):
        return np.zeros(len(rows), np.bool_)
    return np.isin(_keys(rows), _keys(others))


def _name(one: Series) -> str:
    return f"{one.symbol} {timeframe(one.timeframe).name if one.timeframe else one.kind}s"


def _span(start: int, end: int) -> str:
    first, last = pd.Timestamp(start), pd.Timestamp(end)
    return f"{first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} UTC"
