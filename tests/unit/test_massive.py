"""Massive's protocol: what its events become, and what we say to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from workbench.errors import ConfigError
from workbench.records import CLOSED
from workbench.sources.massive import MARKETS, NO_ID, MassiveSource
from workbench.sources.source import Decoded, Frame, Source, Status, Topic
from workbench.symbols import SymbolTable

RECEIVED = 1_723_161_255_400_000_000
MS = 1_723_161_255_342


def decode(market: str, *events: Any, raw: bytes | None = None) -> tuple[MassiveSource, Decoded]:
    source = MassiveSource(market)
    data = json.dumps(list(events)).encode() if raw is None else raw
    return source, source.decode([Frame(RECEIVED, data)])


def row_of(market: str, event: dict[str, Any]) -> dict[str, Any]:
    """Decode one event and return its row by field."""
    _, decoded = decode(market, event)
    assert not decoded.rejects, decoded.rejects
    (batch,) = decoded.batches
    return dict(zip(batch.rows.dtype.names or (), batch.rows[0].item(), strict=True))


# -- events --------------------------------------------------------------------------


def test_stock_trade() -> None:
    event = {
        "ev": "T", "sym": "BRK.B", "x": 4, "i": "12345", "z": 3, "p": 114.125, "s": 100,
        "c": [0, 12, 37], "t": MS, "q": 3681328, "trfi": 0, "trft": 0,
    }  # fmt: skip
    row = row_of("stocks", event)
    assert row["time"] == MS * 1_000_000
    assert row["received"] == RECEIVED
    assert (row["price"], row["size"]) == (114.125, 100.0)
    assert (row["sequence"], row["id"], row["exchange"]) == (3681328, 12345, 4)
    assert row["conditions"] == 12 << 8 | 37 << 16
    assert (row["side"], row["flags"], row["symbol"]) == (0, 0, 0)


def test_decimal_size_wins_over_whole_shares() -> None:
    event = {"ev": "T", "sym": "A", "p": 1.0, "s": 1, "ds": "0.25", "t": MS}
    assert row_of("stocks", event)["size"] == 0.25


def test_stock_quote() -> None:
    event = {
        "ev": "Q", "sym": "MSFT", "bx": 4, "bp": 114.1, "bs": 100, "ax": 7, "ap": 114.2,
        "as": 160, "c": 0, "i": [604], "t": MS, "q": 50385480, "z": 3,
    }  # fmt: skip
    row = row_of("stocks", event)
    assert row["time"] == MS * 1_000_000
    assert (row["bid"], row["bid_size"], row["ask"], row["ask_size"]) == (114.1, 100, 114.2, 160)
    assert (row["bid_exchange"], row["ask_exchange"], row["sequence"]) == (4, 7, 50385480)


@pytest.mark.parametrize(
    ("market", "ev", "name", "seconds"),
    [
        ("stocks", "A", "sym", 1),
        ("stocks", "AM", "sym", 60),
        ("crypto", "XAS", "pair", 1),
        ("crypto", "XA", "pair", 60),
    ],
)
def test_provider_bars(market: str, ev: str, name: str, seconds: int) -> None:
    event = {
        "ev": ev, name: "GTE", "v": 4110, "av": 9470157, "op": 0.4372, "vw": 0.4488, "o": 0.4488,
        "c": 0.4486, "h": 0.4489, "l": 0.4485, "a": 0.4352, "z": 685, "s": MS, "e": MS + 1000,
    }  # fmt: skip
    row = row_of(market, event)
    assert row["time"] == MS * 1_000_000
    assert (row["open"], row["high"], row["low"], row["close"]) == (0.4488, 0.4489, 0.4485, 0.4486)
    assert (row["volume"], row["vwap"], row["count"]) == (4110.0, 0.4488, 6)
    assert row["notional"] == pytest.approx(0.4488 * 4110)
    assert (row["timeframe"], row["state"], row["origin"]) == (seconds, CLOSED, 1)


def test_provider_bars_without_mean_price_and_size() -> None:
    """Recorded files and the forex cluster lack vw and z."""
    event = {"ev": "XA", "pair": "BTC-USD", "o": 3, "h": 6, "l": 3, "c": 3, "v": 2, "s": MS}
    row = row_of("crypto", event)
    assert (row["vwap"], row["notional"], row["count"]) == (4.0, 8.0, 0)


def test_crypto_trade() -> None:
    event = {
        "ev": "XT", "pair": "BTC-USD", "p": 64000.5, "t": MS, "s": 0.01, "c": [2],
        "i": 191450340, "x": 1, "r": MS + 8,
    }  # fmt: skip
    row = row_of("crypto", event)
    assert (row["price"], row["size"], row["time"]) == (64000.5, 0.01, MS * 1_000_000)
    assert (row["id"], row["sequence"], row["exchange"]) == (191450340, 191450340, 1)
    assert (row["side"], row["conditions"], row["received"]) == (1, 2, RECEIVED)


@pytest.mark.parametrize(
    ("conditions", "side"),
    [([1], -1), ([2], 1), ([0], 0), ([], 0), (None, 0), ([99], 0), ([1 << 40], 0)],
)
def test_sides_of_crypto_trades(conditions: list[int] | None, side: int) -> None:
    event = {"ev": "XT", "pair": "BTC-USD", "p": 1, "t": MS, "s": 1, "c": conditions}
    assert row_of("crypto", event)["side"] == side


def test_crypto_quote() -> None:
    event = {
        "ev": "XQ", "pair": "ETH-USD", "bp": 1.5, "bs": 2, "ap": 1.6, "as": 3, "t": MS, "x": 6,
        "r": MS,
    }  # fmt: skip
    row = row_of("crypto", event)
    assert (row["bid"], row["bid_size"], row["ask"], row["ask_size"]) == (1.5, 2.0, 1.6, 3.0)
    assert (row["bid_exchange"], row["ask_exchange"]) == (6, 6)


def test_the_providers_own_samples(shared_data: Path) -> None:
    channels = json.loads((shared_data / "massive_api" / "ws_channels.json").read_text())
    samples = {
        (market, ev): channels[f"/{market}/{ev}"]["example"]
        for market, evs in (("stocks", "T Q A AM"), ("crypto", "XT XQ XA XAS"))
        for ev in evs.split()
    }
    for (market, ev), example in samples.items():
        for event in example if isinstance(example, list) else [example]:
            source, decoded = decode(market, event)
            assert not decoded.rejects, (ev, decoded.rejects)
            (batch,) = decoded.batches
            assert batch.rows["time"][0] == event.get("t", event.get("s")) * 1_000_000
            assert source.table.name(0) == event.get("sym", event.get("pair"))


# -- ids -----------------------------------------------------------------------------


@pytest.mark.parametrize("absent", [{}, {"i": ""}, {"i": None}])
@pytest.mark.parametrize(
    ("market", "ev", "name"), [("stocks", "T", "sym"), ("crypto", "XT", "pair")]
)
def test_trades_without_an_id_are_told_apart(
    absent: dict[str, Any], market: str, ev: str, name: str
) -> None:
    event = {"ev": ev, name: "A", "p": 1, "s": 1, "t": MS, **absent}
    source, decoded = decode(market, event, event, {**event, "i": "7"})
    rows = decoded.batches[0].rows
    assert len(set(rows["id"].tolist())) == 3
    assert (rows["flags"] & NO_ID).tolist() == [NO_ID, NO_ID, 0]
    assert rows["id"][2] == 7
    more = source.decode([Frame(RECEIVED, json.dumps([event]).encode())]).batches[0].rows
    assert more["id"][0] not in rows["id"]


def test_ids_of_all_sorts_in_one_frame() -> None:
    event = {"ev": "T", "sym": "A", "p": 1, "s": 1, "t": MS}
    ids = [5, "6", "a-b", -7, (1 << 63) + 1, 1 << 64, (1 << 64) - 1]
    _, decoded = decode("stocks", *({**event, "i": i} for i in ids))
    found = decoded.batches[0].rows["id"].tolist()
    assert found[0:2] == [5, 6]
    assert (found[4], found[6]) == ((1 << 63) + 1, (1 << 64) - 1)
    assert len(set(found)) == len(ids)


def test_large_ids_alone_keep_every_bit() -> None:
    event = {"ev": "T", "sym": "A", "p": 1, "s": 1, "t": MS, "i": (1 << 63) + 1}
    assert row_of("stocks", event)["id"] == (1 << 63) + 1


# -- frames that are not right -------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"", "malformed"),
        (b"not json", "malformed"),
        (b'{"ev":"T","sym":"A","p":1,"t":1}', "malformed"),
        (b"[1]", "malformed"),
        (b'[{"ev":"T","sym":"A","p":"1","t":1}]', "malformed"),
        (b'[{"ev":"T","sym":"A","p":1e999,"t":1}]', "malformed"),
        (b'[{"ev":"T","sym":"A\xff","p":1,"t":1}]', "malformed"),
        (b'[{"ev":"T","sym":"A","p":1}]', "missing-field"),
        (b'[{"sym":"A","p":1,"t":1}]', "missing-field"),
        (b'[{"ev":"LULD","T":"A","h":1,"l":1}]', "unknown-event"),
        (b'[{"ev":"' + b"Z" * 5000 + b'"}]', "unknown-event"),
        (b'[{"ev":"T","sym":"A B","p":1,"t":1}]', "symbol"),
        (b'[{"ev":"T","sym":"","p":1,"t":1}]', "symbol"),
        (b"[" * 100_000, "malformed"),
    ],
)
def test_what_is_refused_and_why(raw: bytes, rule: str) -> None:
    _, decoded = decode("stocks", raw=raw)
    assert [r.rule for r in decoded.rejects] == [rule]
    (reject,) = decoded.rejects
    assert reject.raw[:20] in raw
    assert len(reject.raw) <= 1000
    assert 0 < len(reject.detail) <= 200
    assert reject.received == RECEIVED
    assert not decoded.batches


def test_a_bad_event_does_not_cost_its_neighbours() -> None:
    good = {"ev": "T", "sym": "A", "p": 1, "s": 1, "t": MS}
    _, decoded = decode("stocks", good, {"ev": "T", "sym": "A"}, 7, good, {"ev": "?"}, good)
    assert [r.rule for r in decoded.rejects] == ["missing-field", "malformed", "unknown-event"]
    assert len(decoded.batches[0]) == 3


def test_a_frame_may_hold_several_kinds_and_symbols() -> None:
    trade = {"ev": "T", "sym": "A", "p": 1, "s": 1, "t": MS}
    quote = {"ev": "Q", "sym": "B", "t": MS, "bp": 1, "ap": 2}
    status = {"ev": "status", "status": "success", "message": "subscribed to: T.A"}
    source, decoded = decode("stocks", quote, trade, status, {**trade, "sym": "B"})
    assert [(b.kind, len(b)) for b in decoded.batches] == [("quote", 1), ("trade", 2)]
    names = [source.table.name(n) for n in decoded.batches[1].rows["symbol"]]
    assert names == ["A", "B"]
    assert decoded.statuses == [Status("subscribed", "subscribed to: T.A", "T.A")]


def test_rows_carry_the_receipt_of_their_own_frame() -> None:
    source = MassiveSource("crypto")
    event = {"ev": "XT", "pair": "BTC-USD", "p": 1, "s": 1, "t": MS}
    frames = [
        Frame(5, json.dumps([event, event]).encode()),
        Frame(6, b"broken"),
        Frame(7, json.dumps([event]).encode()),
    ]
    (batch,) = source.decode(frames).batches
    assert batch.rows["received"].tolist() == [5, 5, 7]


# -- statuses, login, topics ---------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "message", "kind", "topic"),
    [
        ("connected", "Connected Successfully", "greeting", None),
        ("auth_success", "authenticated", "ready", None),
        ("auth_failed", "authentication failed", "fatal", None),
        ("auth_timeout", "No authentication request received.", "kicked", None),
        ("max_connections", "Maximum number of websocket connections", "displaced", None),
        ("slow_consumer", "", "kicked", None),
        ("force_disconnect", "", "kicked", None),
        ("error", "not authorized", "refused", None),
        ("success", "subscribed to: T.BRK.B", "subscribed", "T.BRK.B"),
        ("success", "unsubscribed to: XT.BTC-USD", "unsubscribed", "XT.BTC-USD"),
        ("success", "something else", "info", None),
        ("unheard_of", "x", "info", None),
    ],
)
def test_statuses(status: str, message: str, kind: str, topic: str | None) -> None:
    _, decoded = decode("stocks", {"ev": "status", "status": status, "message": message})
    (found,) = decoded.statuses
    assert (found.kind, found.topic) == (kind, topic)
    assert found.text == (message or status)


def test_the_login_answers_the_greeting_only() -> None:
    source = MassiveSource("crypto", key='se"cret')
    assert source.hello() == []
    assert source.replies([Status("ready", "")]) == []
    (login,) = source.replies([Status("info", ""), Status("greeting", "")])
    assert json.loads(login) == {"action": "auth", "params": 'se"cret'}


def test_topics() -> None:
    stocks, crypto = MassiveSource("stocks"), MassiveSource("crypto")
    for source, prefixes in ((stocks, "T Q A AM"), (crypto, "XT XQ XAS XA")):
        names = [source.topic_name(Topic("S", c)) for c in ("trade", "quote", "bar:1s", "bar:1m")]
        assert names == [f"{prefix}.S" for prefix in prefixes.split()]
    frames = stocks.unsubscribe([Topic("BRK.B", "trade"), Topic("*", "bar:1m")])
    assert [json.loads(f) for f in frames] == [{"action": "unsubscribe", "params": "T.BRK.B,AM.*"}]
    assert stocks.subscribe([]) == []
    with pytest.raises(ValueError, match="bar:5m"):
        stocks.subscribe([Topic("A", "bar:5m")])


def test_no_key_is_shown() -> None:
    for key in ("s3cret", SecretStr("s3cret")):
        source = MassiveSource("crypto", key=key)
        assert "s3cret" not in repr(source) + source.url + str(vars(source))


def test_markets_and_addresses() -> None:
    source = MassiveSource("stocks", base="ws://127.0.0.1:8200/", table=SymbolTable(["SPY"]))
    assert source.url == "ws://127.0.0.1:8200/stocks"
    assert isinstance(source, Source)
    assert "SPY" in source.table
    with pytest.raises(ConfigError, match=r"stocks, crypto") as caught:
        MassiveSource("bonds")
    assert caught.value.source == "massive"
    assert set(MARKETS) == {"stocks", "crypto"}
