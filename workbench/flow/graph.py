"""The streamz graph: from frames to accepted rows, bars, and whoever listens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from streamz import Stream

from workbench.bars.conditions import Marker
from workbench.bars.news import latest, news
from workbench.bars.tapebars import TapeBuilder
from workbench.bars.timebars import BarBuilder
from workbench.clock import Clock, SystemClock
from workbench.flow.health import Health
from workbench.flow.nodes import guard
from workbench.gate import Gate, Quarantine
from workbench.quality.rules import Rules
from workbench.records import Batch, Rows
from workbench.sources.source import Frame, Reject, Source, Status
from workbench.sources.spliced import SPLICED
from workbench.symbols import SymbolTable
from workbench.timeframes import Timeframe

__all__ = ["Pipeline"]

_log = logging.getLogger("workbench.flow.graph")


class Pipeline:
    """Decode, accept and aggregate batches, and emit them to streamz streams.

    It knows no socket, clock or thread: whoever has frames calls :meth:`deliver`, with their
    times of receipt, and live, replay and batch are the same calls.

    Parameters
    ----------
    table : SymbolTable
    lateness : float
        Seconds after its end that a bar waits for late trades.
    remember : int
        Trades remembered to tell repeats.
    clock : Clock
        For uptime and the times of events only.
    asynchronous : bool
        Whether it is made on a running loop, for listeners that need one.
    tape_rules : bool
        Whether trade conditions decide what a trade sets in a bar, by the rules of its market.
    rules : Rules or None
        What the gate refuses; None is only what cannot be a row at all.

    Attributes
    ----------
    streams : dict of str to Stream
        "trade", "quote", "bar" (closed and revised, from trades), "provider_bar", and
        "status" (what providers say of the connection).
    rejects, refusals : Stream
        Of pairs, a source and what it could not decode; and of lists of what the gate refused.
    asked : set of int or None
        Numbers of the symbols that were ever asked for: what comes of others is refused, as a
        spoiled event of one of these. None takes all.
    overdue : dict of (int, Timeframe) to set of int
        Starts of the bars that trades came too late for, by symbol and timeframe: whoever can
        build them again takes them out.

    Examples
    --------
    >>> from workbench.sources.massive import MassiveSource
    >>> table = SymbolTable()
    >>> pipeline = Pipeline(table)
    >>> pipeline.builder.add_timeframe("1m")
    >>> prices = []
    >>> node = pipeline.streams["trade"].sink(lambda batch: prices.extend(batch.rows["price"]))
    >>> frame = b'[{"ev":"XT","pair":"BTC-USD","p":64000.5,"s":0.1,"t":1723161255342,"i":"7"}]'
    >>> source = MassiveSource("crypto", table=table)
    >>> pipeline.deliver(source, [Frame(1723161255400_000000, frame)])
    []
    >>> [float(p) for p in prices]
    [64000.5]
    >>> node.destroy()
    """

    def __init__(
        self,
        table: SymbolTable,
        *,
        lateness: float = 1.0,
        remember: int = 200_000,
        clock: Clock | None = None,
        asynchronous: bool = False,
        tape_rules: bool = True,
        rules: Rules | None = None,
    ) -> None:
        self.table = table
        self.quarantine = Quarantine()
        self.gate = Gate(table, self.quarantine, remember, rules)
        self._fetched = False
        self._at = 0  # when what is emitted became known: the clock of the frames
        self.builder: BarBuilder = TapeBuilder((), lateness=lateness)
        self.health = Health(self.gate, clock or SystemClock())
        self.overdue: dict[tuple[int, Timeframe], set[int]] = {}
        self.asked: set[int] | None = None
        self._source = Stream(asynchronous=True) if asynchronous else Stream()
        self._closed = Stream(asynchronous=True) if asynchronous else Stream()
        self._words = Stream(asynchronous=True) if asynchronous else Stream()
        self.rejects = Stream(asynchronous=True) if asynchronous else Stream()
        self._accepted = Stream(asynchronous=True) if asynchronous else Stream()
        self._source.map(self._accept).filter(len).connect(self._accepted)
        accepted = self._accepted
        if tape_rules:
            accepted = accepted.map(Marker(table))
        self.streams: dict[str, Stream] = {
            kind: accepted.filter(lambda batch, kind=kind: batch.kind == kind)
            for kind in ("trade", "quote")
        }
        self.streams["provider_bar"] = accepted.filter(lambda batch: batch.kind == "bar")
        self.streams["bar"] = self._closed
        self.refusals = Stream(asynchronous=True) if asynchronous else Stream()
        self.streams["status"] = self._words
        self._sinks = [
            self._branch("trade", "bars", self._build),
            self._branch("trade", "delay", self.health.batch_came),
            self._branch("quote", "delay", self.health.batch_came),
        ]

    def _branch(self, kind: str, name: str, function: Callable[..., None]) -> Stream:
        return guard(self.streams[kind], name, self.health.failed).sink(function)

    def branch(self, kind: str, name: str) -> Stream:
        """Return a stream of a kind whose listeners cannot disturb anyone else.

        Parameters
        ----------
        kind : str
            One of :attr:`streams`.
        name : str
            Under which its errors are counted.
        """
        return guard(self.streams[kind], name, self.health.failed)

    def deliver(self, source: Source, frames: Sequence[Frame]) -> Sequence[Status]:
        """Take frames in order of receipt and return what the provider said of the connection.

        A bar that the clock closes between two frames is closed between them, so a replay
        emits what the live feed emitted.
        """
        if not frames:
            return []
        last = frames[-1].received
        self.health.frames_came(len(frames), sum(len(f.data) for f in frames), last)
        statuses: list[Status] = []
        start = 0
        while start < len(frames):
            end = len(frames)
            due = self.builder.due()
            if due <= last:
                if frames[start].received >= due:
                    self.advance(frames[start].received)
                    due = self.builder.due()
                end = next((i for i in range(start + 1, end) if frames[i].received >= due), end)
            self._fetched = source.name == SPLICED
            self._at = frames[end - 1].received
            decoded = source.decode(frames[start:end])
            if decoded.rejects:
                self._reject(source, decoded.rejects)
            for batch in decoded.batches:
                if self.asked is not None:
                    batch = self._wanted(source, batch, self.asked)
                self.take(batch)
            for status in decoded.statuses:
                self._words.emit(status)
            statuses.extend(decoded.statuses)
            start = end
        return statuses

    def _wanted(self, source: Source, batch: Batch, asked: set[int]) -> Batch:
        """Return the rows of symbols that were asked for; the rest is refused."""
        numbers = np.unique(batch.rows["symbol"])
        numbers = numbers[[int(number) not in asked for number in numbers]]
        if not len(numbers):
            return batch
        strange = np.isin(batch.rows["symbol"], numbers)
        rejects = [
            Reject(
                "stranger",
                f"{batch.kind} of {self.table.name(int(row['symbol']))}, which nobody asked for",
                str(row).encode(),
                self._at,
            )
            for row in batch.rows[strange]
        ]
        self._reject(source, rejects)
        return Batch(batch.kind, batch.rows[~strange], batch.timeframe)

    def _reject(self, source: Source, rejects: Sequence[Reject]) -> None:
        self.quarantine.rejects(rejects)
        self.gate.received["event"] += len(rejects)
        self.gate.refused["event"] += len(rejects)
        self.rejects.emit((source, rejects))

    def _accept(self, batch: Batch) -> Batch:
        before = len(self.quarantine)
        accepted = self.gate.accept(batch, fetched=self._fetched)
        refused = len(self.quarantine) - before
        if refused and not self._fetched:
            self.refusals.emit(self.quarantine.newest(refused))
        if batch.kind == "bar":  # which does not tell itself when it came
            return Batch("bar", accepted.rows, accepted.timeframe, known=max(0, self._at))
        return accepted

    def pass_on(self, batch: Batch) -> None:
        """Send on a batch that the gate has released."""
        self._accepted.emit(batch)

    @property
    def splicing(self) -> bool:
        """Whether what is being emitted comes of rows that were fetched."""
        return self._fetched

    def take(self, batch: Batch) -> None:
        """Send a batch through the gate and on."""
        self._source.emit(batch)

    def _build(self, batch: Batch) -> None:
        bars = self.builder.add(batch.rows)
        # A page of history may change one bar thousands of times, all at one moment. What comes
        # live is told as it comes: how frames gather must not change what is told.
        self._emit(latest(bars) if self._fetched else bars)
        self._count_overdue()

    def _count_overdue(self) -> None:
        """Note the bars that trades came too late for; the trades themselves are kept."""
        self.health.bars["overdue"] += len(self.builder.overdue)
        for late in self.builder.overdue:
            key = (int(late.trade["symbol"][0]), late.timeframe)
            self.overdue.setdefault(key, set()).add(
                late.timeframe.start(int(late.trade["time"][0]))
            )
        self.builder.overdue.clear()

    def amended(self, bars: Rows, known: int = 0) -> None:
        """Tell of closed bars that were built again of all their trades.

        Parameters
        ----------
        bars : array of BAR
        known : int
            The time now, ns UTC; 0 is that of what was delivered last, as in a replay.
        """
        self._emit(bars, known=max(known, self._at))

    def advance(self, clock: int) -> None:
        """Close the bars whose wait is over at a time of receipt, ns UTC."""
        if clock >= self.builder.due():
            self._at = clock
            self._emit(self.builder.advance(clock))

    def finish(self) -> None:
        """Close every bar, as at the end of a recording."""
        self._emit(self.builder.finish())

    def _emit(self, bars: Rows, known: int | None = None) -> None:
        if len(bars):
            revised = int(np.count_nonzero(bars["revision"]))
            self.health.bars["closed"] += len(bars) - revised
            self.health.bars["revised"] += revised
            self._closed.emit(Batch("bar", bars, known=self._at if known is None else known))

    def add_timeframes(
        self, symbol: str, timeframes: Iterable[Timeframe], past: Rows, known: Rows | None = None
    ) -> None:
        """Begin timeframes of a symbol, joined with trades it has had already.

        Parameters
        ----------
        symbol : str
        timeframes : iterable of Timeframe
        past : array of TRADE
            In any order, whole from the start of a bar on.
        known : array of BAR or None
            Bars that were told before, as by a process that ended: only what differs is told.
        """
        number = self.table.id(symbol)
        for tf in timeframes:
            told = 0 if known is None else len(known)
            until = int(known["time"][-1]) + tf.ns if known is not None and told else None
            bars = self.builder.adopt(number, tf, past, until=until)
            if known is not None and told:
                bars = news(bars, known)
                self.builder.renumber(number, tf, np.concatenate([known, bars]))
            self._emit(bars)
        self._count_overdue()

    def close(self) -> None:
        """Take the graph apart: streamz keeps every sink, and all behind it, until then."""
        for sink in self._sinks:
            sink.destroy()
        self._sinks.clear()
