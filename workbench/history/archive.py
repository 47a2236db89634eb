"""A provider's past: its REST interface as pages of rows, each tried until it is whole."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from workbench.clock import Clock, SystemClock
from workbench.config import Settings, settings
from workbench.errors import ConfigError, DecodeError
from workbench.history.request import Request
from workbench.net.limits import Limit, NoLimit, SharedLimit, key_name
from workbench.net.rest import TIMEOUTS, Rest
from workbench.sources.massive_rest import (
    PAGE_ROWS,
    MassiveRest,
    Page,
    PageCall,
    base_seconds,
)
from workbench.symbols import SymbolTable

__all__ = ["Archive", "Ask", "open_archive"]

log = logging.getLogger("workbench.history.archive")

#: Gets a page of a request once, given the call for the first or the address of a further one.
Ask = Callable[[Request, PageCall | str], Page]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Archive:
    """Fetch pages of history from one provider; safe to use from several threads.

    Parameters
    ----------
    name : str
        What the source is called in the store.
    rest : Rest
        Closed with the archive.
    source : MassiveRest
        Knows what to ask for, and reads the answers.
    limit : Limit
        What paces `rest`.
    clock : Clock or None
        None is the machine's.
    retries : int
        How often a page that cannot be read is asked for again.
    server : context manager or None
        What answers, if it was started for this archive: left after the connections close.
    """

    def __init__(
        self,
        name: str,
        rest: Rest,
        source: MassiveRest,
        *,
        limit: Limit | None = None,
        clock: Clock | None = None,
        retries: int = 2,
        server: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.name = name
        self.rest = rest
        self.clock = clock or SystemClock()
        self._source = source
        self._limit: Limit = NoLimit() if limit is None else limit
        self._retries = retries
        self._opened = ExitStack()
        if server is not None:
            self._opened.push(server)
        self._opened.callback(rest.close)

    def __repr__(self) -> str:
        return f"Archive({self.name!r}, {self.rest.base!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def table(self) -> SymbolTable:
        """Names of the symbols in the rows."""
        return self._source.table

    @property
    def page_rows(self) -> int:
        """Base bars, trades or quotes of a page at most."""
        return self._source.page_rows

    @property
    def limit(self) -> Limit:
        """What paces the requests."""
        return self._limit

    @property
    def per_minute(self) -> int:
        """Requests a minute; 0 is no limit."""
        return self._limit.per_minute

    def base_seconds(self, request: Request) -> int:
        """Return the length of the bars that a page is counted in, seconds."""
        return 60 if request.timeframe is None else base_seconds(request.timeframe)

    def pages(
        self, request: Request, *, newest: int | None = None, ask: Ask | None = None
    ) -> Iterator[Page]:
        """Yield the pages of a request, each asked for when it is wanted.

        Parameters
        ----------
        request : Request
        newest : int or None
            Read from the newest row back, so many rows a page; None reads from the oldest on.
        ask : callable or None
            Gets a page once, such as on another machine; None asks from here.

        Raises
        ------
        DecodeError
            If a page cannot be read however often it is asked for, or pages go in circles.
            The pages before it are good.
        AuthError, RateLimitError, ProviderError, ConnectError
            As :meth:`~workbench.net.rest.Rest.get` does.
        concurrent.futures.CancelledError
            After :meth:`cancel`.
        """
        backward = newest is not None
        ask = ask or partial(self._asked, backward=backward)
        page = self._page(request, self._source.first(request, newest=newest), ask)
        seen: set[str] = set()
        before: Page | None = None
        while True:
            yield page
            if page.next is None:
                return
            if page.next in seen:
                raise self._circle(request, "a page names one before it as the next")
            seen.add(page.next)
            page = self._page(request, page.next, ask)
            if not backward and page.next is not None:
                if before is not None and not _further(page, before):
                    raise self._circle(request, "pages bring nothing further")
                before = page

    def _page(self, request: Request, call: PageCall | str, ask: Ask) -> Page:
        for further in range(self._retries, -1, -1):
            try:
                return ask(request, call)
            except DecodeError as error:
                if further == 0:
                    raise
                log.info("%s: %s; asking again", self.name, error)
        raise AssertionError

    def _asked(self, request: Request, call: PageCall | str, *, backward: bool) -> Page:
        rest = self.rest
        answer = rest.follow(call) if isinstance(call, str) else rest.get(call.path, call.params)
        now = self.clock.now()
        return self._source.read(request, answer.body, received=now, backward=backward)

    def _circle(self, request: Request, what: str) -> DecodeError:
        return DecodeError(
            f"{self.name} gives {request} without end: {what}",
            symbol=request.symbol,
            source=self.name,
        )

    def cancel(self) -> None:
        """End all waits; further calls raise `CancelledError`."""
        self.rest.cancel()

    def close(self) -> None:
        """Close the connections, and a simulator that was started for it."""
        self._opened.close()


def open_archive(
    source: str | Archive = "massive",
    *,
    config: Settings | None = None,
    per_minute: int | None = None,
    window: float = 60.0,
    on_wait: Callable[[float], None] | None = None,
    clock: Clock | None = None,
    stop: threading.Event | None = None,
    limits: Path | None = None,
    page_rows: int = PAGE_ROWS,
    table: SymbolTable | None = None,
    timeouts: tuple[float, float] = TIMEOUTS,
) -> Archive:
    """Return the past of a provider.

    Parameters
    ----------
    source : str or Archive
        "massive", which needs a key; "sim", which starts a simulator in this process and
        needs none; or the address of a server that speaks Massive's protocol, such as the
        REST address of a running simulator. An archive is given back as it is.
    config : Settings or None
        None reads them from the environment.
    per_minute : int or None
        Requests in a window; 0 is no limit. None takes the setting `rest_per_minute` for
        what is not on this machine, and no limit for what is.
    window : float
        Seconds of that window.
    on_wait : callable or None
        Told the seconds before each wait for the limit; may be called from any thread.
    clock : Clock or None
        None is the machine's.
    stop : threading.Event or None
        Ends all waits when set.
    limits : Path or None
        The file that all processes count requests in; None is one in the data folder.
    page_rows : int
        Base bars, trades or quotes of a page, 1 to 50,000.
    table : SymbolTable or None
        Numbers for the symbols in the rows; None makes a table of its own.
    timeouts : (float, float)
        Seconds to connect, and to wait for more bytes, until a request is sent again.

    Raises
    ------
    ConfigError
        If there is no such source, or no key for one that needs it.
    """
    if isinstance(source, Archive):
        return source
    config = config or settings()
    stop = stop or threading.Event()
    running = None
    if source == "sim":
        from workbench.sim.run import start_simulator  # only who wants one loads it

        running = start_simulator(port=0)
    name, base = source, running.rest_url if running else _base(source, config)
    key = config.api_key.get_secret_value()
    if source not in ("sim", "massive"):
        name = urlsplit(base).netloc
    local = urlsplit(base).hostname in _LOOPBACK
    if per_minute is None:
        per_minute = 0 if local else config.rest_per_minute
    limit: Limit = NoLimit()
    if per_minute > 0:
        path = limits or config.data_dir / "limits.db"
        limit = SharedLimit(
            path,
            key_name(key, base),
            per_minute,
            window=window,
            wait=_waiting(stop),
            on_wait=on_wait,
            clock=clock,
        )
    rest = Rest(base, key=key, limit=limit, stop=stop, timeouts=timeouts)
    speaker = MassiveRest(table, page_rows=page_rows)
    return Archive(name, rest, speaker, limit=limit, clock=clock, server=running)


def _base(source: str, config: Settings) -> str:
    if source == "massive":
        if not config.api_key.get_secret_value():
            raise ConfigError(
                "Massive needs a key: set MASSIVE_API_KEY (or POLYGON_API_KEY, "
                'WORKBENCH_API_KEY), write it into .env, or begin with source="sim"',
                source="massive",
            )
        return config.rest_url
    parts = urlsplit(source)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f'no source {source[:60]!r}: give "massive", "sim" or the address of a server '
            "(http://127.0.0.1:8200)"
        )
    if parts.username or parts.password:
        raise ConfigError("an address may not hold a user or password: set the key instead")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigError(
            f"a key is not sent to {parts.hostname} in clear: give an https address",
            source=parts.netloc,
        )
    return source


def _waiting(stop: threading.Event) -> Callable[[float], None]:
    """Return a wait that ends with `CancelledError` when the event is set."""

    def wait(seconds: float) -> None:
        if stop.wait(seconds):
            raise CancelledError

    return wait


def _further(page: Page, before: Page) -> bool:
    """Tell whether a page goes on where the one before it ended: maybe within the same ms."""
    if page.reached != before.reached:
        return page.reached > before.reached
    last, known = (one.batch.rows[-1:].copy() for one in (page, before))
    if "received" in (last.dtype.names or ()):
        last["received"] = known["received"] = 0
    return bool(len(last) and last.tobytes() != known.tobytes())
