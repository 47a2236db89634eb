"""The inside of a feed, all of it in the feed's thread."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench.analytics import Indicator
from workbench.bars.kinds import BarKind
from workbench.bars.quotebars import QUOTE_FAMILIES
from workbench.clock import Clock
from workbench.config import Settings
from workbench.errors import TapeError
from workbench.flow.amend import Amender
from workbench.flow.beats import beats
from workbench.flow.board import Board
from workbench.flow.graph import Pipeline
from workbench.flow.hours import Hours
from workbench.flow.keeper import Keeper
from workbench.flow.kindbars import KindBars, base_of
from workbench.flow.kindboard import KindBoard
from workbench.flow.mending import MakeArchive, Mending
from workbench.flow.nodes import guard
from workbench.flow.past import Past
from workbench.flow.playback import follow, play
from workbench.flow.prices import prices
from workbench.flow.recent import Recent
from workbench.flow.scores import Scores
from workbench.flow.uplink import Uplink
from workbench.flow.window import Window
from workbench.flow.wishes import Subscription, Wishes
from workbench.net.replay import Replayed
from workbench.net.stream import ConnectionEvent
from workbench.records import Batch, Kind, Rows, empty
from workbench.sources.source import Frame, Source, Status, Topic
from workbench.sources.spliced import SPLICED, SplicedSource
from workbench.store.store import Store
from workbench.symbols import SymbolTable
from workbench.tape import TapeReader, TapeWriter
from workbench.timeframes import Timeframe

__all__ = ["Core"]

#: Screens see the forming bar this often, seconds; the clock closes bars as often.
TICK = 0.05
#: Trades and quotes of all symbols kept in memory.
KEPT = 200_000


class Core:
    """Hold pipeline, series, sockets and writer together.

    Parameters
    ----------
    make_source : callable
        ``make_source(market, table)``.
    config : Settings
    store : Store or None
    tape : TapeWriter or None
    clock : Clock
    rng : random.Random
    connect : callable or None
        Opens a websocket; None is the real one.
    make_archive : callable or None
        ``make_archive(table)`` opens the provider's history, which fills holes; None leaves
        them.
    """

    def __init__(
        self,
        make_source: Callable[[str, SymbolTable], Source],
        config: Settings,
        store: Store | None,
        tape: TapeWriter | None,
        clock: Clock,
        rng: random.Random,
        connect: Callable[..., Any] | None,
        make_archive: MakeArchive | None = None,
    ) -> None:
        self.table = SymbolTable()
        self.pipeline = Pipeline(
            self.table, lateness=config.lateness_seconds, remember=config.dedup_trades,
            clock=clock, asynchronous=True, tape_rules=config.tape_rules, rules=config.rules(),
        )  # fmt: skip
        self.kinds = KindBars(config.lateness_seconds)
        self.board = Board(self.table, self.pipeline.builder, config.window_bars, self.kinds)
        self.live = True
        self._spliced = SplicedSource(self.table)
        self._recent = {"trade": Recent("trade", KEPT), "quote": Recent("quote", KEPT)}
        trades, health = self._recent["trade"], self.pipeline.health
        self.drawn = KindBoard(self.kinds, self.board, self._recent, health, clock)
        self._clock = clock
        self._config = config
        self._tape = tape
        self._keeper = None if store is None else self._keep(store)
        self.hours = Hours(clock, self.table, self.pipeline.health.tell)
        self.uplink = self._uplink(make_source, rng, connect)
        self.wishes = Wishes(
            self.pipeline, self.board, trades, store, self._keeper, self.uplink.want
        )
        now = lambda: clock.now() if self.live else 0  # noqa: E731 - a replay has its tape's
        self.amender = Amender(self.pipeline, store, self._keeper, trades, self.board, config, now)
        self.mending = Mending(
            self.pipeline, config, store, self._keeper, self._recent, clock, self.splice,
            self.wishes.begun,
        )  # fmt: skip
        self.scores = Scores(
            self.pipeline, self.mending, self.wishes.subscriptions, clock, config.silence_seconds
        )
        self.past = self._past(store, make_archive)
        self._sinks = self._connect_branches()
        self._timer = asyncio.get_running_loop().create_task(self._tick())

    def _uplink(
        self,
        make_source: Callable[[str, SymbolTable], Source],
        rng: random.Random,
        connect: Callable[..., Any] | None,
    ) -> Uplink:
        return Uplink(
            lambda market: make_source(market, self.table),
            self.deliver,
            self._heard,
            self.pipeline.health.failed,
            tape=self._tape,
            settings=self._config,
            clock=self._clock,
            rng=rng,
            connect=connect,
            on_subscribed=self._subscribed,
            expected=self._expected,
        )

    def _past(self, store: Store | None, make_archive: MakeArchive | None) -> Past:
        if make_archive is not None and self._config.fill_gaps:
            self.mending.open(make_archive)
        return Past(
            self.pipeline, self.board, self.mending, self.wishes, store, self._config,
            self._clock, make_archive, self._ensure,
        )  # fmt: skip

    @property
    def subscriptions(self) -> dict[str, Subscription]:
        """What is wanted of each symbol."""
        return self.wishes.subscriptions

    def _connect_branches(self) -> list[Any]:
        branch, health = self.pipeline.branch, self.pipeline.health
        sinks = [
            branch("trade", "recent").sink(self._recent["trade"].add),
            branch("quote", "recent").sink(self._recent["quote"].add),
            branch("bar", "series").sink(self.past.add),
            branch("bar", "scores").sink(self.scores.count),
            *(branch(kind, "hours").sink(self.hours.came) for kind in ("trade", "quote")),
            branch("trade", "kinds").sink(self.drawn.trades),
            branch("quote", "kinds").sink(self.drawn.quotes),
            *(
                branch(kind, "ledger").filter(self._is_live).sink(self.mending.continuity.came)
                for kind in ("trade", "quote", "provider_bar")
            ),
            guard(self.pipeline.refusals, "ledger", health.failed).sink(
                self.mending.continuity.refused
            ),
            guard(self.pipeline.rejects, "ledger", health.failed).sink(
                lambda said: self.mending.continuity.rejects(*said)
            ),
        ]
        return sinks + ([] if self._keeper is None else self._keeper.listen(branch, self._config))

    def _keep(self, store: Store) -> Keeper:
        rows, failed = self._config.store_queue_rows, self.pipeline.health.failed
        days = lambda name: self.wishes.wants_days(name)  # noqa: E731 - they are made later
        return Keeper(store, self.table, rows, self._clock, days, failed)

    def _is_live(self, batch: Batch) -> bool:
        return not self.pipeline.splicing

    def deliver(self, source: Source, frames: Sequence[Frame]) -> Sequence[Status]:
        """Take frames of a source."""
        if isinstance(source, SplicedSource):
            return self._deliver_history(source, frames)
        if frames and self.live:
            self.mending.continuity.frames(source, frames[-1].received)
        return self.pipeline.deliver(source, frames)

    def splice(self, batch: Batch) -> None:
        """Take rows of the provider's history that belong between those of the stream."""
        frame = Frame(self._clock.now(), self._spliced.encode(batch))
        if self._tape is not None:
            channel = self._tape.channel(SPLICED, self._spliced.market, self._spliced.url)
            try:
                self._tape.append(channel, [frame])
            except TapeError as error:
                self.pipeline.health.failed("tape", error)
        self.deliver(self._spliced, [frame])

    def _deliver_history(self, source: SplicedSource, frames: Sequence[Frame]) -> Sequence[Status]:
        """Take frames of rows that were fetched, live or from a tape."""
        delay = self.pipeline.health.delay
        self.pipeline.deliver(source, frames)
        self.pipeline.health.delay = delay  # what was fetched later tells nothing of the line
        return []

    async def _tick(self) -> None:
        """Close bars by the clock and show forming ones."""
        async for _ in beats(self._clock, TICK):
            try:
                self.tick()
            except Exception as error:  # noqa: BLE001 - indicators of users run in here
                self.pipeline.health.failed("tick", error)

    def tick(self) -> None:
        """Do what is due: in a replay the clock of the tape, not ours, closes bars."""
        if self.live:
            now = self._clock.now()
            self.pipeline.advance(now)
            self.drawn.advance(now)
            self.pipeline.health.state = self.hours.state(self.uplink.state, self.subscriptions)
            self.mending.tick()
            self.scores.tick()
            self.past.tick()
        self.amender.look(self.pipeline.overdue)
        self.drawn.look()
        if self._keeper is not None:
            self.pipeline.health.store_is(self._keeper.state)
        self.board.refresh()

    def _heard(self, event: ConnectionEvent) -> None:
        self.pipeline.health.state = self.uplink.state
        where = f"{event.source} {event.market}"
        text = f"{where}: {event.detail}" if event.detail else where
        if event.delay is not None:
            text += f"; next attempt in {event.delay:.1f} s"
        self.pipeline.health.tell(event.kind, text)
        gone = event.kind in ("stale", "disconnected", "error")
        if gone and self.mending.lost(event.market, event.detail or event.kind):
            # What is not received has not ended: the clock closes none of its bars.
            self.pipeline.builder.pause(self._numbers(event.market))

    def _subscribed(self, source: Source, topics: Iterable[Topic]) -> None:
        self.pipeline.builder.resume(self._numbers(source.market))
        self.mending.subscribed(source, topics)

    def _numbers(self, market: str) -> list[int]:
        topics = self.wishes.topics(market)
        return sorted({self.table.id(topic.symbol) for topic in topics})

    def _expected(self, market: str) -> bool:
        """Tell whether silence of a market is a fault."""
        return self.hours.expected({topic.symbol for topic in self.wishes.topics(market)})

    # -- subscriptions ---------------------------------------------------------------

    def subscribe(
        self, names: Sequence[str], tfs: Sequence[Timeframe], channels: Sequence[str]
    ) -> set[str]:
        """Add to what is wanted and return the markets concerned."""
        if self.live:
            asked = self.pipeline.asked or set()
            self.pipeline.asked = asked | {self.table.id(name) for name in names}
        return self.wishes.add(names, tfs, channels)

    def unsubscribe(self, names: Sequence[str], tfs: Sequence[Timeframe] | None) -> None:
        """Take away from what is wanted."""
        self.wishes.remove(names, tfs)
        if tfs is None:
            self.mending.unwanted(self.wishes)

    # -- answers ---------------------------------------------------------------------

    def bars(self, name: str, tf: Timeframe | BarKind, forming: bool) -> Rows:
        """Return closed bars of a series in memory, and the forming one if wanted."""
        self._ensure(name, tf)
        number = self.table.id(name)
        series = self.board.base(number, tf)
        rows = empty("bar") if series is None else series.window.closed()
        if forming:
            rows = np.concatenate([rows, self.board.forming(number, tf)])
        return rows

    def _ensure(self, name: str, tf: Timeframe | BarKind) -> None:
        """Build the bars of a series if they are not yet."""
        missing = self.wishes.missing(name, tf)
        if missing is not None:
            self.subscribe([name], *missing)
        if not isinstance(tf, BarKind):
            return
        number = self.table.id(name)
        if not self.kinds.has(number, tf):
            base, quoted = base_of(tf), tf.family in QUOTE_FAMILIES
            series = self.board.base(number, base) if base else None
            past = empty("bar") if series is None else series.window.closed()
            recent = self._recent["quote" if quoted else "trade"]
            ticks, whole = recent.of(number), recent.fallen + 1
            bars = self.kinds.open(number, name, tf, ticks, past, whole)
            self.board.open(number, tf, (), bars)

    def recent(self, kind: Kind, name: str, last: int | None) -> Rows:
        """Return the newest rows of a symbol in memory."""
        return self._recent[kind].of(self.table.id(name), last)

    def watch(self, name: str, tf: Timeframe | BarKind, indicators: Sequence[Indicator]) -> Window:
        """Return the window of a series with these indicators, counted as used once more."""
        self._ensure(name, tf)
        number = self.table.id(name)
        base = self.board.base(number, tf)
        past = empty("bar") if base is None else base.window.closed()
        series = self.board.open(number, tf, indicators, past)
        series.users += 1
        self.past.watched(series.window)
        return series.window

    def unwatch(self, window: Window) -> None:
        """Give a window back; bars of other kinds are built while somebody watches."""
        self.board.release(window)
        number, tf = self.table.id(window.symbol), window.timeframe
        if isinstance(tf, BarKind) and not self.board.watched(number, tf):
            self.kinds.close(number, tf)
            self.board.drop(number, tf)

    def prices(self) -> pd.DataFrame:
        """Return a row for each symbol: last trade, last quote, and the day so far."""
        builder, quotes = self.pipeline.builder, self._recent["quote"]
        return prices(self.subscriptions, self.table, builder, quotes)

    # -- replay ----------------------------------------------------------------------

    def follow(self, tfs: Sequence[Timeframe]) -> None:
        """Build and keep bars of every symbol that comes, as a replay does."""
        self.live = False
        if self._keeper is not None:
            self._keeper.live = False
        self._sinks += follow(self.pipeline, self.board, self.wishes, tfs)

    async def play(
        self,
        reader: TapeReader,
        sources: Callable[[str, str], Source],
        speed: float,
        on_progress: Callable[[Replayed], None] | None,
    ) -> Replayed:
        """Run a tape through the pipeline."""
        report = await play(
            self.pipeline, self.deliver, self._clock, reader, sources, speed, on_progress
        )
        while self.mending_now:
            self.amender.look(self.pipeline.overdue)
            await asyncio.sleep(0.01)
        return report

    async def ready(self, markets: Iterable[str]) -> None:
        """Wait for the logins of markets; raise what made one give up."""
        await asyncio.gather(*(self.uplink.ready(market) for market in markets))

    async def wait(self, name: str | None, count: int, whole: bool = False) -> None:
        """Wait for trades, of a symbol or any; raise what made a stream give up."""
        recent = self._recent["trade"]
        while True:
            if self.uplink.failures:
                raise next(iter(self.uplink.failures.values()))
            came = recent.total if name is None else len(recent.of(self.table.id(name), count))
            if came >= count and not (whole and self.mending_now):
                return
            await asyncio.sleep(0.01)

    @property
    def mending_now(self) -> bool:
        """Whether holes are being filled, or bars built again."""
        late = self.pipeline.overdue or self.drawn.late
        return bool(self.mending.busy or late or self.amender.busy)

    async def close(self) -> None:
        """Disconnect, write what waits, close the tape."""
        await self.uplink.close()
        self._timer.cancel()
        await asyncio.gather(self._timer, return_exceptions=True)
        await self.amender.drain(self.pipeline.overdue)
        for sink in self._sinks:
            sink.destroy()
        self.pipeline.close()
        loop = asyncio.get_running_loop()
        health = self.pipeline.health
        await loop.run_in_executor(None, self.past.close)
        await loop.run_in_executor(None, self.mending.close)
        await loop.run_in_executor(None, self.amender.close)
        if self._keeper is not None and not await loop.run_in_executor(None, self._keeper.close):
            health.tell("error", f"store: {self._keeper.queued} rows were not stored")
        await loop.run_in_executor(None, self.mending.end)
        if self._tape is not None:
            try:
                await loop.run_in_executor(None, self._tape.close)
            except TapeError as error:
                health.failed("tape", error)
        await loop.shutdown_default_executor()
        health.state = "closed"
