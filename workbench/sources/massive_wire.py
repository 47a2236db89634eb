"""How Massive's events look on the wire, and how their fields become numbers."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = [
    "FRAME",
    "ONE",
    "PARTS",
    "CryptoMinute",
    "CryptoQuote",
    "CryptoSecond",
    "CryptoTrade",
    "Minute",
    "Packs",
    "Quote",
    "Second",
    "Trade",
    "WireStatus",
    "decimal",
    "id_number",
    "pack",
    "sequences",
    "shorts",
    "times_ns",
]

_MS = 1_000_000
_PACKS = 4096


class Trade(msgspec.Struct, tag_field="ev", tag="T", gc=False):
    """A stock trade."""

    sym: str
    p: float
    t: int
    s: float = 0.0
    x: int = 0
    i: str | int | None = ""
    q: int = 0
    c: tuple[int, ...] | None = ()
    ds: str | None = None


class Quote(msgspec.Struct, tag_field="ev", tag="Q", gc=False):
    """Best bid and ask of a stock."""

    sym: str
    t: int
    bp: float = 0.0
    ap: float = 0.0
    bs: float = 0.0
    as_: float = msgspec.field(name="as", default=0.0)
    bx: int = 0
    ax: int = 0
    q: int = 0


class CryptoTrade(msgspec.Struct, tag_field="ev", tag="XT", gc=False):
    """A trade of a pair."""

    pair: str
    p: float
    t: int
    s: float
    x: int = 0
    i: str | int | None = ""
    c: tuple[int, ...] | None = ()


class CryptoQuote(msgspec.Struct, tag_field="ev", tag="XQ", gc=False):
    """Best bid and ask of a pair."""

    pair: str
    t: int
    bp: float = 0.0
    ap: float = 0.0
    bs: float = 0.0
    as_: float = msgspec.field(name="as", default=0.0)
    x: int = 0


class Second(msgspec.Struct, tag_field="ev", tag="A", gc=False):
    """A bar of one second of a stock."""

    sym: str
    s: int
    o: float
    h: float
    l: float  # noqa: E741 - the provider's name
    c: float
    v: float
    vw: float = 0.0
    z: float = 0.0


class Minute(Second, tag="AM"):
    """A bar of one minute of a stock."""


class CryptoMinute(msgspec.Struct, tag_field="ev", tag="XA", gc=False):
    """A bar of one minute of a pair."""

    pair: str
    s: int
    o: float
    h: float
    l: float  # noqa: E741 - the provider's name
    c: float
    v: float
    vw: float = 0.0
    z: float = 0.0


class CryptoSecond(CryptoMinute, tag="XAS"):
    """A bar of one second of a pair."""


class WireStatus(msgspec.Struct, tag_field="ev", tag="status", gc=False):
    """Words about the connection."""

    status: str
    message: str = ""


_Event = (
    Trade | Quote | CryptoTrade | CryptoQuote
    | Second | Minute | CryptoMinute | CryptoSecond | WireStatus
)  # fmt: skip
FRAME: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[_Event])
ONE: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Event)
PARTS = msgspec.json.Decoder(list[msgspec.Raw])


def times_ns(values: list[int]) -> npt.NDArray[np.int64]:
    """Turn the provider's ms into ns; what is no such time becomes one the gate refuses."""
    try:
        ms = np.array(values, np.int64)
    except OverflowError:
        ms = np.array([v if abs(v) < 1 << 62 else 0 for v in values], np.int64)
    return np.where((ms > 0) & (ms < 9_000_000_000_000), ms, 0) * _MS


def sequences(values: list[int]) -> npt.NDArray[np.uint64]:
    """Turn sequence numbers into a column; 0 for what none can be."""
    try:
        return np.array(values, np.uint64)
    except OverflowError:
        return np.array([v if 0 <= v < 1 << 64 else 0 for v in values], np.uint64)


def shorts(values: list[int]) -> npt.NDArray[np.int64]:
    """Turn numbers of venues into a column; 0 for what none can be."""
    try:
        numbers = np.array(values, np.int64)
    except OverflowError:
        numbers = np.array([v if -1 < v < 1 << 15 else 0 for v in values], np.int64)
    return np.where((numbers > -1) & (numbers < 1 << 15), numbers, 0)


def id_number(i: str | int) -> int:
    """Return an id as a number: itself, or a digest of it when it is not one."""
    try:
        number = int(i)
        if 0 <= number < 1 << 64:
            return number
    except ValueError:
        pass
    return int.from_bytes(hashlib.blake2b(str(i).encode(), digest_size=8).digest(), "little")


def decimal(text: str) -> float:
    """Read a size written in decimals; NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")  # the gate refuses it and keeps it


def pack(conditions: tuple[int, ...] | None) -> int:
    """Pack the first four condition codes into a byte each."""
    if not conditions:
        return 0
    packed = 0
    for place, code in enumerate(conditions[:4]):
        packed |= (code & 0xFF) << (8 * place)
    return packed


class Packs(dict[tuple[int, ...] | None, int]):
    """Condition codes as packed before: few combinations make up a day."""

    def __missing__(self, conditions: tuple[int, ...] | None) -> int:
        """Pack codes not seen before."""
        if len(self) >= _PACKS:  # whoever sends ever new ones does not fill the memory
            self.clear()
        packed = self[conditions] = pack(conditions)
        return packed
