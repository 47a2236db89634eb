"""Stream against a bare loop over the same socket: what gathering and counting cost a frame.

A server in a process of its own sends frames as fast as they are taken. The floor reads them
with ``recv`` and drops them. Prints medians of CPU time in the reading process, and the ratio.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence

import websockets.asyncio.client
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from workbench.net.stream import Stream
from workbench.sources.source import Decoded, Frame, Source, Status, Topic
from workbench.symbols import SymbolTable

ROUNDS = 5


class Counting:
    """A source without a login: the first frame makes it ready."""

    name = "bench"
    market = "crypto"

    def __init__(self, url: str) -> None:
        self.url = url
        self.table = SymbolTable()

    def hello(self) -> list[str]:
        return ["go"]

    def replies(self, statuses: Sequence[Status]) -> list[str]:
        return []

    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        return []

    unsubscribe = subscribe

    def decode(self, frames: Sequence[Frame]) -> Decoded:
        return Decoded()


async def served(size: int, count: int) -> None:
    """Send frames to whoever says something, and tell the port first."""
    frame = json.dumps([{"ev": "XT", "x": "y" * max(1, size - 25)}])

    async def visit(connection: ServerConnection) -> None:
        try:
            await connection.recv()
            for _ in range(count):
                await connection.send(frame, text=True)
            await connection.wait_closed()
        except ConnectionClosed:
            pass

    async with serve(visit, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


async def bare(url: str, count: int) -> float:
    options = {"compression": None, "max_queue": None, "max_size": 64 * 2**20}
    async with websockets.asyncio.client.connect(url, **options) as websocket:
        await websocket.send("go")
        await websocket.recv(decode=False)
        begin = time.process_time()
        for _ in range(count - 1):
            await websocket.recv(decode=False)
        return time.process_time() - begin


async def streamed(url: str, count: int) -> tuple[float, int]:
    begin = 0.0
    spent = 0.0
    seen = calls = 0

    def deliver(source: Source, frames: list[Frame]) -> Sequence[Status]:
        nonlocal begin, spent, seen, calls
        statuses = [] if seen else [Status("ready", "")]
        begin = begin or time.process_time()
        seen += len(frames)
        calls += 1
        if seen == count:
            spent = time.process_time() - begin
            stream.close()
        return statuses

    stream = Stream(Counting(url), deliver, on_event=lambda event: None)
    await stream.run()
    return spent, calls


def measure(size: int, count: int) -> None:
    command = [sys.executable, __file__, "serve", str(size), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"ws://127.0.0.1:{int(server.stdout.readline())}"
            floor, ours, calls = [], [], 0
            for _ in range(ROUNDS):
                floor.append(asyncio.run(bare(url, count)))
                spent, calls = asyncio.run(streamed(url, count))
                ours.append(spent)
        finally:
            server.terminate()
    a, b = (1e6 * statistics.median(times) / count for times in (floor, ours))
    print(
        f"{count:,} frames of {size:,} B: recv alone {a:.2f} us, stream {b:.2f} us a frame, "
        f"ratio {b / a:.2f}; {count / calls:.0f} frames a delivery"
    )


def main() -> None:
    """Print the comparison."""
    measure(150, 100_000)
    measure(14_000, 10_000)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(served(int(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
