"""Faults of the line: connections that end, fall silent or refuse, frames of an odd make."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from workbench.sim.faulteffect import Effect, Moment, is_data, status_frame, tally
from workbench.sim.faults import Abort, Action, Close, Deaf, Raw, Send, Wait
from workbench.sim.protocol import POLICY_VIOLATION
from workbench.sim.rest import Answer

__all__ = [
    "Big",
    "Drop",
    "Framing",
    "HalfOpen",
    "Hello",
    "Kick",
    "Login",
    "Outage",
    "Refuse",
    "Stall",
]

_NO_CODE = 1006
_TEXT, _CONTINUATION, _NO_OPCODE = 1, 0, 11
_GARBAGE = Send(b"<html>502 Bad Gateway</html>", final=True)
_KICKS = {
    "slow_consumer": "You are reading too slowly; disconnected",
    "force_disconnect": "Disconnected by the server",
    "max_connections": (
        "Maximum number of websocket connections exceeded. An older one was closed."
    ),
}


class Drop(Effect):
    """End the connection in place of a frame."""

    def __init__(self, code: int = _NO_CODE, reason: str = "", how: str = "abort") -> None:
        self._code = code
        self._reason = reason
        self._how = how

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the end of the connection."""
        if not is_data(send.data) or not at.chance(""):
            return (send,)
        tally(at.ledger, "suppressed", send.data)
        if self._code != _NO_CODE:
            return (Close(self._code, self._reason),)
        whole = _frame(_TEXT, send.data)
        match self._how:
            case "fin":
                return (Raw(b"", end=True),)
            case "frame":
                return (Raw(whole[: len(whole) - max(1, len(send.data) // 2)], end=True),)
            case "header":
                return (Raw(whole[:1], end=True),)
        return (Abort(),)


class HalfOpen(Effect):
    """Let the connection stand and neither send nor read on it."""

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = math.inf if seconds is None else seconds
        self._until: dict[int, float] = {}

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return nothing while the silence lasts."""
        until = self._until.get(at.connection)
        if until is None:
            if not is_data(send.data) or not at.chance(""):
                return (send,)
            self._until[at.connection] = at.now + self._seconds
        elif at.now >= until:
            del self._until[at.connection]
            return (Deaf(on=False), send)
        tally(at.ledger, "suppressed", send.data)
        return (Deaf(),) if until is None else ()

    def due(self, connection: int, now: float) -> float | None:
        """Return the seconds until the silence ends; None if it does not."""
        left = self._until.get(connection, math.inf) - now
        return max(0.0, left) if math.isfinite(left) else None

    def release(self, at: Moment) -> Sequence[Action]:
        """Return the end of a silence that is over."""
        if self._until.get(at.connection, math.inf) > at.now:
            return ()
        del self._until[at.connection]
        return (Deaf(on=False),)

    def forget(self, connection: int, ledger: Counter[str]) -> None:
        """Forget a connection."""
        self._until.pop(connection, None)

    def let_go(self) -> None:
        """End all silences."""
        self._until = dict.fromkeys(self._until, 0.0)

    def holds(self, now: float) -> bool:
        """Return whether a connection is silent."""
        return bool(self._until)


class Stall(Effect):
    """Wait before a frame; those behind it wait too."""

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return a pause and the frame."""
        if not is_data(send.data) or not at.chance(""):
            return (send,)
        return (Wait(self._seconds), send)


class Outage(Effect):
    """Cut a connection, and refuse all new ones for a time."""

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._until = 0.0

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the cut; during an outage every connection is cut."""
        down = at.now < self._until
        if not down and is_data(send.data) and at.chance(""):
            self._until = at.now + self._seconds
            down = True
        if not down:
            return (send,)
        tally(at.ledger, "suppressed", send.data)
        return (Abort(),)

    def refuse(self, at: Moment) -> Answer | None:
        """Return 503 while the outage lasts."""
        return _http(503) if at.now < self._until else None

    def let_go(self) -> None:
        """End the outage."""
        self._until = 0.0

    def holds(self, now: float) -> bool:
        """Return whether the outage lasts."""
        return now < self._until


class Kick(Effect):
    """Send a reader away with a reason."""

    def __init__(self, status: str = "slow_consumer") -> None:
        self._status = status

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the reason and the close."""
        if not is_data(send.data) or not at.chance(""):
            return (send,)
        tally(at.ledger, "suppressed", send.data)
        return (status_frame(self._status, _KICKS[self._status]), Close(POLICY_VIOLATION))


class Framing(Effect):
    """Send a frame in a form that is rare, or against the websocket protocol."""

    def __init__(self, how: str = "binary") -> None:
        self._how = how

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the frame in that form."""
        if not is_data(send.data) or not at.chance(""):
            return (send,)
        data = send.data
        match self._how:
            case "binary":
                return (Send(data, text=False, final=True),)
            case "fragments":
                third = len(data) // 3
                first = _frame(_TEXT, data[:third], end=False)
                second = _frame(_CONTINUATION, data[third : 2 * third], end=False)
                return (Raw(first + second + _frame(_CONTINUATION, data[2 * third :])),)
            case "utf8":
                return (send, Send(b'[{"ev":"\xff\xfe"}]', final=True))
        tally(at.ledger, "suppressed", data)
        return (Raw(_frame(_NO_OPCODE, b"")),)


class Big(Effect):
    """Make a frame large without changing what it says."""

    def __init__(self, megabytes: float = 3.0) -> None:
        self._size = round(megabytes * 2**20)

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the frame with blanks before its end."""
        if not is_data(send.data) or not at.chance(""):
            return (send,)
        blanks = b" " * max(0, self._size - len(send.data))
        return (Send(send.data[:-1] + blanks + send.data[-1:], send.text),)


class Hello(Effect):
    """Spoil the greeting."""

    def __init__(self, how: str = "silent") -> None:
        self._how = how

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return what comes in place of the greeting."""
        if is_data(send.data) or b'"status":"connected"' not in send.data or not at.chance(""):
            return (send,)
        match self._how:
            case "close":
                return (send, Close(1000))
            case "garbage":
                return (_GARBAGE,)
        return ()


class Login(Effect):
    """Spoil the answer to a login that was good."""

    def __init__(self, how: str = "refuse") -> None:
        self._how = how

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return what comes in place of the answer."""
        if is_data(send.data) or b'"status":"auth_success"' not in send.data or not at.chance(""):
            return (send,)
        match self._how:
            case "silent":
                return ()
            case "garbage":
                return (_GARBAGE,)
            case "limit":
                word = "max_connections"
                return (status_frame(word, _KICKS[word]), Close(POLICY_VIOLATION))
        return (status_frame("auth_failed", "authentication failed"), Close(POLICY_VIOLATION))


class Refuse(Effect):
    """Refuse a websocket with an HTTP status."""

    def __init__(self, status: int = 503, retry_after: float | None = None) -> None:
        self._status = status
        self._after = retry_after

    def refuse(self, at: Moment) -> Answer | None:
        """Return the refusal."""
        return _http(self._status, self._after) if at.chance("") else None


def _http(status: int, after: float | None = None) -> Answer:
    headers = {"Content-Type": "application/json"}
    if after is not None:
        headers["Retry-After"] = str(math.ceil(after))
    return Answer(status, b'{"status":"ERROR","error":"try again later"}', headers)


def _frame(opcode: int, data: bytes, *, end: bool = True) -> bytes:
    """Return an unmasked websocket frame."""
    size = len(data)
    head = bytes([opcode | (0x80 if end else 0)])
    if size < 126:
        return head + bytes([size]) + data
    if size < 1 << 16:
        return head + b"\x7e" + size.to_bytes(2, "big") + data
    return head + b"\x7f" + size.to_bytes(8, "big") + data
