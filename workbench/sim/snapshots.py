"""Snapshots: a ticker's day, minute, previous day, last trade and last quote at one look."""

from __future__ import annotations

from typing import Any

from workbench.records import Rows
from workbench.sim.aggregates import MINUTE
from workbench.sim.history import History
from workbench.sim.hours import DAY, eastern_date
from workbench.sim.request import ApiError, Request
from workbench.sim.restbars import bar_fields, previous_day
from workbench.sim.wire import codes
from workbench.symbols import asset_class, rest_ticker

__all__ = ["snapshot", "snapshots"]

_MARKETS = {("us", "stocks"): "stocks", ("global", "crypto"): "crypto"}


def snapshots(history: History, request: Request, parts: tuple[str, ...]) -> dict[str, Any]:
    """Answer `/v2/snapshot/locale/{locale}/markets/{market}/tickers`."""
    market = _market(parts)
    chosen = [s for s in history.symbols if asset_class(s) == market]
    if request.query.get("tickers"):
        asked = {history.symbol(t.strip()) for t in request.query["tickers"].split(",")}
        chosen = [symbol for symbol in chosen if symbol in asked]
    known = history.known()
    found = [one for symbol in chosen if (one := _ticker(history, symbol, known))]
    return {"status": "OK", "count": len(found), "tickers": found}


def snapshot(history: History, request: Request, parts: tuple[str, ...]) -> dict[str, Any]:
    """Answer `/v2/snapshot/locale/{locale}/markets/{market}/tickers/{ticker}`."""
    symbol = history.symbol(parts[2])
    found = None
    if symbol is not None and asset_class(symbol) == _market(parts):
        found = _ticker(history, symbol, history.known())
    if found is None:
        raise ApiError(404, "NOT_FOUND", text="Ticker not found.")
    return {"status": "OK", "ticker": found}


def _market(parts: tuple[str, ...]) -> str:
    market = _MARKETS.get((parts[0], parts[1]))
    if market is None:
        raise ApiError(404, "NOT_FOUND", text="there are no snapshots of this market")
    return market


def _ticker(history: History, symbol: str, known: int) -> dict[str, Any] | None:
    trade = history.last("trade", symbol, known)
    if not len(trade):
        return None
    row, stocks = trade[0], asset_class(symbol) == "stocks"
    time = int(row["time"])
    day = history.day(symbol, eastern_date(time), known)
    before = previous_day(history, symbol)
    minute = _minute(history, symbol, time, known)
    last: dict[str, Any] = {"c": codes(int(row["conditions"])), "i": str(int(row["id"]))}
    last |= {"p": float(row["price"]), "s": float(row["size"]), "t": time}
    result: dict[str, Any] = {"ticker": rest_ticker(symbol), "updated": time}
    result |= _change(float(row["price"]), before)
    result["day"] = _day(day, stocks)
    result["lastTrade"] = last | {"x": int(row["exchange"])}
    quote = history.last("quote", symbol, known)
    if len(quote) and stocks:
        q = quote[0]
        result["lastQuote"] = {"P": float(q["ask"]), "S": int(q["ask_size"])}
        result["lastQuote"] |= {"p": float(q["bid"]), "s": int(q["bid_size"]), "t": int(q["time"])}
    if len(minute):
        total = result["day"].get("v", 0)
        result["min"] = {"av": total} | bar_fields(minute[0], whole=stocks)
    result["prevDay"] = _day(before, stocks)
    return result


def _minute(history: History, symbol: str, time: int, known: int) -> Rows:
    spans = history.base_bars(symbol, "minute", (time - DAY, time + MINUTE), known, backward=True)
    for rows in spans:
        if len(rows):
            break
    return rows[-1:]


def _day(row: Rows, stocks: bool) -> dict[str, Any]:
    if not len(row):
        return {"o": 0, "h": 0, "l": 0, "c": 0, "v": 0, "vw": 0}
    fields = bar_fields(row[0], whole=stocks)
    return {name: fields[name] for name in ("o", "h", "l", "c", "v", "vw")}


def _change(price: float, before: Rows) -> dict[str, float]:
    if not len(before):
        return {"todaysChange": 0.0, "todaysChangePerc": 0.0}
    base = float(before["close"][0])
    change = price - base
    return {"todaysChange": round(change, 8), "todaysChangePerc": round(change / base * 100, 4)}
