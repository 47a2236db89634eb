"""Timeouts, buffers and pace of the simulator's server."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Say how patient, how roomy and how quick the server is.

    Attributes
    ----------
    auth_timeout : float
        Seconds a client has to log in.
    buffer_bytes : int
        Bytes that may wait for one reader before it is cut off as too slow. A hurried
        market waits for the reader instead.
    close_timeout : float
        Seconds to wait for the other side of a close.
    ping_seconds : float or None
        Between protocol pings. None sends none.
    pong_seconds : float or None
        For the answer to one, before the connection is closed; None waits for ever.
    connections : int
        Websocket connections of one key in one cluster where keys are not asked for;
        0 is no limit. Where they are, entitlements say.
    per_minute : int
        REST requests in a window, of all clients together; 0 is no limit.
    rate_window : float
        Seconds of the window in which requests are counted.
    frame_events : int
        Most events in one frame.
    tick_seconds : float
        Between looks at the clock: events of that span share a frame.
    bar_wait : float
        Seconds after a window's end until its bar is sent.
    wait_for : int
        Readers with a subscription that must be there before the market's clock starts,
        and for a hurried market also to go on.
    batched : bool
        Acknowledge all topics of a request in one frame, else one frame for each.
    """

    auth_timeout: float = 10.0
    buffer_bytes: int = 8 << 20
    close_timeout: float = 2.0
    ping_seconds: float | None = 20.0
    pong_seconds: float | None = 20.0
    connections: int = 0
    per_minute: int = 0
    rate_window: float = 60.0
    frame_events: int = 100
    tick_seconds: float = 0.02
    bar_wait: float = 2.0
    wait_for: int = 0
    batched: bool = True
