"""Tape against MCAP and against writing raw bytes: cost of appending, size, reading back.

Prints medians of some rounds in one process, and ratios against the floor (joining the same
frames and writing them to a file, uncompressed) and against the peer (MCAP with chunks of
1 MiB, which is the library's default, packed with zstd or not at all). MCAP needs
``pip install mcap``; without it only the floor is compared.

Why the tape has a format of its own: for small frames MCAP's Python library costs several
times as much on both ends and nearly twice the space (it keeps an index entry a message), and
its indexed reader refuses a file that was cut. For frames of a hundred events MCAP with zstd is
the cheaper one; there the tape's cost is zlib's, paid in a thread apart from the loop.
"""

from __future__ import annotations

import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from workbench.sources.source import Frame
from workbench.tape import TapeReader, TapeWriter

ROUNDS = 3
BATCH = 100  # frames handed in together, as a stream does


def events(rng: random.Random, first: int, n: int) -> bytes:
    """Return a frame of n trades."""
    parts = []
    for number in range(first, first + n):
        pair = rng.choice(("BTC-USD", "ETH-USD", "SOL-USD"))
        price, size = 60_000 + rng.gauss(0, 50), rng.expovariate(3)
        when = 1_763_600_000_000 + 3 * number
        parts.append(
            f'{{"ev":"XT","pair":"{pair}","p":{price:.2f},"t":{when},"s":{size:.6f},'
            f'"c":[{rng.choice((1, 2))}],"i":"{90_000_000 + number}","x":1,"r":{when + 4}}}'
        )
    return ("[" + ",".join(parts) + "]").encode()


def make(n: int, per_frame: int) -> list[Frame]:
    """Return n frames a microsecond or so apart."""
    rng = random.Random(7)
    return [
        Frame(1_763_600_000_000_000_000 + 1_000 * i, events(rng, i * per_frame, per_frame))
        for i in range(n)
    ]


def batches(frames: list[Frame]) -> list[list[Frame]]:
    return [frames[i : i + BATCH] for i in range(0, len(frames), BATCH)]


def write_tape(path: Path, frames: list[Frame]) -> float:
    """Write a tape and return the seconds that the calls of append alone took."""
    spent = 0.0
    with TapeWriter(path) as tape:
        channel = tape.channel("bench", "crypto", "ws://127.0.0.1")
        for group in batches(frames):
            begin = time.perf_counter()
            tape.append(channel, group)
            spent += time.perf_counter() - begin
    return spent


def read_tape(path: Path) -> int:
    return sum(1 for _ in TapeReader(path))


def write_raw(path: Path, frames: list[Frame]) -> float:
    begin = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for group in batches(frames):
            file.write(b"".join([frame.data for frame in group]))
    return time.perf_counter() - begin


def read_raw(path: Path) -> int:
    return len(path.read_bytes())


def mcap_formats() -> dict[str, tuple[Callable[[Path, list[Frame]], float], Callable[[Path], int]]]:
    """Return writers and readers of MCAP, if it is installed."""
    try:
        from mcap.reader import make_reader
        from mcap.writer import CompressionType, Writer
    except ImportError:
        return {}

    def writer(compression: CompressionType) -> Callable[[Path, list[Frame]], float]:
        def write(path: Path, frames: list[Frame]) -> float:
            begin = time.perf_counter()
            with path.open("wb") as file:
                out = Writer(file, compression=compression)
                out.start()
                channel = out.register_channel("bench", "json", out.register_schema("", "", b""))
                for frame in frames:
                    out.add_message(channel, frame.received, frame.data, frame.received)
                out.finish()
            return time.perf_counter() - begin

        return write

    def read(path: Path) -> int:
        with path.open("rb") as file:
            messages = make_reader(file).iter_messages(log_time_order=False)
            return sum(1 for _ in messages)

    return {
        "mcap": (writer(CompressionType.NONE), read),
        "mcap zstd": (writer(CompressionType.ZSTD), read),
    }


def measure(folder: Path, frames: list[Frame]) -> None:
    size = sum(len(frame.data) for frame in frames)
    print(f"\n{len(frames):,} frames of {size / len(frames):,.0f} B")
    formats = {"raw": (write_raw, read_raw), "tape": (write_tape, read_tape), **mcap_formats()}
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in formats}
    share: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, (write, read) in formats.items():
            path = folder / "x"
            begin = time.perf_counter()
            within = write(path, frames)
            wrote = time.perf_counter() - begin
            begin = time.perf_counter()
            read(path)
            found[name].append((within, wrote, time.perf_counter() - begin))
            share[name] = path.stat().st_size / size
            path.unlink()
    tape = [statistics.median(column) for column in zip(*found["tape"], strict=True)]
    print(
        f"{'':10} {'us/frame in append':>19} {'until on disk':>14} {'read':>7} {'size':>6}  x tape"
    )
    for name, rows in found.items():
        times = [statistics.median(column) for column in zip(*rows, strict=True)]
        append, wrote, read_back = (1e6 * t / len(frames) for t in times)
        ratios = " ".join(f"{a / b:6.2f}" for a, b in zip(times, tape, strict=True))
        print(
            f"{name:10} {append:19.2f} {wrote:14.2f} {read_back:7.2f} {share[name]:6.1%}  {ratios}"
        )


def torn(folder: Path, frames: list[Frame]) -> None:
    print("\nfile cut at 60 %: frames that can still be read, of those in the first 60 %")
    formats = {"tape": (write_tape, read_tape), **mcap_formats()}
    for name, (write, read) in formats.items():
        path = folder / "x"
        write(path, frames)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 6 // 10])
        answer = "refused"
        with contextlib.suppress(Exception):
            answer = f"{read(path) / (0.6 * len(frames)):.1%}"
        print(f"{name:10} {answer}")
        path.unlink()


def main() -> None:
    """Print the comparison."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = make(300_000, 1)
        measure(folder, small)
        measure(folder, make(10_000, 120))
        torn(folder, small)


if __name__ == "__main__":
    main()
