"""A feed without a market: seeded bars in real windows, moved by hand or by a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.bars.kinds import BarKind, bar_kind
from workbench.flow.window import Window
from workbench.records import BAR, CLOSED, FORMING, Rows
from workbench.timeframes import STANDARD, Timeframe
from workbench.timeframes import timeframe as read

START = 1_763_650_800_000_000_000  # 2025-11-20 15:00 UTC
PRICES = {
    "BTC-USD": 64_000.5,
    "ETH-USD": 3_050.25,
    "SOL-USD": 141.3,
    "AAPL": 228.87,
    "NVDA": 183.1,
    "TINY-USD": 0.0001234,
    "SILENT-USD": 0.0,  # listed, never traded
}


@dataclass(frozen=True)
class FakeIndicator:
    """Stands for an indicator: the label and where it is drawn."""

    label: str
    keys: tuple[str, ...]
    pane: str = "price"
    range: tuple[float, float] | None = None
    levels: tuple[float, ...] = ()


EMA = FakeIndicator("EMA 20", ("ema_20",))
VWAP = FakeIndicator("VWAP", ("vwap",))
RSI = FakeIndicator("RSI 14", ("rsi_14",), "own", (0.0, 100.0), (30.0, 70.0))


@dataclass
class FakeHealth:
    """What a badge shows."""

    state: str = "connected"
    delay: float | None = 0.042
    received: int = 0

    def table(self) -> pd.DataFrame:
        """Return one row."""
        return pd.DataFrame({"state": [self.state], "received": [self.received]})


@dataclass
class _Series:
    window: Window
    frame: Timeframe
    rng: np.random.Generator
    price: float
    time: int
    readers: int = 0
    history: list[float] = field(default_factory=list)
    bar: Rows = field(default_factory=lambda: np.zeros(1, BAR))


class FakeFeed:
    """Offer the feed's face to charts and pages; a symbol has one price, whatever its bars.

    Parameters
    ----------
    bars : int
        Closed bars that a new series starts with.
    capacity : int
        Of its windows.
    now : callable
        Wall time in ns; the newest bar of a series starts at most one bar before it.
    """

    def __init__(
        self, bars: int = 400, capacity: int = 2000, now: Callable[[], int] = lambda: START
    ) -> None:
        self.health = FakeHealth()
        self.log: list[tuple[int, str, str]] = []
        self.watched = 0
        self.asked = 0  # how often for prices
        self._bars, self._capacity, self._now = bars, capacity, now
        self._series: dict[tuple[str, str, tuple[str, ...]], _Series] = {}
        self._lock = threading.Lock()
        self._symbols = list(PRICES)
        self._last = dict(PRICES)
        self._steps: dict[str, np.random.Generator] = {}

    # ---- what a chart uses
    def watch(self, symbol: str, timeframe: Any, indicators: Sequence[Any] = ()) -> Window:
        kind = bar_kind(timeframe)
        frame = kind if isinstance(kind, Timeframe) else read("1m")
        outputs = tuple(key for one in indicators for key in one.keys)
        with self._lock:
            key = (symbol, kind.name, outputs)
            if key not in self._series:
                self._series[key] = self._make(symbol, kind, frame, outputs)
            self._series[key].readers += 1
            self.watched += 1
            return self._series[key].window

    def unwatch(self, window: Window) -> None:
        with self._lock:
            for series in self._series.values():
                if series.window is window:
                    series.readers -= 1
                    self.watched -= 1

    # ---- what a page uses
    def symbols(self) -> tuple[str, ...]:
        return tuple(self._symbols)

    def timeframes(self, symbol: str) -> tuple[Timeframe, ...]:
        return tuple(frame for frame in STANDARD if frame.name in ("1s", "1m", "5m", "1h"))

    def subscribe(self, symbols: Any, timeframes: Sequence[Any] = ()) -> None:
        for symbol in [symbols] if isinstance(symbols, str) else symbols:
            if symbol not in self._symbols:
                self._symbols.append(symbol)

    def events(self, n: int = 50) -> list[tuple[int, str, str]]:
        return self.log[-n:]

    def prices(self) -> pd.DataFrame:
        self.asked += 1
        rows = {}
        for symbol in self._symbols:
            start, last = PRICES.get(symbol, 0.0), self._last.get(symbol, 0.0)
            last = last or np.nan
            rows[symbol] = {
                "price": last, "time": self._now(), "bid": last, "ask": last, "spread": 0.0,
                "open": start, "high": last, "low": last, "volume": 1.0,
                "change": last - start,
                "change_percent": 100 * (last / start - 1) if start else np.nan,
            }  # fmt: skip
        return pd.DataFrame.from_dict(rows, orient="index")

    # ---- what a test does
    def trade(self, close: bool = False) -> None:
        """Move every watched series by one trade; close its bar first, if told so."""
        with self._lock:
            moved = [s for s in self._series.values() if s.price and s.readers]
            for symbol in dict.fromkeys(series.window.symbol for series in moved):
                self._step(symbol)
            for series in moved:
                self._advance(series, close)
            self.health.received += 1

    def price(self, symbol: str) -> float:
        """Return the last price of a symbol that is watched."""
        return self._last[symbol]

    def run(self, rate: float = 40.0, bar_every: int = 0) -> Callable[[], None]:
        """Trade from a thread that many times a second; return what stops it."""
        stop = threading.Event()

        def work() -> None:
            count = 0
            while not stop.wait(1 / rate):
                count += 1
                self.trade(close=bool(bar_every) and count % bar_every == 0)

        thread = threading.Thread(target=work, name="fake feed")
        thread.start()

        def end() -> None:
            stop.set()
            thread.join()

        return end

    def _make(
        self, symbol: str, kind: Timeframe | BarKind, frame: Timeframe, outputs: tuple[str, ...]
    ) -> _Series:
        window = Window(symbol, kind, self._capacity, outputs)
        price = self._last.setdefault(symbol, 100.0)
        seed = sum(map(ord, symbol)) + frame.seconds
        newest = frame.start(self._now())
        series = _Series(window, frame, np.random.default_rng(seed), price, newest)
        if price:
            self._fill(series, price)
        return series

    def _fill(self, series: _Series, price: float) -> None:
        n, rng, frame = self._bars, series.rng, series.frame
        bars = np.zeros(n, BAR)
        bars["time"] = series.time - frame.ns * np.arange(n, 0, -1)
        steps = price * 0.0006 * rng.standard_t(4, n)
        closes = price + np.cumsum(steps) - steps.sum() + price * 0.004 * np.sin(np.arange(n) / 25)
        closes += price - closes[-1]
        bars["close"] = [self._round(price, v) for v in closes]
        bars["open"] = np.r_[bars["close"][:1], bars["close"][:-1]]
        reach = np.abs(rng.normal(0, price * 0.0004, (2, n)))
        top, bottom = np.fmax(bars["open"], bars["close"]), np.fmin(bars["open"], bars["close"])
        bars["high"] = [self._round(price, v) for v in top + reach[0]]
        bars["low"] = [self._round(price, v) for v in bottom - reach[1]]
        bars["volume"] = np.round(rng.lognormal(2, 0.7, n), 3)
        bars["state"], bars["timeframe"] = CLOSED, frame.seconds
        series.history = list(bars["close"])
        values = np.array([self._values(series, k + 1) for k in range(n)]).reshape(n, -1)
        series.window.close(bars, values)
        self._open(series)

    def _open(self, series: _Series) -> None:
        bar = series.bar = np.zeros(1, BAR)
        bar["time"], bar["timeframe"] = series.time, series.frame.seconds
        for name in ("open", "high", "low", "close"):
            bar[name] = series.history[-1] if series.history else series.price
        bar["state"] = FORMING

    def _step(self, symbol: str) -> None:
        last = self._last[symbol]
        steps = self._steps.setdefault(symbol, np.random.default_rng(sum(map(ord, symbol))))
        step = last * 0.00012 * float(steps.standard_normal())
        self._last[symbol] = self._round(PRICES.get(symbol, 100.0), last + step)

    def _advance(self, series: _Series, close: bool) -> None:
        bar = series.bar
        if close:
            bar["state"] = CLOSED
            series.history.append(float(bar["close"][0]))
            series.window.close(bar, np.array([self._values(series)]).reshape(1, -1))
            series.time += series.frame.ns
            self._open(series)
            bar = series.bar
        series.price = self._last[series.window.symbol]
        bar["close"] = series.price
        bar["high"] = max(float(bar["high"][0]), series.price)
        bar["low"] = min(float(bar["low"][0]), series.price)
        bar["volume"] += round(float(series.rng.lognormal(-2, 0.5)), 3)
        series.history.append(series.price)
        values = np.array(self._values(series))
        series.history.pop()
        series.window.form(bar, values)

    @staticmethod
    def _round(start: float, value: float) -> float:
        return round(float(value), 2 if start > 1 else 7)

    @staticmethod
    def _values(series: _Series, end: int | None = None) -> list[float]:
        """Return something that looks like the indicators asked for."""
        past = series.history[:end][-20:]
        found = []
        for key in series.window.outputs:
            if len(past) < 20:
                found.append(np.nan)
            elif key.startswith("rsi"):
                moves = np.diff(past[-15:])
                gain = moves[moves > 0].sum()
                found.append(100 * gain / (np.abs(moves).sum() or 1))
            else:
                found.append(float(np.mean(past[-20 if "ema" in key else -12 :])))
        return found
