"""Trades and quotes page by page, and the last of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from workbench.records import KINDS, Rows
from workbench.sim.history import History
from workbench.sim.hours import DAY
from workbench.sim.request import ApiError, Request, choice, limited, pack_cursor, span_of
from workbench.sim.wire import codes, tape_of
from workbench.symbols import asset_class

__all__ = ["last_crypto", "last_quote", "last_trade", "quotes", "trades"]

_MS = 1_000_000
_FAR = 1 << 62
_TRF = 4
_FILTERS = ("timestamp", "timestamp.gte", "timestamp.gt", "timestamp.lte", "timestamp.lt")


def trades(history: History, request: Request, parts: tuple[str, ...]) -> dict[str, Any]:
    """Answer `/v3/trades/{ticker}`."""
    return _ticks(history, request, parts[0], "trade")


def quotes(history: History, request: Request, parts: tuple[str, ...]) -> dict[str, Any]:
    """Answer `/v3/quotes/{ticker}`; there are none for crypto."""
    return _ticks(history, request, parts[0], "quote")


def _span(query: Mapping[str, str], known: int) -> tuple[int, int]:
    """Return the span [start, end) that the filters leave."""
    start, end = 0, known + DAY
    for name in _FILTERS:
        if name not in query:
            continue
        low, high = span_of(name, query[name], 1)
        word = name.partition(".")[2]
        if word in ("", "gte"):
            start = max(start, low)
        if word in ("", "lte"):
            end = min(end, high)
        if word == "gt":
            start = max(start, high)
        if word == "lt":
            end = min(end, low)
    return start, end


def _ticks(
    history: History, request: Request, ticker: str, kind: Literal["trade", "quote"]
) -> dict[str, Any]:
    query = request.query
    limit = limited(query, 1000, 50_000)
    backward = choice(query, "order", ("desc", "asc")) == "desc"
    choice(query, "sort", ("timestamp",))
    # All pages show the past as it was known at the first one: nothing moves between them.
    known = _number(query, "known", history.known())
    symbol = history.symbol(ticker)
    rows, more = np.zeros(0, KINDS[kind]), None
    crypto = asset_class(symbol or "") == "crypto"
    if symbol is not None and not (crypto and kind == "quote"):
        span = _span(query, known)
        if "at" in query:
            at = _number(query, "at", 0)
            span = (span[0], min(span[1], at + 1)) if backward else (max(span[0], at), span[1])
        skip = _number(query, "skip", 0)
        rows = _read(history, kind, symbol, span, known, skip + limit + 1, backward)[skip:]
        if len(rows) > limit:
            rows = rows[:limit]
            more = _position(rows, query)
    make = _trade_result if kind == "trade" else _quote_result
    results = [make(symbol or "", row) for row in rows]
    body: dict[str, Any] = {"results": results, "status": "OK"}
    if more is not None:
        values: dict[str, object] = {name: query[name] for name in _FILTERS if name in query}
        values |= {"limit": limit, "order": "desc" if backward else "asc", "sort": "timestamp"}
        values |= {"known": known, **more}
        body["next_url"] = f"{request.base}{request.path}?cursor={pack_cursor(values)}"
    return body


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    """Return a number that only our own cursors carry."""
    value = query.get(name, "")
    return min(int(value), _FAR) if value.isdecimal() else default


def _read(
    history: History,
    kind: Literal["trade", "quote"],
    symbol: str,
    span: tuple[int, int],
    known: int,
    count: int,
    backward: bool,
) -> Rows:
    """Return the first `count` rows of a span in the order of reading."""
    forward, back = history.ticks(kind, symbol, span, known)
    parts: list[Rows] = []
    for rows in back() if backward else forward():
        parts.append(rows)
        count -= len(rows)
        if count <= 0:
            break
    found = np.concatenate(parts) if parts else np.zeros(0, KINDS[kind])
    return found[: len(found) + min(count, 0)]


def _position(rows: Rows, query: Mapping[str, str]) -> dict[str, object]:
    """Return where the next page starts: a time, and how many of its rows were shown."""
    at = int(rows["time"][-1])
    skip = int(np.count_nonzero(rows["time"] == at))
    if skip == len(rows) and query.get("at") == str(at):
        skip += _number(query, "skip", 0)
    return {"at": at, "skip": skip}


def _trade_result(symbol: str, row: np.void) -> dict[str, Any]:
    result: dict[str, Any] = {}
    packed = codes(int(row["conditions"]))
    if packed:
        result["conditions"] = packed
    result |= {"exchange": int(row["exchange"]), "id": str(int(row["id"]))}
    result |= {"participant_timestamp": int(row["time"]), "price": float(row["price"])}
    size = float(row["size"])
    if asset_class(symbol) == "crypto":
        return result | {"size": size}
    result |= {"sequence_number": int(row["sequence"]), "sip_timestamp": int(row["time"])}
    result |= {"size": int(size) if size == int(size) else size, "tape": tape_of(symbol)}
    if size != int(size):
        result["decimal_size"] = repr(size)
    if result["exchange"] == _TRF:
        result |= {"trf_id": 202, "trf_timestamp": int(row["received"])}
    return result


def _quote_result(symbol: str, row: np.void) -> dict[str, Any]:
    return {
        "ask_exchange": int(row["ask_exchange"]),
        "ask_price": float(row["ask"]),
        "ask_size": float(row["ask_size"]),
        "bid_exchange": int(row["bid_exchange"]),
        "bid_price": float(row["bid"]),
        "bid_size": float(row["bid_size"]),
        "conditions": [1],
        "participant_timestamp": int(row["time"]),
        "sequence_number": int(row["sequence"]),
        "sip_timestamp": int(row["time"]),
        "tape": tape_of(symbol),
    }


def _last(history: History, kind: Literal["trade", "quote"], ticker: str, market: str) -> np.void:
    symbol = history.symbol(ticker)
    if symbol is not None and asset_class(symbol) == market:
        rows = history.last(kind, symbol, history.known())
        if len(rows):
            row: np.void = rows[0]
            return row
    raise ApiError(404, "NOT_FOUND", text="Ticker not found.")


def last_trade(history: History, request: Request, parts: tuple[str, ...]) -> dict[str, Any]:
    """Answer `/v2/last/trade/{ticker}`, for stocks."""
    (ticker,) = parts
    row = _last(history, "trade", ticker, "stocks")
    results: dict[str, Any] = {"T": ticker}
    packed = codes(int(row["conditions"]))
    if packed:
        results["c"] = packed
    results |= {"f": int(row["received"])} if row["exchange"] == _TRF else {}
    results |= {"i": str(int(row["id"])), "p": float(row["price"])}
    results |= {"q": int(row["sequence"]), "s": float(row["size"]), "t": int(row["time"])}
    results |= {"x": int(row["exchange"]), "y": int(row["time"]), "z": tape_of(ticker)}
    return {"results": results, "status": "OK"}


def last_quote(history: History, request: Request, parts: tuple[str, ...]) -> dict[str, Any]:
    """Answer `/v2/last/nbbo/{ticker}`, for stocks."""
    (ticker,) = parts
    row = _last(history, "quote", ticker, "stocks")
    results: dict[str, Any] = {"T": ticker, "P": float(row["ask"]), "S": int(row["ask_size"])}
    results |= {"X": int(row["ask_exchange"]), "p": float(row["bid"])}
    results |= {"s": int(row["bid_size"]), "x": int(row["bid_exchange"])}
    results |= {"q": int(row["sequence"]), "t": int(row["time"]), "y": int(row["time"])}
    return {"results": results | {"z": tape_of(ticker)}, "status": "OK"}


def last_crypto(history: History, request: Request, parts: tuple[str, ...]) -> dict[str, Any]:
    """Answer `/v1/last/crypto/{from}/{to}`."""
    row = _last(history, "trade", f"X:{parts[0]}-{parts[1]}", "crypto")
    last = {"conditions": codes(int(row["conditions"])) or [], "exchange": int(row["exchange"])}
    last |= {"price": float(row["price"]), "size": float(row["size"])}
    last |= {"timestamp": int(row["time"]) // _MS}
    return {"last": last, "status": "success", "symbol": "-".join(parts)}
