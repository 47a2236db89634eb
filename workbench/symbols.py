"""Symbols: our one spelling of an instrument, those of providers, and ids for rows."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable

from workbench.errors import UnknownSymbolError

__all__ = [
    "CRYPTO",
    "STOCKS",
    "SymbolTable",
    "asset_class",
    "canonical",
    "canonicals",
    "rest_ticker",
]

#: Default sets that demos and simulators use.
CRYPTO = ("BTC-USD", "ETH-USD", "SOL-USD", "MATIC-USD", "AVAX-USD")
STOCKS = ("AAPL", "GOOGL", "TSLA", "SPY", "QQQ", "NVDA", "META", "AMZN", "MSFT")

# Longest first, so that USDT is not read as T quoted in USD.
_QUOTES = ("USDT", "USDC", "FDUSD", "USD", "EUR", "GBP", "JPY", "AUD", "CHF", "CAD", "BTC", "ETH")
_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:\-_/^]{0,31}")
_CLASSES = {"X": "crypto", "C": "forex", "I": "indices", "O": "options"}


def canonical(ticker: str) -> str:
    """Return our spelling of a ticker.

    Parameters
    ----------
    ticker : str
        As a provider's websocket or REST interface, or a person, writes it.

    Returns
    -------
    str
        "AAPL", "BTC-USD", "EUR/USD", "I:SPX", "O:SPY241220P00720000".

    Raises
    ------
    UnknownSymbolError
        If it holds characters no market uses, or is longer than 32.

    Examples
    --------
    >>> canonical("X:BTCUSD"), canonical("X:BTC-USD"), canonical("C:EURUSD"), canonical("aapl")
    ('BTC-USD', 'BTC-USD', 'EUR/USD', 'AAPL')
    """
    text = ticker.strip() if isinstance(ticker, str) else ""
    if not _PATTERN.fullmatch(text):
        raise _no_symbol(ticker)
    # Preferred shares are written with a small p (BAC.pB): upper-case whole words only.
    if text.islower() or "-" in text or ":" in text:
        text = text.upper()
    prefix, _, rest = text.partition(":")
    if rest and prefix in ("X", "C"):
        separator = "-" if prefix == "X" else "/"
        base, quote = _pair(rest)
        name = f"{base}{separator}{quote}" if quote else rest
        if ":" in name or not _PATTERN.fullmatch(name):
            raise _no_symbol(ticker)
        return name
    return text


def _no_symbol(ticker: object) -> UnknownSymbolError:
    shown = str(ticker)[:40]
    return UnknownSymbolError(
        f"not a symbol: {shown!r}; allowed are letters, digits and . : - _ / ^, "
        'at most 32 of them, such as "AAPL" or "BTC-USD"',
        symbol=shown,
    )


def canonicals(tickers: str | Iterable[str]) -> list[str]:
    """Return our spelling of one ticker or several; UnknownSymbolError if there is none.

    >>> canonicals("aapl"), canonicals(["X:BTCUSD", "SPY"])
    (['AAPL'], ['BTC-USD', 'SPY'])
    """
    names = [tickers] if isinstance(tickers, str) else list(tickers)
    if not names:
        raise UnknownSymbolError("no symbol given")
    return [canonical(name) for name in names]


def _pair(text: str) -> tuple[str, str]:
    for separator in "-/":
        if separator in text:
            base, _, quote = text.partition(separator)
            return base, quote
    for quote in _QUOTES:
        if text.endswith(quote) and len(text) > len(quote):
            return text[: -len(quote)], quote
    return text, ""


def asset_class(symbol: str) -> str:
    """Return the market a symbol of ours belongs to.

    >>> [asset_class(s) for s in ("AAPL", "BRK.B", "BTC-USD", "EUR/USD", "I:SPX")]
    ['stocks', 'stocks', 'crypto', 'forex', 'indices']
    """
    prefix, _, rest = symbol.partition(":")
    if rest:
        return _CLASSES.get(prefix, "stocks")
    if "/" in symbol:
        return "forex"
    return "crypto" if "-" in symbol else "stocks"


def rest_ticker(symbol: str) -> str:
    """Return the ticker that Massive's REST interface uses for a symbol of ours.

    >>> rest_ticker("BTC-USD"), rest_ticker("EUR/USD"), rest_ticker("AAPL")
    ('X:BTCUSD', 'C:EURUSD', 'AAPL')
    """
    kind = asset_class(symbol)
    if kind == "crypto":
        return "X:" + symbol.replace("-", "")
    if kind == "forex":
        return "C:" + symbol.replace("/", "")
    return symbol


class SymbolTable:
    """Give each symbol a small number, so that rows can carry it.

    Numbers are given in order of first sight and never change, so arrays indexed by them
    only ever grow. Safe to use from several threads.

    Examples
    --------
    >>> table = SymbolTable(["BTC-USD"])
    >>> table.id("ETH-USD"), table.name(0), len(table), "SPY" in table
    (1, 'BTC-USD', 2, False)
    """

    def __init__(self, symbols: Iterable[str] = ()) -> None:
        self._names: list[str] = []
        self._ids: dict[str, int] = {}
        self._lock = threading.Lock()
        for symbol in symbols:
            self.id(symbol)

    def id(self, symbol: str) -> int:
        """Return the number of a symbol, giving it the next one at first sight.

        Raises
        ------
        UnknownSymbolError
            If it is not spelled as a symbol.
        """
        number = self._ids.get(symbol)
        if number is not None:
            return number
        name = canonical(symbol)
        with self._lock:
            number = self._ids.get(name)
            if number is None:
                number = len(self._names)
                self._names.append(name)
                self._ids[name] = number
        return number

    def find(self, symbol: str) -> int | None:
        """Return the number of a symbol, or None if it was never seen."""
        return self._ids.get(symbol)

    def name(self, number: int) -> str:
        """Return the symbol of a number; IndexError if none has it."""
        if number < 0:
            raise IndexError(number)
        return self._names[number]

    def names(self) -> tuple[str, ...]:
        """Return all symbols, in the order of their numbers."""
        return tuple(self._names)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._ids

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"SymbolTable({len(self._names)} symbols)"
