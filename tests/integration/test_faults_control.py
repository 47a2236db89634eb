"""Faults switched over HTTP on a running simulator, and from Python."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from workbench.errors import ConfigError
from workbench.sim.control import Control
from workbench.sim.faultlist import CATALOGUE
from workbench.sim.faultplan import FaultPlan
from workbench.sim.faults import NoFaults
from workbench.sim.run import RunningSimulator, simulator

Poll = Callable[..., None]
#: Seconds that nothing here may take, however slow the machine is and however long it stops.
LONG = 600.0
#: Of a simulator that ends no connection only because the machine stood still for a while.
LENIENT: dict[str, Any] = {"auth_timeout": LONG, "ping_seconds": LONG}


@pytest.fixture(scope="module")
def sim() -> Iterator[RunningSimulator]:
    with simulator(symbols=("SPY",), rate=50.0, bar_wait=0.1, late=0.0, **LENIENT) as running:
        yield running


@pytest.fixture(autouse=True)
def _all_off(sim: RunningSimulator, poll_for: Poll) -> Iterator[None]:
    yield
    sim.faults.clear()
    # A connection that is still ending would take what the next test sends to its own.
    poll_for(lambda: sim.connections() == 0)


def ask(
    sim: RunningSimulator, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> dict[str, Any]:
    url = f"{sim.rest_url}/control/faults{path}"
    with urlopen(Request(url, method=method, headers=headers or {}), timeout=LONG) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def refused(sim: RunningSimulator, path: str, method: str, **headers: str) -> tuple[int, str]:
    with pytest.raises(HTTPError) as caught:
        ask(sim, path, method, headers)
    with caught.value as answer:
        return answer.code, json.load(answer)["error"]


def line(running: RunningSimulator) -> ClientConnection:
    """Return a connection that is patient, as no test here is about patience."""
    return connect(f"{running.url}/stocks", open_timeout=LONG, ping_interval=None, proxy=None)


def enter(socket: ClientConnection, topics: str = "T.SPY") -> None:
    socket.recv(timeout=LONG)
    for action, value in (("auth", "k"), ("subscribe", topics)):
        socket.send(json.dumps({"action": action, "params": value}))
        socket.recv(timeout=LONG)


def exhaust(socket: ClientConnection) -> None:
    """Read until the connection ends."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=LONG)


def test_drop_is_switched_on_seen_counted_and_switched_off(sim: RunningSimulator) -> None:
    assert ask(sim, "")["on"] == []
    before = time.time_ns()
    with line(sim) as socket:
        enter(socket)
        number = ask(sim, "/drop?code=1008&reason=enough&after=3&count=1", "POST")["number"]
        exhaust(socket)
        assert (socket.close_code, socket.close_reason) == (1008, "enough")
    told = ask(sim, "")
    assert told["on"] == []  # its one strike was its last
    (strike,) = [each for each in told["log"] if each["number"] == number]
    assert strike["name"] == "drop"
    assert strike["connection"] > 0
    assert before <= strike["time"] <= time.time_ns()
    assert told["counts"] == sim.faults.counts()
    assert told["counts"]["drop"] == 1
    ask(sim, "/duplicate?rate=0.5&duration=3600", "POST")
    (on,) = ask(sim, "?limit=0")["on"]
    assert on["name"] == "duplicate"
    assert on["parameters"]["rate"] == 0.5
    assert 0 < on["seconds_left"] <= 3600
    assert ask(sim, f"/{on['number']}", "DELETE") == {"status": "OK", "switched_off": 1}
    assert ask(sim, "/duplicate", "DELETE")["switched_off"] == 0
    for _ in range(3):
        ask(sim, "/stall?after=1000000", "POST")
    assert ask(sim, "", "DELETE")["switched_off"] == 3


def test_catalogue_is_told(sim: RunningSimulator) -> None:
    faults = ask(sim, "/catalogue")["faults"]
    assert [item["name"] for item in faults] == list(CATALOGUE)
    code = next(p for p in faults[0]["parameters"] if p["name"] == "code")
    assert code["default"] == 1006
    assert code["allowed"] == "a whole number from 1000 to 4999"


def test_mistakes_are_explained(sim: RunningSimulator) -> None:
    assert refused(sim, "/dorp", "POST") == (
        400,
        "there is no fault 'dorp'; did you mean drop?",
    )
    assert refused(sim, "/drop?code=7", "POST")[0] == 400
    assert "twice" in refused(sim, "/drop?code=1000&code=1001", "POST")[1]
    assert refused(sim, "/drop", "GET")[0] == 405
    assert refused(sim, "", "POST")[0] == 405
    assert refused(sim, "/drop/1", "POST")[0] == 404
    assert refused(sim, "?limit=x", "GET")[0] == 400
    assert sim.faults.switches() == []


def test_faults_do_not_strike_the_control(sim: RunningSimulator) -> None:
    ask(sim, "/rest-error", "POST")
    with pytest.raises(HTTPError, match="500") as caught:
        urlopen(f"{sim.rest_url}/v1/marketstatus/now")
    caught.value.close()
    ask(sim, "", "DELETE")
    urlopen(f"{sim.rest_url}/v1/marketstatus/now").close()


def test_web_pages_and_other_machines_are_refused(sim: RunningSimulator) -> None:
    assert refused(sim, "/drop", "POST", Origin="http://evil.example")[0] == 403
    assert refused(sim, "/drop", "POST", **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    control = Control(FaultPlan())
    for peer in ("192.168.1.7", "10.0.0.1", "fe80::1%eth0", "::ffff:8.8.8.8", "", "x"):
        assert control.answer("GET", "/control/faults", {}, peer).status == 403
    for peer in ("127.0.0.1", "127.8.0.1", "::1"):
        assert control.answer("GET", "/control/faults", {}, peer).status == 200


def test_faults_from_the_start_and_faults_of_ones_own() -> None:
    with simulator(
        symbols=("SPY",), rate=50.0, faults=["drop:code=1000,every=2"], **LENIENT
    ) as running:
        with line(running) as socket:
            enter(socket)
            exhaust(socket)
            assert socket.close_code == 1000
        assert running.faults.counts() == {"drop": 1}
    with pytest.raises(ConfigError, match="did you mean drop"):
        simulator(faults=["drip"]).__enter__()
    with simulator(symbols=("SPY",), faults=NoFaults()) as running:
        with pytest.raises(ConfigError, match="faults of its own"):
            _ = running.faults
        assert refused(running, "", "GET")[0] == 409


class Ends(NoFaults):
    """Note how many connections were open when faults were told of an end."""

    def __init__(self) -> None:
        self.count: Callable[[], int] = lambda: -1
        self.open: list[int] = []

    def on_end(self, connection: int) -> None:
        self.open.append(self.count())


def test_a_connection_counts_until_its_faults_know_of_its_end(poll_for: Poll) -> None:
    ends = Ends()
    with simulator(symbols=("SPY",), faults=ends, **LENIENT) as running:
        ends.count = running.connections
        with line(running) as socket:
            enter(socket)
        poll_for(lambda: running.connections() == 0)
        assert ends.open == [1]


def test_plan_of_the_callers_is_the_simulators() -> None:
    plan = FaultPlan()
    with simulator(symbols=("SPY",), faults=plan) as running:
        assert running.faults is plan
