"""Streams of the simulator: pace, corrections, slow readers, recordings."""

from __future__ import annotations

import json
import logging
import socket as sockets
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket

from workbench.clock import SystemClock
from workbench.errors import ConfigError, PortTakenError, TapeError
from workbench.sim import run as sim_run
from workbench.sim.faults import Abort, Action, Close, NoFaults, Send, Wait
from workbench.sim.protocol import Entitlement
from workbench.sim.recording import RecordedMarket
from workbench.sim.rest import Answer
from workbench.sim.run import SimulatorOptions, run_simulator, start_simulator

HEAD = "time,symbol,price,size\n"
#: Seconds that nothing here takes, unless it hangs.
PATIENCE = 600.0
# Who stands still for a while, as threads do on a busy machine, must not be sent away for it.
simulator = partial(sim_run.simulator, auth_timeout=PATIENCE, ping_seconds=None)
connect = partial(connect_websocket, open_timeout=PATIENCE, ping_interval=None)


class Hand(SystemClock):
    """A wall clock that stands until it is moved on."""

    def __init__(self) -> None:
        self._now = 1_760_000_123_456_789_012

    def now(self) -> int:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += round(seconds * 1e9)


def subscribe(socket: ClientConnection, params: str) -> None:
    socket.recv(timeout=PATIENCE)
    for action, value in (("auth", "k"), ("subscribe", params)):
        socket.send(json.dumps({"action": action, "params": value}))
        socket.recv(timeout=PATIENCE)


def collect(
    socket: ClientConnection,
    enough: Callable[[list[dict[str, Any]]], bool],
    seconds: float = PATIENCE,
) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    end = time.monotonic() + seconds
    while not enough(events):
        assert time.monotonic() < end, f"only {len(events)} events"
        events += json.loads(socket.recv(timeout=PATIENCE))
    return events


def any_of(kind: str, events: list[dict[str, Any]]) -> bool:
    return any(event["ev"] == kind for event in events)


def rest(socket: ClientConnection, pause: float = 0.0) -> list[dict[str, Any]]:
    """Return what comes until the connection ends."""
    events: list[dict[str, Any]] = []
    try:
        while True:
            time.sleep(pause)
            events += json.loads(socket.recv(timeout=PATIENCE))
    except ConnectionClosed:
        return events


def recording(folder: Path, rows: list[tuple[int, str, float, float]]) -> Path:
    path = folder / "trades.csv"
    lines = [f"{t},{symbol},{price},{size}" for t, symbol, price, size in rows]
    path.write_text(HEAD + "\n".join(lines) + "\n")
    return path


def minutes(n: int, per_minute: int = 30) -> list[tuple[int, str, float, float]]:
    start, step = 1_723_161_240 * 10**9, 60 * 10**9 // per_minute
    return [
        (start + i * step + 7, "SPY" if i % 3 else "BTC-USD", 100 + i % 17 * 0.25, 1 + i % 5)
        for i in range(n * per_minute)
    ]


def test_recording_is_sent_whole_to_the_first_subscriber(
    tmp_path: Path, poll_for: Callable[..., None]
) -> None:
    rows = minutes(3)
    path = recording(tmp_path, rows)
    with simulator(trades=(path,), speed="max", frame_events=7) as sim:
        assert sim.position == 0
        with connect(f"{sim.url}/stocks") as socket:
            subscribe(socket, "T.*,AM.SPY,A.SPY")
            wanted = [row for row in rows if row[1] == "SPY"]
            events = collect(
                socket,
                lambda e: (
                    sum(x["ev"] == "T" for x in e) == len(wanted)
                    and sum(x["ev"] == "AM" for x in e) == 3
                ),
            )
            poll_for(lambda: sim.finished, PATIENCE)
        trades = [event for event in events if event["ev"] == "T"]
        got = [(e["t"], e["sym"], e["p"], e["s"]) for e in trades]
        assert got == [(t // 10**6, symbol, price, size) for t, symbol, price, size in wanted]
        bars = {e["s"]: e for e in events if e["ev"] == "AM"}
        for start, bar in bars.items():
            inside = [row for row in wanted if start <= row[0] // 10**6 < start + 60_000]
            prices = [row[2] for row in inside]
            assert (bar["o"], bar["h"], bar["l"], bar["c"], bar["v"]) == (
                prices[0],
                max(prices),
                min(prices),
                prices[-1],
                sum(row[3] for row in inside),
            )
        assert sim.sent()["T.SPY"] == len(wanted)
        assert len(sim.trades("SPY")) == len(wanted)


def test_speed_of_a_recording(tmp_path: Path, poll_for: Callable[..., None]) -> None:
    path = recording(tmp_path, minutes(2))
    spy = [t for t, symbol, *_ in minutes(2) if symbol == "SPY"]
    clock = Hand()
    with (
        simulator(trades=(path,), speed=200.0, tick_seconds=0.005, clock=clock) as sim,
        connect(f"{sim.url}/stocks") as socket,
    ):
        subscribe(socket, "T.SPY")
        poll_for(lambda: sim.position, PATIENCE)  # it begins with its first reader
        first = sim.position
        passed = 0.0
        for step in (0.1, 0.005, 0.3):
            clock.advance(step)
            passed += step
            position = first + round(passed * 200 * 1e9)
            poll_for(lambda position=position: sim.position >= position, PATIENCE)
            assert sim.position == position
            due = sum(t < position for t in spy)
            poll_for(lambda due=due: sim.sent().get("T.SPY", 0) >= due, PATIENCE)
            assert sim.sent()["T.SPY"] == due
        events = collect(socket, lambda e: len(e) >= due)
        assert [e["t"] for e in events] == [t // 10**6 for t in spy[:due]]


def test_rebased_recording_is_of_today(tmp_path: Path) -> None:
    rows, clock = minutes(1), Hand()
    path = recording(tmp_path, rows)
    with (
        simulator(trades=(path,), speed="max", rebase=True, clock=clock) as sim,
        connect(f"{sim.url}/stocks") as socket,
    ):
        subscribe(socket, "T.SPY")
        events = collect(socket, lambda e: len(e) >= 20)
        shift = (clock.now() - rows[0][0]) // 10**6 * 10**6
        wanted = [t + shift for t, symbol, *_ in rows if symbol == "SPY"]
        assert [e["t"] for e in events] == [t // 10**6 for t in wanted]
        assert [e["t"] for e in events] == (sim.trades("SPY")["time"] // 10**6).tolist()[:20]


def test_looped_recording_never_repeats_a_trade(tmp_path: Path) -> None:
    path = recording(tmp_path, minutes(1))
    with (
        simulator(trades=(path,), speed="max", loop=True, buffer_bytes=4096) as sim,
        connect(f"{sim.url}/stocks", close_timeout=0.1) as socket,
    ):
        subscribe(socket, "T.SPY")
        events = collect(socket, lambda e: len(e) >= 90)
        assert len({event["i"] for event in events}) == len(events)
        assert [e["t"] for e in events] == sorted(e["t"] for e in events)
        assert {e["i"] for e in events} <= {str(i) for i in sim.trades("SPY")["id"]}


def test_hurried_market_waits_for_its_reader(tmp_path: Path) -> None:
    path = recording(tmp_path, minutes(400, per_minute=60))
    with (
        simulator(trades=(path,), speed="max", buffer_bytes=16_384) as sim,
        connect(f"{sim.url}/stocks", max_queue=2) as socket,
    ):
        subscribe(socket, "T.SPY")
        total = 16_000
        events: list[Any] = []
        while len(events) < total:
            events += json.loads(socket.recv(timeout=PATIENCE))
            if len(events) < 3000:
                time.sleep(0.002)
        assert len(events) == total


def test_slow_reader_is_told_and_cut_off(poll_for: Callable[..., None]) -> None:
    with simulator(
        symbols=("AAPL", "SPY"), rate=3000.0, buffer_bytes=20_000, close_timeout=0.3
    ) as sim:
        raw = sockets.create_connection(("127.0.0.1", int(sim.url.rpartition(":")[2])))
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        with connect(f"{sim.url}/stocks", sock=raw, max_queue=1, close_timeout=1) as socket:
            subscribe(socket, "T.*,Q.*")
            poll_for(lambda: sim.connections() == 0, PATIENCE)
            events = rest(socket)
            if socket.close_code == 1008:
                assert events[-1]["status"] == "slow_consumer"
            else:  # cut before it had read up to the close frame
                assert socket.close_code == 1006


def test_reader_that_lags_behind_hears_why() -> None:
    with (
        simulator(
            symbols=("AAPL", "SPY"), rate=3000.0, buffer_bytes=50_000, close_timeout=PATIENCE
        ) as sim,
        connect(f"{sim.url}/stocks", max_queue=1) as socket,
    ):
        subscribe(socket, "T.*,Q.*")
        statuses = [event for event in rest(socket, pause=0.03) if event["ev"] == "status"]
        assert [event["status"] for event in statuses] == ["slow_consumer"]
        assert socket.close_code == 1008


def test_minute_bar_comes_again_after_a_late_trade(
    tmp_path: Path, poll_for: Callable[..., None]
) -> None:
    start = 1_723_161_240 * 10**9
    trades = [(5, "1", 10.0), (65, "2", 11.0), (185, "3", 12.0), (245, "4", 11.0)]
    lines = []
    for seconds, number, price in trades:
        # The third trade happened in the first minute and is told in the fourth.
        at = start + seconds * 10**9
        t = (at if number != "3" else start + 50 * 10**9) // 10**6
        event = {"ev": "T", "sym": "SPY", "x": 4, "i": number, "z": 2, "p": price, "s": 100}
        event |= {"t": t, "q": int(number)}
        lines.append(json.dumps({"at_ns": at, "msg": event}))
    path = tmp_path / "late.jsonl"
    path.write_text("\n".join(lines))
    clock = Hand()
    events: list[dict[str, Any]] = []
    with (
        simulator(trades=(path,), tick_seconds=0.002, clock=clock) as sim,
        connect(f"{sim.url}/stocks") as socket,
    ):
        subscribe(socket, "AM.SPY,A.SPY")
        poll_for(lambda: sim.position, PATIENCE)
        # The second's bar of the first trade shows that bars are made: that begins in a thread
        # of its own. From then on every bar is waited for before the market goes on.
        for until, told in ((10, "A"), (70, "AM"), (130, "AM"), (190, "AM"), (250, "AM")):
            clock.advance((start - sim.position) / 1e9 + until)
            events += collect(socket, partial(any_of, told))
    bars = [
        (e["s"] // 60_000 * 60 - start // 10**9, e["c"], e["v"]) for e in events if e["ev"] == "AM"
    ]
    assert bars == [(0, 10.0, 100), (60, 11.0, 100), (0, 12.0, 200), (240, 11.0, 100)]


def test_live_bars_equal_those_of_history(poll_for: Callable[..., None]) -> None:
    with (
        simulator(symbols=("BTC-USD",), rate=50.0, bar_wait=0.2, late=0.0) as sim,
        connect(f"{sim.url}/crypto") as socket,
    ):
        subscribe(socket, "XAS.BTC-USD,XT.BTC-USD")

        def heard(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
            # Bars of windows that were open when we came are told too: without their first trades.
            first = min((e["t"] for e in events if e["ev"] == "XT"), default=1 << 62)
            return [e for e in events if e["ev"] == "XAS" and e["s"] > first]

        def traded(events: list[dict[str, Any]], bar: dict[str, Any]) -> list[dict[str, Any]]:
            return [e for e in events if e["ev"] == "XT" and bar["s"] <= e["t"] < bar["e"]]

        events = collect(
            socket,
            lambda e: len(heard(e)) >= 2 and sum(len(traded(e, bar)) for bar in heard(e)) > 10,
        )
        for bar in (e for e in events if e["ev"] == "XAS"):
            rows = sim.trades("BTC-USD", bar["s"] * 10**6, bar["e"] * 10**6)
            assert (bar["o"], bar["c"]) == (rows["price"][0], rows["price"][-1])
            assert bar["v"] == pytest.approx(rows["size"].sum(), rel=1e-12)
        # What came by the stream is what the market says it sent.
        for bar in heard(events):
            rows = sim.trades("BTC-USD", bar["s"] * 10**6, bar["e"] * 10**6)
            assert len(rows)
            assert [e["i"] for e in traded(events, bar)] == [str(i) for i in rows["id"]]


@pytest.mark.parametrize("name", ["crypto_btcusdt_20240808", "stocks_bac_20131007"])
def test_recorded_messages_are_sent_as_they_are(shared_data: Path, name: str) -> None:
    path = shared_data / "replay_massive_form" / f"{name}.jsonl.gz"
    market = RecordedMarket([path], speed="max")
    expected = market.chunk(0, 1 << 62, frozenset()).events()
    cluster = name.partition("_")[0]
    topics = "XT.*,XQ.*" if cluster == "crypto" else "T.*,A.*,AM.*"
    with (
        simulator(market, wait_for=1, speed="max") as sim,
        connect(f"{sim.url}/{cluster}", max_queue=4) as socket,
    ):
        subscribe(socket, topics)
        got: list[bytes] = []
        size = sum(map(len, expected)) + len(expected)
        frames: list[bytes] = []
        while sum(len(frame) - 1 for frame in frames) < size:
            frames.append(socket.recv(timeout=PATIENCE, decode=False))
        got = b",".join(frame[1:-1] for frame in frames).split(b"},{")
        assert len(got) == len(expected)
        assert b"},{".join(got) == b",".join(expected)


def test_lean_trades_through_the_socket_equal_the_file(shared_data: Path) -> None:
    path = shared_data / "equity" / "tick" / "ibm" / "20131007_trade.zip"
    with (
        simulator(trades=(path,), speed="max") as sim,
        connect(f"{sim.url}/stocks") as socket,
    ):
        subscribe(socket, "T.IBM")
        events = collect(socket, lambda e: len(e) >= 24_293)
        rows = sim.trades("IBM")
    assert len(events) == len(rows) == 24_293
    assert np.array_equal(rows["price"], [event["p"] for event in events])
    assert np.array_equal(rows["size"], [event["s"] for event in events])
    assert np.array_equal(rows["time"] // 10**6, [event["t"] for event in events])


def test_taken_port_is_named() -> None:
    with simulator(symbols=("SPY",)) as sim:
        port = int(sim.url.rpartition(":")[2])
        with pytest.raises(PortTakenError, match=str(port)):
            start_simulator(symbols=("SPY",), port=port)


def test_wrong_options_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no option 'colour'"):
        start_simulator(colour="red")
    with pytest.raises(ConfigError, match="rate"):
        start_simulator(rate=0.0)
    with pytest.raises(TapeError, match=r"nothing\.csv"):
        start_simulator(trades=(tmp_path / "nothing.csv",))


def test_foreground_run_ends_when_told() -> None:
    stop = threading.Event()
    urls: list[str] = []

    def ready(made: Any) -> None:
        urls.append(made.url)
        stop.set()

    run_simulator(SimulatorOptions(port=0, symbols=("SPY",)), on_ready=ready, stop=stop)
    assert urls[0].startswith("ws://127.0.0.1:")


class Trouble(NoFaults):
    """Doubles the second frame, delays the third, then ends each connection its own way."""

    def __init__(self) -> None:
        self.frames: dict[int, int] = {}

    def on_frame(self, connection: int, frame: bytes) -> Sequence[Action]:
        count = self.frames[connection] = self.frames.get(connection, 0) + 1
        if count == 2:
            return (Send(frame), Send(frame))
        if count == 3:
            return (Wait(0.05), Send(frame))
        if count == 4:
            return (Close(1011, "trouble"),) if connection == 1 else (Abort(),)
        return (Send(frame),)

    async def on_request(self, target: str, answer: Answer) -> Answer:
        return Answer(503, b"{}") if "trouble" in target else answer

    async def on_connect(self, cluster: str) -> Answer | None:
        return Answer(429, b"{}", {"Retry-After": "1"}) if cluster == "crypto" else None


def test_faults_can_be_put_in_everywhere() -> None:
    with simulator(symbols=("SPY",), rate=50.0, faults=Trouble()) as sim:
        for code in (1011, 1006):
            with connect(f"{sim.url}/stocks") as socket:
                socket.recv(timeout=PATIENCE)
                socket.send('{"action":"auth","params":"k"}')
                assert socket.recv(timeout=PATIENCE) == socket.recv(timeout=PATIENCE)
                socket.send('{"action":"subscribe","params":"T.SPY"}')
                assert len(rest(socket)) == 1
                assert socket.close_code == code
        with pytest.raises(InvalidStatus) as refusal:
            connect(f"{sim.url}/crypto")
        assert refusal.value.response.status_code == 429
        with pytest.raises(HTTPError, match="503") as failure:
            urlopen(f"{sim.rest_url}/v1/marketstatus/now?trouble=1")
        failure.value.close()


def test_keys_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    keys = {"s3cret": Entitlement()}
    with (
        caplog.at_level("DEBUG", logger="workbench"),
        simulator(symbols=("SPY",), keys=keys) as sim,
    ):
        with connect(f"{sim.url}/stocks", logger=logging.getLogger("elsewhere")) as socket:
            socket.recv(timeout=PATIENCE)
            socket.send('{"action":"auth","params":"s3cret"}')
            assert "auth_success" in str(socket.recv(timeout=PATIENCE))
        urlopen(f"{sim.rest_url}/v1/marketstatus/now?apiKey=s3cret").close()
        assert "s3cret" not in repr(sim)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("workbench")]
    assert not any("s3cret" in text for text in ours)
