"""Replay: the frames of a tape, in order and in time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from workbench.clock import ManualClock
from workbench.errors import ConfigError, TapeError
from workbench.net.replay import Replayed, replay
from workbench.sources.source import Decoded, Frame, Source, Status, Topic
from workbench.symbols import SymbolTable
from workbench.tape import TapeReader, TapeWriter

SECOND = 1_000_000_000


class Named:
    """A source that only has a name."""

    url = "ws://127.0.0.1:1"

    def __init__(self, name: str, market: str) -> None:
        self.name = name
        self.market = market
        self.table = SymbolTable()

    def hello(self) -> list[str]:
        return []

    def replies(self, statuses: Sequence[Status]) -> list[str]:
        return []

    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        return []

    unsubscribe = subscribe

    def decode(self, frames: Sequence[Frame]) -> Decoded:
        return Decoded()


def tape(path: Path, *pairs: tuple[str, float]) -> TapeReader:
    """Write frames given as market and seconds, and open the tape."""
    with TapeWriter(path, background=False) as writer:
        for number, (market, seconds) in enumerate(pairs):
            channel = writer.channel("fake", market, Named.url)
            writer.append(channel, [Frame(round(seconds * SECOND), b"%d" % number)])
    return TapeReader(path)


class Taken:
    """A pipeline that keeps what it is given, and when."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.calls: list[tuple[str, float, list[int]]] = []
        self.broken = False

    def __call__(self, source: Source, frames: list[Frame]) -> Sequence[Status]:
        if self.broken:
            raise RuntimeError("a plug-in broke")
        numbers = [int(frame.data) for frame in frames]
        self.calls.append((source.market, self.clock.monotonic(), numbers))
        return ()


def play(
    reader: TapeReader, speed: float = math.inf, **options: object
) -> tuple[Taken, Replayed, list[Replayed]]:
    clock = ManualClock()
    taken = Taken(clock)
    progress: list[Replayed] = []
    coroutine = replay(reader, taken, Named, speed=speed, clock=clock, on_progress=progress.append)
    return taken, asyncio.run(coroutine, debug=True), progress


def test_frames_keep_their_times_at_every_speed(tmp_path: Path) -> None:
    reader = tape(tmp_path / "x.tape", ("a", 100), ("a", 101), ("a", 160))
    for speed, times in ((1.0, [0, 1, 60]), (60.0, [0, 1 / 60, 1]), (math.inf, [0, 0, 0])):
        taken, report, _ = play(reader, speed)
        assert [time for _, time, _ in taken.calls] == pytest.approx(times, abs=1e-6)
        assert [numbers for _, _, numbers in taken.calls] == [[0], [1], [2]]
        assert (report.frames, report.bytes, report.tape_seconds) == (3, 3, 60.0)
        assert report.seconds == pytest.approx(times[-1], abs=1e-6)


def test_near_frames_are_delivered_together_by_channel(tmp_path: Path) -> None:
    pairs = [("a", 1.0), ("b", 1.0005), ("a", 1.001), ("a", 1.0021), ("b", 5.0)]
    taken, _, _ = play(tape(tmp_path / "x.tape", *pairs))
    assert [(market, numbers) for market, _, numbers in taken.calls] == [
        ("a", [0, 2]),
        ("b", [1]),
        ("a", [3]),
        ("b", [4]),
    ]


def test_no_more_than_512_come_together(tmp_path: Path) -> None:
    with TapeWriter(tmp_path / "x.tape") as writer:
        channel = writer.channel("fake", "a", Named.url)
        writer.append(channel, [Frame(7, b"%d" % n) for n in range(10_000)])
    taken, report, progress = play(TapeReader(tmp_path / "x.tape"))
    assert [n for _, _, numbers in taken.calls for n in numbers] == list(range(10_000))
    assert max(len(numbers) for _, _, numbers in taken.calls) == 512
    assert progress[-1] == report
    assert len(progress) >= 3


def test_a_clock_that_stepped_back_is_not_waited_for(tmp_path: Path) -> None:
    reader = tape(tmp_path / "x.tape", ("a", 100), ("a", 40), ("a", 101))
    taken, report, _ = play(reader, 1.0)
    assert [time for _, time, _ in taken.calls] == [0, 0, 1]
    assert report.tape_seconds == 1.0


def test_an_empty_tape_is_soon_played(tmp_path: Path) -> None:
    _, report, progress = play(tape(tmp_path / "x.tape"))
    assert report == Replayed()
    assert progress == [report]


def test_errors_of_the_pipeline_are_counted(tmp_path: Path) -> None:
    reader = tape(tmp_path / "x.tape", ("a", 1), ("a", 2))
    taken = Taken(ManualClock())
    taken.broken = True
    report = asyncio.run(replay(reader, taken, Named))
    assert (report.frames, report.failures) == (2, 2)


def test_damage_ends_it_after_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "x.tape"
    tape(path, ("a", 1))
    with TapeWriter(path, append=True) as writer:
        writer.append(0, [Frame(2 * SECOND, b"1")])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    taken = Taken(ManualClock())
    with pytest.raises(TapeError, match="damaged at byte"):
        asyncio.run(replay(TapeReader(path), taken, Named))
    assert [numbers for _, _, numbers in taken.calls] == [[0]]


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_speeds_that_make_no_sense_are_refused(tmp_path: Path, speed: float) -> None:
    with pytest.raises(ConfigError, match="replay speed"):
        play(tape(tmp_path / "x.tape"), speed)
