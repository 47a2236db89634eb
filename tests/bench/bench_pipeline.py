"""From bytes on a websocket to bars of six timeframes, against plain Python on the same socket.

A server in a process of its own sends frames as Massive writes them, as fast as they are taken.
The peer reads them with ``recv``, decodes them with ``json.loads`` and keeps bars in dicts: no
rows, no check for repeats or for late trades, sums in plain floats. Ours is a Stream and a
Pipeline. Beside it: msgspec decoding of the same frames alone, which is less than either does,
and our way without the socket. CPU time of the reading process for the second half of the frames:
tables and caches have grown by then, here and there.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from time import process_time
from typing import Any

import msgspec
import numpy as np
import websockets.asyncio.client
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from workbench.flow.graph import Pipeline
from workbench.net.stream import Stream
from workbench.sources.massive import MassiveSource
from workbench.sources.massive_wire import FRAME
from workbench.sources.source import Frame, Source, Status
from workbench.symbols import SymbolTable
from workbench.warmup import warm

ROUNDS = 3
TIMEFRAMES = {"1s": 1, "15s": 15, "1m": 60, "5m": 300, "15m": 900, "1h": 3600}
START = 1_762_180_200_000  # ms
#: Events of a run, by events in a frame.
EVENTS = {1: 20_000, 10: 60_000, 100: 150_000}
AIMS = {1: "", 10: " (aim 3.5)", 100: " (aim 6)"}
GREETING = '[{"ev":"status","status":"connected","message":"Connected Successfully"}]'
READY = '[{"ev":"status","status":"auth_success","message":"authenticated"}]'


def frames_of(symbols: int, size: int) -> list[bytes]:
    """Trades of random symbols, 20 a second each but 20,000 in all at least."""
    count = EVENTS[size]
    rng = np.random.default_rng(symbols)
    times = START + np.cumsum(rng.exponential(1000 / max(20_000, 20 * symbols), count)).astype(int)
    numbers = rng.integers(0, symbols, count).tolist()
    prices = np.round(rng.uniform(20, 500, symbols)[numbers] + rng.normal(0, 0.05, count), 2)
    sizes = (np.round(rng.exponential(100, count)) + 1).astype(int).tolist()
    events = [
        {
            "ev": "T", "sym": f"S{number:04d}", "x": 4, "i": str(52_983_525_027_000 + n), "z": 3,
            "p": price, "s": amount, "c": [14, 41] if n % 3 else [37], "t": time, "q": n + 1,
        }
        for n, (number, price, amount, time) in enumerate(
            zip(numbers, prices.tolist(), sizes, times.tolist(), strict=True)
        )
    ]  # fmt: skip
    encode = msgspec.json.encode
    return [encode(events[at : at + size]) for at in range(0, count, size)]


async def served(symbols: int, size: int) -> None:
    """Send the frames to whoever has logged in, and tell the port first."""
    frames = frames_of(symbols, size)

    async def visit(connection: ServerConnection) -> None:
        try:
            await connection.send(GREETING)
            await connection.recv()
            await connection.send(READY)
            for frame in frames:
                await connection.send(frame, text=True)
            await connection.wait_closed()
        except ConnectionClosed:
            pass

    async with serve(visit, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


class PlainBars:
    """Bars in dicts, as one writes them first."""

    def __init__(self) -> None:
        self.forming: dict[tuple[str, int], dict[str, float]] = {}
        self.closed: list[dict[str, float]] = []

    def add(self, event: dict[str, Any]) -> None:
        """Take a trade."""
        symbol, price, size, time = event["sym"], event["p"], event["s"], event["t"]
        for seconds in TIMEFRAMES.values():
            start = time - time % (seconds * 1000)
            bar = self.forming.get((symbol, seconds))
            if bar is None or bar["start"] != start:
                if bar is not None:
                    self.closed.append(bar)
                self.forming[symbol, seconds] = {
                    "start": start, "open": price, "high": price, "low": price, "close": price,
                    "volume": size, "notional": price * size, "count": 1,
                }  # fmt: skip
                continue
            if price > bar["high"]:
                bar["high"] = price
            if price < bar["low"]:
                bar["low"] = price
            bar["close"] = price
            bar["volume"] += size
            bar["notional"] += price * size
            bar["count"] += 1


async def plain(url: str, frames: int) -> tuple[float, int]:
    """Return CPU seconds, and how many bars there are."""
    bars = PlainBars()
    options: Any = {"compression": None, "max_queue": None, "max_size": 64 * 2**20}
    async with websockets.asyncio.client.connect(url, **options) as websocket:
        await websocket.recv()
        await websocket.send("auth")
        await websocket.recv()
        begin = 0.0
        for number in range(frames):
            if number == frames // 2:
                begin = process_time()
            for event in json.loads(await websocket.recv()):
                if event["ev"] == "T":
                    bars.add(event)
        return process_time() - begin, len(bars.closed) + len(bars.forming)


def pipeline_of(table: SymbolTable) -> Pipeline:
    pipeline = Pipeline(table)
    for name in TIMEFRAMES:
        pipeline.builder.add_timeframe(name)
    return pipeline


async def ours(url: str, frames: int) -> tuple[float, int]:
    table = SymbolTable()
    pipeline = pipeline_of(table)
    begin = spent = 0.0
    seen = 0

    def deliver(source: Source, some: list[Frame]) -> list[Status]:
        nonlocal begin, spent, seen
        if not seen and pipeline.health.frames >= frames // 2:
            begin, seen = process_time(), pipeline.health.frames - 2
        statuses = list(pipeline.deliver(source, some))
        if pipeline.health.frames == frames + 2:
            # What came before the middle was left out with its delivery.
            spent = (process_time() - begin) * (frames / 2) / (frames - seen)
            stream.close()
        return statuses

    source = MassiveSource("stocks", base=url, key="k", table=table)
    stream = Stream(source, deliver, on_event=lambda event: None)
    await stream.run()
    pipeline.finish()
    assert pipeline.gate.accepted["trade"] == pipeline.gate.received["trade"]
    return spent, pipeline.health.bars["closed"]


def alone(frames: list[bytes]) -> tuple[float, float]:
    """Return CPU seconds of decoding alone, and of our way without the socket."""
    half = len(frames) // 2
    begin = process_time()
    for data in frames[half:]:
        FRAME.decode(data)
    decoding = process_time() - begin
    table = SymbolTable()
    pipeline = pipeline_of(table)
    source = MassiveSource("stocks", table=table)
    # What gathers in about two milliseconds of a busy socket.
    step = max(1, 400 // max(1, events_in(frames)))
    begin = 0.0
    for at in range(0, len(frames), step):
        if not begin and at >= half:
            begin = process_time()
        now = (START + at) * 1_000_000
        pipeline.deliver(source, [Frame(now, data) for data in frames[at : at + step]])
    return decoding, process_time() - begin


def events_in(frames: list[bytes]) -> int:
    return frames[0].count(b'"ev"')


def measure(symbols: int, size: int) -> None:
    frames = frames_of(symbols, size)
    figures: dict[str, list[float]] = {"plain": [], "ours": [], "msgspec": [], "bytes": []}
    command = [sys.executable, __file__, "serve", str(symbols), str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"ws://127.0.0.1:{int(server.stdout.readline())}"
            for _ in range(ROUNDS):
                spent, theirs = asyncio.run(plain(url, len(frames)))
                figures["plain"].append(spent)
                spent, bars = asyncio.run(ours(url, len(frames)))
                figures["ours"].append(spent)
                assert bars == theirs, "the same bars"
                decoding, processed = alone(frames)
                figures["msgspec"].append(decoding)
                figures["bytes"].append(processed)
        finally:
            server.terminate()
    us = {name: statistics.median(f) / (EVENTS[size] / 2) * 1e6 for name, f in figures.items()}
    print(
        f"{symbols:>6,} symbols, {size:>3} a frame: json + dicts {us['plain']:5.2f} us a trade, "
        f"ours {us['ours']:5.2f}: {us['plain'] / us['ours']:4.1f}x{AIMS[size]}; without the "
        f"socket {us['bytes']:4.2f}, msgspec alone {us['msgspec']:4.2f} "
        f"({us['ours'] / us['msgspec']:.1f}x of it); {bars / EVENTS[size]:.2f} bars a trade"
    )


def main() -> None:
    """Print the comparison."""
    warm()
    print(f"{', '.join(TIMEFRAMES)}; medians of {ROUNDS} rounds of CPU time")
    for symbols in (1, 100, 10_000):
        for size in EVENTS:
            measure(symbols, size)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(served(int(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
