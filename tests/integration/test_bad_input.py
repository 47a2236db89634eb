"""Bad input: each kind ends in a clear error, or is counted and kept while the feed goes on."""

from __future__ import annotations

import errno
import logging
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

import workbench as wb
from workbench.clock import SystemClock
from workbench.errors import (
    AuthError,
    ConfigError,
    ConnectError,
    PortTakenError,
    StoreBusyError,
    StoreSchemaError,
    TapeError,
    UnknownSymbolError,
    UnknownTimeframeError,
)
from workbench.flow.feed import Feed
from workbench.sim.faults import Action, NoFaults, Send
from workbench.sim.protocol import Entitlement
from workbench.sim.run import RunningSimulator, simulator
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Source
from workbench.store.sqlite import SqliteStore
from workbench.symbols import SymbolTable
from workbench.tape import TapeReader, TapeWriter

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample.tape"
KEY = "wrong-key-0123456789"
Poll = Callable[..., None]
#: Seconds that nothing here may take, however slow the machine is and however long it stops.
LONG = 600.0
#: Of a simulator that ends no connection only because the machine stood still for a while.
LENIENT: dict[str, Any] = {"auth_timeout": LONG, "ping_seconds": LONG}


def feed_of(running: RunningSimulator, **options: Any) -> Feed:
    """Return a feed of a simulator that runs already."""

    def source(market: str, table: SymbolTable) -> Source:
        return MassiveSource(market, base=running.url, key="any", table=table)

    config = wb.settings(reconnect="fixed", heartbeat_seconds=LONG, silence_seconds=LONG)
    return Feed(source, config=config, **options)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    return caplog.text + "".join(f"{r.args!r}{r.exc_info!r}" for r in caplog.records)


# -- keys, networks, ports -------------------------------------------------------------


def test_a_bad_key_is_told_in_the_providers_words_and_shown_nowhere(
    caplog: pytest.LogCaptureFixture, poll_for: Poll
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        simulator(keys={"good": Entitlement()}, **LENIENT) as running,
        wb.connect("massive", api_key=KEY, ws_url=running.url) as feed,
    ):
        with pytest.raises(AuthError, match="authentication failed") as refused:
            feed.subscribe("BTC-USD", timeout=LONG)
        assert feed.health.state == "failed"
        with pytest.raises(AuthError):
            feed.wait("BTC-USD", timeout=LONG)
        told = f"{refused.value!r}{feed!r}{feed._repr_html_()}{feed.events()}{feed.health!r}"
        assert "authentication failed" in told
        assert KEY not in told
        poll_for(lambda: running.connections() == 0, what="for the refused one to go")
        # An attempt that was given up before an answer came was one more, and is told.
        lost = [e.text for e in feed.events() if e.kind == "disconnected"]
        tries = [e.kind for e in feed.events()].count("connecting")
        assert tries == 1 + len(lost), "it is not tried again"
        assert not any("authentication failed" in text for text in lost)
    assert "authentication failed" in caplog.text
    assert KEY not in logged(caplog)


def test_no_key_at_all_is_told_before_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORKBENCH_API_KEY", "MASSIVE_API_KEY", "POLYGON_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="MASSIVE_API_KEY"):
        wb.connect("massive", api_key="")


def test_without_a_network_the_feed_says_so_and_goes_on_trying(
    poll_for: Poll, kept_port: int
) -> None:
    with wb.connect(
        "massive", api_key="k", ws_url=f"ws://127.0.0.1:{kept_port}", reconnect="gentle"
    ) as feed:
        feed.subscribe("BTC-USD", timeout=None)
        poll_for(lambda: any(e.kind == "disconnected" for e in feed.events()))
        with pytest.raises(ConnectError, match=r"within 0\.3 s: .*goes on trying"):
            feed.subscribe("BTC-USD", timeout=0.3)
        with simulator(port=kept_port, **LENIENT):
            poll_for(lambda: feed.health.state == "connected")
            feed.wait("BTC-USD", timeout=LONG)
        assert feed.health.conserved()


def test_a_taken_port_is_named_and_nothing_is_left_behind() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=str(port)):
            wb.connect("sim", simulator={"port": port})


def test_options_are_left_as_they_were() -> None:
    options = {"port": 0, "seed": 3}
    wb.connect("sim", simulator=options).close()
    assert options == {"port": 0, "seed": 3}


# -- names -----------------------------------------------------------------------------


def test_unknown_names_are_refused_and_the_feed_goes_on() -> None:
    with wb.connect("sim") as feed:
        feed.subscribe("BTC-USD", timeout=LONG)
        for symbol in ("", "BTC USD", "<script>", "A" * 33):
            with pytest.raises(UnknownSymbolError):
                feed.subscribe(symbol)
        for timeframe in ("", "1M", "0s", "-5m", "5 parsecs", "9999d"):
            with pytest.raises(UnknownTimeframeError):
                feed.subscribe("ETH-USD", timeframe)
        with pytest.raises(UnknownSymbolError, match="BTC-USD"):
            feed.bars("SOL-USD", "1m")
        with pytest.raises(ConfigError, match="forex"):
            feed.subscribe("EUR/USD")
        assert feed.symbols() == ("BTC-USD",)
        feed.wait("BTC-USD", timeout=LONG)
        assert feed.health.errors.total() == 0


# -- tapes -----------------------------------------------------------------------------


def test_unreadable_tapes_are_told(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.tape"
    garbage.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(TapeError, match="not a tape"):
        wb.replay(garbage)
    with pytest.raises(TapeError, match="No such file"):
        wb.replay(tmp_path / "none.tape")
    with pytest.raises(TapeError):
        wb.replay(tmp_path)


def test_a_torn_tape_is_played_up_to_where_it_is_whole(tmp_path: Path) -> None:
    torn = tmp_path / "torn.tape"
    torn.write_bytes(SAMPLE.read_bytes()[: SAMPLE.stat().st_size // 2])
    whole = TapeReader(torn)
    assert whole.torn > 0
    with wb.replay(torn) as feed:
        assert feed.health.frames == len(whole) > 1000
        assert feed.health.conserved()
        assert feed.health.errors.total() == 0


def test_damage_within_a_tape_is_told_and_names_the_place(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tape"
    data = bytearray(SAMPLE.read_bytes())
    data[len(data) // 2] ^= 0x10
    damaged.write_bytes(data)
    with pytest.raises(TapeError, match="damaged at byte"):
        wb.replay(damaged)


def test_an_existing_tape_is_not_overwritten_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path, store = tmp_path / "old.tape", tmp_path / "market.db"
    path.write_bytes(SAMPLE.read_bytes())
    with pytest.raises(TapeError, match="never overwritten"):
        wb.connect("sim", tape=path, store=store)
    assert path.read_bytes() == SAMPLE.read_bytes()
    wb.open_store(store).close()  # it would be busy if it had been left open


# -- rows ------------------------------------------------------------------------------


class Insert(NoFaults):
    """Send frames of our own after a frame with trades, one each."""

    def __init__(self, frames: Sequence[Send]) -> None:
        self.waiting = list(frames)

    def on_frame(self, connection: int, frame: bytes) -> Sequence[Action]:
        if b'"ev":"XT"' in frame and self.waiting:
            return (Send(frame), self.waiting.pop(0))
        return (Send(frame),)


def event(**changes: Any) -> bytes:
    """Return a frame of one trade, or of what the changes make of it, as text after JSON."""
    fields = {
        "ev": '"XT"', "pair": '"BTC-USD"', "p": "64000.5", "s": "0.5",
        "t": str(time.time_ns() // 10**6), "i": '"bad"', "x": "1",
    }  # fmt: skip
    fields |= changes
    inner = ",".join(f'"{name}":{text}' for name, text in fields.items() if text)
    return b"[{" + inner.encode() + b"}]"


MS = time.time_ns() // 10**6

MALFORMED = {
    "no JSON": Send(b"<html>502 Bad Gateway</html>"),
    "cut": Send(b'[{"ev":"XT","pair":"BTC-USD","p":640'),
    "empty": Send(b""),
    "a number": Send(b"42"),
    "no text": Send(b"\xff\xfe\x00\x80", text=False),
    "deep": Send(b"[" * 5000 + b"]" * 5000),
    "no price": Send(event(p="")),
    "price of words": Send(event(p='"a lot"')),
    "price null": Send(event(p="null")),
    "NaN": Send(event(p="NaN")),
    "no ticker": Send(event(pair='"B T C"')),
}
IMPOSSIBLE = {
    "price": [event(p="-64000.5"), event(p="0"), event(p="1e300")],
    "size": [event(s="-0.5")],
    "time": [
        event(t=str(MS // 1000)),
        event(t=str(MS * 1000)),
        event(t=str(MS * 10**6)),
        event(t="0"),
        event(t=str(MS + 3 * 86_400_000)),
    ],
}


def test_bad_rows_are_counted_kept_and_disturb_nobody(poll_for: Poll) -> None:
    bad = [frame for frames in IMPOSSIBLE.values() for frame in frames]
    faults = Insert([*MALFORMED.values(), *map(Send, bad)])
    with simulator(faults=faults, rate=30.0, **LENIENT) as running, feed_of(running) as feed:
        feed.subscribe("BTC-USD", ["1s", "1m"], timeout=LONG)
        poll_for(lambda: len(feed.quarantine) >= len(MALFORMED) + len(bad))
        numbers = feed.health.numbers()
        before = cast(int, numbers["trades_accepted"])
        poll_for(lambda: cast(int, feed.health.numbers()["trades_accepted"]) > before + 20)
        assert not faults.waiting
        assert len(feed.quarantine) == len(MALFORMED) + len(bad)
        for rule, frames in IMPOSSIBLE.items():
            assert feed.quarantine.counts[rule] == len(frames), rule
        table = feed.quarantine.table(100)
        assert len(table) == len(MALFORMED) + len(bad)
        assert table["content"].str.contains("Bad Gateway").any()
        assert table["content"].str.contains("-64000.5", regex=False).any()
        assert (table["detail"] != "").all()
        assert feed.health.conserved()
        assert cast(int, feed.health.numbers()["trades_refused"]) == len(bad)
        assert feed.health.errors.total() == 0
        # What could not be read makes some seconds doubtful until they were fetched.
        mended = ("gap", "recovered", "filled", "quality")
        told = [event.kind for event in feed.events(1000) if event.kind not in mended]
        assert told[0] == "connected", "the newest that is told of the line"
        trades = feed.trades("BTC-USD", last=None)
        assert trades["price"].between(1, 1e6).all()
        assert (trades["size"] > 0).all()


def test_trades_told_twice_count_once(poll_for: Poll) -> None:
    class Twice(NoFaults):
        """Send every trade twice, until told that it is enough, and nothing after."""

        def __init__(self) -> None:
            self.trades, self.enough = 0, False
            self.lock = threading.Lock()

        def on_frame(self, connection: int, frame: bytes) -> Sequence[Action]:
            with self.lock:
                if b'"ev":"XT"' not in frame:
                    return (Send(frame),)
                if self.enough:
                    return ()
                self.trades += frame.count(b'"ev":"XT"')
                return (Send(frame), Send(frame))

    faults = Twice()
    with simulator(faults=faults, rate=30.0, **LENIENT) as running, feed_of(running) as feed:
        feed.subscribe("BTC-USD", ["1s"], channels=("trade",), timeout=LONG)
        feed.wait("BTC-USD", count=50, timeout=LONG)
        with faults.lock:
            faults.enough = True
        names = ("trades_accepted", "trades_duplicate")
        poll_for(lambda: [feed.health.numbers()[name] for name in names] == [faults.trades] * 2)
        assert feed.health.conserved()
        assert feed.bars("BTC-USD", "1s")["count"].sum() == faults.trades


# -- disks and stores ------------------------------------------------------------------


def test_a_full_store_is_told_and_takes_all_once_there_is_room(
    tmp_path: Path, poll_for: Poll
) -> None:
    with SqliteStore(tmp_path / "market.db", durability="normal") as store:
        with (
            simulator(rate=50.0, **LENIENT) as running,
            feed_of(running, store=store) as feed,
        ):
            feed.subscribe(["BTC-USD", "ETH-USD"], ["1s"], timeout=LONG)
            store.limit(1)
            poll_for(lambda: "store_full" in feed.health._repr_html_(), what="for a full store")
            assert {e.kind for e in feed.events(1000) if "store_full" in e.text} == {"error"}
            before = cast(int, feed.health.numbers()["trades_accepted"])
            poll_for(lambda: cast(int, feed.health.numbers()["trades_accepted"]) > before + 50)
            feed.subscribe("SOL-USD", ["1s"], timeout=LONG)  # does not wait for the store
            poll_for(lambda: feed.health.state == "connected")
            store.limit(None)
            poll_for(lambda: feed.health.store == "running", what="for the store to recover")
        assert feed.health.errors["store"] == 0
        stored = sum(len(store.trades(name)) for name in ("BTC-USD", "ETH-USD", "SOL-USD"))
        assert stored == feed.health.numbers()["trades_accepted"]


class FullDisk:
    """A file on a disk that fills up once some was written."""

    def __init__(self, file: BinaryIO, room: int) -> None:
        self._file, self._room = file, room
        self._writes = 0

    def write(self, data: memoryview) -> int:
        self._writes += 1
        if len(data) > self._room and self._writes > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._room -= len(data)
        return self._file.write(data)

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Leisurely(SystemClock):
    """A clock by which no test lasts a minute, after which an error is told once more."""

    def monotonic(self) -> float:
        return super().monotonic() / 1000


def test_a_full_disk_under_the_tape_does_not_cost_the_feed(tmp_path: Path, poll_for: Poll) -> None:
    def full(path: str, mode: str) -> BinaryIO:
        return cast(BinaryIO, FullDisk(Path(path).open(mode, buffering=0), 20_000))  # type: ignore[arg-type]

    path = tmp_path / "market.tape"
    tape = TapeWriter(path, flush_seconds=0.05, open=full)
    with (
        simulator(rate=50.0, **LENIENT) as running,
        feed_of(running, tape=tape, clock=Leisurely()) as feed,
    ):
        feed.subscribe(["BTC-USD", "ETH-USD"], ["1s"], timeout=LONG)
        poll_for(lambda: any(e.kind == "error" for e in feed.events(1000)))
        before = cast(int, feed.health.numbers()["trades_accepted"])
        poll_for(lambda: cast(int, feed.health.numbers()["trades_accepted"]) > before + 20)
        told = [e.text for e in feed.events(1000) if e.kind == "error"]
        assert len(told) == 1, "told once, not for every frame"
        assert "No space left" in told[0]
        poll_for(lambda: feed.health.state == "connected")
    assert feed.health.state == "closed"
    with wb.replay(path) as again:  # what is on it is whole
        assert 0 < again.health.frames < feed.health.frames
        assert again.health.conserved()


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    path = tmp_path / "newer.db"
    wb.open_store(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE schema_version SET v = 99")
    connection.commit()
    connection.close()
    return path


def test_a_store_of_a_newer_version_is_refused_and_nothing_is_left_behind(newer: Path) -> None:
    content = newer.read_bytes()
    for way in (
        lambda: wb.connect("sim", store=newer),
        lambda: wb.replay(SAMPLE, store=newer),
        lambda: wb.open_store(newer),
    ):
        with pytest.raises(StoreSchemaError, match="99"):
            way()
    assert newer.read_bytes() == content


def test_a_store_that_somebody_writes_is_refused_and_nothing_is_left_behind(
    tmp_path: Path,
) -> None:
    path = tmp_path / "market.db"
    with wb.open_store(path), pytest.raises(StoreBusyError):
        wb.connect("sim", store=path)
    wb.connect("sim", store=path).close()
