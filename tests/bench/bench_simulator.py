"""How fast the simulator hands out events, against sending the same frames ready-made.

The floor is a server that sends the very frames the simulator would, prepared before the
clock starts; the reader is the same and only counts bytes.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from workbench.sim.recording import RecordedMarket
from workbench.sim.run import simulator

EVENTS = 200_000
ROUNDS = 3


def write(folder: Path, symbols: int) -> Path:
    path = folder / f"trades{symbols}.csv"
    start = 1_723_161_240 * 10**9
    lines = [
        f"{start + i * 1_000_000},S{i % symbols},{100 + i % 97 * 0.01:.2f},{1 + i % 900}"
        for i in range(EVENTS)
    ]
    path.write_text("time,symbol,price,size\n" + "\n".join(lines))
    return path


async def read(url: str, topics: str, size: int) -> float:
    async with connect(url, max_queue=64, compression=None, max_size=None) as socket:
        await socket.recv()
        await socket.send('{"action":"auth","params":"k"}')
        await socket.recv()
        await socket.send(f'{{"action":"subscribe","params":"{topics}"}}')
        await socket.recv()
        began, got = time.perf_counter(), 0
        while got < size:
            got += len(await socket.recv(decode=False)) - 1
        return time.perf_counter() - began


def simulated(path: Path, topics: str, size: int, frame_events: int) -> float:
    market = RecordedMarket([path], speed="max")
    with simulator(market, wait_for=1, frame_events=frame_events) as sim:
        return asyncio.run(read(f"{sim.url}/stocks", topics, size))


def ready_made(frames: list[bytes], size: int) -> float:
    """Send the frames from a thread of its own, as the simulator does."""
    ports: list[int] = []
    ready = threading.Event()

    async def main() -> None:
        done = asyncio.Event()

        async def talk(socket: ServerConnection) -> None:
            await socket.send("[]")
            for _ in range(2):
                await socket.recv()
                await socket.send("[]")
            for frame in frames:
                await socket.send(frame, text=True)
            await socket.wait_closed()
            done.set()

        async with serve(talk, "127.0.0.1", 0, compression=None) as server:
            ports.append(next(iter(server.sockets)).getsockname()[1])
            ready.set()
            await done.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    ready.wait()
    took = asyncio.run(read(f"ws://127.0.0.1:{ports[0]}/stocks", "T.*", size))
    thread.join()
    return took


def main() -> None:
    """Print medians and ratios."""
    with tempfile.TemporaryDirectory() as folder:
        for symbols in (1, 1000):
            path = write(Path(folder), symbols)
            market = RecordedMarket([path], speed="max")
            chunk = market.chunk(0, 1 << 62, frozenset())
            half = np.zeros(4 * symbols, np.bool_)
            half[: 2 * symbols] = True
            for frame_events in (1, 10, 100):
                frames = chunk.frames(np.ones(4 * symbols, np.bool_), frame_events)
                size = sum(map(len, frames)) - len(frames)
                floor = statistics.median(ready_made(frames, size) for _ in range(ROUNDS))
                ours = statistics.median(
                    simulated(path, "T.*", size, frame_events) for _ in range(ROUNDS)
                )
                print(
                    f"{symbols:>5} symbols {frame_events:>4} events a frame: "
                    f"simulator {EVENTS / ours:>9,.0f} events/s, "
                    f"ready-made {EVENTS / floor:>9,.0f}, ratio {floor / ours:.2f}"
                )
            began = time.perf_counter()
            chunk.frames(half, 100)
            rate = EVENTS / (time.perf_counter() - began)
            print(f"{symbols:>5} symbols, half of them wanted: {rate:,.0f} events/s to cut frames")


if __name__ == "__main__":
    main()
