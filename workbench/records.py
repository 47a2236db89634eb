"""Records and batches: what flows from a source to a screen.

Times are int64 nanoseconds UTC, prices in the quote currency, sizes in shares or base
units. Rows carry the number of a symbol in a :class:`~workbench.symbols.SymbolTable`;
batches that leave the process carry its name instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.timeframes import Timeframe

__all__ = [
    "BAR",
    "CANCELLED",
    "CLOSED",
    "FORMING",
    "KINDS",
    "QUOTE",
    "REVISED",
    "TRADE",
    "Batch",
    "Kind",
    "Rows",
    "empty",
]

Rows: TypeAlias = npt.NDArray[np.void]
Kind = Literal["trade", "quote", "bar"]

#: One execution. `sequence` orders trades of one symbol that share a time; `id` with
#: symbol, exchange and time tells a repeated delivery; `side` is the taker's: 1 bought,
#: -1 sold, 0 not told; `conditions` holds up to four of the venue's codes, a byte each.
TRADE = np.dtype(
    [
        ("time", "i8"),
        ("received", "i8"),
        ("price", "f8"),
        ("size", "f8"),
        ("sequence", "u8"),
        ("id", "u8"),
        ("symbol", "i4"),
        ("conditions", "u4"),
        ("exchange", "i2"),
        ("side", "i1"),
        ("flags", "u1"),
        ("padding", "u4"),
    ]
)

#: Best bid and ask.
QUOTE = np.dtype(
    [
        ("time", "i8"),
        ("received", "i8"),
        ("bid", "f8"),
        ("bid_size", "f8"),
        ("ask", "f8"),
        ("ask_size", "f8"),
        ("sequence", "u8"),
        ("symbol", "i4"),
        ("bid_exchange", "i2"),
        ("ask_exchange", "i2"),
    ]
)

#: OHLCV over a timeframe. `time` is the start. Volume and notional are sums that are kept
#: exactly and rounded once: `volume` is the float64 nearest to the exact sum and
#: `volume_rest` what is left of it, so that sums of bars are as exact as sums of trades. Two
#: floats hold any sum below 2**32, and a greater one unless a trade is 1e-16 of it or less.
BAR = np.dtype(
    [
        ("time", "i8"),
        ("open", "f8"),
        ("high", "f8"),
        ("low", "f8"),
        ("close", "f8"),
        ("volume", "f8"),
        ("vwap", "f8"),
        ("count", "i8"),
        ("volume_rest", "f8"),
        ("notional", "f8"),
        ("notional_rest", "f8"),
        ("symbol", "i4"),
        ("revision", "i4"),
        ("timeframe", "i4"),  # seconds
        ("state", "u1"),
        ("origin", "u1"),  # 0 built here from trades, 1 sent by the provider
        ("padding", "u2"),
    ]
)

FORMING, CLOSED, REVISED = 1, 2, 3

#: Bit of a trade's flags: the venue took it back, so it counts for nothing. It is kept, since
#: it was known for a while and what was made of it then must be explained. The bits below it
#: are a source's mark of a trade without id (1) and what a trade may not set in a bar (2, 4, 8).
CANCELLED = 16

KINDS: dict[str, np.dtype[np.void]] = {"trade": TRADE, "quote": QUOTE, "bar": BAR}


def empty(kind: Kind, n: int = 0) -> Rows:
    """Return n zeroed rows of a kind.

    >>> empty("trade", 2)["price"]
    array([0., 0.])
    """
    return np.zeros(n, dtype=KINDS[kind])


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one kind, of any number of symbols, in order of receipt.

    Attributes
    ----------
    kind : "trade", "quote" or "bar"
    rows : structured array of that kind's dtype
        Made read-only: corrections are new rows.
    timeframe : Timeframe or None
        Of the bars, when all have the same; None for other kinds and mixed batches.
    known : int
        When bars became known, ns UTC: what reads `as_of=` a moment go by. 0 is when they are
        stored. Trades and quotes tell it themselves, each in its field `received`.

    Examples
    --------
    >>> batch = Batch("trade", empty("trade", 3))
    >>> len(batch), batch.rows.flags.writeable
    (3, False)
    """

    kind: Kind
    rows: Rows
    timeframe: Timeframe | None = None
    known: int = 0

    def __post_init__(self) -> None:
        if self.known < 0:
            raise ValueError(f"known is a time in ns since the epoch, or 0, not {self.known}")
        if self.rows.dtype != KINDS[self.kind]:
            raise TypeError(f"rows of a {self.kind} batch must have dtype {self.kind.upper()}")
        self.rows.flags.writeable = False

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return one column as a read-only view."""
        return self.rows[name]
