"""Faults of the REST interface: refusals, delays, bodies that are not what was asked for."""

from __future__ import annotations

import hashlib
import math
import zlib
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import msgspec

from workbench.sim.faulteffect import Effect, Moment
from workbench.sim.rest import Answer

__all__ = [
    "RestCorrection",
    "RestCut",
    "RestError",
    "RestGarble",
    "RestPages",
    "RestSlow",
    "RestThrottle",
]

_JSON = {"Content-Type": "application/json"}
#: Rows of a page that the next one shows again.
_OVERLAP = 3


class RestThrottle(Effect):
    """Ask a client to come back later."""

    def __init__(self, retry_after: float = 1.0, path: str = "") -> None:
        self._after = retry_after
        self._path = path

    def answer(self, target: str, answer: Answer, at: Moment) -> tuple[float, Answer]:
        """Return 429 with Retry-After."""
        if self._path not in target or not at.chance(_page(target)):
            return 0.0, answer
        text = "You've exceeded the maximum requests per minute, please wait or upgrade"
        body = msgspec.json.encode({"status": "ERROR", "error": text})
        return 0.0, Answer(429, body, {**_JSON, "Retry-After": str(math.ceil(self._after))})


class RestError(Effect):
    """Fail."""

    def __init__(self, status: int = 500, path: str = "") -> None:
        self._status = status
        self._path = path

    def answer(self, target: str, answer: Answer, at: Moment) -> tuple[float, Answer]:
        """Return an error."""
        if self._path not in target or not at.chance(_page(target)):
            return 0.0, answer
        body = msgspec.json.encode({"status": "ERROR", "error": "internal error"})
        return 0.0, Answer(self._status, body, dict(_JSON))


class RestSlow(Effect):
    """Take time."""

    def __init__(self, seconds: float = 1.0, path: str = "") -> None:
        self._seconds = seconds
        self._path = path

    def answer(self, target: str, answer: Answer, at: Moment) -> tuple[float, Answer]:
        """Return the answer, late."""
        late = self._path in target and at.chance(_page(target))
        return (self._seconds if late else 0.0), answer


class RestCut(Effect):
    """End a body before its announced length."""

    def __init__(self, part: float = 0.5, path: str = "") -> None:
        self._part = part
        self._path = path

    def answer(self, target: str, answer: Answer, at: Moment) -> tuple[float, Answer]:
        """Return the first part of the body under the headers of the whole."""
        if self._path not in target or not at.chance(_page(target)):
            return 0.0, answer
        size = min(len(answer.body) - 1, int(len(answer.body) * self._part))
        headers = {**answer.headers, "Content-Length": str(len(answer.body))}
        return 0.0, Answer(answer.status, answer.body[: max(0, size)], headers)


class RestGarble(Effect):
    """Answer 200 with a body that is broken or says something else."""

    def __init__(self, how: str = "half", path: str = "") -> None:
        self._how = how
        self._path = path

    def answer(self, target: str, answer: Answer, at: Moment) -> tuple[float, Answer]:
        """Return such a body."""
        if self._path not in target or not at.chance(_page(target)):
            return 0.0, answer
        body = _body(answer)
        match self._how:
            case "half":
                body = body[: len(body) // 2]
            case "html":
                body = b"<html><body>502 Bad Gateway</body></html>"
            case "empty":
                body = b""
            case "bytes":
                body = bytes([255 - byte for byte in body[:1]]) + body[1:]
            case "error":
                body = msgspec.json.encode({"status": "ERROR", "error": "something went wrong"})
            case _:
                content = _content(answer) or {}
                content.pop("results", None)
                if self._how == "null-results":
                    content["results"] = None
                body = msgspec.json.encode(content)
        return 0.0, Answer(200, body, dict(_JSON))


class RestPages(Effect):
    """Break the chain of pages."""

    def __init__(self, how: str = "loop", path: str = "") -> None:
        self._how = how
        self._path = path
        self._shown: dict[str, list[Any]] = {}

    def answer(self, target: str, answer: Answer, at: Moment) -> tuple[float, Answer]:
        """Return a page whose successor is not the one that it should be."""
        content = _content(answer) if self._path in target else None
        if content is None or not isinstance(content.get("results"), list):
            return 0.0, answer
        before = self._shown.pop(_cursor(target), [])
        following = content.get("next_url") or ""
        struck = following != "" and at.chance(_page(target))
        if struck and self._how == "overlap":
            self._shown[_cursor(following)] = content["results"][-_OVERLAP:]
        elif struck:
            content["next_url"] = self._astray(target, following)
        if not struck and not before:
            return 0.0, answer
        content["results"] = before + content["results"]
        return 0.0, Answer(answer.status, msgspec.json.encode(content), dict(_JSON))

    def _astray(self, target: str, following: str) -> str:
        parts = urlsplit(following)
        if self._how == "foreign":
            return urlunsplit(parts._replace(netloc="elsewhere.invalid"))
        here = urlsplit(target)
        return urlunsplit(parts._replace(path=here.path, query=here.query))


class RestCorrection(Effect):
    """Mark trades as corrected, at another price if wished for.

    Which ones depends on their ids and the seed alone.
    """

    def __init__(
        self,
        share: float = 0.01,
        code: int = 10,
        shift: float = 0.0,
        path: str = "",
        seed: int = 7,
    ) -> None:
        self._below = share * 2.0**64
        self._shift = shift
        self._code = code
        self._path = path
        self._salt = (seed % 2**64).to_bytes(8, "little")

    def answer(self, target: str, answer: Answer, at: Moment) -> tuple[float, Answer]:
        """Return the trades with the code of their correction."""
        if "/v3/trades/" not in target or self._path not in target:
            return 0.0, answer
        content = _content(answer)
        results = (content or {}).get("results")
        if content is None or not isinstance(results, list):
            return 0.0, answer
        chosen = [row for row in results if isinstance(row, dict) and self._chosen(row)]
        if not chosen or not at.chance(f"{len(chosen)} trades of {_page(target)}"):
            return 0.0, answer
        for row in chosen:
            row["correction"] = self._code
            if self._shift and isinstance(row.get("price"), int | float):
                row["price"] = round(row["price"] * (1 + self._shift), 4)
        return 0.0, Answer(answer.status, msgspec.json.encode(content), dict(_JSON))

    def _chosen(self, row: dict[str, Any]) -> bool:
        name = f"{row.get('exchange')} {row.get('id')}".encode()
        digest = hashlib.blake2b(name, digest_size=8, salt=self._salt).digest()
        return int.from_bytes(digest, "little") < self._below


def _page(target: str) -> str:
    """Return the path of a request: its query may hold a key."""
    return urlsplit(target).path[:200]


def _cursor(url: str) -> str:
    return parse_qs(urlsplit(url).query).get("cursor", [""])[0]


def _body(answer: Answer) -> bytes:
    if answer.headers.get("Content-Encoding") != "gzip":
        return answer.body
    # Another fault may have cut it: what is left of it is garbled all the same.
    return zlib.decompressobj(wbits=31).decompress(answer.body)


def _content(answer: Answer) -> dict[str, Any] | None:
    """Return the object that a good answer holds; None if it is none."""
    if answer.status != 200:
        return None
    try:
        content = msgspec.json.decode(_body(answer))
    except (msgspec.DecodeError, zlib.error):  # another fault has been here
        return None
    return content if isinstance(content, dict) else None
