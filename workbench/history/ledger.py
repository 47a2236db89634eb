"""The continuity ledger: what is known of each stretch of each series, and from what.

While a series is live, what comes after the last moment proven is its *tail*: written down as
a doubt without end before anything is received, so that a crash leaves just that behind. Who
wins where two say something of the same stretch is told in `workbench.history.precedence`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.history import precedence
from workbench.history.closures import closed_spans
from workbench.history.journal import Journal, Persist, Plans, Turn
from workbench.history.pieces import (
    Decide,
    Splice,
    bar_pieces,
    check_stretch,
    gaps,
    grown,
    splice,
    within,
)
from workbench.store.coverage import OPEN, Interval, Series

__all__ = ["Ledger", "Persist"]

_Row: TypeAlias = tuple[Series, Interval]


class Ledger:
    """Keep for each series disjoint intervals in order, each with its state and reason.

    Asks no clock: every time is given, in ns UTC. Any thread may call it. Whatever makes a
    doubt, or settles one, is handed to `persist` before the ledger itself changes; if that
    raises, nothing has changed. What was merely heard waits for the next such call or
    :meth:`flush`, since until then its stretch is in doubt in the store. A stretch that is
    empty or has no end is refused with a ValueError.

    Parameters
    ----------
    rows : iterable of (Series, Interval)
        What was stored, in order of time within each series. Nothing of it is live: call
        :meth:`recover` once, before the first connection or fetch. A ValueError if they
        overlap.
    persist : callable or None
        Takes changes and returns when they are written; None keeps them in memory only.

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

    def __init__(self, rows: Iterable[_Row] = (), *, persist: Persist | None = None) -> None:
        self._journal = Journal(persist)
        self._lock = Turn()
        self._held: dict[Series, list[Interval]] = {}
        self._live: dict[Series, tuple[int, str]] = {}  # proven until, learned from
        self._open: dict[Series, int] = {}  # no doubt without end begins before this
        for series, interval in rows:
            held = self._held.setdefault(series, [])
            if not interval.start < interval.end or (held and held[-1].end > interval.start):
                raise ValueError(f"intervals of {series} overlap or are not in order")
            held.append(interval)
            if interval.ready == OPEN:
                self._open.setdefault(series, interval.start)

    def live(self, series: Iterable[Series], at: int, *, connection: str) -> None:
        """Tell that series are subscribed to from now on.

        What was lost before is in doubt up to now, and may be fetched from now on.

        Parameters
        ----------
        series : iterable of Series
        at : int
            Since when all of them is sent, ns UTC; before the loss ahead of it, that counts.
        connection : str
            Names the connection in what is learned from it.
        """
        learned = f"live {connection}"
        plans: Plans = {}
        with self._lock:
            begins = {one: self._begin(one, at) for one in series}
            for one, begin in begins.items():
                tail = Interval(begin, OPEN, "doubt", learned, begin, OPEN)
                first = min(self._open.get(one, begin), begin)
                plans[one] = self._plan(one, first, OPEN, precedence.reviving(begin, tail))
            self._write(plans)
            for one, begin in begins.items():
                self._live[one] = (begin, learned)
                self._open[one] = begin

    def heard(self, source: str, until: int, series: Iterable[Series] | None = None) -> int:
        """Tell that all of live series has come, and is stored, up to a moment.

        Waits for nobody: while another thread writes, it is kept for the end of that.

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
            Series that are live and know more now.
        """
        some = None if series is None else list(series)
        return self._lock.soon(lambda: self._hear(source, until, some))

    def _hear(self, source: str, until: int, series: list[Series] | None) -> int:
        plans: Plans = {}
        for one in self._chosen(source, series):
            position, learned = self._live.get(one, (OPEN, ""))
            if position < until:
                new = Interval(position, until, "received", learned, until)
                plans[one] = grown(self._of(one), position, new) or self._plan(
                    one, position, until, precedence.hearing(new)
                )
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
            Only these; None is all that are live of the source. Their number is returned.
        why : str
        """
        plans: Plans = {}
        with self._lock:
            some = self._chosen(source, series)
            begins = {one: min(since, self._open.get(one, since)) for one in some}
            for one, begin in begins.items():
                new = Interval(begin, OPEN, "doubt", why, max(at, begin), OPEN)
                plans[one] = self._plan(one, begin, OPEN, precedence.losing(new))
            self._write(plans)
            for one, begin in begins.items():
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
            Only these; None is all of the source. Their number is returned.
        """
        plans: Plans = {}
        with self._lock:
            for one in list(self._open) if series is None else list(dict.fromkeys(series)):
                if one in self._open and one.source == source:
                    decide = precedence.ending(self._begin(one, at))
                    plans[one] = self._plan(one, self._open[one], OPEN, decide)
            self._write(plans)
            for one in plans:
                self._live.pop(one, None)
                del self._open[one]
        return len(plans)

    def recover(self, at: int) -> int:
        """End what a process before this one left open, as after a crash; return how many."""
        with self._lock:
            return sum(self.stopped(source, at) for source in {one.source for one in self._open})

    def doubted(
        self,
        series: Iterable[Series],
        start: int,
        end: int,
        at: int,
        *,
        why: str,
        whole: bool = False,
    ) -> None:
        """Tell that something of a stretch may be lost: a bad frame, a full queue.

        Parameters
        ----------
        series : iterable of Series
        start, end : int
            ns UTC, half-open.
        at : int
            When it was noticed, ns UTC; a fetch must begin no earlier.
        why : str
        whole : bool
            Whether what was fetched before is in doubt too, as when it is fetched again.
        """
        check_stretch(start, end)
        new = Interval(start, end, "doubt", why, at, at)
        plans: Plans = {}
        with self._lock:
            for one in series:
                decide = precedence.doubting(new, live=one in self._live, whole=whole)
                plans[one] = self._plan(one, start, end, decide)
            self._write(plans)

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
        persist: Persist | None = None,
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
            ready by then: those of a feed that was live again.
        fetch : str
            Names the fetch in what is learned from it.
        at : int or None
            When it came, ns UTC; None is `begun`.
        persist : callable or None
            Writes the change for once, such as together with the rows; called even if there
            is none. None is the ledger's own.
        """
        check_stretch(start, end)
        pieces = bar_pieces(rows, start, end, series.timeframe * 10**9)
        decide = precedence.fetching(pieces, begun, f"fetch {fetch}", begun if at is None else at)
        with self._lock:
            self._write({series: self._plan(series, start, end, decide)}, persist=persist)

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
        """
        check_stretch(start, end)
        learned = f"declared after {tries} {'try' if tries == 1 else 'tries'}"
        new = Interval(start, end, "missing", f"{learned}: {why}" if why else learned, at)
        with self._lock:
            self._write({series: self._plan(series, start, end, precedence.declaring(new))})

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
        check_stretch(start, end)
        plans: Plans = {}
        with self._lock:
            for one in series:
                spans = closed_spans(one.symbol, start, end, one.timeframe * 10**9)
                decide = precedence.closing(spans, "calendar", at)
                plans[one] = self._plan(one, start, end, decide) if spans else None
            self._write(plans)

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
        with self._lock:
            live = series in self._live
            known = [
                one
                for one in within(self._of(series), start, end)
                if one.state not in ("missing", "doubt") or (live and one.ready == OPEN)
            ]
        return gaps(known, start, end)

    def intervals(
        self, series: Series, start: int | None = None, end: int | None = None
    ) -> list[Interval]:
        """Return what is known within a range, cut to it; None is open."""
        low = -OPEN if start is None else start
        high = OPEN if end is None else end
        with self._lock:
            found = list(within(self._of(series), low, high))
        return [one._replace(start=max(one.start, low), end=min(one.end, high)) for one in found]

    def rows(self) -> list[_Row]:
        """Return all there is, as the constructor takes it."""
        with self._lock:
            return [(one, interval) for one in sorted(self._held) for interval in self._held[one]]

    def flush(self) -> None:
        """Write down what was heard since anything was written."""
        with self._lock:
            self._write({})

    def _of(self, one: Series) -> list[Interval]:
        return self._held.get(one, [])

    def _plan(self, one: Series, start: int, end: int, decide: Decide) -> Splice | None:
        return splice(self._of(one), start, end, decide)

    def _chosen(self, source: str, series: Iterable[Series] | None) -> list[Series]:
        return [one for one in (self._live if series is None else series) if one.source == source]

    def _begin(self, one: Series, at: int) -> int:
        """Return a time, or the loss or last moment proven of a series if that is later."""
        since = self._open.get(one)
        if since is None:
            return at
        noticed = (i.at for i in within(self._of(one), since, OPEN) if i.ready == OPEN)
        return max(at, since, next(noticed, at))

    def _write(self, plans: Plans, *, later: bool = False, persist: Persist | None = None) -> None:
        """Persist changes, then make them; with `later`, persist them with the next ones."""
        self._journal.write(plans, later=later, persist=persist)
        for one, plan in plans.items():
            if plan is not None:
                self._held.setdefault(one, [])[plan.first : plan.last] = plan.new
