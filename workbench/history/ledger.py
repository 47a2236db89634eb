"""The continuity ledger: what is known of each stretch of each series, and from what.

Who wins where two say something of the same stretch:

=============  =========================================  ====================================
said           changes                                    leaves
=============  =========================================  ====================================
live, heard    nothing known, its own tail, missing,      backfilled, doubt of another cause
               closed, no-trade -> received
lost           nothing known, received, doubt -> doubt    backfilled, no-trade, closed, missing
doubted        nothing known, received, closed, doubt     backfilled, no-trade, missing
               -> doubt
fetched        nothing known, missing, no-trade, closed   received; doubt that was not ready
               (if there are rows), doubt that was        when the fetch began; backfilled, if
               ready -> backfilled or no-trade            now there are no rows
declared       nothing known, doubt that is ready         all else
               -> missing
closed         nothing known, missing, no-trade           received, backfilled, doubt
               -> closed
=============  =========================================  ====================================

While a series is live, what comes after the last moment proven is its *tail*: written down as
a doubt without end before anything is received, so that a crash leaves just that behind.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.calendar import closed_spans
from workbench.history.pieces import Decide, Splice, bar_pieces, joined, splice
from workbench.store.coverage import OPEN, Change, Interval, IntervalState, Series

__all__ = ["Ledger", "Persist"]

#: Writes changes down for good, and raises if it cannot.
Persist: TypeAlias = Callable[[Sequence[Change]], None]
_start, _end = attrgetter("start"), attrgetter("end")


class Ledger:
    """Keep for each series disjoint intervals in order, each with its state and reason.

    Asks no clock: every time is given, in ns UTC. Any thread may call it. Whatever makes a
    doubt, or settles one, is handed to `persist` before the ledger itself changes; if that
    raises, nothing has changed. What was merely heard waits for the next such call or
    :meth:`flush`, since until then its stretch is in doubt in the store.

    Parameters
    ----------
    rows : iterable of (Series, Interval)
        What was stored, in order of time within each series. Nothing of it is live: call
        :meth:`recover` once, before the first connection or fetch.
    persist : callable or None
        Takes changes and returns when they are written; None keeps them in memory only.

    Raises
    ------
    ValueError
        If intervals of `rows` overlap or are not in order.

    Examples
    --------
    >>> ledger, second = Ledger(), 10**9
    >>> trades = [Series("sim", "BTC-USD", "trade")]
    >>> ledger.live(trades, at=10 * second, connection="1")
    >>> ledger.heard("sim", until=20 * second)
    1
    >>> ledger.lost("sim", since=18 * second, at=25 * second, why="closed by the peer")
    1
    >>> ledger.live(trades, at=30 * second, connection="2")
    >>> ledger.missing(trades[0], 10 * second, 40 * second)
    [(18000000000, 30000000000)]
    >>> ledger.fetched(trades[0], 18 * second, 30 * second, 7, begun=31 * second, fetch="a")
    >>> [(i.state, i.learned) for i in ledger.intervals(trades[0], 0, 30 * second)]
    [('received', 'live 1'), ('backfilled', 'fetch a')]
    """

    def __init__(
        self,
        rows: Iterable[tuple[Series, Interval]] = (),
        *,
        persist: Persist | None = None,
    ) -> None:
        self._persist = persist
        self._lock = threading.RLock()
        self._held: dict[Series, list[Interval]] = {}
        self._live: dict[Series, tuple[int, str]] = {}  # proven until, learned from
        self._open: dict[Series, int] = {}  # where doubts begin that no fetch settles yet
        self._pending: dict[Series, Change] = {}
        for series, interval in rows:
            held = self._held.setdefault(series, [])
            if not interval.start < interval.end or (held and held[-1].end > interval.start):
                raise ValueError(f"intervals of {series} overlap or are not in order")
            held.append(interval)
            if interval.ready == OPEN:
                self._open.setdefault(series, interval.start)

    @property
    def series(self) -> tuple[Series, ...]:
        """The series of which anything is known, sorted."""
        with self._lock:
            return tuple(sorted(self._held))

    def live(self, series: Iterable[Series], at: int, *, connection: str) -> None:
        """Tell that series are subscribed to from now on.

        What was lost before is in doubt up to now, and may be fetched from now on.

        Parameters
        ----------
        series : iterable of Series
        at : int
            Since when all of them is sent, ns UTC; no earlier than the loss before it.
        connection : str
            Names the connection in what is learned from it.
        """
        learned = f"live {connection}"

        def plan(one: Series) -> Splice | None:
            begin = self._begin(one, at)
            tail = Interval(begin, OPEN, "doubt", learned, begin, OPEN)

            def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
                if old is not None and old.ready != OPEN:
                    return [old]
                parts = [tail._replace(start=max(a, begin), end=b)] if b > begin else []
                if old is not None and a < begin:
                    parts.insert(0, old._replace(start=a, end=min(b, begin), ready=begin))
                return parts

            return splice(self._of(one), min(self._open.get(one, begin), begin), OPEN, decide)

        with self._lock:
            some = dict.fromkeys(series)
            begins = {one: self._begin(one, at) for one in some}
            self._write({one: plan(one) for one in some})
            for one, begin in begins.items():
                self._live[one] = (begin, learned)
                self._open[one] = begin

    def _begin(self, one: Series, at: int) -> int:
        """Return a time no earlier than the loss or the last moment proven of a series."""
        begin = max(at, self._live[one][0]) if one in self._live else at
        since = self._open.get(one)
        if since is None:
            return begin
        first = next((i.at for i in self._within(one, since, OPEN) if i.ready == OPEN), begin)
        return max(begin, since, first)

    def heard(self, source: str, until: int, series: Iterable[Series] | None = None) -> int:
        """Tell that all of live series has come and is stored up to a moment.

        Parameters
        ----------
        source : str
        until : int
            ns UTC; less a margin for events that come out of order.
        series : iterable of Series or None
            Only these; None is all that are live of the source.

        Returns
        -------
        int
            Series of which more is known now; one that is not live learns nothing.
        """
        plans: dict[Series, Splice | None] = {}
        with self._lock:
            for one in self._chosen(source, series):
                position, learned = self._live.get(one, (OPEN, ""))
                if position < until:
                    new = Interval(position, until, "received", learned, until)
                    plans[one] = splice(self._of(one), position, until, _hearing(new))
            self._write(plans, later=True)
            for one in plans:
                self._live[one] = (until, self._live[one][1])
                self._open[one] = until
        return len(plans)

    def lost(
        self,
        source: str,
        since: int,
        at: int,
        series: Iterable[Series] | None = None,
        *,
        why: str = "lost",
    ) -> int:
        """Tell that a connection was lost: from the last moment known good all is in doubt.

        Parameters
        ----------
        source : str
        since : int
            The last moment known good, ns UTC; what was not proven before it is in doubt too.
        at : int
            When the loss was noticed, ns UTC.
        series : iterable of Series or None
            Only these; None is all that are live of the source.
        why : str

        Returns
        -------
        int
            Series in doubt.
        """
        plans: dict[Series, Splice | None] = {}
        since_of: dict[Series, int] = {}
        with self._lock:
            for one in self._chosen(source, series):
                begin = min(since, self._open.get(one, since))
                new = Interval(begin, OPEN, "doubt", why, max(at, begin), OPEN)
                plans[one] = splice(self._of(one), begin, OPEN, _over(new, ("received", "doubt")))
                since_of[one] = begin
            self._write(plans)
            for one, begin in since_of.items():
                self._live.pop(one, None)
                self._open[one] = begin
        return len(plans)

    def stopped(self, source: str, at: int, series: Iterable[Series] | None = None) -> int:
        """Tell that series are not subscribed to any more, by our own wish.

        Parameters
        ----------
        source : str
        at : int
            ns UTC. What was not proven before is in doubt, what comes after is not known.
        series : iterable of Series or None
            Only these; None is all of the source.

        Returns
        -------
        int
            Series that ended.
        """
        with self._lock:
            some = [
                one
                for one in (self._open if series is None else dict.fromkeys(series))
                if one in self._open and one.source == source
            ]
            self._write({one: self._ending(one, self._begin(one, at)) for one in some})
            for one in some:
                self._live.pop(one, None)
                del self._open[one]
        return len(some)

    def _ending(self, one: Series, end: int) -> Splice | None:
        def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
            if old is None or old.ready != OPEN:
                return [] if old is None else [old]
            return [old._replace(start=a, end=min(b, end), ready=end)] if a < end else []

        return splice(self._of(one), self._open[one], OPEN, decide)

    def recover(self, at: int) -> int:
        """End what a process before this one left open, as after a crash; return how many."""
        with self._lock:
            sources = {one.source for one in self._open}
            return sum(self.stopped(source, at) for source in sources)

    def doubted(self, series: Iterable[Series], start: int, end: int, at: int, *, why: str) -> None:
        """Tell that something of a stretch may be lost: a bad frame, a full queue.

        Parameters
        ----------
        series : iterable of Series
        start, end : int
            ns UTC, half-open.
        at : int
            When it was noticed, ns UTC; a fetch must begin no earlier.
        why : str

        Raises
        ------
        ValueError
            If the stretch is empty or has no end.
        """
        _check(start, end)
        new = Interval(start, end, "doubt", why, at, at)

        def plan(one: Series) -> Splice | None:
            def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
                if old is not None and old.state not in ("received", "closed", "doubt"):
                    return [old]
                ready = 0 if old is None else old.ready
                if ready == OPEN and one in self._live:
                    ready = 0  # the tail of what is live: it is only not proven yet
                return [new._replace(start=a, end=b, ready=max(at, ready))]

            return splice(self._of(one), start, end, decide)

        with self._lock:
            self._write({one: plan(one) for one in dict.fromkeys(series)})

    def fetched(
        self,
        series: Series,
        start: int,
        end: int,
        rows: int | npt.NDArray[np.int64],
        *,
        begun: int,
        fetch: str,
        at: int | None = None,
    ) -> None:
        """Tell that all of a stretch was fetched and stored; call it for every page.

        Parameters
        ----------
        series : Series
        start, end : int
            What the answer covers, ns UTC, half-open; not beyond what was settled there.
        rows : int or int64 array
            How many there were; of bars their starts, so that the steps between without a bar
            are known to have had no trade.
        begun : int
            When the request of these rows was sent, ns UTC. It settles only doubts that were
            ready by then.
        fetch : str
            Names the fetch in what is learned from it.
        at : int or None
            When it came, ns UTC; None is `begun`.

        Raises
        ------
        ValueError
            If the stretch is empty or has no end.
        """
        _check(start, end)
        states = bar_pieces(rows, start, end, series.timeframe * 10**9)
        starts = [piece[0] for piece in states]
        when = begun if at is None else at

        def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
            if old is not None and (old.state == "received" or old.ready > begun):
                return [old]
            parts: list[Interval] = []
            for lo, hi, some in states[bisect_right(starts, a) - 1 : bisect_left(starts, b)]:
                lo, hi = max(lo, a), min(hi, b)
                if old is not None and not some and old.state in ("backfilled", "closed"):
                    parts.append(old._replace(start=lo, end=hi))
                    continue
                state: IntervalState = "backfilled" if some else "no-trade"
                parts.append(Interval(lo, hi, state, f"fetch {fetch}", when))
            return parts

        with self._lock:
            self._write({series: splice(self._of(series), start, end, decide)})

    def declare_missing(
        self, series: Series, start: int, end: int, *, tries: int, at: int, why: str = ""
    ) -> None:
        """Give a stretch up after trying; it stays among what is missing.

        A doubt that no fetch could settle yet, since the feed is not live, stays a doubt.

        Parameters
        ----------
        series : Series
        start, end : int
            ns UTC, half-open.
        tries : int
            How often it was tried.
        at : int
            ns UTC.
        why : str
            What the last try said.

        Raises
        ------
        ValueError
            If the stretch is empty or has no end.
        """
        _check(start, end)
        learned = f"declared after {tries} {'try' if tries == 1 else 'tries'}"
        new = Interval(start, end, "missing", f"{learned}: {why}" if why else learned, at)

        def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
            if old is None or (old.state in ("doubt", "missing") and old.ready != OPEN):
                return [new._replace(start=a, end=b)]
            return [old]

        with self._lock:
            self._write({series: splice(self._of(series), start, end, decide)})

    def closed(self, series: Iterable[Series], start: int, end: int, *, at: int) -> None:
        """Mark when the exchange was closed, by its calendar, where nothing was heard.

        Bars count as closed where the whole of them is. Crypto and forex never close.

        Parameters
        ----------
        series : iterable of Series
        start, end : int
            ns UTC, half-open.
        at : int
            ns UTC.

        Raises
        ------
        ValueError
            If the stretch is empty or has no end, or no session is known there.
        """
        _check(start, end)

        def plan(one: Series) -> Splice | None:
            spans = closed_spans(one.symbol, start, end, one.timeframe * 10**9)
            closed = [Interval(low, high, "closed", "calendar", at) for low, high in spans]

            def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
                if old is not None and old.state not in ("missing", "no-trade"):
                    return [old]
                parts: list[Interval] = []
                first = bisect_right(closed, a, key=_end)
                for one in closed[first : bisect_left(closed, b, key=_start)]:
                    low = max(one.start, a)
                    if old is not None and low > a:
                        parts.append(old._replace(start=a, end=low))
                    a = min(one.end, b)
                    parts.append(one._replace(start=low, end=a))
                if old is not None and a < b:
                    parts.append(old._replace(start=a, end=b))
                return parts

            return splice(self._of(one), start, end, decide)

        with self._lock:
            self._write({one: plan(one) for one in dict.fromkeys(series)})

    def missing(self, series: Series, start: int, end: int) -> list[tuple[int, int]]:
        """Return what has to be fetched: what is missing, in doubt or not known at all.

        The tail of a live series is not among it: that is about to come.

        Parameters
        ----------
        series : Series
        start, end : int
            ns UTC, half-open.

        Returns
        -------
        list of (int, int)
            Disjoint, in order, never touching.
        """
        found: list[tuple[int, int]] = []
        with self._lock:
            live = series in self._live
            known = [
                one
                for one in self._within(series, start, end)
                if one.state not in ("missing", "doubt") or (live and one.ready == OPEN)
            ]
        at = start
        for one in known:
            if one.start > at:
                found.append((at, one.start))
            at = max(at, one.end)
        if at < end:
            found.append((at, end))
        return found

    def intervals(
        self, series: Series, start: int | None = None, end: int | None = None
    ) -> list[Interval]:
        """Return what is known within a range, cut to it; None is open."""
        low = -OPEN if start is None else start
        high = OPEN if end is None else end
        with self._lock:
            found = list(self._within(series, low, high))
        return [one._replace(start=max(one.start, low), end=min(one.end, high)) for one in found]

    def find(self, series: Series, time: int) -> Interval | None:
        """Return the interval that holds a time, or None if nothing is known of it."""
        with self._lock:
            return next(self._within(series, time, time + 1), None)

    def rows(self) -> list[tuple[Series, Interval]]:
        """Return all there is, as the constructor takes it."""
        with self._lock:
            return [(one, interval) for one in sorted(self._held) for interval in self._held[one]]

    def flush(self) -> None:
        """Write down what was heard since anything was written."""
        with self._lock:
            self._write({})

    def _of(self, one: Series) -> list[Interval]:
        return self._held.get(one, [])

    def _within(self, one: Series, start: int, end: int) -> Iterator[Interval]:
        held = self._of(one)
        first = bisect_right(held, start, key=_start)
        if first and held[first - 1].end > start:
            first -= 1
        for place in range(first, len(held)):
            if held[place].start >= end:
                return
            yield held[place]

    def _chosen(self, source: str, series: Iterable[Series] | None) -> list[Series]:
        some = self._live if series is None else dict.fromkeys(series)
        return [one for one in some if one.source == source]

    def _write(self, plans: dict[Series, Splice | None], *, later: bool = False) -> None:
        """Persist changes, then make them; with `later`, persist them with the next ones."""
        changes = dict(self._pending)
        for one, plan in plans.items():
            if plan is not None:
                removed, added = plan.difference()
                change = Change(one, removed, added)
                changes[one] = joined(changes[one], change) if one in changes else change
        if self._persist is not None and not later:
            if changes:
                self._persist(tuple(changes.values()))
            changes = {}
        self._pending = changes if self._persist is not None else {}
        for one, plan in plans.items():
            if plan is not None:
                self._held.setdefault(one, [])[plan.first : plan.last] = plan.new


def _check(start: int, end: int) -> None:
    if not start < end < OPEN:
        raise ValueError(f"a stretch begins before it ends, and has an end: {start}, {end}")


def _over(new: Interval, states: tuple[str, ...]) -> Decide:
    """Return what puts an interval over nothing and over some states."""

    def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
        return [new._replace(start=a, end=b) if old is None or old.state in states else old]

    return decide


def _hearing(new: Interval) -> Decide:
    def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
        if old is not None and (
            old.state == "backfilled" or (old.state == "doubt" and old.ready != OPEN)
        ):
            return [old]
        return [new._replace(start=a, end=b)]

    return decide
