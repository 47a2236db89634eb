"""Reference data: tickers, and whether the markets are open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from workbench.sim.history import History
from workbench.sim.hours import EASTERN, SECOND, Hours
from workbench.sim.request import Request, choice, flag, limited, pack_cursor
from workbench.symbols import asset_class, rest_ticker

__all__ = ["MarketStatus", "tickers"]

_NAMES = {
    "AAPL": "Apple Inc.",
    "GOOGL": "Alphabet Inc. Class A",
    "TSLA": "Tesla, Inc.",
    "SPY": "SPDR S&P 500 ETF Trust",
    "QQQ": "Invesco QQQ Trust",
    "NVDA": "Nvidia Corp",
    "META": "Meta Platforms, Inc. Class A",
    "AMZN": "Amazon.com, Inc.",
    "MSFT": "Microsoft Corp",
    "BTC-USD": "Bitcoin - United States dollar",
    "ETH-USD": "Ethereum - United States dollar",
    "SOL-USD": "Solana - United States dollar",
    "MATIC-USD": "Polygon - United States dollar",
    "AVAX-USD": "Avalanche - United States dollar",
}
_FUNDS = {"SPY", "QQQ"}
_FILTERS = ("ticker", "type", "market", "search")


class MarketStatus:
    """Tell whether markets are open, by the same hours as the market's trades.

    Parameters
    ----------
    hours : Hours
    now : callable
        Returns the wall time, ns.
    """

    def __init__(self, hours: Hours, now: Callable[[], int]) -> None:
        self._hours = hours
        self._now = now

    def now(self, history: History, request: Request, parts: tuple[str, ...]) -> dict[str, Any]:
        """Answer `/v1/marketstatus/now`."""
        time = self._now()
        phase = self._hours.phase(time)
        word = {"regular": "open", "closed": "closed"}.get(phase, "extended-hours")
        local = datetime.fromtimestamp(time // SECOND, EASTERN)
        return {
            "market": word,
            "earlyHours": phase == "pre",
            "afterHours": phase == "after",
            "serverTime": local.isoformat(),
            "exchanges": {"nyse": word, "nasdaq": word, "otc": word},
            "currencies": {"fx": "open", "crypto": "open"},
        }

    def upcoming(
        self, history: History, request: Request, parts: tuple[str, ...]
    ) -> list[dict[str, str]]:
        """Answer `/v1/marketstatus/upcoming`: a bare array."""
        return self._hours.upcoming(self._now())


def _entry(symbol: str) -> dict[str, Any]:
    ticker = rest_ticker(symbol)
    entry: dict[str, Any] = {"ticker": ticker, "name": _NAMES.get(symbol, symbol)}
    if asset_class(symbol) == "crypto":
        base, _, quote = symbol.partition("-")
        entry |= {"market": "crypto", "locale": "global", "active": True}
        return entry | {"currency_symbol": quote, "base_currency_symbol": base}
    kind, listed = ("ETF", "ARCX") if symbol in _FUNDS else ("CS", "XNAS")
    entry |= {"market": "stocks", "locale": "us", "primary_exchange": listed, "type": kind}
    return entry | {"active": True, "currency_name": "usd"}


def tickers(history: History, request: Request, parts: tuple[str, ...]) -> dict[str, Any]:
    """Answer `/v3/reference/tickers`."""
    query = request.query
    limit = limited(query, 100, 1000)
    order = choice(query, "order", ("asc", "desc"))
    key = choice(query, "sort", ("ticker", "name", "market"))
    found = [_entry(symbol) for symbol in history.symbols]
    if not flag(query, "active", True):
        found = []
    for name in ("ticker", "type", "market"):
        if query.get(name):
            found = [entry for entry in found if entry.get(name) == query[name]]
    if query.get("search"):
        text = query["search"].lower()
        found = [e for e in found if text in e["ticker"].lower() or text in e["name"].lower()]
    found.sort(key=lambda entry: (entry[key], entry["ticker"]), reverse=order == "desc")
    start = int(query["skip"]) if query.get("skip", "").isdecimal() else 0
    shown = found[start : start + limit]
    body: dict[str, Any] = {"results": shown, "status": "OK", "count": len(shown)}
    if start + limit < len(found):
        values: dict[str, object] = {name: query[name] for name in _FILTERS if query.get(name)}
        values |= {"limit": limit, "order": order, "sort": key, "skip": start + limit}
        body["next_url"] = f"{request.base}{request.path}?cursor={pack_cursor(values)}"
    return body
