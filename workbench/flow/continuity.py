"""What a feed tells its ledger: what it heard, what it lost, and what it is not sure of."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.clock import Clock
from workbench.errors import StoreError
from workbench.history.ledger import Ledger
from workbench.quality.quarantine import Refused
from workbench.records import Batch
from workbench.sources.source import Reject, Source, Topic
from workbench.store.coverage import Series
from workbench.symbols import SymbolTable, asset_class
from workbench.timeframes import timeframe

__all__ = ["Continuity", "series_of"]

_SECOND = 1_000_000_000
#: Trades of one market come out of order by about so much; later ones are told as late.
_MARGIN = 2 * _SECOND
#: A bar of the provider is sent within so much of its end.
_BAR_MARGIN = 10 * _SECOND
#: No provider's clock is further ahead of ours than this; what seems so is a bad time.
_AHEAD = 2 * _SECOND
#: First data that tell of a time so long before what the next data tell were reported late.
_LATE = _SECOND
#: So often the time at which a connection began is corrected; a market played faster than in
#: real time moves on all the time.
_CORRECTIONS = 3
_NEVER = -(1 << 62)
#: Refusals that lose nothing of a series we know.
_HARMLESS = frozenset({"unknown-event"})


def series_of(source: str, topic: Topic) -> Series:
    """Return the series of the ledger that a topic brings.

    >>> series_of("massive", Topic("BTC-USD", "bar:1m")).timeframe
    60
    """
    kind, _, length = topic.channel.partition(":")
    return Series(source, topic.symbol, kind, timeframe(length).seconds if length else 0)


@dataclass
class _Market:
    """What is known of the connection of one market."""

    source: str
    series: set[Series] = field(default_factory=set)  # live ones
    last: int = _NEVER  # receipt of the newest frame
    shift: int = _NEVER  # greatest (event time - receipt) seen
    connections: int = 0
    waiting: set[Series] = field(default_factory=set)  # subscribed to, without data so far
    waits: float = 0.0  # since when, monotonic seconds
    gone: set[Series] = field(default_factory=set)  # lost, and not received again so far
    young: list[Series] = field(default_factory=list)  # those that began last
    # Since the newest data: where the doubts of a series end, the first and the last, and why.
    doubts: dict[Series, tuple[int, int, str]] = field(default_factory=dict)
    begun: int = 0  # since when they are taken for received, in market time
    corrected: int = 0  # how often that was put later
    guessed: bool = False  # they began before any data told what time it is in the market


class Continuity:
    """Tell a ledger of the connections of a feed, in the market's own time.

    Used in the feed's thread; it does no I/O but what the ledger's `persist` does.

    Parameters
    ----------
    ledger : Ledger
    table : SymbolTable
    clock : Clock
    kept : callable
        ``kept(topic)``: whether rows of a topic are kept at all, so that holes matter.
    mark : callable
        Returns a number for what was handed to the store so far.
    settled : callable
        ``settled(mark)``: whether all of that is stored.
    failed : callable
        Told what the store answered when it could not take a word; it is said again later.
    on_live : callable
        ``on_live(series, at)``: told which series are received from which time on.
    quiet : float
        Seconds after which a subscription without data is taken to be of a quiet market; less
        than those after which silence ends a connection.
    """

    def __init__(
        self,
        ledger: Ledger,
        table: SymbolTable,
        clock: Clock,
        kept: Callable[[Topic], bool],
        mark: Callable[[], int],
        settled: Callable[[int], bool],
        failed: Callable[[StoreError], None],
        on_live: Callable[[Sequence[Series], int], None],
        quiet: float = 3.0,
    ) -> None:
        self.ledger = ledger
        self._failed = failed
        self._on_live = on_live
        self._quiet = quiet
        # What could not be written down yet, in order: a full disk must not stop the feed.
        self._unsaid: deque[Callable[[], object]] = deque()
        self._table = table
        self._clock = clock
        self._kept = kept
        self._mark = mark
        self._settled = settled
        self._markets: dict[str, _Market] = {}
        # What was received by a time, to be proven once it is stored.
        self._proofs: list[tuple[int, list[tuple[Series, int]]]] = []

    def now(self, market: str) -> int:
        """Return the time of the market by the newest of what it has told: delayed feeds lag."""
        of = self._markets.get(market)
        shift = 0 if of is None or of.shift == _NEVER else min(of.shift, _AHEAD)
        return self._clock.now() + shift

    def frames(self, source: Source, received: int) -> None:
        """Take note that frames of a source came until a time."""
        of = self._of(source.name, source.market)
        of.last = max(of.last, received)

    def came(self, batch: Batch) -> None:
        """Take note of the times of a batch of one market."""
        market = asset_class(self._table.name(int(batch.rows["symbol"][-1])))
        of = self._markets.get(market)
        shift = None if of is None else self._told(batch, of)
        if of is None or shift is None or shift > _AHEAD:
            return
        before, known, of.shift = self._shift(of), of.shift, max(of.shift, shift)
        if of.doubts:
            self._reach(of, self._shift(of) - before)
        if of.guessed:
            self._begin_again(market, of)
        if of.waiting:  # the first data of a connection tell what time it is in the market
            self._begin(market, of)
        elif of.shift - known >= _LATE and known != _NEVER and of.corrected < _CORRECTIONS:
            self._correct(of, of.shift - known)

    @staticmethod
    def _told(batch: Batch, of: _Market) -> int | None:
        """Return how far the market is ahead of the clock by a batch; None if that tells nothing.

        Bars end well before they are sent: they only tell where nothing else comes.
        """
        rows = batch.rows
        if batch.kind != "bar":
            received = rows["received"]
            return int((rows["time"] - received).max()) if int(received[-1]) > 0 else None
        if of.last == _NEVER or any(not one.timeframe for one in of.series | of.waiting):
            return None
        return int((rows["time"] + rows["timeframe"].astype(np.int64) * _SECOND).max()) - of.last

    def subscribed(self, source: str, market: str, topics: Iterable[Topic]) -> list[Series]:
        """Take note that topics are being sent from now on; return those that were not.

        They count as received from the first data on, or after some seconds without any.
        """
        of = self._of(source, market)
        new = [series_of(source, topic) for topic in sorted(topics) if self._kept(topic)]
        new = [one for one in new if one not in of.series and one not in of.waiting]
        if new:
            of.waiting |= set(new)
            of.waits = self._clock.monotonic()
        return new

    def _begin(self, market: str, of: _Market) -> None:
        new, of.waiting = sorted(of.waiting), set()
        if not of.series:
            of.connections += 1
        name, at = f"{market} {of.connections}", self.now(market)
        self._say(lambda: self.ledger.live(new, at, connection=name))
        of.series = of.series | set(new)
        of.gone -= of.series
        of.young, of.begun, of.corrected = new, at, 0
        of.guessed = of.shift == _NEVER
        self._on_live(new, at)

    def _begin_again(self, market: str, of: _Market) -> None:
        """Put right when series began whose market is behind the clock, as of a delayed feed."""
        of.guessed = False
        at, some = self.now(market), sorted(of.series)
        if some and of.begun - at >= _LATE:
            name = f"{market} {of.connections}"
            self._say(lambda: self.ledger.stopped(of.source, at, series=some))
            self._say(lambda: self.ledger.live(some, at, connection=name))
            of.young, of.begun, of.corrected = some, at, 0
            self._on_live(some, at)

    def _reach(self, of: _Market, rise: int) -> None:
        """Doubt more if the market was further, when something was spoiled, than it seemed."""
        doubts, of.doubts = of.doubts, {}
        if rise >= _LATE:
            for one, (first, last, why) in doubts.items():
                self.doubted([one], first, last + rise, why)

    def _correct(self, of: _Market, rise: int) -> None:
        """Doubt what was taken for received because the first data were reported late."""
        young = [one for one in of.young if one in of.series]
        if young:
            self.doubted(young, of.begun, of.begun + rise, "first data were late")
        of.begun += rise
        of.corrected += 1

    def lost(self, market: str, why: str) -> int:
        """Take note that the connection of a market is gone; return how many series it had."""
        of = self._markets.get(market)
        if of is None:
            return 0
        of.waiting = set()
        if not of.series:
            return 0
        last = self._clock.now() if of.last == _NEVER else of.last
        since = last + self._shift(of) - _MARGIN
        self._proofs = [(mark, self._less(proof, of)) for mark, proof in self._proofs]
        some, at = of.series, self.now(market)
        self._say(lambda: self.ledger.lost(of.source, since, at, series=some, why=why))
        of.series, of.gone = set(), of.gone | some
        return len(some)

    @staticmethod
    def _less(proof: list[tuple[Series, int]], of: _Market) -> list[tuple[Series, int]]:
        return [(one, until) for one, until in proof if one not in of.series]

    def stopped(self, market: str, topics: Iterable[Topic]) -> None:
        """Take note that topics are not wanted any more."""
        of = self._markets.get(market)
        if of is None:
            return
        left = {series_of(of.source, topic) for topic in topics}
        of.waiting &= left
        of.gone &= left
        gone = of.series - left
        if gone:
            at = self.now(market)
            self._say(lambda: self.ledger.stopped(of.source, at, series=gone))
            of.series = of.series - gone

    def rejects(self, source: Source, rejects: Sequence[Reject]) -> None:
        """Doubt what may have been in events that could not be read."""
        of = self._of(source.name, source.market)
        for reject in rejects:
            if reject.rule in _HARMLESS or not reject.received or not of.series:
                continue
            named = {one for one in of.series if one.symbol == reject.symbol}
            # A name that nobody asked for may be as spoiled as the rest.
            some = named or of.series
            self._doubt(of, some, reject.received, f"not readable: {reject.rule}")

    def refused(self, some: Sequence[Refused]) -> None:
        """Doubt the times of rows that the gate refused: the provider may know them better."""
        for one in some:
            of = None if one.symbol is None else self._markets.get(asset_class(one.symbol))
            if of is not None:
                series = {
                    held for held in of.series if (held.symbol, held.kind) == (one.symbol, one.kind)
                }
                self._doubt(of, series, one.received or self._clock.now(), f"refused: {one.rule}")

    def dropped(self, kind: str, name: str, first: int, last: int) -> None:
        """Doubt what the store did not take."""
        of = self._markets.get(asset_class(name))
        some = [] if of is None else [o for o in of.series if (o.symbol, o.kind) == (name, kind)]
        if some:
            self.doubted(some, first, last + 1, "not stored")

    def doubted(self, some: Iterable[Series], start: int, end: int, why: str) -> None:
        """Doubt a stretch of some series."""
        series, at = list(some), self._clock.now()
        self._say(lambda: self.ledger.doubted(series, start, end, at, why=why))

    def _doubt(self, of: _Market, some: set[Series], received: int, why: str) -> None:
        end = received + self._shift(of) + _MARGIN
        for bar in (False, True):
            own = [one for one in some if bool(one.timeframe) is bar]
            if own:
                # The bar that was told may be of the interval before.
                longest = max(one.timeframe for one in own) * _SECOND
                start = end - 2 * _MARGIN - (longest + _BAR_MARGIN if bar else 0)
                self.doubted(own, start, end, why)
                for one in own:
                    first = of.doubts[one][0] if one in of.doubts else end
                    of.doubts[one] = (first, end, why)

    def tick(self) -> None:
        """Prove what is stored by now, and note what came since; to be called once a second."""
        self._say(None)
        for market, of in self._markets.items():
            if of.waiting and self._clock.monotonic() - of.waits >= self._quiet:
                self._begin(market, of)
        left = []
        for mark, proof in self._proofs:
            if self._settled(mark):
                self._prove(proof)
            else:
                left.append((mark, proof))
        self._proofs = left
        if len(left) > 60:  # the disk is full: the newest proof says it all
            del left[1:-1]
        found: list[tuple[Series, int]] = []
        for of in self._markets.values():
            if of.last == _NEVER or of.guessed:
                continue
            until = of.last + self._shift(of) - _MARGIN
            for one in of.series:
                step = one.timeframe * _SECOND
                if step:
                    found.append((one, (until - _BAR_MARGIN) // step * step))
                else:
                    found.append((one, until))
        if found:
            self._proofs.append((self._mark(), found))

    def _prove(self, proof: list[tuple[Series, int]]) -> None:
        by_time: dict[tuple[str, int], list[Series]] = {}
        for one, until in proof:
            by_time.setdefault((one.source, until), []).append(one)
        for (source, until), some in by_time.items():
            if not self._unsaid:  # what comes later must not be known before
                self.ledger.heard(source, until, some)

    def _say(self, word: Callable[[], object] | None) -> None:
        """Say something to the ledger; what it cannot write down now is said again later."""
        if word is not None:
            self._unsaid.append(word)
        while self._unsaid:
            try:
                self._unsaid[0]()
            except StoreError as error:
                self._failed(error)
                return
            self._unsaid.popleft()

    def series(self) -> list[Series]:
        """Return the series that are received now."""
        return [one for of in self._markets.values() for one in of.series]

    def awaited(self) -> int:
        """Return how many series are subscribed to, or were lost, and are not received yet."""
        return sum(len(of.waiting | of.gone) for of in self._markets.values())

    @property
    def markets(self) -> list[str]:
        """The markets that were connected to."""
        return list(self._markets)

    def newest(self, market: str) -> int:
        """Return when a market's newest frame came, ns UTC; before all times if none did."""
        of = self._markets.get(market)
        return _NEVER if of is None else of.last

    def end(self) -> None:
        """Prove what came, and take note that nobody listens any more."""
        self.tick()
        for mark, proof in self._proofs:
            if self._settled(mark):
                self._prove(proof)
        for market in self.markets:
            self.stopped(market, ())

    def _shift(self, of: _Market) -> int:
        return 0 if of.shift == _NEVER else min(of.shift, _AHEAD)

    def _of(self, source: str, market: str) -> _Market:
        return self._markets.setdefault(market, _Market(source))
