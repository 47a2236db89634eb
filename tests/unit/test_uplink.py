"""The sockets of a feed: one stream a market, and what it makes of refusals."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from workbench.clock import SystemClock
from workbench.config import settings
from workbench.errors import AuthError, ConfigError, TapeError
from workbench.flow.uplink import Uplink
from workbench.net.stream import ConnectionEvent
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame, Source, Status, Topic
from workbench.symbols import SymbolTable
from workbench.tape import TapeReader, TapeWriter

#: Seconds; a machine may stand still at any step.
PATIENCE = 500.0
BTC, SPY = Topic("BTC-USD", "trade"), Topic("SPY", "trade")


class Socket:
    """A websocket that greets, checks the key and acknowledges topics."""

    def __init__(self, url: str, key: str, heard: list[tuple[str, str]]) -> None:
        self._url, self._key, self._heard = url, key, heard
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()
        self._status("connected", "Connected Successfully")

    def _status(self, status: str, message: str) -> None:
        event = {"ev": "status", "status": status, "message": message}
        self._frames.put_nowait(json.dumps([event]).encode())

    async def recv(self, decode: bool) -> bytes:
        return await self._frames.get()

    async def send(self, message: str) -> None:
        said = json.loads(message)
        self._heard.append((self._url, message))
        if said["action"] == "auth":
            self._status("auth_success" if said["params"] == self._key else "auth_failed", "x")
        else:
            self._status("success", f"{said['action']}d to: {said['params']}")

    async def close(self) -> None:
        self._heard.append((self._url, "close"))


class Bench:
    """An uplink with all it was told."""

    def __init__(self, tape: TapeWriter | None = None, key: str = "k") -> None:
        self.heard: list[tuple[str, str]] = []
        self.events: list[ConnectionEvent] = []
        self.errors: list[tuple[str, Exception]] = []
        self.frames: list[bytes] = []
        self.right_key = "k"
        self.uplink = Uplink(
            lambda market: MassiveSource(market, key=key, table=SymbolTable()),
            self.deliver,
            self.events.append,
            lambda part, error: self.errors.append((part, error)),
            tape=tape,
            settings=settings(reconnect="fixed", silence_seconds=PATIENCE),
            clock=SystemClock(),
            rng=random.Random(1),
            connect=self.connect,
            handshake=PATIENCE,
        )

    async def connect(self, url: str, **options: Any) -> Socket:
        return Socket(url, self.right_key, self.heard)

    def deliver(self, source: Source, frames: Sequence[Frame]) -> Sequence[Status]:
        self.frames += [frame.data for frame in frames]
        return source.decode(frames).statuses

    def said(self, text: str) -> bool:
        return any(text in message for _, message in self.heard)


def run(play: Callable[[Bench], Coroutine[Any, Any, None]], **options: Any) -> Bench:
    async def main() -> Bench:
        bench = Bench(**options)
        try:
            await asyncio.wait_for(play(bench), PATIENCE)
        finally:
            await bench.uplink.close()
        return bench

    return asyncio.run(main())


async def until(predicate: Callable[[], bool]) -> None:
    for _ in range(50_000):
        if predicate():
            return
        await asyncio.sleep(0.01)
    pytest.fail("waited in vain")


def test_one_stream_for_each_market() -> None:
    async def play(bench: Bench) -> None:
        uplink = bench.uplink
        assert uplink.state == "idle"
        uplink.want("crypto", {BTC})
        uplink.want("stocks", {SPY})
        assert uplink.state == "connecting"
        await uplink.ready("crypto")
        await uplink.ready("stocks")
        assert uplink.state == "connected"
        await until(lambda: bench.said("XT.BTC-USD") and bench.said("T.SPY"))
        stream = uplink.stream("crypto")
        uplink.want("crypto", set())
        await until(lambda: bench.said("unsubscribe"))
        assert uplink.stream("crypto") is stream

    bench = run(play)
    assert sum(message == "close" for _, message in bench.heard) == 2
    assert {url.rpartition("/")[2] for url, _ in bench.heard} == {"crypto", "stocks"}
    assert bench.uplink.state == "closed"
    assert not bench.errors


def test_nothing_wanted_nothing_opened() -> None:
    async def play(bench: Bench) -> None:
        bench.uplink.want("crypto", set())
        assert bench.uplink.stream("crypto") is None
        await bench.uplink.ready("crypto")
        with pytest.raises(ConfigError):
            bench.uplink.want("bonds", {BTC})

    assert run(play).heard == []


def test_a_refused_key_is_raised_and_may_be_put_right() -> None:
    async def play(bench: Bench) -> None:
        bench.right_key = "another"
        bench.uplink.want("crypto", {BTC})
        with pytest.raises(AuthError):
            await bench.uplink.ready("crypto")
        assert bench.uplink.state == "failed"
        assert set(bench.uplink.failures) == {"crypto"}
        bench.right_key = "k"
        bench.uplink.want("crypto", {BTC})
        await bench.uplink.ready("crypto")
        assert bench.uplink.failures == {}

    run(play)


def test_frames_are_on_the_tape_before_they_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"

    async def play(bench: Bench) -> None:
        bench.uplink.want("crypto", {BTC})
        await bench.uplink.ready("crypto")
        await until(lambda: len(bench.frames) == 3)

    with TapeWriter(path, background=False) as tape:
        bench = run(play, tape=tape)
    reader = TapeReader(path)
    assert [frame.data for _, frame in reader] == bench.frames
    assert [c.market for c in reader.channels.values()] == ["crypto"]


def test_a_tape_that_fails_does_not_cost_the_feed() -> None:
    class Full:
        def channel(self, source: str, market: str, url: str) -> int:
            return 0

        def append(self, channel: int, frames: Sequence[Frame]) -> None:
            raise TapeError("no space left")

    async def play(bench: Bench) -> None:
        bench.uplink.want("crypto", {BTC})
        await bench.uplink.ready("crypto")
        await until(lambda: len(bench.frames) == 3)

    bench = run(play, tape=Full())
    assert {part for part, _ in bench.errors} == {"tape"}
    assert len(bench.errors) >= 3
