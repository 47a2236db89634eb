"""Tapes: raw frames on disk, in order of receipt, before anything is decoded.

A tape is a header and blocks. Every block has its own header (lengths, number of frames,
first and last time of receipt, checksums) and a compressed payload, so that a reader knows
the extent of a tape without reading it, a crash costs the last block only, and a flipped
bit is found and confined to its block.

The format is ours because the measured alternative, MCAP, costs about four times as much to
write and seven times as much to read for small frames, takes nearly twice the space, and its
indexed reader refuses a file that was cut (``tests/bench/bench_tape.py`` prints the
comparison). Blocks are packed with zlib at level 1, off the loop: zstd would make large frames
cheaper and a tape a quarter smaller, but zlib is in the standard library, so that a tape can
be read for as long as there is a Python. The head of a block names its codec.

Frames that we send are never written, and addresses are kept without their query: no key
can be on a tape.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from workbench import tapeblocks as blocks
from workbench.clock import Clock, SystemClock
from workbench.errors import TapeError
from workbench.sources.source import Frame
from workbench.tapeblocks import TapeChannel
from workbench.tapefile import Opener, open_for_writing, unbuffered

__all__ = ["TapeChannel", "TapeReader", "TapeWriter"]

#: Bytes of frames that make a block: enough to compress well, little to lose.
BLOCK = 256 * 1024
#: Bytes of tape after which the channels are told again, lest one bad sector take them all.
REDECLARE = 4 * 1024 * 1024
#: Bytes of frames that may wait for the disk before the writer gives up.
MAX_WAITING = 256 * 1024 * 1024


class TapeWriter:
    """Write frames to a tape.

    ``append`` only keeps the frames; a thread of the writer's own packs, writes and syncs
    them, so that neither the disk nor the compression holds up the loop that reads a socket.

    Parameters
    ----------
    path : str or Path
        The tape, by custom with the extension ``.tape``.
    append : bool
        Continue an existing tape, after cutting off a torn end. Otherwise a path that exists
        is refused.
    clock : Clock
        Tells when a sync is due.
    flush_seconds : float
        At most this much is lost in a crash, seconds, > 0.
    background : bool
        False writes within ``append`` instead of in a thread: for simulations that must
        repeat exactly.
    fsync : callable
        Makes a file descriptor's data durable.
    open : callable
        Opens a path in a mode ("xb" or "r+b") without buffering.

    Raises
    ------
    TapeError
        If the path exists (without ``append``), is not a tape, is being written by somebody
        else or cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "morning.tape"
    >>> with TapeWriter(path) as tape:
    ...     channel = tape.channel("sim", "crypto", "ws://127.0.0.1:8200/crypto")
    ...     tape.append(channel, [Frame(1_000, b"[]"), Frame(2_000, b"[{}]")])
    >>> [frame.data for _, frame in TapeReader(path)]
    [b'[]', b'[{}]']
    """

    def __init__(
        self,
        path: str | Path,
        *,
        append: bool = False,
        clock: Clock | None = None,
        flush_seconds: float = 1.0,
        background: bool = True,
        fsync: Callable[[int], None] = os.fsync,
        open: Opener = unbuffered,
    ) -> None:
        self.path = Path(path)
        self._clock = clock or SystemClock()
        self._flush_seconds = flush_seconds
        self._fsync = fsync
        self._waiting: list[bytes | tuple[int, tuple[Frame, ...]]] = []
        self._size = 0
        self._frames = 0
        self._error: TapeError | None = None
        self._closed = False
        self._work_to_do = threading.Condition()
        self._writing = threading.Lock()
        self._dirty = False
        self._file, self._end, self._channels = open_for_writing(self.path, append, open)
        self._declared = self._end
        self._synced = self._clock.monotonic()
        self._thread: threading.Thread | None = None
        if background:
            self._thread = threading.Thread(target=self._work, name="tape", daemon=True)
            self._thread.start()

    @property
    def frames(self) -> int:
        """Frames taken since the writer was made."""
        return self._frames

    def channel(self, source: str, market: str, url: str) -> int:
        """Return the number under which a source's frames are written.

        Parameters
        ----------
        source, market : str
            The source's name and the provider's market.
        url : str
            The address connected to; user, query and fragment are left out.

        Returns
        -------
        int
            The same number for the same three, also when a tape is continued.
        """
        key = TapeChannel(source, market, blocks.plain_url(url))
        with self._work_to_do:
            number = self._channels.get(key)
            if number is None:
                number = self._channels[key] = max(self._channels.values(), default=-1) + 1
                self._waiting.append(blocks.pack_channel(number, key))
            return number

    def append(self, channel: int, frames: Sequence[Frame]) -> None:
        """Take frames of one channel, in order of receipt.

        Raises
        ------
        TapeError
            If an earlier write failed (a full disk), the disk cannot keep up, or the tape is
            closed. What was written before stays readable.
        """
        if self._error is not None or self._closed:
            raise self._failure()
        size = sum([len(frame.data) for frame in frames])
        with self._work_to_do:
            self._waiting.append((channel, tuple(frames)))
            self._size += size
            self._frames += len(frames)
            full = self._size >= BLOCK
            if full:
                self._work_to_do.notify()
        if self._thread is None and (full or self._due()):
            self._drain(sync=self._due())
        elif self._size > MAX_WAITING:
            self._error = TapeError(
                f"the disk under {self.path} does not keep up with the frames: "
                f"{MAX_WAITING >> 20} MiB wait to be written; record to a faster disk",
            )
            raise self._failure()

    def flush(self) -> None:
        """Write what waits and make it durable, in the calling thread.

        Raises
        ------
        TapeError
            If that, or an earlier write, failed.
        """
        if self._closed:
            raise self._failure()
        self._drain(sync=True)

    def close(self) -> None:
        """Write what waits, make it durable, and close the file; again is harmless.

        Raises
        ------
        TapeError
            If the last frames could not be written.
        """
        with self._work_to_do:
            if self._closed:
                return
            self._closed = True
            self._work_to_do.notify()
        if self._thread is not None:
            self._thread.join()
        try:
            self._drain(sync=True)
        finally:
            self._file.close()

    def __enter__(self) -> TapeWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"TapeWriter({str(self.path)!r}, {self._frames:,} frames)"

    def _failure(self) -> TapeError:
        if self._error is None:
            return TapeError(f"the tape {self.path} is closed")
        return TapeError(self._error.message, status=self._error.status)

    def _due(self) -> bool:
        return self._clock.monotonic() - self._synced >= self._flush_seconds

    def _work(self) -> None:
        while not self._closed:
            with self._work_to_do:
                full = self._work_to_do.wait_for(
                    lambda: self._closed or self._size >= BLOCK, self._flush_seconds
                )
            # A failure is kept, and raised where frames are handed in.
            with contextlib.suppress(TapeError):
                self._drain(sync=not full or self._due())
            if self._error is not None:
                return

    def _drain(self, sync: bool) -> None:
        with self._writing:
            if self._error is not None:
                raise self._failure()
            with self._work_to_do:
                items, self._waiting, self._size = self._waiting, [], 0
            try:
                for block in blocks.pack(items, BLOCK):
                    self._write(block)
                if self._end - self._declared >= REDECLARE:
                    self._declared = self._end
                    for channel, number in list(self._channels.items()):
                        self._write(blocks.pack_channel(number, channel))
                if sync and self._dirty:
                    self._fsync(self._file.fileno())
                    self._dirty = False
                if sync:
                    self._synced = self._clock.monotonic()
            except OSError as error:
                self._error = self._give_up(error)
                raise self._failure() from error

    def _write(self, block: bytes) -> None:
        view = memoryview(block)
        while view:
            # An unbuffered file may take a part only.
            view = view[self._file.write(view) :]
        self._end += len(block)
        self._dirty = True

    def _give_up(self, error: OSError) -> TapeError:
        # Cut off the half-written block; if even that fails, readers pass over it.
        with contextlib.suppress(OSError):
            self._file.truncate(self._end)
        return TapeError(
            f"cannot write the tape {self.path}: {error.strerror or error}; what is on it can be "
            "read; make room or choose another folder, then continue it with append=True",
            status=error.errno,
        )


class TapeReader:
    """Read a tape.

    Opening looks at the headers of the blocks only. What is appended later is not seen.

    Parameters
    ----------
    path : str or Path
    strict : bool
        True raises when iteration comes to a damaged block; False leaves it out and counts
        it in ``skipped``.

    Raises
    ------
    TapeError
        If the file cannot be read, is not a tape, or was written by a newer version.

    Attributes
    ----------
    channels : dict of int to TapeChannel
    frames : int
        Frames in intact blocks, as their headers tell.
    start, end : int or None
        First and last time of receipt, ns UTC; None for an empty tape.
    size, torn : int
        Bytes of the file, and those at its end that a crash left incomplete.
    skipped : int
        Damaged blocks left out by the last iteration.
    """

    def __init__(self, path: str | Path, *, strict: bool = True) -> None:
        self.path = Path(path)
        self.strict = strict
        self.skipped = 0
        try:
            with open(self.path, "rb") as file:
                scan = blocks.scan(file)
        except blocks.NotATape as error:
            raise TapeError(f"{self.path} {error}") from None
        except OSError as error:
            raise TapeError(f"cannot read the tape {self.path}: {error.strerror}") from error
        self._entries = scan.entries
        self.size, self.torn = scan.size, scan.torn
        self.channels: dict[int, TapeChannel] = scan.channels
        heads = [e.head for e in scan.entries if e.head and e.head.kind == blocks.FRAMES]
        self.frames: int = sum(head.n for head in heads)
        self.start: int | None = min((head.first for head in heads), default=None)
        self.end: int | None = max((head.last for head in heads), default=None)

    @property
    def duration(self) -> float:
        """Seconds from the first to the last frame; 0 for an empty tape."""
        if self.start is None or self.end is None:
            return 0.0
        return (self.end - self.start) / 1e9

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[tuple[int, Frame]]:
        """Yield each frame with the number of its channel, in order of receipt."""
        self.skipped = 0
        with open(self.path, "rb") as file:
            for entry in self._entries:
                try:
                    yield from blocks.unpack(file, entry, self.channels)
                except blocks.Damaged as error:
                    if self.strict:
                        raise TapeError(
                            f"the tape {self.path} is damaged at byte {entry.offset:,}: {error}; "
                            "open it with strict=False to leave such blocks out"
                        ) from None
                    self.skipped += 1

    def __repr__(self) -> str:
        return f"TapeReader({blocks.describe(self.path, self.frames, self.start, self.end)})"

    def __rich_repr__(self) -> Iterator[Any]:
        yield str(self.path)
        yield "frames", self.frames
        yield from (("start", blocks.utc(self.start)), ("end", blocks.utc(self.end)))
        yield "channels", [f"{c.source}/{c.market}" for c in self.channels.values()]
        yield from (("bytes", self.size), ("torn", self.torn, 0))
