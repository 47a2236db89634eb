"""One websocket connection: its buffer, its writer, its end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from workbench.clock import Clock
from workbench.sim.faults import Abort, Action, Close, Deaf, Faults, Raw, Send, Wait
from workbench.sim.protocol import POLICY_VIOLATION, Session
from workbench.sim.wire import status

__all__ = ["Connection"]


class Connection:
    """Send frames to one reader from a bounded buffer.

    Parameters
    ----------
    number : int
        Connections since the start, this one included.
    socket : ServerConnection
    session : Session
    faults : Faults
    clock : Clock
    capacity : int
        Bytes that may wait; beyond that the reader is too slow.
    patience : float
        Seconds to wait for the reader to take the close frame and answer it.
    """

    def __init__(
        self,
        number: int,
        socket: ServerConnection,
        session: Session,
        faults: Faults,
        clock: Clock,
        capacity: int,
        patience: float,
    ) -> None:
        self.number = number
        self.session = session
        self.demand: frozenset[int] = frozenset()
        self.mask: npt.NDArray[np.bool_] = np.zeros(session.topic_count, np.bool_)
        self._socket = socket
        self._faults = faults
        self._clock = clock
        self._capacity = capacity
        self._patience = patience
        self._frames: deque[bytes] = deque()
        self._waiting = 0
        self._filled = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._end: tuple[int, str] | None = None
        self._writer: asyncio.Task[None] | None = None

    @property
    def ending(self) -> bool:
        """Whether the connection is being closed from our side."""
        return self._end is not None

    @property
    def overfull(self) -> bool:
        """Whether more waits than the buffer holds."""
        return self._waiting > self._capacity

    def want(self, demand: frozenset[int]) -> None:
        """Receive these topics from now on."""
        self.demand = demand
        self.mask = np.zeros_like(self.mask)
        self.mask[sorted(demand)] = True

    def push(self, frames: Sequence[bytes]) -> None:
        """Put frames into the buffer; nothing is sent to a connection that is ending."""
        if self.ending or not frames:
            return
        self._frames.extend(frames)
        self._waiting += sum(map(len, frames))
        self._filled.set()
        if self._waiting > self._capacity // 2:
            self._roomy.clear()

    async def room(self) -> None:
        """Wait until the buffer is at most half full or the connection ends."""
        await self._roomy.wait()

    def kick(self, word: str, message: str) -> None:
        """Drop what waits, say why, and close with 1008."""
        self.dismiss(POLICY_VIOLATION, word, [b"[%b]" % status(word, message)])

    def dismiss(self, code: int, reason: str, last: Sequence[bytes] = ()) -> None:
        """Drop what waits, send some last frames, and close."""
        if self.ending:
            return
        self._frames.clear()
        self._waiting = 0
        self.push(last)
        # A writer that is stuck in a full socket must not delay the last word.
        stuck = self._writer
        self.finish(code, reason)
        if stuck is not None:
            stuck.cancel()

    def finish(self, code: int, reason: str) -> None:
        """Close once the buffer is sent."""
        self._end = (code, reason)
        self._filled.set()
        self._roomy.set()

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        self._socket.transport.abort()

    async def write(self) -> None:
        """Send what is pushed until the connection ends."""
        try:
            self._writer = asyncio.create_task(self._drain())
            await asyncio.wait([self._writer])
            if self._end is not None:
                await self._close(*self._end)
            else:
                await self._writer  # a failed send ends here
        except ConnectionClosed:
            pass
        finally:
            if self._writer is not None:
                self._writer.cancel()
            self._end = self._end or (1006, "")
            self._roomy.set()
            self._faults.on_end(self.number)

    async def _drain(self) -> None:
        while True:
            while self._frames:
                frame = self._frames.popleft()
                self._waiting -= len(frame)
                await self._send(frame)
                if self._waiting <= self._capacity // 2:
                    self._roomy.set()
            if self._end is not None:
                return
            self._filled.clear()
            await self._pause()

    async def _pause(self) -> None:
        """Wait for frames, or until something that was held back is due."""
        due = self._faults.due(self.number)
        if due is None:
            await self._filled.wait()
            return
        try:
            async with asyncio.timeout(due):
                await self._filled.wait()
        except TimeoutError:
            await self._act(self._faults.release(self.number))

    async def _send(self, frame: bytes) -> None:
        await self._act(self._faults.on_frame(self.number, frame))

    async def _act(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Send(data, text):
                    await self._socket.send(data, text=text)
                case Raw(data, end):
                    self._socket.transport.write(data)
                    if end:
                        self._socket.transport.close()
                case Wait(seconds):
                    await self._clock.sleep(seconds)
                case Deaf(on):
                    self._listen(not on)
                case Close(code, reason):
                    await self._socket.close(code, reason)
                case Abort():
                    self.abort()

    def _listen(self, on: bool) -> None:
        """Read what comes, and send pings of our own; or neither."""
        transport = self._socket.transport
        if not on:
            transport.pause_reading()
            if self._socket.keepalive_task is not None:
                self._socket.keepalive_task.cancel()
        elif not transport.is_closing():
            transport.resume_reading()
            self._socket.start_keepalive()

    async def _close(self, code: int, reason: str) -> None:
        for frame in self._frames:
            # Written at once even if the reader takes nothing; waiting for it to be read
            # is what the close below does, for a bounded time.
            send = asyncio.ensure_future(self._socket.send(frame, text=True))
            await asyncio.wait([send], timeout=0.01)
            send.cancel()
            await asyncio.gather(send, return_exceptions=True)
        self._frames.clear()
        try:
            async with asyncio.timeout(self._patience):
                await self._socket.close(code, reason)
        except TimeoutError:
            self.abort()
