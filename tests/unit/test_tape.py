"""Tapes: what is written is read, whatever happened to the file."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench import tape as module
from workbench.clock import ManualClock
from workbench.errors import TapeError
from workbench.sources.source import Frame
from workbench.tape import TapeChannel, TapeReader, TapeWriter
from workbench.tapeblocks import MAGIC

URL = "ws://127.0.0.1:8200/crypto"


def frames(n: int, start: int = 0) -> list[Frame]:
    return [Frame(1_000_000 * i, b'[{"ev":"XT","n":%d}]' % i) for i in range(start, start + n)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one.tape"


def write(path: Path, *groups: list[Frame], **options: Any) -> None:
    """Write each group as a block of its own."""
    with TapeWriter(path, background=False, **options) as tape:
        channel = tape.channel("fake", "crypto", URL)
        for group in groups:
            tape.append(channel, group)
            tape.flush()


def read(path: Path, **options: Any) -> list[Frame]:
    return [frame for _, frame in TapeReader(path, **options)]


def wait_for(predicate: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not predicate():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


class FullDisk(io.FileIO):
    """A file on a disk with room for some bytes."""

    room = 1 << 40

    def write(self, data: Any, /) -> int:
        part = memoryview(data)[: self.room]
        if not part:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(part)
        return super().write(part) or 0


def test_it_reads_what_was_written(path: Path) -> None:
    write(path, frames(3), frames(2, 3))
    reader = TapeReader(path)
    assert list(reader) == [(0, frame) for frame in frames(5)]
    assert reader.channels == {0: TapeChannel("fake", "crypto", URL)}
    assert (reader.frames, len(reader), reader.torn) == (5, 5, 0)
    assert (reader.start, reader.end, reader.duration) == (0, 4_000_000, 0.004)
    assert reader.size == path.stat().st_size


def test_channels_keep_the_order_of_receipt(path: Path) -> None:
    with TapeWriter(path) as tape:
        crypto = tape.channel("fake", "crypto", URL)
        stocks = tape.channel("fake", "stocks", "ws://127.0.0.1:8200/stocks")
        assert tape.channel("fake", "crypto", URL) == crypto != stocks
        tape.append(crypto, frames(1))
        tape.append(stocks, frames(2, 1))
        tape.append(crypto, frames(1, 3))
        assert tape.frames == 4
    assert [number for number, _ in TapeReader(path)] == [crypto, stocks, stocks, crypto]
    assert read(path) == frames(4)


def test_no_key_gets_on_it(path: Path) -> None:
    with TapeWriter(path) as tape:
        tape.channel("fake", "crypto", "wss://me:hunter2@h.test/crypto?apiKey=hunter2#hunter2")
        tape.append(0, frames(1))
    assert TapeReader(path).channels[0].url == "wss://h.test/crypto"


def test_an_empty_tape_is_a_tape(path: Path) -> None:
    write(path)
    reader = TapeReader(path)
    assert (list(reader), reader.start, reader.end, reader.duration) == ([], None, None, 0.0)
    assert "0 frames" in repr(reader)


def test_large_and_empty_frames_pass(path: Path) -> None:
    odd = [Frame(5, b""), Frame(4, os.urandom(3 * module.BLOCK)), Frame(-1, b"\0" * 100)]
    write(path, odd)
    assert read(path) == odd
    # The clock stepped back: the largest time of receipt counts.
    assert TapeReader(path).end == 5


def test_its_repr_tells_the_extent(path: Path) -> None:
    write(path, [Frame(1_723_161_254_000_000_000, b"x")])
    assert "1 frames, 2024-08-08 23:54:14 to 2024-08-08 23:54:14 UTC" in repr(TapeReader(path))
    assert dict(item for item in TapeReader(path).__rich_repr__() if len(item) == 2)["frames"] == 1


def test_an_existing_path_is_refused(path: Path) -> None:
    path.write_bytes(b"dear diary")
    with pytest.raises(TapeError, match="never overwritten"):
        TapeWriter(path)
    assert path.read_bytes() == b"dear diary"


def test_it_is_continued_on_request(path: Path) -> None:
    write(path, frames(2))
    with TapeWriter(path, append=True) as tape:
        assert tape.channel("fake", "stocks", URL) == 1
        assert tape.channel("fake", "crypto", URL) == 0
        tape.append(0, frames(2, 2))
    assert read(path) == frames(4)


def test_continuing_cuts_off_a_torn_end(path: Path) -> None:
    write(path, frames(3), frames(3, 3))
    os.truncate(path, path.stat().st_size - 5)
    assert TapeReader(path).torn > 0
    write(path, frames(1, 9), append=True)
    assert read(path) == [*frames(3), *frames(1, 9)]
    assert TapeReader(path).torn == 0


def test_a_file_cut_in_its_first_bytes_is_begun_again(path: Path) -> None:
    path.write_bytes(MAGIC[:3])
    assert (TapeReader(path).torn, TapeReader(path).frames) == (3, 0)
    write(path, frames(1), append=True)
    assert read(path) == frames(1)


def test_zeros_at_the_end_are_torn(path: Path) -> None:
    write(path, frames(3))
    size = path.stat().st_size
    for zeros in (1, 100, 10_000):
        os.truncate(path, size)
        os.truncate(path, size + zeros)
        assert TapeReader(path).torn == zeros
        assert read(path) == frames(3)


def test_a_block_whose_data_never_came_is_torn(path: Path) -> None:
    write(path, frames(3))
    size = path.stat().st_size
    write(path, frames(50, 3), append=True)
    full = path.stat().st_size
    os.truncate(path, size + 50)
    os.truncate(path, full)
    assert read(path) == frames(3)
    assert TapeReader(path).torn == full - size


def test_two_recordings_do_not_share_a_tape(path: Path) -> None:
    with (
        TapeWriter(path),
        pytest.raises(TapeError, match="being written"),
        TapeWriter(path, append=True),
    ):
        pass


@pytest.mark.parametrize("content", [b"dear diary, today", b"\x89PNG\r\n\x1a\n" * 9])
@pytest.mark.parametrize("use", [TapeReader, lambda p: TapeWriter(p, append=True)])
def test_other_files_are_no_tapes(
    path: Path, content: bytes, use: Callable[[Path], object]
) -> None:
    path.write_bytes(content)
    with pytest.raises(TapeError, match="is not a tape"):
        use(path)
    assert path.read_bytes() == content


def test_a_newer_version_is_named(path: Path) -> None:
    path.write_bytes(MAGIC[:-1] + b"\x07" + b"whatever")
    with pytest.raises(TapeError, match=r"newer version \(format 7\)"):
        TapeReader(path)


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="No such file"):
        TapeReader(tmp_path / "no.tape")
    with pytest.raises(TapeError, match="No such file"):
        TapeWriter(tmp_path / "no" / "where.tape")


@pytest.fixture
def damaged(path: Path) -> tuple[Path, int]:
    """Return a tape of three blocks whose second one begins at an offset."""
    write(path, frames(40))
    offset = path.stat().st_size
    write(path, frames(40, 40), append=True)
    write(path, frames(40, 80), append=True)
    return path, offset


@pytest.mark.parametrize("within", [0, 5, 17, 44, 60])
def test_damage_is_found_and_confined(damaged: tuple[Path, int], within: int) -> None:
    path, offset = damaged
    content = bytearray(path.read_bytes())
    content[offset + within] ^= 0x10
    path.write_bytes(content)
    kept: list[Frame] = []
    with pytest.raises(TapeError, match=f"damaged at byte {offset:,}"):
        kept.extend(frame for _, frame in TapeReader(path))
    lenient = TapeReader(path, strict=False)
    assert [frame for _, frame in lenient] == [*frames(40), *frames(40, 80)]
    assert lenient.skipped == 1
    for _ in lenient:
        pass
    assert lenient.skipped == 1


def test_a_damaged_tape_is_not_continued(damaged: tuple[Path, int]) -> None:
    path, offset = damaged
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
    with pytest.raises(TapeError, match="begin a new one"):
        TapeWriter(path, append=True)
    assert path.read_bytes() == content


def test_channels_are_told_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REDECLARE", 10)
    write(path, frames(2), frames(2, 2))
    content = bytearray(path.read_bytes())
    content[len(MAGIC) + 46] ^= 1  # in the first declaration
    path.write_bytes(content)
    reader = TapeReader(path, strict=False)
    assert reader.channels[0].market == "crypto"
    assert [frame for _, frame in reader] == frames(4)


def test_frames_of_a_lost_channel_are_not_guessed(path: Path) -> None:
    write(path, frames(2))
    content = bytearray(path.read_bytes())
    content[len(MAGIC) + 46] ^= 1
    path.write_bytes(content)
    reader = TapeReader(path, strict=False)
    assert (list(reader), reader.skipped) == ([], 2)


@pytest.mark.parametrize("room", [0, 7, 60])
def test_a_full_disk_is_told_and_the_rest_is_read(path: Path, room: int) -> None:
    files: list[FullDisk] = []

    def open(name: str, mode: str) -> Any:
        files.append(FullDisk(name, "x" if "x" in mode else "r+"))
        return files[-1]

    tape = TapeWriter(path, background=False, open=open)
    channel = tape.channel("fake", "crypto", URL)
    tape.append(channel, frames(3))
    tape.flush()
    files[-1].room = room
    tape.append(channel, frames(30, 3))
    with pytest.raises(TapeError, match=r"No space left.*make room"):
        tape.flush()
    with pytest.raises(TapeError, match="make room") as caught:
        tape.append(channel, frames(1))
    assert caught.value.status == errno.ENOSPC
    with pytest.raises(TapeError, match="make room"):
        tape.close()
    tape.close()
    assert (read(path), TapeReader(path).torn) == (frames(3), 0)


def test_a_failing_sync_is_told(path: Path) -> None:
    def fsync(number: int) -> None:
        raise OSError(errno.EIO, "bad sector")

    tape = TapeWriter(path, background=False, fsync=fsync)
    tape.append(tape.channel("fake", "crypto", URL), frames(1))
    with pytest.raises(TapeError, match="bad sector"):
        tape.close()


def test_a_failure_in_the_background_comes_to_light(path: Path) -> None:
    def fsync(number: int) -> None:
        raise OSError(errno.EIO, "bad sector")

    tape = TapeWriter(path, flush_seconds=0.01, fsync=fsync)
    channel = tape.channel("fake", "crypto", URL)

    def fails() -> bool:
        try:
            tape.append(channel, frames(1))
        except TapeError:
            return True
        return False

    wait_for(fails)
    with pytest.raises(TapeError, match="bad sector"):
        tape.close()


def test_it_is_on_disk_without_being_asked(path: Path) -> None:
    synced = threading.Event()
    with TapeWriter(path, flush_seconds=0.01, fsync=lambda number: synced.set()) as tape:
        tape.append(tape.channel("fake", "crypto", URL), frames(3))
        assert synced.wait(300)
        wait_for(lambda: TapeReader(path).frames == 3)
    assert not [thread for thread in threading.enumerate() if thread.name == "tape"]


def test_much_is_written_before_the_second_is_over(path: Path) -> None:
    big = [Frame(1, os.urandom(module.BLOCK))]
    with TapeWriter(path, flush_seconds=3600) as tape:
        tape.append(tape.channel("fake", "crypto", URL), big)
        wait_for(lambda: TapeReader(path).frames == 1)


def test_without_a_thread_the_clock_decides(path: Path) -> None:
    clock = ManualClock()
    synced: list[int] = []
    tape = TapeWriter(path, background=False, clock=clock, fsync=synced.append)
    channel = tape.channel("fake", "crypto", URL)
    tape.append(channel, frames(1))
    assert (TapeReader(path).frames, len(synced)) == (0, 0)
    clock.advance(1.0)
    tape.append(channel, frames(1, 1))
    assert (TapeReader(path).frames, len(synced)) == (2, 1)
    tape.close()
    assert "2 frames" in repr(tape)


def test_a_disk_that_cannot_keep_up_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 1000)
    go = threading.Event()

    def stuck(number: int) -> None:
        go.wait(500)

    tape = TapeWriter(path, flush_seconds=0.001, fsync=stuck)
    channel = tape.channel("fake", "crypto", URL)
    tape.append(channel, frames(1))
    wait_for(lambda: TapeReader(path).frames == 1)
    with pytest.raises(TapeError, match="does not keep up"):
        tape.append(channel, [Frame(1, bytes(2000))])
    go.set()
    with pytest.raises(TapeError, match="does not keep up"):
        tape.close()
    assert read(path) == frames(1)


def test_a_closed_tape_takes_nothing(path: Path) -> None:
    tape = TapeWriter(path)
    tape.close()
    calls: list[Callable[[], None]] = [lambda: tape.append(0, frames(1)), tape.flush]
    for call in calls:
        with pytest.raises(TapeError, match="closed"):
            call()


RECORDER = """
import sys, os
from workbench.sources.source import Frame
from workbench.tape import TapeWriter
tape = TapeWriter(sys.argv[1], flush_seconds=0.01)
channel = tape.channel("fake", "crypto", "ws://127.0.0.1")
number = 0
while True:
    tape.append(channel, [Frame(number + i, b"%d " % (number + i) * 50) for i in range(100)])
    number += 100
    if number % 1000 == 0:
        tape.flush()
        print(number, flush=True)
"""


def test_what_was_flushed_survives_a_kill(path: Path) -> None:
    command = [sys.executable, "-c", RECORDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        flushed = [int(process.stdout.readline()) for _ in range(5)][-1]
        process.kill()
    numbers = [frame.received for frame in read(path)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= flushed
    with TapeWriter(path, append=True) as tape:
        tape.append(tape.channel("fake", "crypto", "ws://127.0.0.1"), frames(1))
    assert TapeReader(path).frames == len(numbers) + 1
