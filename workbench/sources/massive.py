"""Massive (formerly Polygon): stocks and crypto clusters of its websocket protocol."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from pydantic import SecretStr

from workbench.errors import ConfigError, UnknownSymbolError
from workbench.records import BAR, CLOSED, QUOTE, TRADE, Batch, Rows
from workbench.sources.massive_wire import (
    FRAME,
    ONE,
    PARTS,
    CryptoMinute,
    CryptoQuote,
    CryptoSecond,
    CryptoTrade,
    Minute,
    Packs,
    Quote,
    Second,
    Trade,
    WireStatus,
    decimal,
    id_number,
    sequences,
    shorts,
    times_ns,
)
from workbench.sources.source import Decoded, Frame, Reject, Status, Topic
from workbench.symbols import SymbolTable, canonical
from workbench.timeframes import Timeframe, timeframe

__all__ = ["MARKETS", "NO_ID", "MassiveSource"]

#: Prefix of a topic by market and channel.
MARKETS: dict[str, dict[str, str]] = {
    "stocks": {"trade": "T", "quote": "Q", "bar:1s": "A", "bar:1m": "AM"},
    "crypto": {"trade": "XT", "quote": "XQ", "bar:1s": "XAS", "bar:1m": "XA"},
}

#: Flag of a trade that came without an id: it cannot be told from a repeat of itself.
NO_ID = 1

_TICKER = re.compile(rb'"(?:sym|pair)"\s*:\s*"([^"\\]{1,32})"')
_RAW = 1000
_DETAIL = 200
#: What the decoder raises for bytes that are not the protocol's.
_WRONG = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_STATUS = {
    "connected": "greeting",
    "auth_success": "ready",
    "auth_failed": "fatal",
    "auth_timeout": "kicked",
    "max_connections": "displaced",
    "slow_consumer": "kicked",
    "force_disconnect": "kicked",
    "error": "refused",
}


class _Numbers(dict[str, int]):
    """Numbers of the provider's tickers, asked of the table once each; -1 if misspelled."""

    def __init__(self, table: SymbolTable) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, ticker: str) -> int:
        try:
            number = self._table.id(canonical(ticker))
        except UnknownSymbolError:
            return -1
        self[ticker] = number
        return number


class MassiveSource:
    """Speak Massive's websocket protocol for one of its clusters.

    Parameters
    ----------
    market : str
        "stocks" or "crypto".
    base : str
        Websocket base address, such as "wss://socket.massive.com".
    key : str or SecretStr
        API key; never shown by repr.
    table : SymbolTable or None
        Numbers for symbols; None makes a table of its own.
    name : str
        What the source is called where it is not Massive itself: "sim".

    Examples
    --------
    >>> source = MassiveSource("crypto", key="k")
    >>> source.subscribe([Topic("BTC-USD", "trade"), Topic("ETH-USD", "bar:1m")])
    ['{"action":"subscribe","params":"XT.BTC-USD,XA.ETH-USD"}']
    >>> frame = b'[{"ev":"XT","pair":"BTC-USD","p":64000.5,"s":0.1,"t":1723161255342,"i":"7"}]'
    >>> batch = source.decode([Frame(1723161255400_000000, frame)]).batches[0]
    >>> batch.kind, batch.rows["price"].tolist(), batch.rows["time"].tolist()
    ('trade', [64000.5], [1723161255342000000])
    """

    def __init__(
        self,
        market: str,
        *,
        base: str = "wss://socket.massive.com",
        key: str | SecretStr = "",
        table: SymbolTable | None = None,
        name: str = "massive",
    ) -> None:
        self.name = name
        if market not in MARKETS:
            raise ConfigError(
                f"{name} has no market {market!r} here; there is {', '.join(MARKETS)}",
                source=self.name,
            )
        self.market = market
        self.url = f"{base.rstrip('/')}/{market}"
        self.table = SymbolTable() if table is None else table
        self._key = key if isinstance(key, SecretStr) else SecretStr(key)
        self._channels = MARKETS[market]
        self._numbers = _Numbers(self.table)
        self._packs = Packs()
        self._unnamed = 0  # trades without an id get numbers of their own

    def __repr__(self) -> str:
        return f"MassiveSource({self.market!r}, url={self.url!r})"

    def hello(self) -> list[str]:
        """Return nothing: the provider speaks first."""
        return []

    def replies(self, statuses: Sequence[Status]) -> list[str]:
        """Return the login once the provider has greeted."""
        if any(status.kind == "greeting" for status in statuses):
            return [_message("auth", self._key.get_secret_value())]
        return []

    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        """Return the frame that subscribes to topics."""
        return self._action("subscribe", topics)

    def unsubscribe(self, topics: Iterable[Topic]) -> list[str]:
        """Return the frame that gives topics up."""
        return self._action("unsubscribe", topics)

    def _action(self, action: str, topics: Iterable[Topic]) -> list[str]:
        names = [self.topic_name(topic) for topic in topics]
        return [_message(action, ",".join(names))] if names else []

    def topic_name(self, topic: Topic) -> str:
        """Return the provider's name of a topic: "XT.BTC-USD"; ValueError if it has none."""
        prefix = self._channels.get(topic.channel)
        if prefix is None:
            raise ValueError(f"channel {topic.channel!r} is not one of {', '.join(self._channels)}")
        return f"{prefix}.{topic.symbol}"

    def decode(self, frames: Sequence[Frame]) -> Decoded:
        """Turn frames into rows, statuses and refusals; never raises for what they hold."""
        decoded = Decoded()
        groups: dict[type, tuple[list[Any], list[int], list[int]]] = {}
        for frame in frames:
            try:
                events = FRAME.decode(frame.data)
            except _WRONG:
                events = self._salvage(frame, decoded)
            if len(events) == 1:  # most frames of a slow market: each step counts
                kinds: Collection[type] = (type(events[0]),)
            else:
                kinds = dict.fromkeys(map(type, events))  # in order of appearance
            for kind in kinds:
                some = events
                if len(kinds) > 1:
                    some = [e for e in events if type(e) is kind]
                group = groups.get(kind)
                if group is None:
                    group = groups[kind] = ([], [], [])
                group[0].extend(some)
                group[1].append(frame.received)
                group[2].append(len(some))
        for kind, (events, received, counts) in groups.items():
            if kind is WireStatus:
                decoded.statuses.extend(map(_status, events))
                continue
            times = np.repeat(np.array(received, np.int64), counts)
            rows, tf = self._rows(kind, events, times)
            rows = self._named(rows, events, decoded)
            if len(rows):
                decoded.batches.append(Batch(_KIND[kind], rows, tf))
        return decoded

    def _salvage(self, frame: Frame, decoded: Decoded) -> list[Any]:
        """Decode a frame event by event, so that one bad event does not cost the others."""
        try:
            parts = PARTS.decode(frame.data)
        except _WRONG as error:
            detail = f"not a list: {error}"[:_DETAIL]
            decoded.rejects.append(
                Reject("malformed", detail, bytes(frame.data[:_RAW]), frame.received)
            )
            return []
        events = []
        for part in parts:
            try:
                events.append(ONE.decode(part))
            except _WRONG as error:
                text, raw = str(error), bytes(part)[:_RAW]
                reject = Reject(_rule(text), text[:_DETAIL], raw, frame.received, _whose(raw))
                decoded.rejects.append(reject)
        return events

    def _rows(
        self, kind: type, events: list[Any], received: npt.NDArray[np.int64]
    ) -> tuple[Rows, Timeframe | None]:
        if kind is Trade or kind is CryptoTrade:
            return self._trades(events, received, stocks=kind is Trade), None
        if kind is Quote or kind is CryptoQuote:
            return self._quotes(events, received, stocks=kind is Quote), None
        tf = timeframe("1s" if kind in (Second, CryptoSecond) else "1m")
        return self._bars(events, tf, stocks=kind in (Second, Minute)), tf

    def _trades(self, events: list[Any], received: npt.NDArray[np.int64], stocks: bool) -> Rows:
        rows = np.zeros(len(events), TRADE)
        numbers = self._numbers
        rows["received"] = received
        rows["price"] = [e.p for e in events]
        rows["exchange"] = shorts([e.x for e in events])
        ids = [e.i for e in events]
        try:
            rows["id"] = list(map(int, ids))
        except (ValueError, OverflowError, TypeError):
            ids = ["" if i is None else i for i in ids]
            rows["id"] = [id_number(i) for i in ids]
        if "" in ids:
            self._name(rows, ids)
        rows["time"] = times_ns([e.t for e in events])
        if stocks:
            rows["symbol"] = [numbers[e.sym] for e in events]
            rows["size"] = [e.s if e.ds is None else decimal(e.ds) for e in events]
            rows["sequence"] = sequences([e.q for e in events])
            packs = self._packs
            rows["conditions"] = [packs[e.c] for e in events]
            unnumbered = (rows["sequence"] == 0) & (rows["flags"] & NO_ID != 0)
            rows["sequence"][unnumbered] = rows["id"][unnumbered]
        else:
            rows["symbol"] = [numbers[e.pair] for e in events]
            rows["size"] = [e.s for e in events]
            rows["sequence"] = rows["id"]
            codes = [e.c[0] if e.c else 0 for e in events]
            rows["conditions"] = shorts(codes)
            rows["side"] = [_SIDE.get(code, 0) for code in codes]
        return rows

    def _name(self, rows: Rows, ids: list[str | int]) -> None:
        """Number the trades that came without an id, so that none is taken for another."""
        for row, i in enumerate(ids):
            if i == "":
                self._unnamed += 1
                rows["id"][row] = (1 << 63) | self._unnamed
                rows["flags"][row] |= NO_ID

    def _quotes(self, events: list[Any], received: npt.NDArray[np.int64], stocks: bool) -> Rows:
        rows = np.zeros(len(events), QUOTE)
        numbers = self._numbers
        rows["received"] = received
        rows["time"] = times_ns([e.t for e in events])
        rows["bid"] = [e.bp for e in events]
        rows["ask"] = [e.ap for e in events]
        rows["bid_size"] = [e.bs for e in events]
        rows["ask_size"] = [e.as_ for e in events]
        if stocks:
            rows["symbol"] = [numbers[e.sym] for e in events]
            rows["sequence"] = sequences([e.q for e in events])
            rows["bid_exchange"] = shorts([e.bx for e in events])
            rows["ask_exchange"] = shorts([e.ax for e in events])
        else:
            rows["symbol"] = [numbers[e.pair] for e in events]
            rows["bid_exchange"] = rows["ask_exchange"] = shorts([e.x for e in events])
        return rows

    def _bars(self, events: list[Any], tf: Timeframe, stocks: bool) -> Rows:
        rows = np.zeros(len(events), BAR)
        numbers = self._numbers
        rows["symbol"] = [numbers[e.sym if stocks else e.pair] for e in events]
        rows["time"] = times_ns([e.s for e in events])
        for column, name in (("open", "o"), ("high", "h"), ("low", "l"), ("close", "c")):
            rows[column] = [getattr(e, name) for e in events]
        rows["volume"] = [e.v for e in events]
        rows["vwap"] = [e.vw or (e.h + e.l + e.c) / 3 for e in events]
        with np.errstate(over="ignore"):  # the gate refuses it
            rows["notional"] = rows["vwap"] * rows["volume"]
        # The provider tells the mean trade size, not the number of trades.
        rows["count"] = [
            round(e.v / e.z) if e.z > 0 and 0 <= e.v / e.z < 1e15 else 0 for e in events
        ]
        rows["timeframe"] = tf.seconds
        rows["state"] = CLOSED
        rows["origin"] = 1
        return rows

    def _named(self, rows: Rows, events: list[Any], decoded: Decoded) -> Rows:
        """Drop rows whose ticker no market could have, keeping each as a refusal."""
        bad = rows["symbol"] < 0
        if not bad.any():
            return rows
        for row in np.flatnonzero(bad):
            raw = msgspec.json.encode(events[row])[:_RAW]
            time = int(rows["received"][row]) if "received" in rows.dtype.names else 0  # type: ignore[operator]
            decoded.rejects.append(Reject("symbol", "not a ticker", raw, time))
        return rows[~bad]


_KIND: dict[type, Any] = {
    Trade: "trade",
    CryptoTrade: "trade",
    Quote: "quote",
    CryptoQuote: "quote",
    Second: "bar",
    Minute: "bar",
    CryptoMinute: "bar",
    CryptoSecond: "bar",
}
_SIDE = {1: -1, 2: 1}


def _message(action: str, params: str) -> str:
    return msgspec.json.encode({"action": action, "params": params}).decode()


def _status(event: WireStatus) -> Status:
    word, _, topic = event.message.partition(" to: ")
    if event.status == "success" and topic and word in ("subscribed", "unsubscribed"):
        return Status(
            "subscribed" if word == "subscribed" else "unsubscribed", event.message, topic
        )
    kind: Any = _STATUS.get(event.status, "info")
    return Status(kind, event.message or event.status)


def _whose(raw: bytes) -> str | None:
    """Return the symbol that an unreadable event names."""
    named = _TICKER.search(raw)
    try:
        return None if named is None else canonical(named[1].decode("ascii", "replace"))
    except UnknownSymbolError:
        return None


def _rule(error: str) -> str:
    if "missing required field" in error:
        return "missing-field"
    if "Invalid value" in error and "$.ev" in error:
        return "unknown-event"
    return "malformed"
