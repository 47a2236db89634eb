"""Requests and answers of the REST interface, and what its parameters mean."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from workbench.sim.hours import SECOND, day_bounds

__all__ = ["ApiError", "Request", "choice", "flag", "limited", "pack_cursor", "parse", "span_of"]

#: Later times are taken for this one, in the year 2200: no date is beyond it.
_LATEST = 7_258_118_400 * SECOND
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"\d{1,19}")


class ApiError(Exception):
    """A refusal: an HTTP status and the body that goes with it."""

    def __init__(self, http: int, status: str, *, key: str = "error", text: str) -> None:
        super().__init__(text)
        self.http = http
        self.body: dict[str, Any] = {"status": status, key: text}


@dataclass(frozen=True, slots=True)
class Request:
    """A GET request.

    Attributes
    ----------
    path : str
        Decoded path without the query.
    query : mapping
        Parameters, those of a cursor included; the key left out.
    base : str
        Scheme and host as the client knows them, for next_url.
    key : str or None
        The key, however it was given. Not shown by repr.
    gzip : bool
        Whether the client takes gzip.
    """

    path: str
    query: Mapping[str, str]
    base: str = "http://127.0.0.1"
    key: str | None = field(default=None, repr=False)
    gzip: bool = False


def parse(target: str, headers: Mapping[str, str]) -> Request:
    """Read a request's target and headers (names in lower case).

    >>> request = parse("/v2/last/trade/SPY?apiKey=k&x=1", {"host": "127.0.0.1:8200"})
    >>> request.path, request.query, request.key
    ('/v2/last/trade/SPY', {'x': '1'}, 'k')
    """
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    key = query.pop("apiKey", None)
    word, _, bearer = headers.get("authorization", "").partition(" ")
    if word.lower() == "bearer" and bearer:
        key = bearer.strip()
    if "cursor" in query:
        query = {**query, **_unpack_cursor(query.pop("cursor"))}
    base = f"http://{headers.get('host', '127.0.0.1')}"
    zipped = "gzip" in headers.get("accept-encoding", "").lower()
    return Request(unquote(parts.path), query, base, key, zipped)


def pack_cursor(values: Mapping[str, object]) -> str:
    """Return parameters as the value of a cursor."""
    return base64.urlsafe_b64encode(urlencode(values).encode()).decode().rstrip("=")


def _unpack_cursor(text: str) -> dict[str, str]:
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        raise _bad("cursor", text, "a cursor from next_url") from None
    return dict(parse_qsl(data))


def _bad(name: str, value: str, allowed: str) -> ApiError:
    return ApiError(400, "ERROR", text=f"parameter '{name}' is {value[:40]!r}; allowed: {allowed}")


def choice(query: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    """Return a parameter that is one of some words, the first being the default."""
    value = query.get(name) or allowed[0]
    if value not in allowed:
        raise _bad(name, value, ", ".join(allowed))
    return value


def flag(query: Mapping[str, str], name: str, default: bool) -> bool:
    """Return a parameter that is true or false."""
    value = query.get(name) or str(default).lower()
    if value.lower() not in ("true", "false"):
        raise _bad(name, value, "true, false")
    return value.lower() == "true"


def limited(query: Mapping[str, str], default: int, most: int) -> int:
    """Return the parameter "limit"."""
    value = query.get("limit") or str(default)
    if not _NUMBER.fullmatch(value) or not 1 <= int(value) <= most:
        raise _bad("limit", value, f"1 to {most}")
    return int(value)


def span_of(name: str, value: str, unit: int) -> tuple[int, int]:
    """Return the span [start, end) in ns that a time or a date covers.

    Parameters
    ----------
    name : str
        Of the parameter, for the error.
    value : str
        A date (an Eastern day), a number of units, or a date and time (UTC unless it says
        otherwise).
    unit : int
        Of a number, ns: 1_000_000 for ms.

    Examples
    --------
    >>> span_of("timestamp", "17", 1)
    (17, 18)
    >>> span_of("timestamp", "2024-08-08T00:00:00.5Z", 1)
    (1723075200500000000, 1723075200500000001)
    """
    if _NUMBER.fullmatch(value):
        start = min(int(value) * unit, _LATEST)
        return start, start + unit
    try:
        if _DATE.fullmatch(value):
            return day_bounds(min(date.fromisoformat(value), date(2199, 12, 31)))
        whole, _, rest = value.replace(" ", "T").partition(".")
        digits = re.match(r"\d{1,9}", rest)
        fraction = digits[0] if digits else ""
        stamp = datetime.fromisoformat(whole + rest[len(fraction) :])
    except (ValueError, OverflowError):
        raise _bad(name, value, "YYYY-MM-DD, an epoch number or a date and time") from None
    stamp = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    start = int(stamp.timestamp()) * SECOND + int(fraction.ljust(9, "0") or 0)
    return start, start + 1
