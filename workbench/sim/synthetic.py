"""A seeded market without a beginning: any moment of it can be made at any time.

Time is cut into blocks of five minutes, or shorter ones where there is a lot to make. Each
block is made from (seed, symbol, block) alone, so that what was sent yesterday, what is sent
now and what a page of history shows are the same numbers. Log prices at the edges of blocks
come from *epochs*: long bridges between levels around the instrument's own.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from workbench.errors import ConfigError
from workbench.records import BAR, QUOTE, TRADE, Rows
from workbench.sim.aggregates import MINUTE, bars
from workbench.sim.block import BLOCK, LATEST, Block, Setting, make_block
from workbench.sim.deep import deep_minutes
from workbench.sim.hours import DAY, SECOND, Hours
from workbench.sim.instrument import Instrument, instrument
from workbench.sim.wire import Chunk, empty_chunk, encode_quotes, encode_trades
from workbench.symbols import CRYPTO, STOCKS, canonical

__all__ = ["SyntheticMarket"]

#: Blocks in an epoch: about 57 days.
_EPOCH = 1 << 14
#: Beyond this many trades a second blocks are cut into parts, each quickly made.
_CALM = 60.0
_PARTS = 10
#: Share of an hour's variance that passes while a stock does not trade.
_OVERNIGHT = 0.02
_T = TypeVar("_T")


class _Cache:
    """Keep the newest results; safe to use from several threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[Hashable, object] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
                return self._items[key]  # type: ignore[return-value]
        # Made outside the lock: two threads may make the same, which are equal.
        made = make()
        with self._lock:
            self._items[key] = made
            while len(self._items) > self._size:
                self._items.popitem(last=False)
        return made


class SyntheticMarket:
    """Invent trades and quotes with clustered arrivals, spreads, odd lots and late reports.

    Parameters
    ----------
    symbols : sequence of str
        Any symbols of stocks and crypto.
    seed : int
        Another seed is another market.
    rate : float
        Mean trades per second and symbol, 0.001 to 10,000; there are about 1.8 times as many
        quotes.
    hours : Hours or None
        When stocks trade; None is round the clock.
    late : float
        Share of trades that are sent 2 to 90 s late, 0 to 1.
    now : int
        Wall time, ns; where the finely made past ends.
    detail_days : float
        Days before `now` for which bars are made from the trades; older bars come from a
        cheaper maker and agree with trades only roughly.
    history_days : float
        Days before `now` that exist at all.
    head_start : float
        Seconds of the past that the first readers are sent first, as fast as they take it.

    Raises
    ------
    ConfigError
        If a number is out of range.

    Examples
    --------
    >>> now = 1_760_000_000 * SECOND
    >>> market = SyntheticMarket(["BTC-USD"], seed=1, now=now)
    >>> rows = market.trades("BTC-USD", now - MINUTE, now, now)
    >>> other = SyntheticMarket(["BTC-USD", "SPY"], seed=1, now=now + MINUTE)
    >>> bool((other.trades("BTC-USD", now - MINUTE, now, now) == rows).all())
    True
    """

    instant = False
    recorded: frozenset[int] = frozenset()

    def __init__(
        self,
        symbols: Sequence[str] = (*CRYPTO, *STOCKS),
        *,
        now: int,
        seed: int = 7,
        rate: float = 3.0,
        hours: Hours | None = None,
        late: float = 0.001,
        detail_days: float = 2.0,
        history_days: float = 730.0,
        head_start: float = 0.0,
    ) -> None:
        if not 0 <= head_start <= detail_days * 86_400:
            raise ConfigError(f"head_start {head_start} is not between 0 and {detail_days} days")
        if not 0.001 <= rate <= 10_000:
            raise ConfigError(f"rate {rate} is not between 0.001 and 10000 trades a second")
        if not 0 <= late <= 1:
            raise ConfigError(f"late {late} is not a share between 0 and 1")
        self.symbols = tuple(dict.fromkeys(canonical(symbol) for symbol in symbols))
        self.hours = hours or Hours()
        self.first = (now - int(history_days * DAY)) // DAY * DAY
        self._detail = max(self.first, (now - int(detail_days * DAY)) // DAY * DAY)
        self._seed, self._rate, self._late = seed, rate, late
        self._head_start = int(head_start * SECOND)
        self._stride = max(SECOND, self._head_start // 100)
        self.hurried = head_start > 0
        self._items = {symbol: instrument(symbol) for symbol in self.symbols}
        self._index = {symbol: i for i, symbol in enumerate(self.symbols)}
        self._parts = 1 if rate <= _CALM else _PARTS
        self._length = BLOCK // self._parts
        self._blocks = _Cache(4 * len(self.symbols) + 24)
        self._epochs = _Cache(4 * len(self.symbols) + 8)
        self._bars = _Cache(800 * len(self.symbols) + 1000)
        self._deep = _Cache(800)
        self._turn = 0

    def __repr__(self) -> str:
        return f"SyntheticMarket({len(self.symbols)} symbols, seed={self._seed})"

    # The live stream.

    def begin(self, now: int) -> int:
        """Return the wall time, less the head start: the market is already running."""
        return now - self._head_start

    def reach(self, position: int, now: int, limit: int) -> int:
        """Return the wall time, or what is next of the past while that is caught up with."""
        if self.hurried and position + self._stride < now:
            return position + self._stride
        self.hurried = False
        return max(position, now)

    def ended(self, position: int) -> bool:
        """Return False: there is always a next trade."""
        return False

    def known(self, position: int) -> int:
        """Return the position: what was not sent yet is not history."""
        return position

    def chunk(self, since: int, until: int, demand: frozenset[int]) -> Chunk:
        """Return the demanded events sent in [since, until)."""
        events: list[bytes] = []
        times: list[npt.NDArray[np.int64]] = []
        topics: list[npt.NDArray[np.int64]] = []
        for topic in sorted(demand):
            index, kind = divmod(topic, 4)
            symbol = self.symbols[index]
            if kind == 0:
                rows = self.sent(symbol, since, until)
                events += encode_trades(symbol, rows)
            elif kind == 1:
                rows = self.quotes(symbol, since, until, until)
                events += encode_quotes(symbol, rows)
            else:
                continue
            times.append(rows["received"])
            topics.append(np.full(len(rows), topic))
        if not events:
            return empty_chunk()
        numbers = np.concatenate(topics)
        # Of a quote and a trade that share their time the quote goes first.
        order = np.lexsort((-(numbers & 3), np.concatenate(times)))
        return Chunk.of([events[i] for i in order.tolist()], numbers[order])

    def sent(self, symbol: str, since: int, until: int) -> Rows:
        """Return the trades sent in [since, until), in order of sending."""
        parts = []
        for number in range((since - LATEST) // self._length, (until - 1) // self._length + 1):
            rows = self._block(symbol, number).outgoing
            parts.append(_within(rows, "received", since, until))
        rows = _joined(parts, TRADE)
        if sum(map(bool, map(len, parts))) > 1:
            rows = rows[np.argsort(rows["received"], kind="stable")]
        return rows

    def prepare(self, position: int) -> None:
        """Make the next block of one symbol, so that a block's start does not stall."""
        self._turn = (self._turn + 1) % max(1, len(self.symbols))
        if self.symbols:
            self._block(self.symbols[self._turn], position // self._length + 1)

    def warm(self, symbol: str, position: int) -> None:
        """Make what the first look at a symbol needs."""
        for number in _numbers(position - LATEST, position + self._length, self._length):
            self._block(symbol, number)

    # History.

    def trades(self, symbol: str, start: int, end: int, known: int) -> Rows:
        """Return trades of [start, end) by event time, of those sent before `known`."""
        start, end = max(start, self.first), min(end, known)
        parts = [
            _within(self._block(symbol, number).trades, "time", start, end)
            for number in _numbers(start, end, self._length)
        ]
        rows = _joined(parts, TRADE)
        return rows[rows["received"] < known] if end > known - LATEST else rows

    def quotes(self, symbol: str, start: int, end: int, known: int) -> Rows:
        """Return quotes of [start, end) by event time, of those sent before `known`."""
        start, end = max(start, self.first), min(end, known)
        parts = [
            _within(self._block(symbol, number).quotes, "time", start, end)
            for number in _numbers(start, end, self._length)
        ]
        return _joined(parts, QUOTE)

    def minutes(self, symbol: str, start: int, end: int, known: int) -> Rows:
        """Return minute bars that start in [start, end), of trades sent before `known`."""
        start, end = max(start, self.first), min(end, known)
        days = range(start // DAY, (min(end, self._detail) - 1) // DAY + 1)
        parts = [_within(self._day(symbol, day), "time", start, end) for day in days]
        for number in _numbers(max(start, self._detail), end, BLOCK):
            # A block's bars are final once its last late trade has been sent.
            settled = (number + 1) * BLOCK + LATEST <= known
            rows = self._settled(symbol, number) if settled else self._open(symbol, number, known)
            parts.append(_within(rows, "time", start, end))
        return _joined(parts, BAR)

    def _settled(self, symbol: str, number: int) -> Rows:
        return self._bars.get((symbol, number), lambda: bars(self._run(symbol, number), MINUTE))

    def _open(self, symbol: str, number: int, known: int) -> Rows:
        trades = self._run(symbol, number)
        return bars(trades[trades["received"] < known], MINUTE)

    def _run(self, symbol: str, number: int) -> Rows:
        """Return the trades of five minutes."""
        first = number * self._parts
        blocks = [self._block(symbol, first + i) for i in range(self._parts)]
        return _joined([block.trades for block in blocks], TRADE)

    def _day(self, symbol: str, day: int) -> Rows:
        def make() -> Rows:
            item, number, n = self._items[symbol], day * (DAY // BLOCK), self._parts
            span = [self._setting(item, number + i, n) for i in range(DAY // BLOCK)]
            return deep_minutes(item, span, self._random(item, number, 2))

        return self._deep.get((symbol, day), make)

    # Blocks.

    def _block(self, symbol: str, number: int) -> Block:
        def make() -> Block:
            item = self._items[symbol]
            return make_block(item, self._setting(item, number), self._random(item, number, 0))

        return self._blocks.get((symbol, number), make)

    def _random(self, item: Instrument, number: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([abs(self._seed), item.code, number, purpose])

    def _setting(self, item: Instrument, number: int, parts: int = 1) -> Setting:
        """Return what a block is made from, or a run of several parts taken as one."""
        epoch, index = divmod(number * parts, _EPOCH * self._parts)
        path, activity, deviation = self._epoch(item, epoch)
        length = self._length * parts
        return Setting(
            number=number,
            length=length,
            rate=self._rate * float(activity[index]),
            first=float(path[index]),
            last=float(path[index + parts]),
            deviation=float(deviation[index]) * math.sqrt(parts),
            late=self._late,
            extended=item.kind == "stocks" and self.hours.phase(number * length) != "regular",
        )

    def _epoch(
        self, item: Instrument, epoch: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return log prices at the edges of an epoch's blocks, their activity, their spread."""

        def make() -> tuple[npt.NDArray[np.float64], ...]:
            rng = self._random(item, epoch, 1)
            first = epoch * _EPOCH
            activity = np.array(
                [self.hours.activity((first + i) * BLOCK, item.kind) for i in range(_EPOCH)]
            )
            # Calm and restless hours follow each other in stretches.
            mood = np.convolve(rng.standard_normal(_EPOCH + 35), np.full(36, 1 / 6), "valid")
            variance = item.hourly**2 * BLOCK / (3600 * SECOND) * np.exp(0.8 * mood)
            variance *= np.maximum(activity, _OVERNIGHT)
            variance = np.repeat(variance / self._parts, self._parts)
            spread = np.sqrt(variance)
            noise = spread * rng.standard_normal(len(spread))
            walk = np.concatenate([[0.0], np.cumsum(noise)])
            passed = np.concatenate([[0.0], np.cumsum(variance)]) / variance.sum()
            start, end = self._level(item, epoch), self._level(item, epoch + 1)
            return (
                start + walk + (end - start - walk[-1]) * passed,
                np.repeat(activity, self._parts),
                spread,
            )

        made = self._epochs.get((item.symbol, epoch), make)
        return made[0], made[1], made[2]

    def _level(self, item: Instrument, epoch: int) -> float:
        return math.log(item.level) + 0.08 * float(self._random(item, epoch, 3).standard_normal())


def _numbers(start: int, end: int, length: int) -> range:
    """Return the numbers of the blocks of a length that a span touches."""
    return range(start // length, (end - 1) // length + 1) if end > start else range(0)


def _within(rows: Rows, column: str, start: int, end: int) -> Rows:
    low, high = np.searchsorted(rows[column], (start, end))
    return rows[low:high]


def _joined(parts: list[Rows], dtype: np.dtype[np.void]) -> Rows:
    filled = [part for part in parts if len(part)]
    if len(filled) == 1:
        return filled[0]
    return np.concatenate(filled) if filled else np.zeros(0, dtype)
