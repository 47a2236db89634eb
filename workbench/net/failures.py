"""Why a connection was not made or ended, in words for people."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI

__all__ = ["Failure", "close_reason", "open_failure"]

#: No server makes us wait longer than this, seconds.
_LONGEST_WAIT = 3600.0
_SENT_BY_US = {
    1002: "the server broke the websocket protocol",
    1007: "the server sent text that is not UTF-8",
    1009: "a frame was larger than allowed",
    1011: "the server did not answer pings",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt to connect that did not succeed.

    Attributes
    ----------
    reason : str
        For a person.
    kind : "lost", "fatal" or "address"
        Whether trying again may help, or cannot: the key was refused, the address is wrong.
    wait : float
        Seconds the server asked us to wait, 0 if it did not.
    status : int or None
        The HTTP status, if there was one.
    """

    reason: str
    kind: Literal["lost", "fatal", "address"] = "lost"
    wait: float = 0.0
    status: int | None = None


def open_failure(error: Exception, now: int) -> Failure:
    """Explain an error that connecting raised.

    Parameters
    ----------
    error : Exception
    now : int
        Wall time in ns, for a server that names a date to come back.

    Examples
    --------
    >>> open_failure(ConnectionRefusedError(111, "Connection refused"), 0).reason
    'connection refused: nothing listens there'
    """
    if isinstance(error, InvalidStatus):
        return _refused_upgrade(error, now)
    if isinstance(error, InvalidURI | UnicodeError):
        return Failure("the address is not one of a websocket (ws:// or wss://)", kind="address")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure(f"the server's certificate is not valid: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return Failure(f"no encrypted connection: {error}")
    if isinstance(error, socket.gaierror):
        return Failure("the name of the server is not known; is there a network?")
    if isinstance(error, ConnectionRefusedError):
        return Failure("connection refused: nothing listens there")
    if isinstance(error, ConnectionResetError):
        return Failure("the server closed the connection before it was made")
    if isinstance(error, TimeoutError):
        return Failure("the server did not answer in time")
    if isinstance(error, OSError):
        return Failure(f"no connection: {error.strerror or error}")
    return Failure(f"no websocket: {error}")


def _refused_upgrade(error: InvalidStatus, now: int) -> Failure:
    response = error.response
    status = response.status_code
    reason = f"the server answered HTTP {status} {response.reason_phrase}".rstrip()
    if status in (401, 403):
        return Failure(reason, kind="fatal", status=status)
    return Failure(
        reason, wait=_retry_after(response.headers.get("Retry-After"), now), status=status
    )


def _retry_after(value: str | None, now: int) -> float:
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        seconds = float(value)
    else:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return 0.0
        # "-0000" gives a date without a zone, which HTTP means as UTC.
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (date - datetime.fromtimestamp(now / 1e9, UTC)).total_seconds()
    return min(max(0.0, seconds), _LONGEST_WAIT)


def close_reason(error: ConnectionClosed) -> str:
    """Explain the end of a connection that had been open."""
    if error.rcvd is not None:
        text = f"the server closed the connection: {error.rcvd.code} {error.rcvd.reason}"
        return text.rstrip()
    if error.sent is not None and error.sent.code in _SENT_BY_US:
        return f"{_SENT_BY_US[error.sent.code]} ({error.sent.code} {error.sent.reason})"
    return "the connection was lost"
