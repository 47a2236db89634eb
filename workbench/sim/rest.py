"""The REST interface: path, query and key in, status and body out, no I/O."""

from __future__ import annotations

import gzip
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from workbench.sim import reference, restbars, restticks, snapshots
from workbench.sim.history import History
from workbench.sim.protocol import Entitlement
from workbench.sim.request import ApiError, Request, parse
from workbench.symbols import asset_class

__all__ = ["Answer", "Api", "RateLimit"]

Handler = Callable[[History, Request, tuple[str, ...]], Any]

_NAME = r"([^/]+)"
_ZIP_FROM = 512


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.

    Attributes
    ----------
    status : int
    body : bytes
        JSON, perhaps gzipped; the headers say so.
    headers : dict of str to str
    """

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class RateLimit:
    """Count requests of each key over a sliding window.

    Parameters
    ----------
    monotonic : callable
        Returns seconds.
    window : float
        Length of the window, seconds.

    Examples
    --------
    >>> limit = RateLimit(lambda: 0.0, window=60.0)
    >>> [limit.take("k", 2) for _ in range(3)]
    [True, True, False]
    """

    def __init__(self, monotonic: Callable[[], float], window: float = 60.0) -> None:
        self._monotonic = monotonic
        self._window = window
        self._taken: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def take(self, key: str, limit: int) -> bool:
        """Count a request and return True, or return False if the window is full.

        Parameters
        ----------
        key : str
        limit : int
            Requests in a window; 0 is no limit.
        """
        if limit <= 0:
            return True
        now = self._monotonic()
        with self._lock:
            taken = self._taken.setdefault(key, deque())
            while taken and taken[0] <= now - self._window:
                taken.popleft()
            if len(taken) >= limit:
                return False
            taken.append(now)
            return True


class Api:
    """Answer REST requests as the provider does.

    Parameters
    ----------
    history : History
    status : MarketStatus
    keys : mapping or None
        Entitlement of each key; None lets everyone in, without a key too.
    limits : RateLimit
    per_minute : int
        Requests a minute of anyone, besides what a key's entitlement says; 0 is no limit.
    """

    def __init__(
        self,
        history: History,
        status: reference.MarketStatus,
        keys: Mapping[str, Entitlement] | None,
        limits: RateLimit,
        per_minute: int = 0,
    ) -> None:
        self._history = history
        self._keys = keys
        self._limits = limits
        self._per_minute = per_minute
        self._count = 0
        snapshot = rf"/v2/snapshot/locale/{_NAME}/markets/{_NAME}/tickers"
        table: list[tuple[str, Handler]] = [
            (
                rf"/v2/aggs/ticker/{_NAME}/range/{_NAME}/{_NAME}/{_NAME}/{_NAME}",
                restbars.aggregates,
            ),
            (rf"/v2/aggs/ticker/{_NAME}/prev", restbars.previous),
            (rf"/v3/trades/{_NAME}", restticks.trades),
            (rf"/v3/quotes/{_NAME}", restticks.quotes),
            (rf"/v2/last/trade/{_NAME}", restticks.last_trade),
            (rf"/v2/last/nbbo/{_NAME}", restticks.last_quote),
            (rf"/v1/last/crypto/{_NAME}/{_NAME}", restticks.last_crypto),
            (snapshot, snapshots.snapshots),
            (rf"{snapshot}/{_NAME}", snapshots.snapshot),
            (r"/v1/marketstatus/now", status.now),
            (r"/v1/marketstatus/upcoming", status.upcoming),
            (r"/v3/reference/tickers", reference.tickers),
        ]
        self._routes = [(re.compile(pattern), handler) for pattern, handler in table]

    def answer(self, target: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
        """Answer a request.

        Parameters
        ----------
        target : str
            Path and query as sent.
        headers : mapping
            With names in lower case.
        method : str
        """
        self._count += 1
        zipped = False
        status, body = 200, None
        try:
            request = parse(target, headers)
            zipped = request.gzip
            if method != "GET":
                raise ApiError(405, "ERROR", text=f"method {method} is not allowed; use GET")
            body = self._call(request)
        except ApiError as error:
            status, body = error.http, error.body
        if isinstance(body, dict):
            body["request_id"] = f"{self._count:032x}"
        return _answer(status, body, zipped)

    def _call(self, request: Request) -> Any:
        granted = self._grant(request.key)
        for pattern, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if match:
                self._admit(request, granted, match.groups())
                return handler(self._history, request, match.groups())
        text = f"there is nothing at {request.path[:100]}"
        raise ApiError(404, "NOT_FOUND", text=text)

    def _grant(self, key: str | None) -> Entitlement:
        if self._keys is None:
            return Entitlement()
        if not key:
            raise ApiError(401, "ERROR", text="API Key was not provided")
        granted = self._keys.get(key)
        if granted is None:
            raise ApiError(401, "ERROR", text="Unknown API Key")
        return granted

    def _admit(self, request: Request, granted: Entitlement, parts: tuple[str, ...]) -> None:
        for owner, limit in ((request.key or "", granted.per_minute), ("*", self._per_minute)):
            if not self._limits.take(owner, limit):
                raise ApiError(
                    429,
                    "ERROR",
                    text="You've exceeded the maximum requests per minute, please wait or "
                    "upgrade your subscription to continue. https://polygon.io/pricing",
                )
        market = _market(request.path, parts)
        if not granted.rest or (market is not None and not granted.allows(market)):
            raise ApiError(
                403,
                "NOT_AUTHORIZED",
                key="message",
                text="You are not entitled to this data. Please upgrade your plan at "
                "https://polygon.io/pricing",
            )


def _market(path: str, parts: tuple[str, ...]) -> str | None:
    """Return the market a path is about, None if it is not about one."""
    if path.startswith("/v2/snapshot"):
        return parts[1]
    if path.startswith("/v1/last/crypto"):
        return "crypto"
    return asset_class(parts[0]) if parts else None


def _answer(status: int, body: Any, zipped: bool) -> Answer:
    data = msgspec.json.encode(body)
    headers = {"Content-Type": "application/json"}
    if zipped and len(data) >= _ZIP_FROM:
        # Level 1: pages are large and the reader is near.
        data = gzip.compress(data, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(data))
    return Answer(status, data, headers)
