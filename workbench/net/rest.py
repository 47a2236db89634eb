"""Calls of a provider's REST interface: paced, tried again, and with the key in a header."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import requests
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.util import Retry

from workbench.errors import (
    AuthError,
    ConnectError,
    DecodeError,
    ProviderError,
    RateLimitError,
)
from workbench.net.limits import Limit, NoLimit, key_name

__all__ = ["TIMEOUTS", "Answer", "Rest"]

log = logging.getLogger("workbench.net.rest")

#: Seconds to connect, and to wait for more bytes.
TIMEOUTS = (5.0, 30.0)
_AGAIN = (408, 413, 429, 499, 500, 502, 503, 504)
_TEXT = 300
#: A server may ask for patience, but not for ever.
_LONGEST_WAIT = 120
#: What requests raises for an answer that breaks off.
_BROKEN = (
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer (status 200) that says it is JSON.

    Attributes
    ----------
    body : bytes
        Unpacked.
    status : int
    """

    body: bytes
    status: int = 200


class _Bearer(requests.auth.AuthBase):
    """Put the key into the header of each request; nothing else ever holds it in clear."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        key = self._key.get_secret_value()
        if key:
            request.headers["Authorization"] = f"Bearer {key}"
        return request


class _PacedRetry(Retry):
    """Try again as urllib3 does, but wait our way and take a place in the limit each time."""

    def __init__(self, *args: Any, before: Callable[[float], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._before = before

    def new(self, **kwargs: Any) -> Self:
        """Return a copy with changes, which keeps our way of waiting."""
        return super().new(before=self._before, **kwargs)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait as long as the server asks, else for the back-off."""
        asked = self.get_retry_after(response) if response is not None else None
        self._before(min(asked or self.get_backoff_time(), _LONGEST_WAIT))


class Rest:
    """Call one provider's REST interface; safe to use from several threads.

    Parameters
    ----------
    base : str
        Scheme and host, such as "https://api.massive.com". Every call goes there, the ones
        that follow a `next_url` too.
    key : str or SecretStr
        API key, sent as `Authorization: Bearer`; "" sends none. Never in an address, error,
        log or repr.
    limit : Limit or None
        Paces the calls, tries included; None does not.
    retries : int
        Further tries after an answer 408, 413, 429, 499, 500, 502, 503, 504, a connection
        that fails or an answer that breaks off.
    backoff : float
        Seconds before the second further try; they double, with jitter. A Retry-After of
        the server wins.
    timeouts : (float, float)
        Seconds to connect, and to wait for more bytes.
    session : requests.Session or None
        What sends; None makes one.
    stop : threading.Event or None
        Ends all waits and further calls when set; None makes one, see :meth:`cancel`.
    wait : callable or None
        Waits for a number of seconds between tries; None waits on `stop`.
    connections : int
        Connections kept open.

    Examples
    --------
    >>> Rest("https://api.massive.com", key="s3cret")
    Rest('https://api.massive.com')
    """

    def __init__(
        self,
        base: str,
        *,
        key: str | SecretStr = "",
        limit: Limit | None = None,
        retries: int = 3,
        backoff: float = 0.5,
        timeouts: tuple[float, float] = TIMEOUTS,
        session: requests.Session | None = None,
        stop: threading.Event | None = None,
        wait: Callable[[float], object] | None = None,
        connections: int = 8,
    ) -> None:
        self.base = base.rstrip("/")
        self.stop = stop or threading.Event()
        self._host = urlsplit(self.base).netloc
        self._key = key if isinstance(key, SecretStr) else SecretStr(key)
        self._limit: Limit = NoLimit() if limit is None else limit
        self._retries = retries
        self.timeouts = timeouts
        self._wait = wait or self.stop.wait
        self._backoff = backoff
        self._place = threading.local()
        self._session = session or requests.Session()
        self._session.auth = _Bearer(self._key)  # also keeps a .netrc from setting another
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if urlsplit(self.base).hostname in ("127.0.0.1", "localhost", "::1"):
            self._session.trust_env = False  # no proxy leads to this machine
        if session is None:
            adapter = HTTPAdapter(max_retries=self._retry(), pool_maxsize=connections)
            for scheme in ("http://", "https://"):
                self._session.mount(scheme, adapter)

    def _retry(self) -> Retry:
        return _PacedRetry(
            total=self._retries,
            status_forcelist=_AGAIN,
            allowed_methods=("GET",),
            backoff_factor=self._backoff,
            backoff_jitter=self._backoff,
            backoff_max=30.0,
            raise_on_status=False,
            respect_retry_after_header=True,
            before=self._again,
        )

    def __repr__(self) -> str:
        return f"Rest({self.base!r})"

    @property
    def key_name(self) -> str:
        """A name of the key, by which two can be told apart without telling either; "" is none."""
        key = self._key.get_secret_value()
        return key_name(key, self.base) if key else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        self._session.close()

    def cancel(self) -> None:
        """End all waits and refuse further calls: they raise `CancelledError`."""
        self.stop.set()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a GET request.

        Parameters
        ----------
        path : str
            From the base on, quoted.
        params : mapping or None

        Raises
        ------
        AuthError
            401, 403: the key is missing, wrong, or its plan does not include this.
        RateLimitError
            429, after all tries.
        ProviderError
            Any other refusal; `status` is the HTTP status.
        ConnectError
            If no whole answer came in all tries.
        DecodeError
            If a good answer is not JSON.
        concurrent.futures.CancelledError
            After :meth:`cancel`.
        """
        for further in range(self._retries, -1, -1):
            try:
                return self._read(self._send(path, params or {}))
            except _BROKEN as error:
                # urllib3 tries again until the headers have come; what breaks off later, or
                # breaks a session of the caller's own, is tried again here.
                if further == 0 or _tried(error):
                    raise self._lost(path, error) from None
                self._wait_for(self._backoff * (1 << (self._retries - further)))
        raise AssertionError

    def follow(self, url: str) -> Answer:
        """Return the page that a `next_url` names: its path and query, at our own base.

        A key in it is left out, and the host it names is not contacted: the key goes to the
        base only.
        """
        parts = urlsplit(url)
        params = dict(parse_qsl(parts.query, keep_blank_values=True))
        params.pop("apiKey", None)
        if not parts.path.startswith("/") or parts.path.startswith("//"):
            raise DecodeError(f"not the address of a page: {self._clean(url)[:120]!r}")
        return self.get(parts.path, params)

    def _send(self, path: str, params: Mapping[str, str]) -> requests.Response:
        self._take()
        try:
            return self._session.get(
                self.base + path, params=params, timeout=self.timeouts, allow_redirects=False
            )
        finally:
            self._give()

    def _take(self) -> None:
        if self.stop.is_set():
            raise CancelledError
        number = self._limit.taken()
        self._place.number = number
        if self.stop.is_set():
            self._give()
            raise CancelledError

    def _give(self) -> None:
        number = getattr(self._place, "number", None)
        if number is not None:
            self._place.number = None
            self._limit.done(number)

    def _again(self, seconds: float) -> None:
        """Wait before a further try, and take a new place for it."""
        self._give()
        self._wait_for(seconds)
        self._take()

    def _wait_for(self, seconds: float) -> None:
        log.debug("trying %s again in %.2f s", self._host, seconds)
        self._wait(seconds)
        if self.stop.is_set():
            raise CancelledError

    def _read(self, response: requests.Response) -> Answer:
        status = response.status_code
        if status != 200:
            raise self._refused(response)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind and kind != "application/json" and not kind.endswith("+json"):
            raise DecodeError(
                f"{self._host} answered with {self._clean(kind)[:60]} where JSON was expected",
                source=self._host,
                status=status,
            )
        return Answer(response.content, status)

    def _refused(self, response: requests.Response) -> ProviderError:
        status = response.status_code
        kinds = {401: AuthError, 403: AuthError, 429: RateLimitError}
        text = self._clean(_told(response.content))[:_TEXT]
        return kinds.get(status, ProviderError)(
            f"{self._host} answered {status}: {text or response.reason or 'no reason given'}",
            source=self._host,
            status=status,
        )

    def _lost(self, path: str, error: Exception) -> ConnectError:
        cause = self._clean(str(error))[:_TEXT]
        return ConnectError(
            f"no whole answer from {self._host} for {self._clean(path)[:120]}: {cause}",
            source=self._host,
            status=type(error).__name__,
        )

    def _clean(self, text: str) -> str:
        """Return text without the key, should somebody have echoed it."""
        key = self._key.get_secret_value()
        return text.replace(key, "***") if key else text


def _tried(error: Exception) -> bool:
    """Return whether urllib3 has used up its tries for this error."""
    cause = error.args[0] if error.args else None
    return type(cause).__name__ == "MaxRetryError"


def _told(body: bytes) -> str:
    """Return the reason in the body of a refusal."""
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(told, dict):
        return ""
    return str(told.get("error") or told.get("message") or told.get("status") or "")
