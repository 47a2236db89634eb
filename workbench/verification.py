"""Proof on a recording that live, replay and batch come out bit for bit the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.analytics.catalogue import CATALOGUE, find
from workbench.analytics.configured import Indicator
from workbench.bars.batchbars import time_bars
from workbench.bars.build import build_bars
from workbench.bars.eventbars import EVENT_FAMILIES, EventBars
from workbench.bars.kinds import BarKind, bar_kind, kind_of
from workbench.bars.quotebars import QUOTE_FAMILIES
from workbench.digest import digest, newest
from workbench.flow.graph import Pipeline
from workbench.flow.kindbars import KindBars, base_of
from workbench.flow.series import Series
from workbench.records import QUOTE, TRADE, Batch, Rows, empty
from workbench.rules.book import SignalBook
from workbench.rules.catalogue import ema_cross, structure_change
from workbench.rules.definition import Rule
from workbench.rules.run import RuleRun
from workbench.rules.signal import Signal
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame, Source
from workbench.sources.spliced import SPLICED, SplicedSource
from workbench.symbols import SymbolTable
from workbench.tape import TapeReader
from workbench.timeframes import Timeframe, each

__all__ = ["KINDS", "TIMEFRAMES", "Verification", "verify"]

#: What is built where nothing else is asked for.
TIMEFRAMES = ("1s", "15s", "1m", "5m")
KINDS = (
    "trades:100", "volume:10", "dollar:1e6", "range:10", "renko:10", "imbalance-trades",
    "run-volume", "heikin-ashi@1s", "line-break:3@15s", "session:day", "mid@1s",
)  # fmt: skip

NONE = empty("bar")

#: Frames delivered at once: one by one as a quiet market sends them, some, and many.
_WAYS = {"live": 1, "replay": 64, "replay at once": 4096}


@dataclass
class _Found:
    """What one way of running the recording came to."""

    bars: dict[str, Rows] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    signals: dict[str, list[Signal]] = field(default_factory=dict)

    def hashes(self) -> dict[str, str]:
        told = {
            name: np.array([[s.time, s.price, s.confidence, s.action == "entry", s.side == "long"]
                            for s in signals], np.float64).reshape(-1, 5)
            for name, signals in self.signals.items()
        }  # fmt: skip
        kinds = {n for n in self.bars if isinstance(bar_kind(n.split()[-1]), BarKind)}
        return {
            "time bars": digest({n: b for n, b in self.bars.items() if n not in kinds}),
            "bars of other kinds": digest({n: self.bars[n] for n in kinds}),
            "indicators": digest({}, self.values),
            "signals": digest({}, told),
        }


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found.

    Attributes
    ----------
    frames, trades, symbols : int
    lateness : float
        Seconds that bars waited for late trades.
    overdue : int
        Trades that came too late even for that: the store has them, live bars do not.
    hashes : mapping of way to mapping of what to SHA-256
    counts : mapping of what to how many
    """

    frames: int
    trades: int
    symbols: int
    lateness: float
    overdue: int
    hashes: dict[str, dict[str, str]]
    counts: dict[str, int]

    @property
    def equal(self) -> bool:
        """Whether every way came to the same bits."""
        return all(one == self.hashes["batch"] for one in self.hashes.values())

    def table(self) -> pd.DataFrame:
        """Return the hashes, a row for each way."""
        return pd.DataFrame(self.hashes).T

    def __repr__(self) -> str:
        said = "the same" if self.equal else "NOT the same"
        return f"<{said} bits in {', '.join(self.hashes)}: {self.trades} trades>"


def verify(
    tape: str | Path,
    *,
    timeframes: Sequence[str | Timeframe] = TIMEFRAMES,
    kinds: Sequence[str] = KINDS,
    indicators: Sequence[Indicator] | None = None,
    rules: Sequence[Rule] | None = None,
    lateness: float | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Verification:
    """Run a recording through the live pipeline in several ways, and in batch, and compare.

    Parameters
    ----------
    tape : str or Path
        As ``workbench record`` writes it.
    timeframes, kinds : sequences
        Bars to build of every symbol.
    indicators : sequence of Indicator or None
        Computed on all time bars; None for every indicator there is.
    rules : sequence of Rule or None
        Told from all time bars; None for two that come with Workbench.
    lateness : float or None
        Seconds a bar waits for late trades; None for as long as the latest trade of the
        recording needs, and the latest quote where a kind is made from quotes.
    on_progress : callable or None
        Called with the way, frames done, and frames in all.

    Returns
    -------
    Verification

    Raises
    ------
    TapeError
        If the tape cannot be read.
    """
    tfs = each(timeframes)
    named = [kind for kind in map(bar_kind, kinds) if isinstance(kind, BarKind)]
    used = tuple(Indicator(find(n)) for n in CATALOGUE) if indicators is None else tuple(indicators)
    told = (ema_cross(), structure_change()) if rules is None else tuple(rules)
    first = _Way(TapeReader(tape), (), (), (), (), 0.0)
    frames = max(first.play(4096), default=0)
    every = np.concatenate([np.zeros(0, TRADE), *first.trades])
    quotes = np.concatenate([np.zeros(0, QUOTE), *first.quotes])
    used_quotes = quotes if any(kind.family in QUOTE_FAMILIES for kind in named) else quotes[:0]
    wait = max(_latest(every), _latest(used_quotes)) if lateness is None else lateness
    found = _batch(every, quotes, first.pipeline.table, tfs, named, used, told)
    hashes = {}
    overdue = 0
    for way, together in _WAYS.items():
        run = _Way(TapeReader(tape), tfs, named, used, told, wait)
        for done in run.play(together):
            if on_progress is not None:
                on_progress(way, done, frames)
        hashes[way] = run.found().hashes()
        overdue = max(overdue, run.overdue)
    hashes["batch"] = found.hashes()
    return Verification(
        frames=frames,
        lateness=wait,
        overdue=overdue,
        trades=len(every),
        symbols=len(np.unique(every["symbol"])),
        hashes=hashes,
        counts={
            "bars": sum(map(len, found.bars.values())),
            "values": sum(v.size for v in found.values.values()),
            "signals": sum(map(len, found.signals.values())),
        },
    )


def _latest(ticks: Rows) -> float:
    """Return the seconds by which one came after the market's clock had passed its time."""
    worst = 0
    for number in np.unique(ticks["symbol"]):
        own = ticks[ticks["symbol"] == number]
        shift = np.maximum.accumulate(own["time"] - own["received"])
        clock = np.maximum(np.maximum.accumulate(own["time"]), own["received"] + shift)
        worst = max(worst, int((clock - own["time"]).max()))
    return math.ceil(worst / 1e6) / 1e3


class _Way:
    """One run of a recording through the live pipeline."""

    def __init__(
        self,
        reader: TapeReader,
        tfs: Sequence[Timeframe],
        kinds: Sequence[BarKind],
        indicators: Sequence[Indicator],
        rules: Sequence[Rule],
        lateness: float,
    ) -> None:
        self.trades: list[Rows] = []
        self.quotes: list[Rows] = []
        self.pipeline = Pipeline(SymbolTable(), lateness=lateness)
        self._reader = reader
        self._tfs = tfs
        self._kinds = [kind for kind in kinds if kind.family in EVENT_FAMILIES]
        self._made = [kind for kind in kinds if kind.family not in EVENT_FAMILIES]
        self._kindbars = KindBars(lateness)
        self._indicators, self._rules, self._lateness = indicators, rules, lateness
        self._series: dict[tuple[int, int], Series] = {}
        self._books: dict[tuple[int, int], list[SignalBook]] = {}
        self._builders: dict[tuple[int, str], EventBars] = {}
        self._bars: dict[str, list[Rows]] = {}
        for tf in {*tfs, *filter(None, map(base_of, self._made))}:
            self.pipeline.builder.add_timeframe(tf)
        self._sinks = [
            self.pipeline.streams["trade"].sink(self._trade),
            self.pipeline.streams["quote"].sink(self._quote),
            self.pipeline.streams["bar"].sink(self._bar),
        ]
        table = self.pipeline.table
        self._sources: dict[int, Source] = {
            number: SplicedSource(table)
            if channel.source == SPLICED
            else MassiveSource(channel.market, table=table)
            for number, channel in reader.channels.items()
        }

    def play(self, together: int) -> Iterator[int]:
        """Deliver all frames, so many at once; tell how many were."""
        done = 0
        pairs = iter(self._reader)
        while chunk := list(islice(pairs, together)):
            groups: dict[int, list[Frame]] = {}
            for channel, frame in chunk:
                groups.setdefault(channel, []).append(frame)
            for channel, frames in groups.items():
                self.pipeline.deliver(self._sources[channel], frames)
            done += len(chunk)
            yield done
        self.pipeline.finish()
        for (number, name), builder in self._builders.items():
            self._keep(number, name, builder.finish())
        for number in range(len(self.pipeline.table)):
            for kind in self._made:
                if kind.family == "session" or kind.family in QUOTE_FAMILIES:
                    self._keep(number, kind.name, self._kindbars.forming(number, kind, NONE))
        for sink in self._sinks:
            sink.destroy()
        self.pipeline.close()

    @property
    def overdue(self) -> int:
        """Trades that came too late for some bars."""
        late = self.pipeline.health.bars["overdue"]
        return late + sum(builder.overdue for builder in self._builders.values())

    def _trade(self, batch: Batch) -> None:
        self.trades.append(batch.rows)
        for number in np.unique(batch.rows["symbol"]):
            rows = batch.rows[batch.rows["symbol"] == number]
            for kind in self._kinds:
                key = (int(number), kind.name)
                if key not in self._builders:
                    self._builders[key] = EventBars(
                        kind, symbol=int(number), lateness=self._lateness
                    )
                self._keep(*key, self._builders[key].add(rows))

    def _quote(self, batch: Batch) -> None:
        self.quotes.append(batch.rows)
        self._begin(batch.rows)
        for bars in self._kindbars.quotes(batch):
            self._keep(int(bars["symbol"][0]), kind_of(int(bars["timeframe"][0])).name, bars)

    def _begin(self, rows: Rows) -> None:
        """Begin the kinds that are made from time bars, and those of quotes, of new symbols."""
        for number in map(int, np.unique(rows["symbol"]) if self._made else ()):
            for kind in self._made:
                if not self._kindbars.has(number, kind):
                    ticks = empty("quote" if kind.family in QUOTE_FAMILIES else "trade")
                    name = self.pipeline.table.name(number)
                    self._kindbars.open(number, name, kind, ticks, NONE)

    def _keep(self, number: int, name: str, bars: Rows, *, anew: bool = False) -> None:
        key = f"{self.pipeline.table.name(number)} {name}"
        if anew:
            self._bars[key] = [bars]
        elif len(bars):
            self._bars.setdefault(key, []).append(bars)

    def _bar(self, batch: Batch) -> None:
        self._begin(batch.rows)
        for number, kind, bars, anew in self._kindbars.bars(batch.rows):
            self._keep(number, kind.name, bars, anew=anew)
        for tf in self._tfs:
            of_tf = batch.rows[batch.rows["timeframe"] == tf.seconds]
            for number in np.unique(of_tf["symbol"]):
                rows = of_tf[of_tf["symbol"] == number]
                key = (int(number), tf.seconds)
                name = self.pipeline.table.name(int(number))
                if key not in self._series:
                    self._series[key] = Series(name, tf, self._indicators, 1 << 24)
                    self._books[key] = [SignalBook(rule, name, tf.name) for rule in self._rules]
                self._series[key].add(rows)
                for book in self._books[key]:
                    book.add(rows)

    def found(self) -> _Found:
        """Return what it came to."""
        kept = ((name, newest(np.concatenate(some))) for name, some in self._bars.items())
        found = _Found(bars={name: bars for name, bars in kept if len(bars)})
        for key, series in self._series.items():
            name = f"{series.window.symbol} {series.window.timeframe}"
            found.bars[name] = series.window.closed()
            found.values[name] = series.window.values()
            for book in self._books[key]:
                found.signals[f"{name} {book.rule.name}"] = book.standing()
        return found


def _batch(
    trades: Rows,
    quotes: Rows,
    table: SymbolTable,
    tfs: Sequence[Timeframe],
    kinds: Sequence[BarKind],
    indicators: Sequence[Indicator],
    rules: Sequence[Rule],
) -> _Found:
    found = _Found()
    for number in np.unique(np.concatenate([trades["symbol"], quotes["symbol"]])):
        symbol = table.name(int(number))
        own = trades[trades["symbol"] == number]
        told = quotes[quotes["symbol"] == number]
        for kind in kinds:
            ticks = told if kind.family in QUOTE_FAMILIES else own
            bars = build_bars(ticks, kind, symbol=symbol) if len(ticks) else NONE
            if len(bars):
                found.bars[f"{symbol} {kind.name}"] = bars
        for tf in tfs if len(own) else ():
            name = f"{symbol} {tf}"
            bars = newest(time_bars(own, tf))
            found.bars[name] = bars
            columns = [indicator.ready.table(bars, symbol) for indicator in indicators]
            found.values[name] = np.hstack(columns) if columns else np.empty((len(bars), 0))
            for rule in rules:
                run = RuleRun(rule, symbol, tf.name)
                found.signals[f"{name} {rule.name}"] = run.add(bars)
    return found
