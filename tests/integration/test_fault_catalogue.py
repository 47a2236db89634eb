"""Each fault as a plain client sees it, and what our own feed makes of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from massive import RESTClient, WebSocketClient
from urllib3.exceptions import HTTPError
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from workbench.clock import SystemClock
from workbench.config import settings
from workbench.errors import AuthError
from workbench.flow.feed import Feed
from workbench.flow.health import Event
from workbench.net.reconnect import CRYPTO, Reconnect
from workbench.net.stream import ConnectionEvent, Stream
from workbench.sim.faultlist import parse
from workbench.sim.faultswitch import RECOVERED
from workbench.sim.protocol import Entitlement
from workbench.sim.run import RunningSimulator, simulator
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame, Source, Status, Topic
from workbench.symbols import SymbolTable

Poll = Callable[..., None]
KEYS = {"k": Entitlement(connections=0), "one": Entitlement(connections=1)}
KEYS |= {"poor": Entitlement(connections=0, channels=frozenset({"T"}))}
#: Seconds that nothing here may take, however slow the machine is and however long it stops.
LONG = 600.0
#: Of a simulator that ends no connection only because the machine stood still for a while.
LENIENT: dict[str, Any] = {"auth_timeout": LONG, "ping_seconds": LONG}


class Hasty(SystemClock):
    """The machine's clock for one who never waits long: delays of reconnects are cut short."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.02))


@pytest.fixture(scope="module")
def sim() -> Iterator[RunningSimulator]:
    with simulator(
        symbols=("SPY", "AAPL"), keys=KEYS, rate=60.0, bar_wait=0.1, late=0.0, tick_seconds=0.01,
        **LENIENT,
    ) as running:  # fmt: skip
        yield running


@pytest.fixture(scope="module", autouse=True)
def _started_before_threads_are_counted(sim: RunningSimulator) -> None:
    """Start the shared simulator outside any one test, and compile what its feeds need."""
    with feed_of(sim.url, channels=("trade", "quote", "bar:1s")) as feed:
        feed.wait("SPY", timeout=LONG)


@pytest.fixture(autouse=True)
def _all_off(sim: RunningSimulator, poll_for: Poll) -> Iterator[None]:
    yield
    sim.faults.clear()
    # A connection that is still ending would take what the next test sends to its own.
    poll_for(lambda: sim.connections() == 0)


@contextlib.contextmanager
def feed_of(
    url: str, key: str = "k", channels: Sequence[str] = ("trade",), **given: Any
) -> Iterator[Feed]:
    """Hold a feed of SPY that reconnects without delay; of silence it is patient."""
    with idle_feed(url, key, **given) as feed:
        feed.subscribe("SPY", ["1s", "1m"], channels=channels, timeout=LONG)
        yield feed


@contextlib.contextmanager
def idle_feed(
    url: str, key: str = "k", clock: SystemClock | None = None, **given: Any
) -> Iterator[Feed]:
    """Hold such a feed of nothing yet."""

    def source(market: str, table: SymbolTable) -> Source:
        return MassiveSource(market, base=url, key=key, table=table)

    patient = {"silence_seconds": LONG, "silence_check_seconds": 0.05, "heartbeat_seconds": LONG}
    config = settings(api_key=key, reconnect="crypto", **{**patient, **given})
    with Feed(source, config=config, clock=clock or Hasty(), rng=random.Random(1)) as feed:
        yield feed


def mark(feed: Feed) -> Event | None:
    """Return the newest event: what comes after it can be told from what was before."""
    return next(iter(feed.events(1)), None)


def events(feed: Feed, since: Event | None = None) -> list[Event]:
    """Return what happened since a mark, newest first; since the beginning without one."""
    return list(itertools.takewhile(lambda event: event is not since, feed.events(1000)))


def kinds(feed: Feed, since: Event | None = None) -> Counter[str]:
    return Counter(event.kind for event in events(feed, since))


def accepted(feed: Feed) -> int:
    return int(feed.health.numbers()["trades_accepted"] or 0)


def lives(feed: Feed, poll_for: Poll) -> None:
    """Wait until trades come in that happen from now on, and check that nothing broke."""
    before, now = accepted(feed), time.time_ns()
    poll_for(lambda: accepted(feed) > before + 3, what="for trades")
    # All that the simulator was about to send before has come then too.
    poll_for(lambda: feed.trades("SPY", last=1).index[-1].value > now, what="for new trades")
    poll_for(lambda: feed.health.state == "connected")
    assert feed.health.conserved()
    assert feed.health.errors.total() == 0


# -- the connection ----------------------------------------------------------------------

LOSSES = [
    "drop:count=2,interval=0.05",
    "drop:how=fin,count=1",
    "drop:how=frame,count=1",
    "drop:how=header,count=1",
    "drop:code=1000,count=2,interval=0.05",
    "drop:code=1001,count=1",
    "drop:code=1008,reason=policy,count=1",
    "drop:code=1011,count=1",
    "half-open:count=1",
    "half-open:seconds=60,count=1",
    "kick:count=1",
    "kick:status=force_disconnect,count=1",
    "kick:status=max_connections,count=1",
    "framing:how=opcode,count=1",
    "outage:seconds=0.2,count=1",
]


@pytest.mark.parametrize("fault", LOSSES)
def test_feed_comes_back_after_every_loss(
    sim: RunningSimulator, poll_for: Poll, fault: str
) -> None:
    quiet: dict[str, Any] = {"silence_seconds": 1.0} if fault.startswith("half-open") else {}
    with feed_of(sim.url, **quiet) as feed:
        lives(feed, poll_for)
        struck, before = len(sim.faults.log), mark(feed)
        switch_on(sim, fault)
        wanted = 2 if "count=2" in fault else 1
        poll_for(lambda: len(sim.faults.log) == struck + wanted)
        poll_for(
            lambda: kinds(feed, before)["reconnected"] >= wanted, what="for the feed to come back"
        )
        lives(feed, poll_for)
        assert kinds(feed, before)["disconnected"] >= wanted
        if fault.startswith("half-open"):
            assert kinds(feed, before)["stale"] >= 1


def switch_on(sim: RunningSimulator, text: str, **more: Any) -> int:
    name, given = parse(text)
    return sim.faults.on(name, **given, **more)


@pytest.mark.parametrize(
    "fault",
    [
        "stall:seconds=0.15,count=2",
        "burst:factor=10,count=2",
        "framing:how=binary,count=3",
        "framing:how=fragments,count=3",
        "framing:how=utf8,count=3",
        "big:megabytes=3,count=2",
    ],
)
def test_feed_stays_through_what_is_only_odd(
    sim: RunningSimulator, poll_for: Poll, fault: str
) -> None:
    with feed_of(sim.url) as feed:
        before, start = sim.faults.counts().get(fault.partition(":")[0], 0), mark(feed)
        switch_on(sim, fault)
        wanted = 2 if "count=2" in fault else 3
        poll_for(lambda: sim.faults.counts().get(fault.partition(":")[0], 0) == before + wanted)
        lives(feed, poll_for)
        assert kinds(feed, start)["disconnected"] == 0
        refused = feed.quarantine.counts
        assert dict(refused) == ({"malformed": 3} if "utf8" in fault else {})


class Watched:
    """A stream and its events."""

    def __init__(self, url: str, handshake: float, policy: Reconnect = CRYPTO) -> None:
        self.events: list[ConnectionEvent] = []
        self.trades = 0
        self.stream = Stream(
            MassiveSource("stocks", base=url, key="k"),
            self.deliver,
            on_event=self.events.append,
            policy=policy,
            clock=Hasty(),
            rng=random.Random(1),
            handshake=handshake,
            heartbeat=LONG,
            silence=LONG,
        )
        self.stream.want([Topic("SPY", "trade")])

    def deliver(self, source: Source, frames: list[Frame]) -> Sequence[Status]:
        decoded = source.decode(frames)
        self.trades += sum(len(batch) for batch in decoded.batches)
        return decoded.statuses

    def run_until(self, enough: Callable[[], bool]) -> None:
        async def main() -> None:
            task = asyncio.create_task(self.stream.run())
            try:
                async with asyncio.timeout(LONG):
                    while not enough():
                        await asyncio.sleep(0.005)
            finally:
                self.stream.close()
                await asyncio.gather(task, return_exceptions=True)

        asyncio.run(main())

    def lost(self) -> list[ConnectionEvent]:
        return [event for event in self.events if event.kind == "disconnected"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("hello:how=silent", "no greeting within"),
        ("hello:how=close", "1000"),
        ("hello:how=garbage", "no greeting within"),
        ("login:how=silent", "no answer to the login"),
        ("login:how=garbage", "no answer to the login"),
        ("login:how=limit", "another connection with the same key"),
        ("refuse:status=503", "HTTP 503"),
        ("refuse:status=429,retry_after=90", "HTTP 429"),
    ],
)
def test_every_step_of_the_way_in_may_fail(sim: RunningSimulator, fault: str, reason: str) -> None:
    # Where nothing comes at all, only patience that ends shows it: then a step that was good,
    # but slow, may count as one more that failed, and a fault may strike where nobody waits.
    waits = "silent" in fault or "garbage" in fault
    number = switch_on(sim, fault) if waits else switch_on(sim, fault, count=2)
    watched = Watched(sim.url, 0.5 if waits else LONG)

    def told() -> list[ConnectionEvent]:
        return [event for event in watched.lost() if reason in event.detail]

    def enough() -> bool:
        if waits and len(told()) >= 2:
            sim.faults.off(number)
        return watched.trades > 0

    watched.run_until(enough)
    slow = [event for event in watched.lost() if event not in told()]
    assert len(told()) >= 2
    if not waits:
        assert (len(told()), slow) == (2, [])
    assert all("within" in event.detail or "in time" in event.detail for event in slow)
    if "retry_after" in fault:
        assert all((event.delay or 0) >= 90 for event in watched.lost())


def test_a_refused_key_is_not_tried_again(sim: RunningSimulator, poll_for: Poll) -> None:
    before = len(sim.faults.log)
    sim.faults.on("login")
    with idle_feed(sim.url) as feed:
        with pytest.raises(AuthError, match="authentication failed"):
            feed.subscribe("SPY", ["1s"], timeout=LONG)
        # An attempt that was given up before an answer came was one more, and is told.
        lost = [event.text for event in events(feed) if event.kind == "disconnected"]
        assert kinds(feed)["connecting"] == 1 + len(lost)
        assert not any("authentication failed" in text for text in lost)
        assert 1 <= len(sim.faults.log) - before <= 1 + len(lost)
    poll_for(lambda: sim.connections() == 0)


def test_accept_and_kick_makes_attempts_rarer(sim: RunningSimulator) -> None:
    switch_on(sim, "kick:status=force_disconnect,count=6")
    # However slow the machine is, none of these connections has lived long enough to count.
    watched = Watched(sim.url, LONG, replace(CRYPTO, settled=LONG))
    watched.run_until(lambda: watched.trades > 0)
    delays = [event.delay or 0.0 for event in watched.lost()]
    assert len(delays) == 6
    assert max(delays[:2]) < min(delays[-2:])


def test_one_channel_refused_does_not_cost_the_other(sim: RunningSimulator, poll_for: Poll) -> None:
    with feed_of(sim.url, "poor", ("trade", "quote")) as feed:
        lives(feed, poll_for)
        refused = [event for event in events(feed) if event.kind == "refused"]
        assert any("SPY quote: not authorized" in event.text for event in refused)
        assert kinds(feed, refused[-1])["disconnected"] == 0


def test_the_older_connection_of_a_key_gives_way_and_comes_back(
    sim: RunningSimulator, poll_for: Poll
) -> None:
    def displaced() -> bool:
        texts = [event.text for event in events(feed, before) if event.kind == "disconnected"]
        return any("another connection with the same key" in text for text in texts)

    with feed_of(sim.url, "one") as feed:
        lives(feed, poll_for)
        before = mark(feed)
        with line(sim) as rival:
            # No more than this: the feed comes back at once, and then the rival gives way.
            log_in(rival, "one")
            poll_for(displaced)
        poll_for(lambda: kinds(feed, before)["reconnected"] >= 1)
        lives(feed, poll_for)


def test_a_server_that_was_gone_is_found_again(poll_for: Poll, kept_port: int) -> None:
    with (
        simulator(symbols=("SPY",), rate=60.0, port=kept_port, late=0.0, **LENIENT) as first,
        feed_of(first.url) as feed,
    ):
        lives(feed, poll_for)
        before = mark(feed)
        first.close()
        poll_for(lambda: kinds(feed, before)["disconnected"] >= 3)
        assert kinds(feed, before)["reconnected"] == 0
        with simulator(symbols=("SPY",), rate=60.0, port=kept_port, late=0.0, **LENIENT):
            poll_for(lambda: kinds(feed, before)["reconnected"] >= 1)
            lives(feed, poll_for)


# -- content -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "refusals"),
    [
        ("garble", 1),
        ("garble:ascii=no,bytes=30", 1),
        ("truncate:part=0.7", 1),
        ("truncate:part=0", 1),
        ("nonsense:what=html", 1),
        ("nonsense:what=text", 1),
        ("nonsense:what=object", 1),
        ("nonsense:what=numbers", 5),
        ("nonsense:what=empty", 1),
        ("nonsense:what=deep", 1),
        ("unknown", 1),
        ("unknown:what=status", 0),
        ("wrong", 1),
    ],
)
def test_what_cannot_be_read_is_counted_and_the_feed_goes_on(
    sim: RunningSimulator, poll_for: Poll, fault: str, refusals: int
) -> None:
    with feed_of(sim.url) as feed:
        before, start = len(sim.faults.log), mark(feed)
        number = switch_on(sim, fault, every=3)
        poll_for(lambda: len(sim.faults.log) >= before + 12)
        sim.faults.off(number)
        wanted = refusals * (len(sim.faults.log) - before)
        poll_for(lambda: len(feed.quarantine) == wanted, what=f"{feed.quarantine} {wanted}")
        if fault == "unknown":
            assert dict(feed.quarantine.counts) == {"unknown-event": wanted}
        if refusals:
            assert len(feed.quarantine.table(5)) == 5
        lives(feed, poll_for)
        assert len(feed.quarantine) == wanted
        assert kinds(feed, start)["disconnected"] == 0


@pytest.mark.parametrize("field", ["price", "size", "time", "symbol"])
def test_wrong_values_are_refused_one_by_one(
    sim: RunningSimulator, poll_for: Poll, field: str
) -> None:
    """Every wrong trade goes to quarantine, and the trades beside it do not."""
    with feed_of(sim.url) as feed:
        marks = sim.faults.ledger(), len(sim.faults.log)
        number = switch_on(sim, f"wrong:field={field},every=2")
        poll_for(lambda: len(sim.faults.log) >= marks[1] + 30)
        sim.faults.off(number)
        struck = len(sim.faults.log) - marks[1]
        offered = sim.faults.ledger()["offered_trades"] - marks[0].get("offered_trades", 0)
        assert abs(offered - 2 * struck) <= 2
        poll_for(lambda: len(feed.quarantine) == struck)
        lives(feed, poll_for)
        assert len(feed.quarantine) == struck


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("units:unit=s", "time"),
        ("units:unit=us", "time"),
        ("units:unit=ns", "time"),
        ("skew:seconds=200000", "time"),
        ("skew:seconds=-1.7e9", "time"),
    ],
)
def test_no_bar_lies_in_another_age(
    sim: RunningSimulator, poll_for: Poll, fault: str, rule: str
) -> None:
    with feed_of(sim.url) as feed:
        before = sim.faults.ledger().get("altered_trades", 0)
        number = switch_on(sim, f"{fault},every=2")
        poll_for(lambda: sim.faults.ledger().get("altered_trades", 0) >= before + 10)
        sim.faults.off(number)
        wanted = sim.faults.ledger()["altered_trades"] - before
        poll_for(lambda: feed.quarantine.counts[rule] == wanted)
        lives(feed, poll_for)
        times = feed.bars("SPY", "1s").index
        assert times[-1] - times[0] < np.timedelta64(1, "D")


def test_a_skewed_clock_of_the_market_shows_as_delay(sim: RunningSimulator, poll_for: Poll) -> None:
    with feed_of(sim.url) as feed:
        sim.faults.on("skew", seconds=-30)
        poll_for(lambda: (feed.health.delay or 0.0) > 25)
        sim.faults.clear()
        poll_for(lambda: (feed.health.delay or 99.0) < 25)
        lives(feed, poll_for)


def test_crossed_quotes_are_kept_without_a_spread(sim: RunningSimulator, poll_for: Poll) -> None:
    with feed_of(sim.url, channels=("trade", "quote")) as feed:
        sim.faults.on("crossed")
        before = sim.faults.ledger().get("altered", 0)
        poll_for(lambda: sim.faults.ledger().get("altered", 0) > before + 20)
        lives(feed, poll_for)
        # All that the feed has is crossed, but for what came before the fault was on.
        quotes = feed.quotes("SPY", last=None)
        crossed = quotes["bid"] > quotes["ask"]
        assert crossed.sum() > 20
        assert (quotes["spread"].isna() == crossed).all()


# -- order -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["frame", "later"])
def test_every_repeat_is_told_from_a_trade(sim: RunningSimulator, poll_for: Poll, how: str) -> None:
    with feed_of(sim.url) as feed:
        before = sim.faults.ledger().get("repeated_trades", 0)
        number = switch_on(sim, f"duplicate:how={how},rate=0.5")
        poll_for(lambda: sim.faults.ledger().get("repeated_trades", 0) >= before + 30)
        sim.faults.off(number)
        poll_for(lambda: not sim.faults.state()["on"])
        lives(feed, poll_for)
        repeated = sim.faults.ledger()["repeated_trades"] - before
        poll_for(lambda: feed.health.numbers()["trades_duplicate"] == repeated)
        assert len(feed.quarantine) == 0


SECONDS = 240


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four minutes of trades, ten a second."""
    dice = np.random.default_rng(5)
    times = 1_723_161_240 * 10**9 + np.sort(dice.integers(0, SECONDS * 10**9, 10 * SECONDS))
    prices = 100 + np.round(np.cumsum(dice.normal(0, 0.05, len(times))), 2)
    sizes = dice.integers(1, 500, len(times))
    path = tmp_path_factory.mktemp("tape") / "trades.csv"
    lines = [f"{t},SPY,{p:.2f},{s}" for t, p, s in zip(times, prices, sizes, strict=True)]
    path.write_text("time,symbol,price,size\n" + "\n".join(lines) + "\n")
    return path


class Paced(SystemClock):
    """A market's clock that waits for its reader: time passes in sleeps, and then alone."""

    def __init__(self) -> None:
        self._now = super().now()
        self.behind: Callable[[], int] = lambda: 0

    def now(self) -> int:
        return self._now

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        while self.behind() > 100:
            await super().sleep(0.001)
        self._now += round(seconds * 1e9)


class Still(Hasty):
    """A reader's clock that stands still: what closes bars is the time that trades tell."""

    def __init__(self) -> None:
        self._now = super().now()

    def now(self) -> int:
        return self._now


def played(tape: Path, poll_for: Poll, *faults: str) -> tuple[Any, RunningSimulator]:
    """Return the bars a feed makes of the recording, and the simulator it came from.

    However slow the machine is, no more than 12 s of the market pass while a trade is held back
    for 0.1 s, and the feed is never more than 100 trades, which are about 10 s, behind.
    """
    clock = Paced()
    with (
        simulator(
            trades=(tape,), speed=120.0, tick_seconds=0.005, faults=faults, clock=clock, **LENIENT
        ) as sim,
        idle_feed(sim.url, clock=Still(), lateness_seconds=30.0) as feed,
    ):
        clock.behind = lambda: sim.sent().get("T.SPY", 0) - accepted(feed)
        feed.subscribe("SPY", ["1s", "1m"], channels=("trade",), timeout=LONG)
        poll_for(lambda: accepted(feed) == 10 * SECONDS, what="for all trades")
        columns = ["open", "high", "low", "close", "volume", "vwap", "count"]
        bars = {tf: feed.bars("SPY", tf)[columns] for tf in ("1s", "1m")}
        assert feed.health.conserved()
        assert feed.health.numbers()["trades_overdue"] == 0
        return bars, sim


def test_late_repeated_and_shuffled_trades_end_in_the_bars_of_the_clean_stream(
    tape: Path, poll_for: Poll
) -> None:
    truth, _ = played(tape, poll_for)
    faults = ["late:seconds=0.1,rate=0.2", "reorder:window=20", "duplicate:how=later,rate=0.3"]
    bars, sim = played(tape, poll_for, *faults)
    assert all(sim.faults.counts()[name] > 20 for name in ("late", "reorder", "duplicate"))
    for tf, wanted in truth.items():
        assert len(wanted) > (200 if tf == "1s" else 3)
        assert bars[tf].equals(wanted), tf


# -- what a plain client gets ------------------------------------------------------------


def line(sim: RunningSimulator) -> ClientConnection:
    """Return a connection that is patient, as no test here is about patience."""
    return connect(
        f"{sim.url}/stocks", open_timeout=LONG, close_timeout=0.1, ping_interval=None, proxy=None
    )


def log_in(socket: ClientConnection, key: str = "k") -> None:
    socket.recv(timeout=LONG)
    say(socket, "auth", key)


def enter(socket: ClientConnection) -> None:
    log_in(socket)
    say(socket, "subscribe", "T.SPY")


def say(socket: ClientConnection, action: str, value: str) -> None:
    socket.send(json.dumps({"action": action, "params": value}))
    socket.recv(timeout=LONG)


def test_ledger_tells_what_a_client_is_missing(poll_for: Poll) -> None:
    """Nothing but the fault changes: got = offered + repeated - suppressed - spoiled."""
    with simulator(symbols=("SPY",), rate=200.0, late=0.0, tick_seconds=0.01, **LENIENT) as sim:
        for text in ("truncate:rate=0.1", "reorder", "late:seconds=0.1,rate=0.1",
                     "duplicate:rate=0.1", "garble:rate=0.1"):  # fmt: skip
            switch_on(sim, text)
        got: Counter[str] = Counter()
        with line(sim) as socket:
            enter(socket)
            while sim.faults.ledger().get("offered_trades", 0) < 500:
                take(socket, got)
            sim.faults.on("drop", code=1000)
            with contextlib.suppress(ConnectionClosed):
                while True:
                    take(socket, got)
        poll_for(lambda: sim.connections() == 0)
        ledger = Counter(sim.faults.ledger())
        assert got.total() == (
            ledger["offered_trades"]
            + ledger["repeated_trades"]
            - ledger["suppressed_trades"]
            - ledger["spoiled_trades"]
        )
        # REST knows them all, whatever became of them on their way.
        hour = 3600 * 10**9
        known = {str(i) for i in sim.trades("SPY", sim.position - hour)["id"]}
        assert set(got) <= known
        assert min(got.values()) >= 1


def take(socket: ClientConnection, got: Counter[str]) -> None:
    data = socket.recv(timeout=LONG, decode=False)
    with contextlib.suppress(ValueError):
        got.update(event["i"] for event in json.loads(data) if event["ev"] == "T")


def test_nothing_answers_on_a_half_open_line(sim: RunningSimulator, poll_for: Poll) -> None:
    with line(sim) as socket:
        enter(socket)
        pong = socket.ping()
        while not pong.is_set():  # it waits behind frames that nobody takes
            socket.recv(timeout=LONG)
        sim.faults.on("half-open", count=1)
        poll_for(lambda: not sim.faults.switches())  # it has struck
        with contextlib.suppress(TimeoutError):
            while True:
                socket.recv(timeout=0.3)
        assert not socket.ping().wait(0.2)
        assert sim.connections() >= 1
        sim.faults.clear()


def stream(sim: RunningSimulator, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """Run the provider's own client until enough has come or it ends by itself."""
    events: list[Any] = []

    async def run() -> None:
        client = WebSocketClient(
            api_key="k",
            feed=sim.url.removeprefix("ws://"),
            market="stocks",
            secure=False,
            subscriptions=["T.SPY"],
        )

        async def got(some: list[Any]) -> None:
            events.extend(some)
            if enough(events):
                await client.close()

        async with asyncio.timeout(LONG):
            await client.connect(got)

    asyncio.run(run())
    return events


def test_official_client_meets_the_faults_too(sim: RunningSimulator) -> None:
    def repeated(events: list[Any]) -> bool:
        return max(Counter(event.id for event in events).values()) >= 2

    sim.faults.on("drop", count=1, after=5)
    frames = itertools.count(1)
    assert stream(sim, lambda events: next(frames) > 20)  # the first connection brings five
    assert sim.faults.switches() == []
    sim.faults.on("drop", code=1000, count=1, after=5)
    assert len(stream(sim, lambda events: len(events) > 1000)) < 1000  # it takes 1000 for the end
    sim.faults.on("duplicate")
    assert repeated(stream(sim, repeated))
    sim.faults.clear()
    sim.faults.on("garble", count=1, after=3)
    with pytest.raises(ValueError, match="Expecting"):
        stream(sim, lambda events: len(events) > 1000)


# -- REST --------------------------------------------------------------------------------


@pytest.fixture
def rest(sim: RunningSimulator) -> Iterator[RESTClient]:
    client = RESTClient(api_key="k", base=sim.rest_url, read_timeout=LONG, connect_timeout=LONG)
    yield client
    client.client.clear()


def ids(rest: RESTClient, most: int = 40) -> list[str]:
    """Return the ids of the newest trades, read in pages of ten."""
    rows = rest.list_trades("SPY", limit=10)
    return [row.id for row in itertools.islice(rows, most)]


@pytest.mark.parametrize(
    "fault",
    ["rest-throttle:retry_after=0", "rest-error:status=500", "rest-error:status=503"],
)
def test_official_client_asks_again(sim: RunningSimulator, rest: RESTClient, fault: str) -> None:
    switch_on(sim, f"{fault},count=2,path=/v3/trades")
    assert len(ids(rest)) == len(set(ids(rest))) == 40
    assert sim.faults.switches() == []


def test_broken_bodies_reach_a_client(sim: RunningSimulator, rest: RESTClient) -> None:
    switch_on(sim, "rest-cut:count=20,path=/v3/trades")
    with pytest.raises(HTTPError):
        ids(rest)
    sim.faults.clear()
    for how in ("half", "html", "empty", "no-results", "null-results", "error", "bytes"):
        switch_on(sim, f"rest-garble:how={how},count=1,after=1,path=/v3/trades")
        assert len(short(rest)) < 40  # the second page was broken, which this client hides
        sim.faults.clear()
    switch_on(sim, "rest-slow:seconds=0.2,count=1")
    assert len(ids(rest)) == 40


def short(rest: RESTClient) -> list[str]:
    try:
        return ids(rest)
    except (ValueError, TypeError):
        return []


def test_pages_lead_astray(sim: RunningSimulator, rest: RESTClient) -> None:
    switch_on(sim, "rest-pages:how=loop,after=1")
    assert len(set(ids(rest, 60))) == 20
    sim.faults.clear()
    switch_on(sim, "rest-pages:how=overlap")
    assert len(set(ids(rest))) == 31
    sim.faults.clear()


def test_corrections_stand_at_the_trades_in_rest(sim: RunningSimulator, rest: RESTClient) -> None:
    switch_on(sim, "rest-correction:share=0.3,code=8")
    end = sim.position
    marks = [
        [(row.id, row.correction) for row in itertools.islice(found, 1000)]
        for found in (rest.list_trades("SPY", limit=500, timestamp_lt=end) for _ in range(2))
    ]
    assert marks[0] == marks[1]
    assert 100 < sum(code == 8 for _, code in marks[0]) < 600
    assert {code for _, code in marks[0]} == {8, None}


# -- everything at once ------------------------------------------------------------------


def test_feed_outlives_all_faults_at_random(sim: RunningSimulator, poll_for: Poll) -> None:
    channels = ("trade", "quote", "bar:1s")
    with feed_of(sim.url, channels=channels, silence_seconds=1.0) as feed:
        before, start = len(sim.faults.log), mark(feed)
        switch_on(sim, "random:rate=0.15,seed=11")

        def been_through() -> bool:
            # Faults strike lines too that the feed has given up, and those harm nobody.
            struck = {strike.detail for strike in sim.faults.log[before:]}
            harmed = len(feed.quarantine) > 0 and kinds(feed, start)["reconnected"] > 0
            return harmed and struck == set(RECOVERED) and len(sim.faults.log) >= before + 40

        poll_for(been_through, timeout=LONG, what="for all faults")
        sim.faults.clear()
        lives(feed, poll_for)
        times = feed.bars("SPY", "1s").index
        assert times.is_monotonic_increasing
        assert times.is_unique
