"""The feed thread: one asyncio loop that user code can neither block nor forget to run."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from workbench.errors import FeedClosedError

__all__ = ["LoopThread"]

T = TypeVar("T")

#: A wait is so many looks: of a machine that is suspended for long, one is over too soon, not all.
_LOOKS = 20


class LoopThread:
    """Run an asyncio loop in a thread of its own.

    It works in a script, in a notebook cell (whose own loop is running already) and in a
    server alike.

    Examples
    --------
    >>> loop = LoopThread("example")
    >>> loop.call(lambda: 6 * 7)
    42
    >>> loop.close()
    """

    def __init__(self, name: str) -> None:
        self._started = threading.Event()
        self._gate = threading.Lock()
        self._closing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()
        self._started.wait()

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._started.set)
        try:
            self._loop.run_forever()
        finally:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    @property
    def running(self) -> bool:
        """Whether calls are still taken."""
        return not self._closing and self._thread.is_alive()

    def inside(self) -> bool:
        """Tell whether the caller runs in the feed thread."""
        return threading.current_thread() is self._thread

    def call(self, function: Callable[[], T], timeout: float | None = 30.0) -> T:
        """Run a function in the thread and return its result, or raise what it raised.

        Parameters
        ----------
        function : callable
        timeout : float or None
            Seconds to wait; None waits for ever.

        Raises
        ------
        FeedClosedError
            If the loop was closed before the function could run.
        """
        if self.inside():
            return function()

        async def run() -> T:
            return function()

        try:
            return _awaited(self.submit(run()), timeout)
        except concurrent.futures.CancelledError:
            raise FeedClosedError("the feed was closed meanwhile") from None

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start a coroutine in the thread."""
        with self._gate:
            if self.running:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise FeedClosedError("the feed is closed")

    def within(self, work: Coroutine[Any, Any, None], timeout: float) -> bool:
        """Tell whether a coroutine ends in so many seconds; it is cancelled if not."""
        future = self.submit(work)
        try:
            _awaited(future, timeout)
        except TimeoutError:
            future.cancel()
            return False
        return True

    def close(self, timeout: float | None = 10.0) -> None:
        """Stop the loop and wait for the thread.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait at most, for what runs in the thread may hang; None waits for ever.
        """
        if self.inside():
            return
        with self._gate:
            # What is submitted after the loop was told to stop would never run, nor end.
            if self.running:
                self._closing = True
                self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout)


def _awaited(future: concurrent.futures.Future[T], timeout: float | None) -> T:
    """Return what a future comes to; TimeoutError after so many seconds in which we ran."""
    if timeout is None:
        return future.result()
    for _ in range(_LOOKS):
        try:
            return future.result(timeout / _LOOKS)
        except TimeoutError:
            if future.done():  # since just now, or this is what it has raised
                return future.result()
    raise TimeoutError
