"""What Massive's REST interface is asked for, and what its answers mean."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import AuthError, ConfigError, DecodeError, ProviderError, WorkbenchError
from workbench.history.request import Request, request
from workbench.records import CLOSED
from workbench.sources.massive import MassiveSource
from workbench.sources.massive_rest import MassiveRest, base_seconds
from workbench.sources.source import Frame
from workbench.timeframes import timeframe

DAY = "2025-11-03"
T0 = 1_762_128_000_000  # its first ms


def wish(kind: Any = "bar", symbol: str = "AAPL", tf: str = "1m", hours: int = 1) -> Request:
    end = np.datetime64(DAY) + np.timedelta64(hours, "h")
    return request(symbol, tf, start=DAY, end=str(end), kind=kind)


def bar(minute: int, **more: Any) -> dict[str, Any]:
    return {"t": T0 + 60_000 * minute, "o": 1.0, "h": 2.0, "l": 0.5, "c": 1.5, "v": 10} | more


def body(results: Any = None, **more: Any) -> bytes:
    page: dict[str, Any] = {"status": "OK"}
    if results is not None:
        page |= {"results": results, "resultsCount": len(results)}
    return json.dumps(page | more).encode()


@pytest.mark.parametrize(
    ("name", "path", "base"),
    [
        ("5s", "5/second", 1),
        ("1m", "1/minute", 60),
        ("90s", "90/second", 1),
        ("4h", "4/hour", 60),
        ("1d", "1/day", 86_400),
        ("1w", "1/week", 86_400),
    ],
)
def test_bars_are_asked_for_in_the_providers_units(name: str, path: str, base: int) -> None:
    wanted = Request("AAPL", "bar", timeframe(name), T0 * 10**6, (T0 + 3_600_000) * 10**6)
    call = MassiveRest().first(wanted)
    assert call.path == f"/v2/aggs/ticker/AAPL/range/{path}/{T0}/{T0 + 3_599_999}"
    assert call.params == {"adjusted": "true", "sort": "asc", "limit": "50000"}
    assert base_seconds(timeframe(name)) == base


def test_the_newest_bars_are_asked_for_in_base_bars() -> None:
    call = MassiveRest(adjusted=False).first(wish(tf="5m"), newest=3)
    assert call.params == {"adjusted": "false", "sort": "desc", "limit": "20"}
    assert MassiveRest().first(wish(), newest=10**9).params["limit"] == "50000"


def test_ticks_are_asked_for_by_ns() -> None:
    call = MassiveRest().first(wish("trade", "BTC-USD"))
    assert call.path == "/v3/trades/X:BTCUSD"
    assert call.params["timestamp.gte"] == f"{T0}000000"
    assert call.params["timestamp.lt"] == f"{T0 + 3_600_000}000000"
    assert (call.params["order"], call.params["limit"]) == ("asc", "50000")
    assert MassiveRest().first(wish("quote", "BRK/B"), newest=7).path == "/v3/quotes/C:BRKB"
    assert MassiveRest().first(wish("quote", "I:^X"), newest=7).path == "/v3/quotes/I:%5EX"


def test_the_time_that_is_kept_has_to_lie_in_the_range() -> None:
    # A live trade is known by its ms: one that is told exactly must be in the same range.
    begin, end = T0 * 10**6 + 400_000, (T0 + 5) * 10**6 + 400_000
    wanted = Request("BTC-USD", "trade", None, begin, end)
    params = MassiveRest().first(wanted).params
    assert params["timestamp.gte"] == f"{T0 + 1}000000"
    assert params["timestamp.lt"] == f"{T0 + 6}000000"
    exact = [T0 * 10**6 + 600_000, (T0 + 1) * 10**6, (T0 + 5) * 10**6 + 900_000]
    rows = [{"price": 1, "size": 1, "sip_timestamp": at, "id": str(at)} for at in exact]
    page = MassiveRest().read(wanted, body(rows))
    assert page.batch.rows["time"].tolist() == [(T0 + 1) * 10**6, (T0 + 5) * 10**6]
    assert page.reached == end


def test_there_are_no_quotes_of_crypto() -> None:
    with pytest.raises(ConfigError, match="no quotes of crypto"):
        MassiveRest().first(wish("quote", "BTC-USD"))


def test_bars_become_rows_of_origin_one() -> None:
    rest = MassiveRest()
    rest.table.id("OTHER")
    page = rest.read(wish(), body([bar(0, vw=1.25, n=4), bar(2)]))
    rows = page.batch.rows
    assert rows["time"].tolist() == [T0 * 10**6, (T0 + 120_000) * 10**6]
    assert rows["vwap"].tolist() == [1.25, 4 / 3]
    assert rows["notional"].tolist() == [12.5, 4 / 3 * 10]
    assert rows["count"].tolist() == [4, 0]
    for name, value in (("origin", 1), ("state", CLOSED), ("timeframe", 60), ("symbol", 1)):
        assert set(rows[name].tolist()) == {value}
    assert page.batch.timeframe == timeframe("1m")
    assert (page.next, page.reached) == (None, wish().end)


@pytest.mark.parametrize("ms", [18_446_744_073_709, 10**15, 10**18])
def test_a_time_in_another_unit_is_not_taken_for_one_of_this_age(ms: int) -> None:
    with pytest.raises(DecodeError, match="a time is none"):
        MassiveRest().read(wish(), body([bar(0) | {"t": ms}]))


def test_a_page_with_a_next_one_reaches_to_the_end_of_its_last_bar() -> None:
    page = MassiveRest().read(wish(), body([bar(0), bar(5)], next_url="http://x/y"))
    assert page.reached == (T0 + 360_000) * 10**6
    empty = MassiveRest().read(wish(), body([], next_url="http://x/y"))
    assert (empty.reached, empty.next) == (wish().start, "http://x/y")
    trades = [{"price": 1, "size": 1, "sip_timestamp": T0 * 10**6 + 17}]
    page = MassiveRest().read(wish("trade"), body(trades, next_url="http://x/y"))
    assert page.reached == T0 * 10**6  # more may share its ms


def test_bars_beyond_the_range_are_left_out() -> None:
    page = MassiveRest().read(wish(), body([bar(-1), bar(0), bar(59), bar(60)]))
    assert len(page.batch) == 2


def test_pages_read_backward_are_turned_round() -> None:
    page = MassiveRest().read(wish(), body([bar(3), bar(2), bar(1)]), backward=True)
    assert np.diff(page.batch.rows["time"]).tolist() == [60 * 10**9] * 2


def test_no_results_is_empty_only_if_the_provider_counts_none() -> None:
    assert len(MassiveRest().read(wish(), body(resultsCount=0)).batch) == 0
    for wrong in (
        body(),
        body(resultsCount=3),
        body(results=None, resultsCount=0).replace(b"}", b', "results": null}'),
        body([bar(0)], resultsCount=2),
    ):
        with pytest.raises(DecodeError):
            MassiveRest().read(wish(), wrong)
    with pytest.raises(DecodeError, match="no results"):
        MassiveRest().read(wish("trade"), body(resultsCount=0))


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"<html>busy</html>",
        b"\xff\xfe",
        b"{}",
        body([bar(0), bar(1)])[:-30],
        body([bar(1), bar(0)]),
        body([bar(0, t=1 << 62)]).replace(str(1 << 62).encode(), b"9" * 30),
    ],
)
def test_what_is_no_page_is_a_decode_error(wrong: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        MassiveRest().read(wish(), wrong)
    assert (caught.value.symbol, caught.value.source) == ("AAPL", "massive")


def test_a_refusal_in_a_good_answer_is_a_refusal() -> None:
    with pytest.raises(ProviderError, match="maximum requests") as caught:
        MassiveRest().read(wish(), b'{"status":"ERROR","error":"maximum requests"}')
    assert caught.value.status == "ERROR"
    with pytest.raises(AuthError, match="plan"):
        MassiveRest().read(wish(), b'{"status":"NOT_AUTHORIZED","message":"plan"}')


def test_one_bad_row_does_not_cost_the_others() -> None:
    rows = [bar(0), bar(1, o=None), bar(2, h=0.1), bar(3, c="x"), bar(4, v=-1), bar(5)]
    page = MassiveRest().read(wish(), body(rows), received=7)
    assert len(page.batch) == 2
    assert sorted(r.rule for r in page.rejects) == ["malformed", "malformed", "price", "price"]
    assert all(r.received == 7 and r.raw for r in page.rejects)


def test_trades_have_the_keys_that_the_socket_gives_them() -> None:
    """The same trade by socket and by REST must be one row in the store."""
    ms = T0 + 123
    frame = {"ev": "T", "sym": "AAPL", "x": 4, "i": "52983", "p": 101.5, "s": 7}
    frame |= {"c": [12, 37], "t": ms, "q": 991}
    event = {"conditions": [12, 37], "exchange": 4, "id": "52983", "price": 101.5, "size": 7}
    event |= {"sip_timestamp": ms * 10**6 + 456_789, "sequence_number": 991, "tape": 1}
    event |= {"participant_timestamp": ms * 10**6}
    live = MassiveSource("stocks").decode([Frame(5, json.dumps([frame]).encode())])
    page = MassiveRest().read(wish("trade"), body([event]), received=5)
    assert page.batch.rows.tolist() == live.batches[0].rows.tolist()

    pair = {"ev": "XT", "pair": "BTC-USD", "p": 64_000.5, "t": ms, "s": 0.25, "c": [2]}
    pair |= {"i": "77", "x": 1}
    event = {"conditions": [2], "exchange": 1, "id": "77", "price": 64_000.5, "size": 0.25}
    event |= {"participant_timestamp": ms * 10**6}
    live = MassiveSource("crypto").decode([Frame(5, json.dumps([pair]).encode())])
    page = MassiveRest().read(wish("trade", "BTC-USD"), body([event]), received=5)
    assert page.batch.rows.tolist() == live.batches[0].rows.tolist()


def test_quotes_have_the_keys_that_the_socket_gives_them() -> None:
    frame = {"ev": "Q", "sym": "AAPL", "bx": 4, "bp": 1.0, "bs": 3, "ax": 7, "ap": 1.5, "as": 2}
    frame |= {"t": T0, "q": 50385480, "z": 3}
    event = {"bid_exchange": 4, "bid_price": 1.0, "bid_size": 3, "ask_exchange": 7}
    event |= {"ask_price": 1.5, "ask_size": 2, "sip_timestamp": T0 * 10**6 + 9}
    event |= {"sequence_number": 50385480}
    live = MassiveSource("stocks").decode([Frame(5, json.dumps([frame]).encode())])
    page = MassiveRest().read(wish("quote"), body([event]), received=5)
    assert page.batch.rows.tolist() == live.batches[0].rows.tolist()


def test_trades_taken_back_are_left_out_and_told() -> None:
    events = [
        {"price": 1, "size": 1, "id": str(n), "sip_timestamp": T0 * 10**6 + n, "correction": code}
        for n, code in enumerate((0, 1, 7, 8, 10, 11, 12))
    ]
    page = MassiveRest().read(wish("trade"), body(events))
    assert page.batch.rows["id"].tolist() == [0, 1, 6]
    assert [r.rule for r in page.rejects] == ["cancelled"] * 4
    assert page.amended["id"].tolist() == [1, 2, 3, 4, 5, 6]
    assert page.codes.tolist() == [1, 7, 8, 10, 11, 12]


def test_only_trades_of_the_range_are_told_as_corrected() -> None:
    events = [
        {"price": price, "size": 1, "id": str(n), "sip_timestamp": time, "correction": 8}
        for n, (price, time) in enumerate(
            ((1, T0 * 10**6), (-1, T0 * 10**6), (1, T0 * 10**6 + 10**14))
        )
    ]
    page = MassiveRest().read(wish("trade"), body(events))
    assert page.amended["id"].tolist() == [0]
    assert not len(MassiveRest().read(wish(), body([bar(0)])).amended)


def test_trades_without_an_id_get_the_same_one_each_time() -> None:
    events = [
        {"price": 1, "size": 1, "sip_timestamp": T0 * 10**6, "sequence_number": n} for n in (5, 6)
    ]
    first, second = (MassiveRest().read(wish("trade"), body(events)).batch.rows for _ in range(2))
    assert first["id"].tolist() == second["id"].tolist()
    assert len(set(first["id"].tolist())) == 2


def test_sizes_written_as_decimals_are_taken() -> None:
    event = {"price": 1, "size": 0, "decimal_size": "0.125", "sip_timestamp": T0 * 10**6}
    assert MassiveRest().read(wish("trade"), body([event])).batch.rows["size"].tolist() == [0.125]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["bar", "trade", "quote"]),
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(["status", "results", "t", "o", "price", "next_url", "id"]),
                    inner,
                    max_size=4,
                ),
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_any_bytes_are_a_page_or_one_of_our_errors(kind: Any, data: bytes) -> None:
    try:
        page = MassiveRest().read(wish(kind), data)
    except WorkbenchError:
        return
    assert page.batch.kind == kind
