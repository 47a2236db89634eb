"""The lock that makes one process the writer of a store."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

from workbench.errors import StoreBusyError, StoreError

__all__ = ["WriterLock"]

_PAUSE = 0.05


def _pause() -> None:
    threading.Event().wait(_PAUSE)


class WriterLock:
    """Hold a store for writing, across processes and within one.

    The kernel gives the lock up when the process ends, however it ends; the file itself
    stays, since removing it would let two processes lock two different files.

    Parameters
    ----------
    path : Path
        The lock file.
    attempts : int
        How often to try, at least once, with a short pause between: a process that is just
        ending gets time to let go.
    pause : callable
        What waits between two attempts.

    Raises
    ------
    StoreBusyError
        If another holds it; the message names the process.
    StoreError
        If the file cannot be made.
    """

    def __init__(
        self, path: Path, *, attempts: int = 30, pause: Callable[[], None] = _pause
    ) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"cannot make the lock {path}: {error.strerror}") from None
        try:
            self._take(max(1, attempts), pause)
        except BaseException:
            os.close(self._file)
            raise
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def _take(self, attempts: int, pause: Callable[[], None]) -> None:
        for attempt in range(attempts):
            try:
                # flock, not lockf: it also tells apart two stores opened by one process.
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if attempt + 1 < attempts:
                    pause()
            except OSError as error:
                raise StoreError(f"cannot lock {self.path}: {error.strerror}") from None
            else:
                return
        raise self._busy()

    def _busy(self) -> StoreBusyError:
        holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
        store = str(self.path).removesuffix(".lock")
        if holder == str(os.getpid()):
            return StoreBusyError(
                f"{store} is already open for writing in this process (pid {holder}): use that "
                'store, close it first, or open this one with mode="ro"',
                status=holder,
            )
        return StoreBusyError(
            f"{store} is open for writing in process {holder or 'unknown'} (pid): stop it, or "
            'open the store with mode="ro" to read while it writes',
            status=holder or None,
        )

    def release(self) -> None:
        """Give the lock up; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
