"""Getting the provider's bars of a series: only what nobody has, in as few requests as it takes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from workbench.clock import Clock
from workbench.errors import WorkbenchError
from workbench.flow.seam import Span, both, newer, outward
from workbench.history.archive import Archive
from workbench.history.barloader import Loaded
from workbench.history.coordinator import Coordinator
from workbench.history.ledger import Ledger
from workbench.history.request import day_long, settled_until
from workbench.history.screening import screen
from workbench.history.settlement import Settlement
from workbench.history.warmups import PLENTY, WARMUPS, Call, Series, Warmup, plan
from workbench.records import CLOSED, Batch, Rows, empty
from workbench.store import coverage
from workbench.store.store import Store
from workbench.symbols import SymbolTable
from workbench.timeframes import Timeframe, timeframe

__all__ = ["Brought", "PastLoader", "Wanted"]

#: Lengths that bars of other lengths are folded from.
_BASES = tuple(map(timeframe, ("1h", "1m", "1s")))
#: Bars of days are folded from so many hours at most: a page holds 833 of them.
_MOST_HOURS = 60 * 24
_DAY_SECONDS = 86_400
#: Bars that a gap since the last time may reach back, however few are wanted.
_MOST_BACK = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of one series.

    Attributes
    ----------
    symbol : str
    timeframe : Timeframe
    bars : int
        Closed bars, ours among them.
    own : array of BAR
        Ours, in order of time.
    beside : tuple of Timeframe
        Others of that symbol that will be wanted next; they come along where that saves
        requests.
    asked : bool
        Whether so many were asked for already, and there were no more.
    since : float or None
        Take nothing that was fetched before this moment of the clock that never steps, and
        fetch even what is known.
    """

    symbol: str
    timeframe: Timeframe
    bars: int
    own: Rows
    beside: tuple[Timeframe, ...] = ()
    asked: bool = False
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Brought:
    """What there is of a series of the provider.

    Attributes
    ----------
    rows : array of BAR
        Closed bars of origin 1, oldest first.
    fetched : int
        How many of them came for this.
    error : WorkbenchError or None
        Why no more came.
    left : list of (int, int)
        What is neither ours nor fetched for good, ns UTC: too young, or in vain.
    """

    rows: Rows
    fetched: int = 0
    error: WorkbenchError | None = None
    left: list[Span] = field(default_factory=list)


class PastLoader:
    """Get bars from the store or the provider, and keep what came; for threads that may wait.

    Parameters
    ----------
    archive : Archive
    coordinator : Coordinator
        Fetches, and shares what it fetched with the warm-ups.
    ledger : Ledger
    table : SymbolTable
        Of the archive's rows.
    clock : Clock
    store : Store or None
        Read for what was fetched before.
    settlement : Settlement or None
        Stores what comes; None keeps it in memory only.
    settle : float
        Seconds after which a bar of the provider is final; younger ones are fetched once more.
    """

    def __init__(
        self,
        archive: Archive,
        coordinator: Coordinator,
        ledger: Ledger,
        table: SymbolTable,
        clock: Clock,
        *,
        store: Store | None = None,
        settlement: Settlement | None = None,
        settle: float = 900.0,
    ) -> None:
        self._archive = archive
        self._coordinator = coordinator
        self._ledger = ledger
        self._table = table
        self._clock = clock
        self._store = store
        self._settlement = settlement
        self._settle = settle
        self._held: dict[tuple[str, int], Rows] = {}

    def bring(self, wanted: Wanted) -> Brought:
        """Return the provider's bars of a series, fetching those that nobody has.

        Parameters
        ----------
        wanted : Wanted

        Raises
        ------
        StoreError
            If the store cannot be read or written.
        concurrent.futures.CancelledError
            If the archive was cancelled.
        """
        held = self._before(wanted)
        bars = self._lacking(wanted, held)
        if not bars:
            return Brought(held, left=self._needed(wanted, held))
        loaded = self._coordinator.load(wanted.symbol, self._call(wanted, bars), since=wanted.since)
        mine = loaded[wanted.timeframe.name]
        if mine.rows is None or mine.error is not None:
            rows = held if mine.rows is None else newer(held, self._named(wanted, mine.rows))
            return Brought(rows, error=mine.error, left=self._needed(wanted, held))
        traded = int(wanted.own["time"][-1]) if len(wanted.own) else 0
        for name, each in loaded.items():
            length = timeframe(name)
            if length == wanted.timeframe or length in wanted.beside:
                self._keep(wanted.symbol, length, each, traded)
        rows = newer(held, self._named(wanted, mine.rows))
        self._held[wanted.symbol, wanted.timeframe.seconds] = rows
        return Brought(rows, len(mine.rows), left=self._needed(wanted, rows))

    def _before(self, wanted: Wanted) -> Rows:
        """Return what was fetched before, in this process or another."""
        key = (wanted.symbol, wanted.timeframe.seconds)
        held = self._held.get(key, empty("bar"))
        if self._store is None:
            return held
        stored = self._store.rows(
            "bar",
            wanted.symbol,
            timeframe=wanted.timeframe,
            last=max(wanted.bars, len(held)),
            origin=1,
            table=self._table,
        )
        return newer(held, stored)

    def _lacking(self, wanted: Wanted, held: Rows) -> int:
        """Return how many of the newest bars must be fetched."""
        if wanted.since is not None:
            return wanted.bars
        times = np.union1d(wanted.own["time"], held["time"])
        if len(times) < wanted.bars and not wanted.asked:
            return wanted.bars
        needed = self._needed(wanted, held)
        if not needed:
            return 0
        length = wanted.timeframe
        slots = (length.start(self._clock.now()) - needed[0][0]) // length.ns + 1
        return min(slots, max(wanted.bars, _MOST_BACK))

    def _needed(self, wanted: Wanted, held: Rows) -> list[Span]:
        """Return what neither our trades nor a fetch of bars have told whole."""
        length, end = wanted.timeframe, wanted.timeframe.start(self._clock.now())
        times = np.union1d(wanted.own["time"], held["time"])[-wanted.bars :]
        start = int(times[0]) if len(times) else end
        if start >= end:
            return []
        name = self._archive.name
        trades = coverage.Series(name, wanted.symbol, "trade")
        bars = coverage.Series(name, wanted.symbol, "bar", length.seconds)
        lost = outward(self._ledger.missing(trades, start, end), length)
        return both(lost, self._ledger.missing(bars, start, end))

    def _call(self, wanted: Wanted, bars: int) -> Call:
        """Return the one request that brings these bars, and others with them if it can."""
        length = wanted.timeframe
        if day_long(length) or _DAY_SECONDS % length.seconds:
            base = next(each for each in _BASES if length.seconds % each.seconds == 0)
            most = (bars + 2) * (length.seconds // base.seconds)
            if day_long(length):
                most = min(most, _MOST_HOURS)
            return Call(base.name, most, (Series(length.name, bars),))
        if not 0 < self._archive.per_minute < PLENTY:
            shared = [one.bars for one in WARMUPS if one.timeframe == length.name]
            series = Series(length.name, max([bars, *shared]))
            return Call(*series, covers=(series,))
        return self._one_for_many(wanted, bars)

    def _one_for_many(self, wanted: Wanted, bars: int) -> Call:
        """Return a request whose bars are folded to all that will be wanted next."""
        length, per_minute = wanted.timeframe, self._archive.per_minute
        short = length.seconds < 60
        others = [
            each
            for each in sorted(wanted.beside)
            if each != length
            and (each.seconds < 60) is short
            and not day_long(each)
            and _DAY_SECONDS % each.seconds == 0
        ]
        more = () if short else WARMUPS
        while True:
            some = [(length, bars), *((each, wanted.bars) for each in others)]
            wishes = [Warmup(each.name, each.name, n, "high", "ema") for each, n in some]
            calls = plan([*wishes, *more], per_minute)
            call = next(c for c in calls if length.name in {one.timeframe for one in c.covers})
            if len(calls) == 1 or not others:
                return call
            others.pop()  # the longest takes more than one answer holds

    def _keep(self, symbol: str, length: Timeframe, loaded: Loaded, traded: int) -> None:
        """Store what came, with the word up to where it is whole and final."""
        if loaded.rows is None or not len(loaded.rows):
            return
        rows = self._marked(symbol, length, loaded.rows)
        start, last = int(rows["time"][0]), int(rows["time"][-1]) + length.ns
        batch, refused = screen(Batch("bar", rows, length), now=self._clock.now(), start=start)
        final = settled_until(length, loaded.fetched, self._settle)
        if traded >= last:  # there were trades that the provider does not tell of yet
            final = min(final, last)
        one = coverage.Series(self._archive.name, symbol, "bar", length.seconds)
        span = (start, max(start, final))
        if self._settlement is not None:
            self._settlement.came(
                one, span, [batch], self._table, begun=loaded.fetched, certain=not refused
            )
        elif span[0] < span[1]:
            times = batch.rows["time"]
            times = times[(times >= span[0]) & (times < span[1])]
            self._ledger.fetched(one, *span, times, begun=loaded.fetched, fetch="history")

    def _named(self, wanted: Wanted, rows: Rows) -> Rows:
        return self._marked(wanted.symbol, wanted.timeframe, rows)

    def _marked(self, symbol: str, length: Timeframe, rows: Rows) -> Rows:
        """Return bars marked as the provider's, of our number for the symbol."""
        marked = rows.copy()
        marked["symbol"] = self._table.id(symbol)
        marked["timeframe"], marked["origin"] = length.seconds, 1
        marked["state"], marked["revision"] = CLOSED, 0
        return marked
