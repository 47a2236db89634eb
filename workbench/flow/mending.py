"""What keeps a feed whole: its ledger, and the repair of what the ledger doubts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.clock import Clock
from workbench.config import Settings
from workbench.errors import StoreError
from workbench.flow.continuity import Continuity
from workbench.flow.graph import Pipeline
from workbench.flow.keeper import Keeper
from workbench.flow.recent import Recent
from workbench.flow.repair import Keep, Repair
from workbench.flow.wishes import Wishes
from workbench.history.archive import Archive
from workbench.history.coverage import Coverage
from workbench.history.ledger import Ledger
from workbench.history.ledgers import ledger_of
from workbench.history.pieces import gaps
from workbench.history.settlement import Settlement
from workbench.records import Batch, Kind, Rows
from workbench.sources.source import Source, Topic
from workbench.store.coverage import Series
from workbench.store.sqlite import SqliteStore
from workbench.store.store import Store
from workbench.symbols import SymbolTable, asset_class

__all__ = ["BEFORE", "MakeArchive", "Mending"]

#: ``make_archive(table)`` opens the history of a feed's provider.
MakeArchive: TypeAlias = Callable[[SymbolTable], Archive]

#: Why bars that were forming before anybody listened are in doubt.
BEFORE = "before the subscription"
#: Seconds between looks, and between writing down what was merely heard.
_LOOK, _FLUSH = 0.5, 5.0
_PATIENCE = 20.0


class Mending:
    """Keep a ledger of a feed's series, and have holes fetched and put between what came.

    Made and used in the feed's thread; what it fetches is fetched in others.

    Parameters
    ----------
    pipeline : Pipeline
    config : Settings
    store : Store or None
        None keeps the ledger in memory.
    keeper : Keeper or None
    recent : mapping of str to Recent
        Trades and quotes at hand.
    clock : Clock
    splice : callable
        Takes fetched rows, in the feed's thread.
    begun : callable
        ``begun(symbol, time)``: the start of the bars that were forming at a time.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        config: Settings,
        store: Store | None,
        keeper: Keeper | None,
        recent: Mapping[str, Recent],
        clock: Clock,
        splice: Callable[[Batch], None],
        begun: Callable[[str, int], int],
    ) -> None:
        self._pipeline = pipeline
        self._config = config
        self._store = store if isinstance(store, SqliteStore) else None
        self._keeper = keeper
        self._recent = recent
        self._clock = clock
        self._splice = splice
        self._begun = begun
        self._loop = asyncio.get_running_loop()
        self.ledger = Ledger() if self._store is None else ledger_of(self._store, clock)
        self.continuity = Continuity(
            self.ledger,
            pipeline.table,
            clock,
            self._kept,
            (lambda: 0) if keeper is None else keeper.mark,
            (lambda mark: True) if keeper is None else keeper.settled,
            lambda error: pipeline.health.failed("ledger", error),
            self._live,
            min(3.0, config.silence_seconds / 2),
        )
        self._sources: dict[str, str] = {}  # by market
        self._archive: Archive | None = None
        self._repair: Repair | None = None
        self._looked = self._flushed = clock.monotonic()
        self._flushing: Future[None] | asyncio.Future[None] | None = None

    def open(self, make_archive: MakeArchive) -> None:
        """Begin to fill holes from a provider's history."""
        self._archive = make_archive(self._pipeline.table)
        keep: Keep = self._only_tell
        if self._store is not None:
            rules = self._config.tape_rules
            keep = self._store_and_tell(
                Settlement(self.ledger, self._store, fetch="gap fill", tape_rules=rules)
            )
        self._repair = Repair(
            self._archive,
            self.ledger,
            keep,
            self,
            self._deliver,
            lambda kind, text: self._later(lambda: self._pipeline.health.tell(kind, text)),
            self._clock,
            overlap=self._config.overlap_seconds,
            patience=self._config.patience_seconds,
        )

    def _kept(self, topic: Topic) -> bool:
        if topic.channel == "trade":
            return self._keeper is None or self._config.store_trades
        if topic.channel == "quote":
            return self._keeper is not None and self._config.store_quotes
        return True

    def _store_and_tell(self, settlement: Settlement) -> Keep:
        def keep(one: Series, span: tuple[int, int], batch: Batch, begun: int) -> None:
            settlement.came(one, span, [batch], self._pipeline.table, begun=begun)

        return keep

    def _only_tell(self, one: Series, span: tuple[int, int], batch: Batch, begun: int) -> None:
        start, end = span
        if start < end:
            times = batch.rows["time"]
            times = times[(times >= start) & (times < end)]
            self.ledger.fetched(one, start, end, times, begun=begun, fetch="gap fill")

    # -- what is there, asked from the threads of the repair ----------------------------

    def held(self, one: Series, start: int, end: int) -> Rows:
        """Return the rows of [start, end) that were stored, or are in memory."""
        if self._store is None:
            return self._ask(lambda: self._within(one, start, end))
        if self._keeper is not None:
            self._keeper.settle()
        kind: Kind = one.kind  # type: ignore[assignment]
        table = self._pipeline.table
        # A trade that was taken back is there all the same: it must not come again.
        return self._store.rows(kind, one.symbol, start=start, end=end, table=table, cancelled=True)

    def witnesses(self, one: Series, start: int, end: int, before: int) -> Rows:
        """Return live rows of [start, end) that were received before a time."""
        rows = self._ask(lambda: self._within(one, start, end))
        return rows[rows["received"] < before]

    def _within(self, one: Series, start: int, end: int) -> Rows:
        rows = self._recent[one.kind].of(self._pipeline.table.id(one.symbol))
        return rows[(rows["time"] >= start) & (rows["time"] < end)]

    def _ask(self, function: Callable[[], Rows]) -> Rows:
        """Run a function in the feed's thread and return what it says."""
        answer: Future[Rows] = Future()

        def run() -> None:
            try:
                answer.set_result(function())
            except Exception as error:  # noqa: BLE001 - handed to the thread that asked
                answer.set_exception(error)

        self._later(run)
        return answer.result(_PATIENCE)

    def _deliver(self, batch: Batch) -> None:
        self._later(lambda: self._splice(batch))

    def _later(self, function: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(function)

    # -- what happens to the feed -------------------------------------------------------

    def subscribed(self, source: Source, topics: Iterable[Topic]) -> None:
        """Take note of all topics of a source that are sent from now on."""
        self._sources[source.market] = source.name
        self.continuity.subscribed(source.name, source.market, topics)

    def _live(self, new: Sequence[Series], at: int) -> None:
        """Have the beginnings fetched of bars that were forming before anybody listened."""
        if self._repair is None:
            return
        for one in new:
            if one.kind == "trade":
                start = self._begun(one.symbol, at)
                for low, high in gaps(self.ledger.intervals(one, start, at), start, at):
                    self.continuity.doubted([one], low, high, BEFORE)

    def lost(self, market: str, why: str) -> bool:
        """Take note that a connection is gone; return whether anything came over it."""
        lost = self.continuity.lost(market, why)
        if lost:
            self._pipeline.health.tell("gap", f"{market}: {lost} series without data: {why}")
        return bool(lost)

    def unwanted(self, wishes: Wishes) -> None:
        """Take note of what is not wanted any more."""
        for market in self.continuity.markets:
            self.continuity.stopped(market, wishes.topics(market))

    def tick(self) -> None:
        """Prove what came, doubt what was dropped, and have fetched what is in doubt."""
        now = self._clock.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        if self._keeper is not None:
            for loss in self._keeper.losses():
                self.continuity.dropped(*loss)
        self.continuity.tick()
        if self._repair is not None:
            self._repair.look(
                self.continuity.series(), lambda one: self.continuity.now(asset_class(one.symbol))
            )
        if now - self._flushed >= _FLUSH and (self._flushing is None or self._flushing.done()):
            self._flushed = now
            self._flushing = self._loop.run_in_executor(None, self._flush)

    def _flush(self) -> None:
        try:
            self.ledger.flush()
        except StoreError as error:
            self._later(lambda error=error: self._pipeline.health.failed("ledger", error))  # type: ignore[misc]

    @property
    def coverage(self) -> Coverage:
        """What is known of each series, by interval."""
        return Coverage(self.ledger.rows())

    @property
    def busy(self) -> int:
        """Series that are not received, or whose holes are being fetched or wait for it."""
        awaited = self.continuity.awaited()
        if awaited or self._repair is None:
            return awaited
        holes = map(self._repair.holes, self.continuity.series())
        return self._repair.busy or sum(map(bool, holes))

    def trades_of(self, name: str) -> Series:
        """Return the series of a symbol's trades."""
        return Series(self._sources.get(asset_class(name), ""), name, "trade")

    def whole(self, name: str, starts: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.bool_]:
        """Tell of bars of a symbol whether all of their trades have come."""
        found = np.ones(len(starts), np.bool_)
        if len(starts):
            low, high = int(starts.min()), int(starts.max()) + length
            for start, end in self.ledger.missing(self.trades_of(name), low, high):
                found &= (starts >= end) | (starts + length <= start)
        return found

    def close(self) -> None:
        """End the repair; in another thread than the feed's."""
        if self._repair is not None:
            self._repair.close()
        if self._archive is not None:
            self._archive.close()

    def end(self) -> None:
        """Write down that nobody listens any more, once all that came is stored."""
        self.continuity.end()
