"""Events as the provider writes them, and runs of them that many connections share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from workbench.records import Rows
from workbench.sim.hours import SECOND
from workbench.symbols import asset_class

__all__ = [
    "CHANNELS",
    "KINDS",
    "Chunk",
    "codes",
    "empty_chunk",
    "encode_bar",
    "encode_quotes",
    "encode_trades",
    "mean_price",
    "status",
    "tape_of",
]

#: Kinds of events, in the order of the numbers that topics use.
KINDS = ("trade", "quote", "second", "minute")
#: Channel of each kind, by cluster.
CHANNELS = {
    "stocks": ("T", "Q", "A", "AM"),
    "crypto": ("XT", "XQ", "XAS", "XA"),
}
_MS = 1_000_000
_TRF = 4
_encode = msgspec.json.Encoder().encode


class _Status(msgspec.Struct):
    ev: str
    status: str
    message: str


class _StockTrade(msgspec.Struct, omit_defaults=True, gc=False):
    ev: str
    sym: str
    x: int
    i: str
    z: int
    p: float
    s: int
    t: int
    q: int
    c: list[int] | None = None
    ds: str | None = None
    trfi: int | None = None
    trft: int | None = None


class _StockQuote(msgspec.Struct, gc=False):
    ev: str
    sym: str
    bx: int
    bp: float
    bs: int
    ax: int
    ap: float
    as_: int = msgspec.field(name="as")
    c: int
    t: int
    q: int
    z: int


class _StockBar(msgspec.Struct, gc=False):
    ev: str
    sym: str
    v: float
    av: float
    op: float
    vw: float
    o: float
    c: float
    h: float
    l: float  # noqa: E741 - the provider's name
    a: float
    z: float
    s: int
    e: int


class _CryptoTrade(msgspec.Struct, omit_defaults=True, gc=False):
    ev: str
    pair: str
    p: float
    t: int
    s: float
    i: str
    x: int
    r: int
    c: list[int] | None = None


class _CryptoQuote(msgspec.Struct, gc=False):
    ev: str
    pair: str
    bp: float
    bs: float
    ap: float
    as_: float = msgspec.field(name="as")
    t: int
    x: int
    r: int


class _CryptoBar(msgspec.Struct, gc=False):
    ev: str
    pair: str
    o: float
    c: float
    h: float
    l: float  # noqa: E741 - the provider's name
    v: float
    s: int
    e: int
    vw: float
    z: int


def status(word: str, message: str) -> bytes:
    """Return a status event.

    >>> status("auth_success", "authenticated")
    b'{"ev":"status","status":"auth_success","message":"authenticated"}'
    """
    return _encode(_Status("status", word, message))


def codes(packed: int) -> list[int] | None:
    """Return the condition codes packed into a number, lowest byte first; None for none.

    >>> codes(14 | 37 << 8), codes(0)
    ([14, 37], None)
    """
    found = [code for shift in (0, 8, 16, 24) if (code := packed >> shift & 255)]
    return found or None


def mean_price(price: float) -> float:
    """Return a volume-weighted price with as many decimals as the provider gives."""
    return round(price, 4 if price >= 1 else 8)


def encode_trades(symbol: str, rows: Rows) -> list[bytes]:
    """Return one event per trade of a symbol."""
    sizes, packed = rows["size"].tolist(), rows["conditions"].tolist()
    common = (
        rows["price"].tolist(),
        (rows["time"] // _MS).tolist(),
        (rows["received"] // _MS).tolist(),
        rows["id"].tolist(),
        rows["exchange"].tolist(),
        rows["sequence"].tolist(),
    )
    if asset_class(symbol) == "crypto":
        return [
            _encode(_CryptoTrade("XT", symbol, p, t, s, str(i), x, r, codes(c)))
            for p, t, r, i, x, _q, s, c in zip(*common, sizes, packed, strict=True)
        ]
    tape = tape_of(symbol)
    events = []
    for p, t, r, i, x, q, s, c in zip(*common, sizes, packed, strict=True):
        whole = s == int(s)
        event = _StockTrade("T", symbol, x, str(i), tape, p, int(s), t, q, codes(c))
        if not whole:
            event.ds = repr(s)
        if x == _TRF:
            event.trfi, event.trft = 202, r
        events.append(_encode(event))
    return events


def tape_of(symbol: str) -> int:
    """Return the tape a stock is reported on: 2 for SPY's listing exchange, else 1 or 3."""
    return 2 if symbol == "SPY" else 3 if len(symbol) == 4 else 1


def encode_quotes(symbol: str, rows: Rows) -> list[bytes]:
    """Return one event per quote of a symbol."""
    columns = [rows[name].tolist() for name in ("bid", "bid_size", "ask", "ask_size")]
    times = (rows["time"] // _MS).tolist()
    bidders = rows["bid_exchange"].tolist()
    if asset_class(symbol) == "crypto":
        sent = (rows["received"] // _MS).tolist()
        return [
            _encode(_CryptoQuote("XQ", symbol, bp, bs, ap, az, t, x, r))
            for bp, bs, ap, az, t, x, r in zip(*columns, times, bidders, sent, strict=True)
        ]
    tape, askers, numbers = tape_of(symbol), rows["ask_exchange"].tolist(), rows["sequence"]
    return [
        _encode(_StockQuote("Q", symbol, bx, bp, int(bs), ax, ap, int(az), 1, t, q, tape))
        for bp, bs, ap, az, t, bx, ax, q in zip(
            *columns, times, bidders, askers, numbers.tolist(), strict=True
        )
    ]


def encode_bar(symbol: str, kind: int, bar: Rows, day: Rows) -> bytes:
    """Return the event of one bar.

    Parameters
    ----------
    symbol : str
    kind : int
        2 for a second, 3 for a minute.
    bar : one row of BAR
    day : one row of BAR
        The symbol's Eastern day so far; unused for crypto.
    """
    row, length = bar[0], int(bar["timeframe"][0]) * SECOND
    market = asset_class(symbol)
    channel = CHANNELS[market][kind]
    start, volume, count = int(row["time"]) // _MS, float(row["volume"]), int(row["count"])
    o, c, h, l = (float(row[name]) for name in ("open", "close", "high", "low"))  # noqa: E741
    end = start + length // _MS
    mean = mean_price(float(row["vwap"]))
    if market == "crypto":
        whole_size = round(volume / count)
        return _encode(
            _CryptoBar(channel, symbol, o, c, h, l, volume, start, end, mean, whole_size)
        )
    whole = day[0]
    total, opened = float(whole["volume"]), float(whole["open"])
    day_mean, size = mean_price(float(whole["vwap"])), round(volume / count, 4)
    volumes = _number(volume), _number(total)
    event = _StockBar(
        channel, symbol, *volumes, opened, mean, o, c, h, l, day_mean, size, start, end
    )
    return _encode(event)


def _number(value: float) -> float:
    """Return a whole number as int, which is how the provider writes share volumes."""
    return int(value) if value == int(value) else value


@dataclass(frozen=True, slots=True)
class Chunk:
    """Events in order of sending, written once for all connections.

    Attributes
    ----------
    buffer : bytes
        The events, each followed by a comma.
    offsets : array of int64
        Where each event starts in the buffer; one more at the end.
    topics : array of int32
        Topic of each event: 4 * symbol number + kind.
    """

    buffer: bytes
    offsets: npt.NDArray[np.int64]
    topics: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.topics)

    @classmethod
    def of(cls, events: Sequence[bytes], topics: npt.ArrayLike) -> Chunk:
        """Return a chunk of events and their topics.

        >>> chunk = Chunk.of([b'{"a":1}', b'{"b":2}', b'{"c":3}'], [0, 1, 0])
        >>> chunk.frames(np.array([True, False]), 100)
        [b'[{"a":1},{"c":3}]']
        >>> chunk.frames(np.array([True, True]), 2)
        [b'[{"a":1},{"b":2}]', b'[{"c":3}]']
        """
        offsets = np.zeros(len(events) + 1, np.int64)
        np.cumsum([len(event) + 1 for event in events], out=offsets[1:])
        buffer = b",".join([*events, b""]) if events else b""
        return cls(buffer, offsets, np.asarray(topics, np.int32))

    def cut(self, start: int, end: int) -> Chunk:
        """Return the events from one index to another; the buffer is shared."""
        return Chunk(self.buffer, self.offsets[start : end + 1], self.topics[start:end])

    def events(self) -> list[bytes]:
        """Return the events one by one."""
        edges = self.offsets.tolist()
        return [self.buffer[a : b - 1] for a, b in pairwise(edges)]

    def wanted(self, mask: npt.NDArray[np.bool_]) -> int:
        """Return how many of the events a reader of some topics gets."""
        return int(np.count_nonzero(mask[self.topics]))

    def frames(self, mask: npt.NDArray[np.bool_], limit: int) -> list[bytes]:
        """Return the frames for a reader of some topics, at most `limit` events in each."""
        chosen = mask[self.topics]
        if chosen.all():
            # The common case of a single wide subscription copies whole stretches.
            edges = [*self.offsets[:-1:limit].tolist(), int(self.offsets[-1])]
            pairs = pairwise(edges)
            return [b"[%b]" % self.buffer[a : b - 1] for a, b in pairs]
        starts = self.offsets[:-1][chosen].tolist()
        ends = self.offsets[1:][chosen].tolist()
        parts = [self.buffer[a : b - 1] for a, b in zip(starts, ends, strict=True)]
        groups = (parts[i : i + limit] for i in range(0, len(parts), limit))
        return [b"[%b]" % b",".join(group) for group in groups]


def empty_chunk() -> Chunk:
    """Return a chunk without events."""
    return Chunk(b"", np.zeros(1, np.int64), np.zeros(0, np.int32))
