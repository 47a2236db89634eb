"""Driving sources from a tape: the frames of a day that is over, through the live path."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from workbench.clock import Clock, SystemClock
from workbench.errors import ConfigError, TapeError
from workbench.net.delivery import Deliver, Delivery
from workbench.sources.source import Frame, Source
from workbench.tape import TapeReader

__all__ = ["Replayed", "replay"]

_MANY = 512
#: Seconds and frames after which other tasks of the loop get their turn.
_TURN_SECONDS = 0.005
_TURN_FRAMES = 4096


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far a replay has come.

    Attributes
    ----------
    frames, bytes : int
        Frames delivered and their sizes.
    tape_seconds : float
        Time of the tape that was covered.
    seconds : float
        Time it took.
    failures : int
        Deliveries that raised.
    """

    frames: int = 0
    bytes: int = 0
    tape_seconds: float = 0.0
    seconds: float = 0.0
    failures: int = 0


async def replay(
    reader: TapeReader,
    deliver: Deliver,
    sources: Callable[[str, str], Source],
    *,
    speed: float = math.inf,
    clock: Clock | None = None,
    on_progress: Callable[[Replayed], None] | None = None,
    gather: float = 0.002,
) -> Replayed:
    """Deliver the frames of a tape with their recorded times of receipt.

    Parameters
    ----------
    reader : TapeReader
    deliver : callable
        As a :class:`~workbench.net.stream.Stream` calls it; the statuses it returns are
        ignored.
    sources : callable
        Returns the source for a name and a market; called once for each channel.
    speed : float
        Seconds of tape for each second of the clock, > 0; ``math.inf`` does not wait.
    clock : Clock or None
        Paces the frames; None is the machine's.
    on_progress : callable or None
        Called now and then, and at the end.
    gather : float
        Seconds of receipt that are delivered together at most, as live; below 512 frames.

    Returns
    -------
    Replayed

    Raises
    ------
    ConfigError
        If the speed is not above 0.
    TapeError
        If the tape is damaged; what came before was delivered.
    """
    if not speed > 0:
        raise ConfigError(f"replay speed {speed}: must be above 0, or inf")
    run = _Run(reader, deliver, sources, speed, clock or SystemClock(), on_progress)
    return await run.to_the_end(gather)


class _Run:
    """One replay under way."""

    def __init__(
        self,
        reader: TapeReader,
        deliver: Deliver,
        sources: Callable[[str, str], Source],
        speed: float,
        clock: Clock,
        on_progress: Callable[[Replayed], None] | None,
    ) -> None:
        self._reader = reader
        self._speed = speed
        self._clock = clock
        self._on_progress = on_progress
        self._deliveries = {
            number: Delivery(sources(channel.source, channel.market), deliver, clock)
            for number, channel in reader.channels.items()
        }
        self._frames = self._bytes = 0
        self._first: int | None = None
        self._newest = 0

    async def to_the_end(self, gather: float) -> Replayed:
        clock = self._clock
        self._began = turn = clock.monotonic()
        counted = 0
        # As in a live run, frames gather by the clock that paces them.
        together = gather * (1.0 if math.isinf(self._speed) else self._speed)
        for chunk in _chunks(self._reader, round(together * 1e9)):
            await self._keep_pace(chunk[0][1].received)
            self._deliver(chunk)
            now = clock.monotonic()
            if self._frames - counted >= _TURN_FRAMES or now - turn >= _TURN_SECONDS:
                counted, turn = self._frames, now
                self._tell()
                await clock.sleep(0)
        self._tell()
        return self._so_far()

    async def _keep_pace(self, received: int) -> None:
        if self._first is None:
            self._first = self._newest = received
        # The recording machine's clock may have stepped back: never wait for that.
        self._newest = max(self._newest, received)
        due = self._began + (self._newest - self._first) / 1e9 / self._speed
        ahead = due - self._clock.monotonic()
        if ahead > 0:
            await self._clock.sleep(ahead)

    def _deliver(self, chunk: list[tuple[int, Frame]]) -> None:
        groups: dict[int, list[Frame]] = {}
        for channel, frame in chunk:
            groups.setdefault(channel, []).append(frame)
        self._frames += len(chunk)
        for channel, frames in groups.items():
            self._bytes += sum([len(frame.data) for frame in frames])
            self._newest = max(self._newest, frames[-1].received)
            self._deliveries[channel](frames)

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self._so_far())

    def _so_far(self) -> Replayed:
        return Replayed(
            frames=self._frames,
            bytes=self._bytes,
            tape_seconds=(self._newest - (self._first or 0)) / 1e9 if self._frames else 0.0,
            seconds=self._clock.monotonic() - self._began,
            failures=sum(delivery.failures for delivery in self._deliveries.values()),
        )


def _chunks(reader: TapeReader, together: int) -> Iterator[list[tuple[int, Frame]]]:
    """Group frames received within a time in ns, at most 512 of them."""
    chunk: list[tuple[int, Frame]] = []
    first = 0
    try:
        for pair in reader:
            received = pair[1].received
            if chunk and (len(chunk) >= _MANY or not 0 <= received - first <= together):
                yield chunk
                chunk = []
            if not chunk:
                first = received
            chunk.append(pair)
    except TapeError:
        # What was read before the damage is as good as the rest.
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk
