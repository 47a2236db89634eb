"""Files of recorded trades and quotes, in the kinds we know."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from workbench.errors import TapeError, UnknownSymbolError
from workbench.records import QUOTE, TRADE, Rows
from workbench.sim.hours import day_bounds
from workbench.sim.wire import CHANNELS
from workbench.symbols import canonical

__all__ = ["Reading", "read_trades"]

_MS = 1_000_000
#: Exchange ids of the provider, by the participant's letter.
_VENUES = {
    letter: number
    for number, letters in {
        1: "A", 2: "B", 3: "C", 4: "D", 6: "I", 7: "M", 8: "J", 9: "K", 10: "N", 11: "P",
        12: "QT", 15: "V", 16: "W", 17: "X", 18: "Y", 19: "Z",
    }.items()
    for letter in letters
}  # fmt: skip
#: Condition codes of the provider, by flag of a Lean file; other flags have none.
_FLAGS = ((0x20, 14), (0x40, 25), (0x80, 8), (0x400, 12), (0x4000, 33))
_ODD_LOT = 37
_LEAN = re.compile(r"(\d{4})(\d{2})(\d{2})_trade\.zip$")
_BINANCE = re.compile(rb"\d{19} \{")


@dataclass(slots=True)
class Reading:
    """What one file says of one symbol.

    Attributes
    ----------
    symbol : str
        Our spelling.
    trades, quotes : arrays of TRADE and QUOTE
        In the file's order; `received` is when each was sent.
    messages : list of (int, int, bytes)
        Where the file holds the provider's own messages: time of sending, kind, message.
        Empty if they are to be written from the rows.
    """

    symbol: str
    trades: Rows = field(default_factory=lambda: np.zeros(0, TRADE))
    quotes: Rows = field(default_factory=lambda: np.zeros(0, QUOTE))
    messages: list[tuple[int, int, bytes]] = field(default_factory=list)


def read_trades(path: Path) -> list[Reading]:
    """Read a file of trades.

    Parameters
    ----------
    path : Path
        Known are: `*.jsonl[.gz]` with `{"at_ns":..., "msg":{...}}` lines of the provider's
        messages; Lean's `SYMBOL/YYYYMMDD_trade.zip`; `*.gz` with `<receive ns> <json>` lines
        of Binance's streams; `*.csv[.gz]` and `*.parquet` with columns time (ns, or a text
        with a zone or UTC), symbol, price, size and perhaps exchange, id, conditions.

    Returns
    -------
    list of Reading
        One per symbol.

    Raises
    ------
    TapeError
        If the file is missing, not of a known kind, or broken.
    """
    try:
        name = path.name.lower()
        if _LEAN.search(name):
            return [_lean(path)]
        if name.endswith((".csv", ".csv.gz")):
            return _table(pd.read_csv(path, dtype={"id": str, "conditions": str}), path)
        if name.endswith(".parquet"):
            return _table(pd.read_parquet(path), path)
        lines = _lines(path)
        if _BINANCE.match(lines[0] if lines else b""):
            return _binance(lines)
        return _massive(lines)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise TapeError(f"cannot read {path.name}: {error}") from error
    except (msgspec.DecodeError, ValueError, KeyError, UnknownSymbolError) as error:
        raise TapeError(f"{path.name} is not a file of trades we know: {error}") from error


def _lines(path: Path) -> list[bytes]:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return [line for line in data.splitlines() if line.strip()]


class _Line(msgspec.Struct):
    at_ns: int
    msg: msgspec.Raw


def _massive(lines: list[bytes]) -> list[Reading]:
    kinds = {name: kind for names in CHANNELS.values() for kind, name in enumerate(names)}
    decode = msgspec.json.Decoder(_Line).decode
    found: dict[str, tuple[Reading, list[Any], list[Any]]] = {}
    for number, line in enumerate(lines):
        item = decode(line)
        raw = bytes(item.msg)
        event = msgspec.json.decode(raw)
        kind = kinds.get(event["ev"])
        if kind is None:
            continue
        ticker = event.get("sym") or event["pair"]
        if ticker not in found:
            found[ticker] = (Reading(canonical(ticker)), [], [])
        reading, trades, quotes = found[ticker]
        reading.messages.append((item.at_ns, kind, raw))
        if kind == 0:
            trades.append(_massive_trade(event, item.at_ns, number))
        elif kind == 1:
            quotes.append(_massive_quote(event, item.at_ns, number))
    for reading, trades, quotes in found.values():
        reading.trades = _rows(trades, TRADE)
        reading.quotes = _rows(quotes, QUOTE)
    return [reading for reading, _, _ in found.values()]


def _massive_trade(event: dict[str, Any], sent: int, number: int) -> dict[str, Any]:
    crypto = "pair" in event
    codes = event.get("c") or []
    return {
        "time": event["t"] * _MS,
        "received": sent,
        "price": event["p"],
        "size": float(event["ds"]) if "ds" in event else event["s"],
        "id": _id(event.get("i", number)),
        "sequence": _id(event.get("i", number)) if crypto else event.get("q", number),
        "exchange": event.get("x", 0),
        "conditions": _pack(codes),
        "side": {1: -1, 2: 1}.get(codes[0] if crypto and codes else 0, 0),
    }


def _massive_quote(event: dict[str, Any], sent: int, number: int) -> dict[str, Any]:
    return {
        "time": event["t"] * _MS,
        "received": sent,
        "bid": event["bp"],
        "bid_size": event["bs"],
        "ask": event["ap"],
        "ask_size": event["as"],
        "sequence": event.get("q", number),
        "bid_exchange": event.get("bx", event.get("x", 0)),
        "ask_exchange": event.get("ax", event.get("x", 0)),
    }


class _BinanceLine(msgspec.Struct):
    stream: str = ""  # answers to requests have none
    data: dict[str, Any] = msgspec.field(default_factory=dict)


def _binance(lines: list[bytes]) -> list[Reading]:
    decode = msgspec.json.Decoder(_BinanceLine).decode
    trades: dict[str, list[Any]] = {}
    quotes: dict[str, list[Any]] = {}
    for number, line in enumerate(lines):
        if not _BINANCE.match(line):
            continue  # the head of a capture may hold a handshake
        sent, text = int(line[:19]), decode(line[20:])
        event = text.data
        if event.get("e") in ("trade", "aggTrade"):
            trades.setdefault(event["s"], []).append(_binance_trade(event, sent))
        elif text.stream.endswith("@bookTicker"):
            row = {"time": sent, "received": sent, "sequence": event.get("u", number)}
            row |= {"bid": float(event["b"]), "bid_size": float(event["B"])}
            row |= {"ask": float(event["a"]), "ask_size": float(event["A"])}
            quotes.setdefault(event["s"], []).append(row | {"bid_exchange": 1, "ask_exchange": 1})
    return [
        Reading(_pair(ticker), _rows(trades.get(ticker, []), TRADE), _rows(some, QUOTE))
        for ticker, some in ({name: quotes.get(name, []) for name in {*trades, *quotes}}).items()
    ]


def _binance_trade(event: dict[str, Any], sent: int) -> dict[str, Any]:
    number = event["t"] if event["e"] == "trade" else event["a"]
    sold = bool(event["m"])  # the buyer was waiting, so the taker sold
    return {
        "time": event["T"] * _MS,
        "received": sent,
        "price": float(event["p"]),
        "size": float(event["q"]),
        "id": number,
        "sequence": number,
        "exchange": 1,
        "conditions": 1 if sold else 2,
        "side": -1 if sold else 1,
    }


def _pair(ticker: str) -> str:
    """Return our spelling of an exchange's pair; a dollar coin counts as the dollar."""
    symbol = canonical(f"X:{ticker}")
    return re.sub(r"-(USDT|USDC|FDUSD)$", "-USD", symbol)


def _lean(path: Path) -> Reading:
    match = _LEAN.search(path.name.lower())
    assert match is not None
    midnight = day_bounds(date(int(match[1]), int(match[2]), int(match[3])))[0]
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0])
    names = ["ms", "price", "size", "exchange", "flags", "suspicious"]
    table = pd.read_csv(BytesIO(text), header=None, names=names, dtype={"flags": str})
    rows = np.zeros(len(table), TRADE)
    # Milliseconds of wall time: on a day the clocks change they differ from those passed,
    # but never in the hours stocks trade.
    rows["time"] = rows["received"] = midnight + table["ms"].to_numpy(np.int64) * _MS
    rows["price"] = table["price"].to_numpy() / 10_000
    rows["size"] = table["size"].to_numpy()
    rows["exchange"] = table["exchange"].map(_VENUES).fillna(0).to_numpy(np.int16)
    flags = np.array([int(text, 16) for text in table["flags"]], np.int64)
    rows["conditions"] = _lean_conditions(flags, rows["size"])
    rows["sequence"] = rows["id"] = np.arange(1, len(table) + 1)
    return Reading(canonical(path.parent.name.upper()), trades=rows)


def _lean_conditions(flags: Any, size: Any) -> Any:
    packed, shift = np.zeros(len(flags), np.int64), np.zeros(len(flags), np.int64)
    marks = [((flags & flag) != 0, code) for flag, code in _FLAGS]
    for mask, code in [*marks, (size < 100, _ODD_LOT)]:
        fits = mask & (shift < 32)
        packed[fits] |= code << shift[fits]
        shift[fits] += 8
    return packed


def _table(table: pd.DataFrame, path: Path) -> list[Reading]:
    missing = {"time", "symbol", "price", "size"} - set(table.columns)
    if missing:
        raise TapeError(f"{path.name} has no column {', '.join(sorted(missing))}")
    return list(_split(table))


def _split(table: pd.DataFrame) -> Iterator[Reading]:
    times = table["time"]
    if not pd.api.types.is_integer_dtype(times):
        # ns are asked for: pandas else keeps the unit it finds in the text.
        times = pd.to_datetime(times, utc=True, format="ISO8601")
        times = times.dt.tz_localize(None).astype("datetime64[ns]").astype("int64")
    rows = np.zeros(len(table), TRADE)
    rows["time"] = rows["received"] = times.to_numpy(np.int64)
    rows["price"], rows["size"] = table["price"].to_numpy(), table["size"].to_numpy()
    rows["sequence"] = rows["id"] = np.arange(1, len(table) + 1)
    if "id" in table:
        rows["id"] = [_id(text) for text in table["id"]]
    if "exchange" in table:
        rows["exchange"] = [_venue(value) for value in table["exchange"]]
    if "conditions" in table:
        rows["conditions"] = [_pack(_codes(value)) for value in table["conditions"]]
    names = table["symbol"].astype(str).to_numpy()
    for name in dict.fromkeys(names.tolist()):
        yield Reading(canonical(name), trades=rows[names == name])


def _rows(items: list[dict[str, Any]], dtype: np.dtype[np.void]) -> Rows:
    rows = np.zeros(len(items), dtype)
    for name in items[0] if items else ():
        rows[name] = [item[name] for item in items]
    return rows


def _id(value: Any) -> int:
    """Return an id as a number; one that is not a number becomes its checksum."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 20 else zlib.crc32(text.encode())


def _venue(value: Any) -> int:
    text = str(value)
    return int(text) if text.isdecimal() else _VENUES.get(text.upper(), 0)


def _codes(value: Any) -> list[int]:
    text = "" if value is None or value != value else value
    parts = re.findall(r"\d+", text) if isinstance(text, str) else text
    return [int(part) for part in parts]


def _pack(codes: Any) -> int:
    packed = 0
    for position, code in enumerate(list(codes)[:4]):
        packed |= (int(code) & 255) << 8 * position
    return packed
