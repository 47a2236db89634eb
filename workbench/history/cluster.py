"""Pages of history fetched and read by the workers of a Dask cluster, for one process that stores.

The process that fills a store keeps all that must be in one place: the plan, the record of
what is missing, the limit of requests and the store. A worker gets one errand at a time: send
one request, read the answer, hand back rows. It waits for nothing and opens no store. A place
in the limit is taken here before an errand goes out, so workers on any number of machines
share the one limit of the key.

No key is ever sent: workers take theirs from their own settings, and a worker whose key is
not the one that this process counts requests for refuses.
"""

from __future__ import annotations

import importlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from workbench.config import settings
from workbench.errors import ConfigError, ConnectError, WorkbenchError
from workbench.history.archive import Archive
from workbench.history.request import Request, day_long
from workbench.net.rest import TIMEOUTS, Rest
from workbench.records import Batch, Rows
from workbench.sources.massive_rest import MassiveRest, Page, PageCall

__all__ = ["Cluster", "Compute", "Errand", "Found", "fetch_page", "open_cluster"]

log = logging.getLogger("workbench.history.cluster")

#: Makes something of the rows of a page, in the worker that fetched it.
Compute = Callable[[Rows], Any]

_HOUR = 3_600_000_000_000
#: Seconds between looks at whether a wait is to end.
_LOOK = 0.2
#: Seconds after which a page that does not come is worth a word.
_LONG = 60.0
#: Seconds that pages on their way get when all is to end.
_GRACE = 5.0
_TO_CONNECT = 10.0
#: Seconds that a lost scheduler gets to come back; a client of its own gives up only later.
_AWAY = 5.0


@dataclass(frozen=True, slots=True, repr=False)
class Errand:
    """What a worker is to do: one request. Holds no key.

    Attributes
    ----------
    base : str
        Scheme and host of the provider.
    key_name : str
        The name of the key to use, as :func:`~workbench.net.limits.key_name` gives; "" is none.
    request : Request
    call : PageCall or str
        For the first page, or the address of a further one.
    last : bool
        Whether trouble is to be told as an error rather than as a wish to be sent again.
    closed : int
        Rows after this moment, ns UTC, are of bars that were forming: not for `compute`.
    compute : callable or None
    timeouts : (float, float)
        Seconds to connect, and to wait for more bytes.
    """

    base: str
    key_name: str
    request: Request
    call: PageCall | str
    last: bool = False
    closed: int = 0
    compute: Compute | None = None
    timeouts: tuple[float, float] = TIMEOUTS

    def __repr__(self) -> str:
        return f"Errand({self.request})"


@dataclass(frozen=True, slots=True)
class Found:
    """What a worker brought: a page, and what was computed of its rows."""

    page: Page
    computed: Any = None


class _Later(Exception):
    """Trouble that may pass: the errand is to be sent again after some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def _later(seconds: float) -> None:
    raise _Later(seconds)


@lru_cache(maxsize=16)
def _rest(base: str, name: str, last: bool, timeouts: tuple[float, float]) -> Rest:
    """Return what sends requests in this process; it sends each once and waits for nothing."""
    # One try is left so that a Retry-After is heard; instead of waiting for it, it is told.
    key, retries = settings().api_key if name else "", 0 if last else 1
    rest = Rest(base, key=key, retries=retries, wait=_later, timeouts=timeouts)
    if rest.key_name != name:
        lacks = "has another key than" if rest.key_name else "has no key, unlike"
        raise ConfigError(
            f"a worker of the cluster {lacks} the process that sends it: keys are not sent, so "
            "set MASSIVE_API_KEY (or WORKBENCH_API_KEY) to the same key where workers run",
            source=rest.base,
        )
    return rest


def fetch_page(errand: Errand) -> Found | WorkbenchError | float:
    """Carry out an errand; runs in a worker.

    Errors are returned rather than raised, so that no worker writes of them what it was given.

    Returns
    -------
    Found, WorkbenchError or float
        The page, why there is none, or seconds after which to send the errand again.
    """
    wish, call = errand.request, errand.call
    try:
        rest = _rest(errand.base, errand.key_name, errand.last, errand.timeouts)
        answer = rest.follow(call) if isinstance(call, str) else rest.get(call.path, call.params)
        page = MassiveRest().read(wish, answer.body)
    except _Later as later:
        return later.seconds
    except WorkbenchError as error:
        return error.with_traceback(None)
    if page.next is not None:
        page = replace(page, next=_keyless(page.next))
    if errand.compute is None:
        return Found(page)
    rows = page.batch.rows
    return Found(page, errand.compute(rows[rows["time"] <= errand.closed]))


def _keyless(url: str) -> str:
    """Return an address without the key that a provider may have put into it."""
    parts = urlsplit(url)
    pairs = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "apiKey"]
    return parts._replace(query=urlencode(pairs)).geturl()


class Cluster:
    """Get pages through the workers of a Dask cluster; safe to use from several threads.

    Parameters
    ----------
    client : distributed.Client
        A blocking one. Whoever opened it closes it.
    archive : Archive
        The provider, its limit of requests, and the event that ends all waits.
    compute : callable or None
        Given the rows of each page as records, without bars that were forming, in the worker
        that fetched it; what it returns must be picklable.
    retries : int
        Further tries for what may pass, such as an answer 503.
    backoff : float
        Seconds before the second further try; they double. What the server asks for wins.
    """

    def __init__(
        self,
        client: Any,
        archive: Archive,
        *,
        compute: Compute | None = None,
        retries: int = 3,
        backoff: float = 0.5,
    ) -> None:
        self._client = client
        self._archive = archive
        self._compute = compute
        self._retries = retries
        self._backoff = backoff
        self._stop = archive.rest.stop
        self._lock = threading.Lock()
        self._computed: dict[str, list[tuple[int, Any]]] = {}
        self._gone = False  # the scheduler, for too long

    def __repr__(self) -> str:
        return f"Cluster({self._client.scheduler.address!r}, {self._archive!r})"

    @property
    def computed(self) -> dict[str, list[Any]]:
        """What was made of the pages so far, by series, oldest page first."""
        with self._lock:
            made = {series: list(values) for series, values in self._computed.items()}
        return {
            series: [value for _, value in sorted(values, key=lambda pair: pair[0])]
            for series, values in made.items()
        }

    def page(self, request: Request, call: PageCall | str) -> Page:
        """Return a page of a request, got and read by some worker.

        Parameters
        ----------
        request : Request
        call : PageCall or str
            For the first page, or the address of a further one.

        Raises
        ------
        AuthError, RateLimitError, ProviderError, ConnectError, DecodeError
            As :meth:`~workbench.net.rest.Rest.get` does; ConnectError too if the cluster fails.
        ConfigError
            If a worker has not the same key.
        concurrent.futures.CancelledError
            After the archive's :meth:`~workbench.history.archive.Archive.cancel`.
        """
        rest, compute = self._archive.rest, self._compute
        errand = Errand(
            rest.base, rest.key_name, request, call, compute=compute, timeouts=rest.timeouts
        )
        for further in range(self._retries, -1, -1):
            closed = self._closed(request)
            found = self._sent(replace(errand, last=further == 0, closed=closed))
            if isinstance(found, WorkbenchError):
                raise found
            if isinstance(found, Found):
                return self._kept(request, found)
            tried = self._retries - further
            pause = max(found, self._backoff * (1 << tried - 1) if tried else 0.0)
            log.info("a page of %s did not come; asking again in %.1f s", request, pause)
            if self._stop.wait(pause):
                raise CancelledError
        raise AssertionError

    def _closed(self, request: Request) -> int:
        length, now = request.timeframe, self._archive.clock.now()
        if length is None:
            return now
        return now - length.ns - (_HOUR if day_long(length) else 0)

    def _sent(self, errand: Errand) -> Found | WorkbenchError | float:
        """Send an errand when the limit allows it, and return what came of it."""
        limit = self._archive.limit
        number = limit.taken()
        try:
            if self._stop.is_set():
                raise CancelledError
            self._look(errand)
            future = self._client.submit(fetch_page, errand, pure=False)
            self._await(future, errand, number)
            if future.cancelled():  # by nobody here
                return self._lost(errand, "the scheduler was lost") if errand.last else 0.0
            found: Found | WorkbenchError | float = future.result()
            return found
        finally:
            limit.done(number)

    def _await(self, future: Any, errand: Errand, number: int) -> None:
        """Wait until an errand was done; raise what it raised."""
        waited, grace, away, told = 0.0, _GRACE, 0.0, False
        while True:
            try:
                error = future.exception(timeout=_LOOK)
                break
            except TimeoutError:
                waited += _LOOK
            # One that waits for a worker keeps its place: it has not been sent yet.
            self._archive.limit.hold(number)
            if self._stop.is_set():
                grace -= _LOOK
                if grace <= 0:
                    future.cancel()
                    raise CancelledError
            away = away + _LOOK if self._client.status == "connecting" else 0.0
            self._gone |= away > _AWAY
            self._look(errand)
            if waited > _LONG and not told:
                told = True
                log.warning("no worker brought a page of %s within %.0f s", errand.request, _LONG)
        if type(error).__name__ == "KilledWorker":
            raise self._lost(errand, "the workers that tried died")
        if error is not None:
            raise error

    def _look(self, errand: Errand) -> None:
        """Raise ConnectError if nothing that is sent would be answered any more."""
        if self._gone or self._client.status in ("closing", "closed"):
            raise self._lost(errand, "the scheduler is lost")

    def _lost(self, errand: Errand, why: str) -> ConnectError:
        return ConnectError(
            f"the cluster did not bring a page of {errand.request}: {why}",
            symbol=errand.request.symbol,
            source=self._archive.name,
        )

    def _kept(self, request: Request, found: Found) -> Page:
        """Return a page as if it had been read here: with our symbols and our time."""
        now, page = self._archive.clock.now(), found.page
        rows = page.batch.rows.copy()
        rows["symbol"] = self._archive.table.id(request.symbol)
        if request.kind != "bar":
            rows["received"] = now
        if self._compute is not None:
            with self._lock:
                made = self._computed.setdefault(str(request), [])
                made.append((page.reached, found.computed))
        rejects = [replace(reject, received=now) for reject in page.rejects]
        return replace(page, batch=Batch(request.kind, rows, request.timeframe), rejects=rejects)


@contextmanager
def open_cluster(
    dask: Any, archive: Archive, *, compute: Compute | None = None
) -> Iterator[Cluster]:
    """Connect to a Dask cluster, and let go of it at the end.

    Parameters
    ----------
    dask : str, distributed.Client or cluster
        A scheduler's address ("tcp://10.0.0.5:8786"), a blocking client, which is left open, or
        a cluster object such as `LocalCluster`.
    archive : Archive
    compute : callable or None
        As of :class:`Cluster`.

    Raises
    ------
    ConfigError
        If Dask is not installed, or the address is none.
    ConnectError
        If no scheduler answers there.
    """
    distributed = _distributed()
    if isinstance(dask, distributed.Client):
        if dask.asynchronous:
            raise ConfigError("a blocking Dask client is needed, not an asynchronous one")
        yield Cluster(dask, archive, compute=compute)
        return
    try:
        if isinstance(dask, str):
            _knock(dask)
        client = distributed.Client(dask, timeout=_TO_CONNECT, set_as_default=False)
    except OSError as error:
        raise ConnectError(f"no Dask scheduler answers at {dask}: {error}") from error
    with client:
        yield Cluster(client, archive, compute=compute)


def _knock(address: str) -> None:
    """Connect and leave: a client that finds nobody would leave a thread behind."""
    comm = importlib.import_module("distributed.comm")
    try:
        host, port = comm.get_address_host_port(address, strict=True)
    except ValueError as error:
        raise ConfigError(
            f"not the address of a Dask scheduler: {address[:60]!r}, where tcp://host:8786 is one"
        ) from error
    socket.create_connection((host, port), timeout=_TO_CONNECT).close()


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ModuleNotFoundError as error:
        if error.name not in ("distributed", "dask"):
            raise
        raise ConfigError(
            "a Dask cluster needs a package more: pip install 'market-workbench[dask]'"
        ) from error
