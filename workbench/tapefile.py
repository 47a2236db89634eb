"""Opening the file of a tape for writing: new, or continued behind its last whole block."""

from __future__ import annotations

import builtins
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from workbench import tapeblocks as blocks
from workbench.errors import TapeError
from workbench.tapeblocks import TapeChannel

if sys.platform != "win32":  # there, two writers are not told apart
    import fcntl

__all__ = ["Opener", "open_for_writing", "unbuffered"]

Opener = Callable[[str, str], BinaryIO]


def unbuffered(path: str, mode: str) -> BinaryIO:
    """Open a file whose writes go to the system at once."""
    return builtins.open(path, mode, buffering=0)  # type: ignore[return-value]


def open_for_writing(
    path: Path, append: bool, open: Opener
) -> tuple[BinaryIO, int, dict[TapeChannel, int]]:
    """Open a tape for writing and return it with its end and its channels.

    Parameters
    ----------
    path : Path
    append : bool
        Continue the tape if there is one, cutting off a torn end.
    open : callable
        Opens a path in a mode.

    Raises
    ------
    TapeError
        If the path exists (without ``append``), is no tape, is damaged, is being written by
        somebody else, or cannot be opened.
    """
    try:
        with contextlib.ExitStack() as undo:
            if append and path.exists():
                file = undo.enter_context(open(str(path), "r+b"))
                end, channels = _continue(path, file)
            else:
                file = undo.enter_context(open(str(path), "xb"))
                _lock(path, file)
                end, channels = 0, {}
            if not end:
                end = file.write(blocks.MAGIC)
            undo.pop_all()
            return file, end, channels
    except FileExistsError:
        raise TapeError(
            f"{path} exists: a tape is never overwritten; choose another name or continue it "
            "with append=True"
        ) from None
    except OSError as error:
        raise TapeError(f"cannot open the tape {path}: {error.strerror or error}") from error
    except blocks.NotATape as error:
        raise TapeError(f"{path} {error}") from None


def _continue(path: Path, file: BinaryIO) -> tuple[int, dict[TapeChannel, int]]:
    # Before looking at the end: what another writer is busy with looks torn.
    _lock(path, file)
    found = blocks.scan(file)
    if any(entry.head is None for entry in found.entries):
        # A channel's number may be among what is lost, and would be given out again.
        raise TapeError(f"the tape {path} is damaged and is not continued; begin a new one")
    end = found.size - found.torn
    file.truncate(end)
    file.seek(end)
    return end, {channel: number for number, channel in found.channels.items()}


def _lock(path: Path, file: BinaryIO) -> None:
    if sys.platform != "win32":
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TapeError(f"{path} is being written by another recording") from None
