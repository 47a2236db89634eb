"""Instruments of the synthetic market: price level, price step, sizes, venues."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

from workbench.symbols import asset_class

__all__ = ["Instrument", "instrument"]

# Rough levels, so that a demo looks familiar; anything else gets a level of its own.
_LEVELS = {
    "BTC-USD": 64_000.0,
    "ETH-USD": 3_200.0,
    "SOL-USD": 150.0,
    "MATIC-USD": 0.55,
    "AVAX-USD": 28.0,
    "AAPL": 225.0,
    "GOOGL": 170.0,
    "TSLA": 250.0,
    "SPY": 560.0,
    "QQQ": 480.0,
    "NVDA": 125.0,
    "META": 520.0,
    "AMZN": 185.0,
    "MSFT": 430.0,
}

STOCK_VENUES = (12, 4, 11, 19, 10, 8, 15, 21)
STOCK_SHARES = (0.22, 0.33, 0.13, 0.10, 0.09, 0.06, 0.04, 0.03)
CRYPTO_VENUES = (1, 2, 6, 23)
CRYPTO_SHARES = (0.55, 0.20, 0.10, 0.15)


@dataclass(frozen=True, slots=True)
class Instrument:
    """Describe one symbol of the synthetic market.

    Attributes
    ----------
    symbol : str
        Our spelling.
    kind : str
        "stocks" or "crypto".
    level : float
        Price around which it moves, quote currency.
    decimals : int
        Decimals of the price step, which is 10 ** -decimals.
    hourly : float
        Standard deviation of the log price over a busy hour.
    typical : float
        Median size of a trade, shares or base units.
    lot : int
        Decimals of sizes: 0 for shares.
    code : int
        Number that makes its random stream its own.
    """

    symbol: str
    kind: str
    level: float
    decimals: int
    hourly: float
    typical: float
    lot: int
    code: int

    @property
    def venues(self) -> tuple[int, ...]:
        """Exchange ids it trades on."""
        return STOCK_VENUES if self.kind == "stocks" else CRYPTO_VENUES

    @property
    def shares(self) -> tuple[float, ...]:
        """Each venue's share of the trades; they sum to 1."""
        return STOCK_SHARES if self.kind == "stocks" else CRYPTO_SHARES


def instrument(symbol: str) -> Instrument:
    """Return what the synthetic market knows of a symbol.

    >>> btc = instrument("BTC-USD")
    >>> btc.kind, btc.level, btc.decimals, instrument("AAPL").decimals
    ('crypto', 64000.0, 2, 2)
    """
    code = zlib.crc32(symbol.encode())
    kind = asset_class(symbol)
    if kind == "stocks":
        level = _LEVELS.get(symbol, 10.0 * 50.0 ** (code % 1000 / 1000))
        decimals = 2 if level >= 1 else 4
        return Instrument(symbol, kind, level, decimals, 0.0025, 60.0, 0, code)
    level = _LEVELS.get(symbol, 0.1 * 1000.0 ** (code % 1000 / 1000))
    decimals = max(2, 5 - math.floor(math.log10(level)) - 1)
    # A trade is worth some hundred dollars whatever the coin.
    typical = 400.0 / level
    lot = min(8, max(1, 3 - math.floor(math.log10(typical))))
    return Instrument(symbol, "crypto", level, decimals, 0.0045, typical, lot, code)
