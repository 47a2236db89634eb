"""Where faults are put into the simulator: everything it sends passes through here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from workbench.sim.rest import Answer

__all__ = ["Abort", "Action", "Close", "Deaf", "Faults", "NoFaults", "Raw", "Send", "Wait"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send a frame.

    Attributes
    ----------
    data : bytes
    text : bool
        False sends it as a binary one.
    final : bool
        Whether other faults leave it as it is: it was spoiled already.
    """

    data: bytes
    text: bool = True
    final: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """Write bytes to the line itself, past the websocket protocol; `end` ends the line after."""

    data: bytes
    end: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing on this connection for that many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Deaf:
    """Stop reading, and with it answering pings; or go on, if `on` is false."""

    on: bool = True


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection with a close frame."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Abort:
    """Drop the connection without a close frame."""


Action = Send | Raw | Wait | Deaf | Close | Abort


class Faults(Protocol):
    """Decide what really happens to frames, requests and connections."""

    def on_frame(self, connection: int, frame: bytes) -> Sequence[Action]:
        """Return what to do instead of sending a frame.

        Parameters
        ----------
        connection : int
            Number of the connection, counted from 1 since the start.
        frame : bytes
        """
        ...

    def due(self, connection: int) -> float | None:
        """Return the seconds until something held back is to be sent; None if nothing is."""
        ...

    def release(self, connection: int) -> Sequence[Action]:
        """Return what to do about what was held back and is due."""
        ...

    def on_end(self, connection: int) -> None:
        """Take note that a connection has ended."""
        ...

    async def on_request(self, target: str, answer: Answer) -> Answer:
        """Return what to answer to a REST request; may take its time."""
        ...

    async def on_connect(self, cluster: str) -> Answer | None:
        """Return a refusal of a websocket connection, or None to accept it."""
        ...


class NoFaults:
    """Let everything pass."""

    def on_frame(self, connection: int, frame: bytes) -> Sequence[Action]:
        """Send the frame."""
        return (Send(frame),)

    def due(self, connection: int) -> float | None:
        """Hold nothing back."""
        return None

    def release(self, connection: int) -> Sequence[Action]:
        """Do nothing."""
        return ()

    def on_end(self, connection: int) -> None:
        """Do nothing."""

    async def on_request(self, target: str, answer: Answer) -> Answer:
        """Give the answer."""
        return answer

    async def on_connect(self, cluster: str) -> Answer | None:
        """Accept the connection."""
        return None
