"""The inside of a feed, all of it in the feed's thread."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.analytics import Indicator
from workbench.bars.kinds import BarKind
from workbench.clock import Clock
from workbench.config import Settings
from workbench.errors import TapeError, WorkbenchError
from workbench.flow.board import Board
from workbench.flow.graph import Pipeline
from workbench.flow.keeper import Keeper
from workbench.flow.kindbars import KindBars, base_of
from workbench.flow.prices import DAY, prices
from workbench.flow.recent import Recent
from workbench.flow.uplink import Uplink
from workbench.flow.window import Window
from workbench.net.replay import Replayed, replay
from workbench.net.stream import ConnectionEvent
from workbench.records import Batch, Kind, Rows, empty
from workbench.sources.source import Frame, Source, Status, Topic
from workbench.store.store import Store
from workbench.symbols import SymbolTable, asset_class
from workbench.tape import TapeReader, TapeWriter
from workbench.timeframes import Timeframe

__all__ = ["Core", "Subscription"]

#: Screens see the forming bar this often, seconds; the clock closes bars as often.
TICK = 0.05
#: Trades and quotes of all symbols kept in memory.
KEPT = 200_000
#: Bars read from the store to begin a series with, as a multiple of its window: indicators
#: that never forget are then the same to the last bit as if run over everything.
PAST = 5


@dataclass
class Subscription:
    """What is wanted of a symbol."""

    timeframes: set[Timeframe] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)


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
    ) -> None:
        self.table = SymbolTable()
        self.subscriptions: dict[str, Subscription] = {}
        self.pipeline = Pipeline(
            self.table,
            lateness=config.lateness_seconds,
            remember=config.dedup_trades,
            clock=clock,
            asynchronous=True,
            tape_rules=config.tape_rules,
        )
        self.kinds = KindBars(config.lateness_seconds)
        self.board = Board(self.table, self.pipeline.builder, config.window_bars, self.kinds)
        self.live = True
        self._recent = {"trade": Recent("trade", KEPT), "quote": Recent("quote", KEPT)}
        self._clock = clock
        self._config = config
        self._store = store
        self._tape = tape
        self._keeper = None if store is None else self._keep(store)
        self.uplink = Uplink(
            lambda market: make_source(market, self.table),
            self.deliver,
            self._heard,
            self.pipeline.health.failed,
            tape=tape,
            settings=config,
            clock=clock,
            rng=rng,
            connect=connect,
        )
        self._sinks = self._connect_branches()
        self._timer = asyncio.get_running_loop().create_task(self._tick())

    def _connect_branches(self) -> list[Any]:
        branch = self.pipeline.branch
        sinks = [
            branch("trade", "recent").sink(self._recent["trade"].add),
            branch("quote", "recent").sink(self._recent["quote"].add),
            branch("bar", "series").sink(self.board.add),
            branch("trade", "kinds").sink(self._build_kinds),
            branch("bar", "kinds").sink(self._draw_kinds),
        ]
        if self._keeper is not None:
            sinks.append(branch("bar", "store").sink(self._keeper.bars))
            sinks.append(branch("provider_bar", "store").sink(self._keeper.put))
            if self._config.store_trades:
                sinks.append(branch("trade", "store").sink(self._keeper.put))
            if self._config.store_quotes:
                sinks.append(branch("quote", "store").sink(self._keeper.put))
        return sinks

    def _keep(self, store: Store) -> Keeper:
        rows, failed = self._config.store_queue_rows, self.pipeline.health.failed
        return Keeper(store, self.table, rows, self._clock, self._wants_days, failed)

    def _wants_days(self, name: str) -> bool:
        wanted = self.subscriptions.get(name)
        return wanted is not None and DAY in wanted.timeframes

    def _build_kinds(self, batch: Batch) -> None:
        for bars in self.kinds.trades(batch):
            self.board.add(Batch("bar", bars))
        self.pipeline.health.bars["overdue"] += self.kinds.overdue
        self.kinds.overdue = 0

    def _draw_kinds(self, batch: Batch) -> None:
        for bars, anew in self.kinds.bars(batch):
            if anew:
                self.board.restart(bars)
            else:
                self.board.add(Batch("bar", bars))

    def deliver(self, source: Source, frames: Sequence[Frame]) -> Sequence[Status]:
        """Take frames of a source."""
        return self.pipeline.deliver(source, frames)

    async def _tick(self) -> None:
        """Close bars by the clock and show forming ones."""
        while True:
            await self._clock.sleep(TICK)
            try:
                self.tick()
            except Exception as error:  # noqa: BLE001 - indicators of users run in here
                self.pipeline.health.failed("tick", error)

    def tick(self) -> None:
        """Do what is due: in a replay the clock of the tape, not ours, closes bars."""
        if self.live:
            now = self._clock.now()
            self.pipeline.advance(now)
            for bars in self.kinds.advance(now):
                self.board.add(Batch("bar", bars))
            self.pipeline.health.state = self.uplink.state
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

    # -- subscriptions ---------------------------------------------------------------

    def subscribe(
        self, names: Sequence[str], tfs: Sequence[Timeframe], channels: Sequence[str]
    ) -> set[str]:
        """Add to what is wanted and return the markets concerned."""
        new = [name for name in names if name not in self.subscriptions]
        for name in names:
            wanted = self.subscriptions.setdefault(name, Subscription())
            wanted.channels |= set(channels)
            self._begin(name, [tf for tf in tfs if tf not in wanted.timeframes])
            wanted.timeframes |= set(tfs)
        try:
            return self._resubscribe(names)
        except WorkbenchError:  # such as a market that the provider does not have
            for name in new:
                self._forget(name, self.subscriptions.pop(name).timeframes)
            raise

    def _begin(self, name: str, tfs: Sequence[Timeframe]) -> None:
        number = self.table.id(name)
        builder = self.pipeline.builder
        for tf in tfs:
            self.board.open(number, tf, (), self._stored(name, tf))
            if not builder.builds(number, tf):
                self.pipeline.add_timeframes(name, [tf], self._past(number, tf))
        if not builder.builds(number, DAY):
            self.pipeline.add_timeframes(name, [DAY], self._past(number, DAY))

    def _past(self, number: int, tf: Timeframe) -> Rows:
        """Return the trades at hand, from the start of the first bar they have whole."""
        trades = self._recent["trade"].of(number)
        if len(trades) and not self._recent["trade"].complete:
            first = tf.start(int(trades["time"].min())) + tf.ns
            trades = trades[trades["time"] >= first]
        return trades

    def _stored(self, name: str, tf: Timeframe) -> Rows:
        if self._store is None:
            return empty("bar")
        if self._keeper is not None:
            self._keeper.settle()
        last = PAST * self._config.window_bars
        return self._store.rows("bar", name, timeframe=tf, last=last, origin=0, table=self.table)

    def unsubscribe(self, names: Sequence[str], tfs: Sequence[Timeframe] | None) -> None:
        """Take away from what is wanted."""
        for name in names:
            wanted = self.subscriptions.get(name)
            if wanted is None:
                continue
            if tfs is None:
                self._forget(name, wanted.timeframes)
                self.pipeline.builder.remove_timeframe(DAY, symbols=[self.table.id(name)])
                del self.subscriptions[name]
            else:
                gone = wanted.timeframes & set(tfs)
                self._forget(name, gone)
                wanted.timeframes -= gone
        self._resubscribe(names)

    def _forget(self, name: str, tfs: Iterable[Timeframe]) -> None:
        number = self.table.id(name)
        for tf in tfs:
            self.board.drop(number, tf)
            if tf != DAY:  # prices tell of the day so far
                self.pipeline.builder.remove_timeframe(tf, symbols=[number])

    def _resubscribe(self, names: Sequence[str]) -> set[str]:
        markets = {asset_class(name) for name in names}
        if self.live:
            for market in markets:
                self.uplink.want(
                    market,
                    {
                        Topic(name, channel)
                        for name, wanted in self.subscriptions.items()
                        if asset_class(name) == market
                        for channel in wanted.channels
                    },
                )
        return markets

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
        known = name in self.subscriptions
        base = base_of(tf) if isinstance(tf, BarKind) else tf
        if not known or (base and base not in self.subscriptions[name].timeframes):
            self.subscribe([name], [base] if base else [], () if known else ("trade", "quote"))
        if not isinstance(tf, BarKind):
            return
        number = self.table.id(name)
        if not self.kinds.has(number, tf):
            series = self.board.base(number, base) if base else None
            past = empty("bar") if series is None else series.window.closed()
            trades = self._recent["trade"].of(number)
            self.board.open(number, tf, (), self.kinds.open(number, name, tf, trades, past))

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
        self.board.every = True
        for tf in tfs:
            self.pipeline.builder.add_timeframe(tf)
        self.pipeline.builder.add_timeframe(DAY)

        def meet(batch: Batch) -> None:
            for number in np.unique(batch.rows["symbol"]):
                name = self.table.name(int(number))
                if name not in self.subscriptions:
                    self.subscriptions[name] = Subscription(set(tfs), {batch.kind})

        for kind in ("trade", "quote"):
            self._sinks.append(self.pipeline.branch(kind, "symbols").sink(meet))

    async def play(
        self,
        reader: TapeReader,
        sources: Callable[[str, str], Source],
        speed: float,
        on_progress: Callable[[Replayed], None] | None,
    ) -> Replayed:
        """Run a tape through the pipeline."""
        health = self.pipeline.health
        health.state = "replaying"
        report = await replay(
            reader, self.deliver, sources, speed=speed, clock=self._clock, on_progress=on_progress
        )
        health.state = "finished"
        health.tell("finished", f"{reader.path.name}: {report.frames} frames replayed")
        return report

    async def ready(self, markets: Iterable[str]) -> None:
        """Wait for the logins of markets; raise what made one give up."""
        await asyncio.gather(*(self.uplink.ready(market) for market in markets))

    async def wait(self, name: str | None, count: int) -> None:
        """Wait for trades, of a symbol or any; raise what made a stream give up."""
        while True:
            if self.uplink.failures:
                raise next(iter(self.uplink.failures.values()))
            recent = self._recent["trade"]
            if name is None and recent.total >= count:
                return
            if name is not None and len(recent.of(self.table.id(name), count)) >= count:
                return
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Disconnect, write what waits, close the tape."""
        await self.uplink.close()
        self._timer.cancel()
        await asyncio.gather(self._timer, return_exceptions=True)
        for sink in self._sinks:
            sink.destroy()
        self.pipeline.close()
        loop = asyncio.get_running_loop()
        health = self.pipeline.health
        if self._keeper is not None and not await loop.run_in_executor(None, self._keeper.close):
            health.tell("error", f"store: {self._keeper.queued} rows were not stored")
        if self._tape is not None:
            try:
                await loop.run_in_executor(None, self._tape.close)
            except TapeError as error:
                health.failed("tape", error)
        await loop.shutdown_default_executor()
        health.state = "closed"
