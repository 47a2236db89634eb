"""The provider's rules, one test per row of the protocol checklist."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_to

from workbench.clock import SystemClock
from workbench.sim.protocol import Entitlement
from workbench.sim.run import RunningSimulator, simulator

SYMBOLS = ("BTC-USD", "ETH-USD", "AAPL", "SPY")
KEYS = {
    "full": Entitlement(connections=0),
    "one": Entitlement(connections=1),
    "bars": Entitlement(channels=frozenset({"A", "AM"}), connections=0),
    "stocks": Entitlement(clusters=frozenset({"stocks"}), connections=0),
    "offline": Entitlement(websocket=False),
    "norest": Entitlement(rest=False),
    "slow": Entitlement(per_minute=2),
}
MS, SECOND, MINUTE, HOUR = 10**6, 10**9, 60 * 10**9, 3600 * 10**9
#: The longest that trades are told late, ns.
LATEST = 90 * SECOND
#: A test that was stopped for a while is not one that does not log in or answer pings.
PATIENT = {"auth_timeout": 500.0, "ping_seconds": None}
connect = partial(connect_to, open_timeout=500, ping_interval=None)


@pytest.fixture(scope="module")
def sim() -> Iterator[RunningSimulator]:
    with simulator(
        symbols=SYMBOLS, keys=KEYS, rate=40.0, late=0.01, bar_wait=0.1, **PATIENT
    ) as running:
        get(running, "/v1/marketstatus/now")  # once it answers, its market has begun
        yield running


@pytest.fixture(scope="module")
def calm() -> Iterator[RunningSimulator]:
    """Run another one with so few trades that its days are soon summed up on any machine."""
    with simulator(symbols=SYMBOLS, keys=KEYS, rate=1.0, **PATIENT) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _started_before_threads_are_counted(sim: RunningSimulator, calm: RunningSimulator) -> None:
    """Start the shared simulators outside any one test."""


def receive(socket: ClientConnection) -> list[dict[str, Any]]:
    frame = json.loads(socket.recv(timeout=300))
    assert isinstance(frame, list)
    return frame


def login(socket: ClientConnection, key: str = "full") -> list[dict[str, Any]]:
    assert receive(socket) == [
        {"ev": "status", "status": "connected", "message": "Connected Successfully"}
    ]
    socket.send(json.dumps({"action": "auth", "params": key}))
    return receive(socket)


def send(socket: ClientConnection, action: str, params: str) -> None:
    socket.send(json.dumps({"action": action, "params": params}))


def until(
    socket: ClientConnection, kind: str, count: int = 1, seconds: float = 300
) -> list[dict[str, Any]]:
    """Return the first events of a kind, statuses and others passed over."""
    found: list[dict[str, Any]] = []
    end = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < end:
        found += [event for event in receive(socket) if event["ev"] == kind]
    assert len(found) >= count, f"no {kind} in {seconds} s"
    return found


def get(sim: RunningSimulator, path: str, key: str | None = "full", **headers: str) -> Any:
    status, _, body = raw(sim, path, key, **headers)
    assert status == 200, body
    return json.loads(body)


def raw(
    sim: RunningSimulator, path: str, key: str | None = "full", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    address = urlsplit(sim.rest_url)
    client = http.client.HTTPConnection(address.hostname or "", address.port, timeout=300)
    try:
        given = {"Authorization": f"Bearer {key}"} if key else {}
        client.request(
            "GET", path, headers=given | {k.replace("_", "-"): v for k, v in headers.items()}
        )
        answer = client.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        client.close()


# 1-2: greeting and login


def test_greeting_and_login_come_alone(sim: RunningSimulator) -> None:
    with connect(f"{sim.url}/stocks") as socket:
        assert login(socket) == [
            {"ev": "status", "status": "auth_success", "message": "authenticated"}
        ]


@pytest.mark.parametrize("key", ["nobody", "", "offline"])
def test_refused_login_is_told_and_closed_with_1008(sim: RunningSimulator, key: str) -> None:
    with connect(f"{sim.url}/stocks") as socket:
        (status,) = login(socket, key)
        assert status["status"] == "auth_failed"
        if key != "offline":
            assert status["message"] == "authentication failed"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=300)
        assert socket.close_code == 1008


def test_cluster_outside_the_plan_is_refused(sim: RunningSimulator) -> None:
    with connect(f"{sim.url}/crypto") as socket:
        assert login(socket, "stocks")[0]["status"] == "auth_failed"


def test_subscribing_before_the_login_needs_it(sim: RunningSimulator) -> None:
    with connect(f"{sim.url}/stocks") as socket:
        receive(socket)
        send(socket, "subscribe", "T.AAPL")
        assert receive(socket)[0]["status"] == "auth_required"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"action":5}', '{"action":"dance"}', "nul"])
def test_nonsense_is_answered_and_survived(sim: RunningSimulator, text: str) -> None:
    with connect(f"{sim.url}/stocks") as socket:
        login(socket)
        socket.send(text)
        assert receive(socket)[0]["status"] == "error"
        send(socket, "subscribe", "T.AAPL")
        assert receive(socket)[0]["status"] == "success"


# 3-6: topics


def test_acks_share_a_frame_and_data_frames_hold_several_events(
    sim: RunningSimulator, poll_for: Callable[..., None]
) -> None:
    with connect(f"{sim.url}/stocks") as socket:
        login(socket)
        send(socket, "subscribe", "T.AAPL, Q.AAPL")
        assert [event["message"] for event in receive(socket)] == [
            "subscribed to: T.AAPL",
            "subscribed to: Q.AAPL",
        ]
        poll_for(lambda: len(receive(socket)) > 1, 300)


def test_acks_one_per_frame() -> None:
    with (
        simulator(symbols=("AAPL",), batched=False, **PATIENT) as sim,
        connect(f"{sim.url}/stocks") as socket,
    ):
        login(socket)
        send(socket, "subscribe", "AM.AAPL,AM.XYZ")
        assert [len(receive(socket)), len(receive(socket))] == [1, 1]


def test_odd_topics(sim: RunningSimulator) -> None:
    with connect(f"{sim.url}/stocks") as socket:
        login(socket)
        # Unknown channel and no dot: silence. Unknown tickers: acknowledged.
        send(socket, "subscribe", "ZZ.AAPL,AAPL,, T.BRK.B ,LULD.SPY,T.")
        assert [event["message"] for event in receive(socket)] == [
            "subscribed to: T.BRK.B",
            "subscribed to: LULD.SPY",
        ]
        send(socket, "subscribe", "T.BRK.B")  # held already: silence
        send(socket, "unsubscribe", "T.BRK.B,T.NEVER")
        assert [event["message"] for event in receive(socket)] == [
            "unsubscribed to: T.BRK.B",
            "unsubscribed to: T.NEVER",
        ]


@pytest.mark.parametrize(("cluster", "channel"), [("stocks", "T"), ("crypto", "XT")])
def test_wildcard_and_unsubscribing(
    sim: RunningSimulator, poll_for: Callable[..., None], cluster: str, channel: str
) -> None:
    field = "sym" if cluster == "stocks" else "pair"
    every = {"AAPL", "SPY"} if cluster == "stocks" else {"BTC-USD", "ETH-USD"}
    seen: set[str] = set()

    def all_seen() -> bool:
        seen.update(event[field] for event in until(socket, channel, 200))
        return seen >= every

    with connect(f"{sim.url}/{cluster}") as socket:
        login(socket)
        send(socket, "subscribe", f"{channel}.*")
        receive(socket)
        poll_for(all_seen, 300)  # one is made ready before the other
        assert seen == every
        send(socket, "unsubscribe", f"{channel}.*")
        while receive(socket)[0]["ev"] != "status":
            pass
        # The market went on for a second, and what comes next is the answer to this.
        since = sim.position
        poll_for(lambda: sim.position > since + SECOND, 300)
        send(socket, "unsubscribe", f"{channel}.NEVER")
        assert receive(socket)[0]["message"] == f"unsubscribed to: {channel}.NEVER"


def test_unsubscribing_one_keeps_the_other(sim: RunningSimulator) -> None:
    with connect(f"{sim.url}/stocks") as socket:
        login(socket)
        send(socket, "subscribe", "T.AAPL,T.SPY")
        receive(socket)
        until(socket, "T", 20)
        send(socket, "unsubscribe", "T.AAPL")
        while receive(socket)[0]["ev"] != "status":
            pass
        assert {event["sym"] for event in until(socket, "T", 20)} == {"SPY"}


def test_limited_key_is_told_per_topic(sim: RunningSimulator) -> None:
    with connect(f"{sim.url}/stocks") as socket:
        login(socket, "bars")
        send(socket, "subscribe", "T.AAPL,AM.AAPL,Q.AAPL")
        assert [(event["status"], event["message"]) for event in receive(socket)] == [
            ("error", "not authorized"),
            ("success", "subscribed to: AM.AAPL"),
            ("error", "not authorized"),
        ]


# 7: units


def test_units_of_time(sim: RunningSimulator) -> None:
    with connect(f"{sim.url}/crypto") as socket:
        login(socket)
        before = sim.position // MS
        send(socket, "subscribe", "XT.BTC-USD,XQ.BTC-USD,XAS.BTC-USD")
        trade = until(socket, "XT")[0]
        assert set(trade) == {"ev", "pair", "p", "t", "s", "i", "x", "r", "c"}
        assert before <= trade["r"] <= time.time_ns() // MS
        assert trade["r"] - LATEST // MS <= trade["t"] <= trade["r"]
        quote = until(socket, "XQ")[0]
        assert set(quote) == {"ev", "pair", "bp", "bs", "ap", "as", "t", "x", "r"}
        assert quote["bp"] < quote["ap"]
        second = until(socket, "XAS")[0]
        assert set(second) == {"ev", "pair", "o", "c", "h", "l", "v", "s", "e", "vw", "z"}
        assert second["e"] - second["s"] == 1000
        assert second["s"] % 1000 == 0
    page = get(sim, "/v3/trades/X:BTC-USD?limit=1")["results"][0]
    assert trade["t"] * MS <= page["participant_timestamp"] <= time.time_ns()
    bar = get(sim, "/v2/aggs/ticker/X:BTCUSD/range/1/minute/0/9999999999999?sort=desc&limit=1")
    assert trade["t"] // 60_000 * 60_000 <= bar["results"][0]["t"] <= time.time_ns() // MS


def test_fields_of_stock_events(sim: RunningSimulator) -> None:
    with connect(f"{sim.url}/stocks") as socket:
        login(socket)
        send(socket, "subscribe", "T.AAPL,Q.AAPL,A.AAPL")
        required = {"ev", "sym", "x", "i", "z", "p", "s", "t", "q"}
        for trade in until(socket, "T", 50):
            assert required <= set(trade) <= required | {"c", "trfi", "trft"}
            assert trade.get("c") != []
            assert isinstance(trade["s"], int)
            assert isinstance(trade["i"], str)
        quote = until(socket, "Q")[0]
        names = {"ev", "sym", "bx", "bp", "bs", "ax", "ap", "as", "c", "t", "q", "z"}
        assert set(quote) == names
        second = until(socket, "A")[0]
        names = {"ev", "sym", "v", "av", "op", "vw", "o", "c", "h", "l", "a", "z", "s", "e"}
        assert set(second) == names
        assert second["av"] >= second["v"]


# 8, 9: places and drops


def test_older_connection_gives_way(sim: RunningSimulator) -> None:
    with connect(f"{sim.url}/stocks") as old:
        login(old, "one")
        with connect(f"{sim.url}/stocks") as new:
            login(new, "one")
            (status,) = receive(old)
            assert status["status"] == "max_connections"
            with pytest.raises(ConnectionClosed):
                old.recv(timeout=300)
            assert old.close_code == 1008
            send(new, "subscribe", "T.SPY")
            assert receive(new)[0]["status"] == "success"
            # Another cluster has a place of its own.
            with connect(f"{sim.url}/crypto") as other:
                login(other, "one")
                send(new, "subscribe", "T.AAPL")
                assert until(new, "T")


def test_dropped_connection_can_come_back(sim: RunningSimulator) -> None:
    for _ in range(2):
        with connect(f"{sim.url}/stocks") as socket:
            login(socket)
            send(socket, "subscribe", "T.SPY")
            assert until(socket, "T")
            sim.drop()
            with pytest.raises(ConnectionClosed):
                until(socket, "never")
            assert socket.close_code is None or socket.close_code == 1006


# 10-13: REST


def pages(sim: RunningSimulator, path: str) -> Iterator[dict[str, Any]]:
    while True:
        body = get(sim, path)
        yield body
        if "next_url" not in body:
            return
        parts = urlsplit(body["next_url"])
        assert "full" not in body["next_url"]
        assert "apikey" not in body["next_url"].lower()
        path = f"{parts.path}?{parts.query}"


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize(
    ("span", "limit"), [("1/minute", 7), ("5/minute", 7), ("1/hour", 100), ("3/minute", 1)]
)
def test_pages_of_bars_make_the_whole(
    sim: RunningSimulator, sort: str, span: str, limit: int
) -> None:
    # Trades are told up to 90 s late: of an hour that has just ended more may come.
    end = (sim.position // HOUR - 1) * 3_600_000
    start = end - (3 if "hour" in span else 1) * 3_600_000
    path = f"/v2/aggs/ticker/AAPL/range/{span}/{start}/{end - 1}"
    whole = get(sim, f"{path}?limit=50000&sort={sort}")["results"]
    bodies = list(pages(sim, f"{path}?limit={limit}&sort={sort}"))
    joined = [bar for body in bodies for bar in body.get("results", [])]
    assert joined == whole
    assert [bar["t"] for bar in whole] == sorted(
        {bar["t"] for bar in whole}, reverse=sort == "desc"
    )
    assert len(bodies) > 1
    for body in bodies:
        assert body["resultsCount"] == body["count"] == len(body.get("results", []))


def test_limit_counts_base_bars(sim: RunningSimulator) -> None:
    start = (sim.position // HOUR - 3) * 3_600_000
    path = f"/v2/aggs/ticker/X:BTCUSD/range/1/hour/{start}/{start + 7_199_999}"
    body = get(sim, f"{path}?limit=100")
    assert len(body["results"]) == 1
    assert body["queryCount"] <= 100
    cursor = dict(parse_qsl(urlsplit(body["next_url"]).query))["cursor"]
    decoded = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    assert "limit=100" in decoded
    assert "sort=asc" in decoded
    assert str(start + 3_600_000) in body["next_url"]


def test_bars_are_made_of_the_trades(sim: RunningSimulator) -> None:
    # By how far the market was sent, which may be behind the clock: nothing more comes of this.
    start = (sim.position // MINUTE - 5) * 60_000
    body = get(sim, f"/v2/aggs/ticker/AAPL/range/1/minute/{start}/{start}")
    (bar,) = body["results"]
    low, high = start * 10**6, (start + 60_000) * 10**6
    query = f"timestamp.gte={low}&timestamp.lt={high}&order=asc&limit=50000"
    trades = get(sim, f"/v3/trades/AAPL?{query}")["results"]
    prices = [trade["price"] for trade in trades]
    assert (bar["o"], bar["h"], bar["l"], bar["c"]) == (
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
    )
    assert bar["v"] == sum(trade["size"] for trade in trades)
    assert bar["n"] == len(trades)


def test_days_are_eastern(sim: RunningSimulator) -> None:
    body = get(sim, "/v2/aggs/ticker/AAPL/range/1/day/2026-03-05/2026-03-12?adjusted=false")
    hours = [bar["t"] // 3_600_000 % 24 for bar in body.get("results", [])]
    assert set(hours) <= {4, 5}
    assert body["adjusted"] is False


def test_nothing_found_has_no_results_key(sim: RunningSimulator) -> None:
    for ticker in ("NOPE", "BTC-USD", "X:NOPE"):
        body = get(sim, f"/v2/aggs/ticker/{ticker}/range/1/day/2026-01-05/2026-01-06")
        assert "results" not in body
        assert body["resultsCount"] == 0
        assert body["status"] == "OK"
    assert "results" not in get(sim, "/v2/aggs/ticker/AAPL/range/1/day/1999-01-05/1999-01-06")


def test_error_bodies(sim: RunningSimulator) -> None:
    path = "/v2/last/trade/AAPL"
    status, _, body = raw(sim, path, None)
    assert (status, json.loads(body)["error"]) == (401, "API Key was not provided")
    status, _, body = raw(sim, path, "nobody")
    assert (status, json.loads(body)["error"]) == (401, "Unknown API Key")
    assert set(json.loads(body)) == {"status", "request_id", "error"}
    status, _, body = raw(sim, path, "norest")
    refusal = json.loads(body)
    assert (status, refusal["status"]) == (403, "NOT_AUTHORIZED")
    assert set(refusal) == {"status", "request_id", "message"}
    status, _, body = raw(sim, "/v1/last/crypto/BTC/USD", "stocks")
    assert status == 403
    for missing in ("/v2/last/trade/NOPE", "/v9/anything", "/"):
        status, _, body = raw(sim, missing)
        assert (status, json.loads(body)["status"]) == (404, "NOT_FOUND")


class Pushed(SystemClock):
    """The machine's clock, which a test can put forward."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


def test_too_many_requests_then_success() -> None:
    clock, path = Pushed(), "/v2/last/trade/AAPL"
    with simulator(symbols=("AAPL",), keys=KEYS, rate_window=3600.0, clock=clock) as sim:
        answers = [raw(sim, path, "slow") for _ in range(3)]
        assert [status for status, _, _ in answers] == [200, 200, 429]
        assert json.loads(answers[2][2])["error"].startswith(
            "You've exceeded the maximum requests per minute"
        )
        clock.ahead = 3601.0
        assert raw(sim, path, "slow")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v2/aggs/ticker/AAPL/range/0/minute/2026-01-05/2026-01-06",
        "/v2/aggs/ticker/AAPL/range/1/fortnight/2026-01-05/2026-01-06",
        "/v2/aggs/ticker/AAPL/range/1/minute/yesterday/2026-01-06",
        "/v2/aggs/ticker/AAPL/range/1/minute/2026-02-30/2026-03-06",
        "/v2/aggs/ticker/AAPL/range/1/minute/2026-01-07/2026-01-06",
        "/v2/aggs/ticker/AAPL/range/1/minute/2026-01-05/2026-01-06?limit=50001",
        "/v2/aggs/ticker/AAPL/range/1/minute/2026-01-05/2026-01-06?limit=x",
        "/v2/aggs/ticker/AAPL/range/1/minute/2026-01-05/2026-01-06?sort=up",
        "/v2/aggs/ticker/AAPL/range/1/minute/2026-01-05/2026-01-06?adjusted=perhaps",
        "/v3/trades/AAPL?timestamp.gte=soon",
        "/v3/trades/AAPL?order=sideways",
        "/v3/trades/AAPL?cursor=%FF%FE",
    ],
)
def test_malformed_parameters_are_told(sim: RunningSimulator, path: str) -> None:
    status, _, body = raw(sim, path)
    assert status == 400, body
    assert json.loads(body)["error"]


@pytest.mark.parametrize("unit", ["second", "minute", "day", "year"])
@pytest.mark.parametrize(
    "span", ["0/0", "99999999999999999/999999999999999999", "0001-01-01/9999-12-31"]
)
def test_extreme_times_are_survived(sim: RunningSimulator, unit: str, span: str) -> None:
    body = get(sim, f"/v2/aggs/ticker/AAPL/range/1/{unit}/{span}?limit=2")
    assert body["status"] == "OK"


def test_unknown_parameters_are_ignored(sim: RunningSimulator) -> None:
    assert get(sim, "/v3/trades/AAPL?limit=1&colour=red")["status"] == "OK"


def test_key_in_header_or_parameter(sim: RunningSimulator) -> None:
    assert raw(sim, "/v1/marketstatus/now", "full")[0] == 200
    assert raw(sim, "/v1/marketstatus/now?apiKey=full", None)[0] == 200
    assert raw(sim, "/v1/marketstatus/now?apiKey=nobody", None)[0] == 401


def test_gzip_where_accepted(sim: RunningSimulator) -> None:
    path = "/v3/trades/AAPL?limit=100"
    status, headers, body = raw(sim, path, Accept_Encoding="gzip")
    assert status == 200
    assert headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(body))["results"]) == 100
    assert "content-encoding" not in raw(sim, path)[1]


@pytest.mark.parametrize("kind", ["trades", "quotes"])
def test_ticks_by_page(sim: RunningSimulator, kind: str) -> None:
    end = (sim.position - LATEST) // MINUTE * MINUTE
    start = end - 20_000_000_000
    path = f"/v3/{kind}/AAPL?timestamp.gte={start}&timestamp.lt={end}"
    whole = get(sim, f"{path}&limit=50000")["results"]
    times = [row["sip_timestamp"] for row in whole]
    assert times == sorted(times, reverse=True)  # newest first is the default
    assert all(start <= at < end for at in times)
    paged = [row for body in pages(sim, f"{path}&limit=97") for row in body["results"]]
    assert paged == whole
    rising = [row for body in pages(sim, f"{path}&limit=97&order=asc") for row in body["results"]]
    assert rising == whole[::-1]
    edge = times[len(times) // 2]
    above = get(sim, f"{path}&timestamp.gt={edge}&limit=50000")["results"]
    assert above == [row for row in whole if row["sip_timestamp"] > edge]
    upto = get(sim, f"/v3/{kind}/AAPL?timestamp.gte={start}&timestamp.lte={edge}&limit=50000")
    assert upto["results"] == [row for row in whole if row["sip_timestamp"] <= edge]
    exact = get(sim, f"/v3/{kind}/AAPL?timestamp={edge}")["results"]
    assert exact == [row for row in whole if row["sip_timestamp"] == edge]


def test_crypto_has_trades_but_no_quotes(sim: RunningSimulator) -> None:
    trade = get(sim, "/v3/trades/X:BTC-USD?limit=1")["results"][0]
    names = {"conditions", "exchange", "id", "participant_timestamp", "price", "size"}
    assert set(trade) == names
    assert get(sim, "/v3/quotes/X:BTC-USD")["results"] == []


# 18-21: pace, corrections, patience, pings


def test_auth_timeout() -> None:
    with (
        simulator(symbols=("SPY",), auth_timeout=0.1, ping_seconds=None) as sim,
        connect(f"{sim.url}/stocks") as socket,
    ):
        receive(socket)
        assert receive(socket) == [
            {
                "ev": "status",
                "status": "auth_timeout",
                "message": "No authentication request received.",
            }
        ]
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=300)
        assert socket.close_code == 1008


def test_pings_are_answered(sim: RunningSimulator) -> None:
    with connect(f"{sim.url}/stocks") as socket:
        assert socket.ping().wait(300)


def test_pings_are_sent(caplog: pytest.LogCaptureFixture, poll_for: Callable[..., None]) -> None:
    def count(word: str) -> int:
        return sum(word in record.getMessage() for record in caplog.records)

    with (
        caplog.at_level(logging.DEBUG, logger="elsewhere"),
        simulator(
            symbols=("SPY",), auth_timeout=500.0, ping_seconds=0.1, pong_seconds=500.0
        ) as sim,
        connect(f"{sim.url}/stocks", logger=logging.getLogger("elsewhere")) as socket,
    ):
        login(socket)
        # One that was not answered would have been the last.
        poll_for(lambda: count("< PING") >= 2, 300)
        assert count("> PONG") >= 1
        send(socket, "subscribe", "T.SPY")
        until(socket, "T", 3)


@pytest.mark.parametrize("path", ["/", "/ws/7", "/options", "/stocks/x"])
def test_other_websocket_paths_are_not_found(sim: RunningSimulator, path: str) -> None:
    status, _, body = raw(
        sim,
        path,
        Upgrade="websocket",
        Connection="Upgrade",
        Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAA==",
        Sec_WebSocket_Version="13",
    )
    assert status == 404
    assert "there is no websocket" in json.loads(body)["error"]


# The rest of REST


def test_last_values(sim: RunningSimulator) -> None:
    trade = get(sim, "/v2/last/trade/AAPL")["results"]
    assert {"T", "i", "p", "q", "s", "t", "x", "y", "z"} <= set(trade)
    quote = get(sim, "/v2/last/nbbo/AAPL")["results"]
    assert quote["p"] < quote["P"]
    crypto = get(sim, "/v1/last/crypto/BTC/USD")
    assert (crypto["status"], crypto["symbol"]) == ("success", "BTC-USD")
    assert crypto["last"]["timestamp"] < 10**13


def test_snapshots(calm: RunningSimulator) -> None:
    base = "/v2/snapshot/locale/us/markets/stocks/tickers"
    every = get(calm, base)
    assert [one["ticker"] for one in every["tickers"]] == ["AAPL", "SPY"]
    assert every["count"] == 2
    assert [one["ticker"] for one in get(calm, f"{base}?tickers=SPY,NOPE")["tickers"]] == ["SPY"]
    one = get(calm, f"{base}/SPY")["ticker"]
    assert {"day", "min", "prevDay", "lastTrade", "lastQuote", "todaysChange"} <= set(one)
    assert one["updated"] > 10**18
    crypto = get(calm, "/v2/snapshot/locale/global/markets/crypto/tickers/X:BTCUSD")["ticker"]
    assert crypto["ticker"] == "X:BTCUSD"
    assert raw(calm, f"{base}/X:BTCUSD")[0] == 404
    assert raw(calm, "/v2/snapshot/locale/us/markets/forex/tickers")[0] == 404


def test_previous_day(calm: RunningSimulator) -> None:
    body = get(calm, "/v2/aggs/ticker/SPY/prev")
    assert body["resultsCount"] == 1
    assert body["results"][0]["T"] == "SPY"


def test_market_status(sim: RunningSimulator) -> None:
    now = get(sim, "/v1/marketstatus/now")
    assert now["market"] == "open"
    assert now["currencies"]["crypto"] == "open"
    upcoming = get(sim, "/v1/marketstatus/upcoming")
    assert isinstance(upcoming, list)
    assert {"exchange", "name", "date", "status"} <= set(upcoming[0])


def test_reference_tickers(sim: RunningSimulator) -> None:
    path = "/v3/reference/tickers"
    every = [row for body in pages(sim, f"{path}?limit=1") for row in body["results"]]
    assert [row["ticker"] for row in every] == ["AAPL", "SPY", "X:BTCUSD", "X:ETHUSD"]
    assert [row["ticker"] for row in get(sim, f"{path}?market=crypto")["results"]] == [
        "X:BTCUSD",
        "X:ETHUSD",
    ]
    assert get(sim, f"{path}?ticker=SPY")["results"][0]["type"] == "ETF"
    assert get(sim, f"{path}?active=false")["results"] == []
    assert len(get(sim, f"{path}?search=bitcoin")["results"]) == 1
