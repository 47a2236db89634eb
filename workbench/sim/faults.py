"""Where faults are put into the simulator: everything it sends passes through here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from workbench.sim.rest import Answer

__all__ = ["Abort", "Action", "Close", "Faults", "NoFaults", "Send", "Wait"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send a frame; `text` false sends it as a binary one."""

    data: bytes
    text: bool = True


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing on this connection for that many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection with a close frame."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Abort:
    """Drop the connection without a close frame."""


Action = Send | Wait | Close | Abort


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

    async def on_request(self, target: str, answer: Answer) -> Answer:
        """Give the answer."""
        return answer

    async def on_connect(self, cluster: str) -> Answer | None:
        """Accept the connection."""
        return None
