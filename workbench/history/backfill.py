"""Fill a store with history: exactly what is missing, page by page, whatever interrupts it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.clock import Clock, SystemClock
from workbench.config import Settings, settings
from workbench.errors import StoreError
from workbench.gate import Quarantine
from workbench.history.archive import Archive, open_archive
from workbench.history.cluster import Compute, open_cluster
from workbench.history.filling import Coverage, Filling, plan_backfill
from workbench.history.ledgers import ledger_of
from workbench.history.meter import Meter, Told
from workbench.history.plan import Plan
from workbench.history.report import Report
from workbench.history.request import Request, day_long, request
from workbench.history.settlement import Settlement
from workbench.records import Kind
from workbench.store.frames import When, nanoseconds
from workbench.store.sqlite import SqliteStore
from workbench.store.store import Store, open_store
from workbench.symbols import canonicals
from workbench.timeframes import Timeframe, timeframe

__all__ = ["Coverage", "backfill", "plan_backfill"]


def backfill(
    symbols: str | Iterable[str],
    timeframe: str | int | Timeframe | None = "1m",
    *,
    start: When,
    end: When | None = None,
    source: str | Archive = "massive",
    store: Store | str | Path,
    kind: Kind = "bar",
    confirm: Callable[[Plan], bool] | None = None,
    progress: Told | bool | None = None,
    refresh: bool = False,
    settle: float = 900.0,
    workers: int = 4,
    coverage: Coverage | None = None,
    quarantine: Quarantine | None = None,
    config: Settings | None = None,
    per_minute: int | None = None,
    window: float = 60.0,
    clock: Clock | None = None,
    stop: threading.Event | None = None,
    dask: Any = None,
    compute: Compute | None = None,
) -> Report:
    """Fetch what a store lacks of some series, and keep it.

    What is to be fetched is written into the store's ledger as in doubt first, and struck out
    together with the rows that came, page by page. So it may be interrupted at any moment, in
    any way, and run again: it goes on where it was, and asks again only for the page that was
    on its way. What a feed into the same store received or lost is known to it, and what a
    process that died left in doubt is missing.

    Parameters
    ----------
    symbols : str or iterable of str
    timeframe : str, int, Timeframe or None
        Of bars; of no meaning for the rest.
    start : When
    end : When or None
        Half-open range; what names no zone is UTC. None is now.
    source : str or Archive
        "massive", "sim" or an address; see :func:`~workbench.history.archive.open_archive`.
    store : Store, str or Path
        Open for writing; a path is opened, and closed at the end.
    kind : "bar", "trade" or "quote"
    confirm : callable or None
        Shown the plan with its cost before anything is fetched; False leaves it at that.
    progress : callable, bool or None
        Told how far it is, from the threads that fetch; None and True draw a bar, False is
        silent.
    refresh : bool
        Fetch everything again, whether it is known to be whole or not.
    settle : float
        Seconds after which the provider's rows are final. Younger ones are stored, and their
        range is fetched again next time.
    workers : int
        Requests at a time, 1 to 64.
    coverage : Coverage or None
        Knows what is missing; None is the ledger of the store.
    quarantine : Quarantine or None
        Takes the rows that are refused; None makes one, which the report has.
    config : Settings or None
        None reads them from the environment.
    per_minute : int or None
        Requests a minute; None as :func:`~workbench.history.archive.open_archive` has it.
    window : float
        Seconds that `per_minute` means.
    clock : Clock or None
        None is the machine's.
    stop : threading.Event or None
        Ends it when set, with a report.
    dask : str, distributed.Client, cluster or None
        Address of a Dask scheduler, or what :func:`~workbench.history.cluster.open_cluster`
        takes besides: its workers fetch and read pages, and this process stores them. They
        need the same key in their own settings. None fetches here.
    compute : callable or None
        With `dask`: given the rows of each page in the worker that fetched it; what it returns
        is in the report. One that raises ends the backfill.

    Returns
    -------
    Report
        Series that failed are in it with the reason; the others went on.

    Raises
    ------
    ConfigError, UnknownSymbolError, UnknownTimeframeError, ValueError
        If what is asked for makes no sense.
    StoreError
        If the store cannot be written; what came before is kept.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = backfill("BTC-USD", "1h", start="2025-11-03", end="2025-11-04",
    ...                       source="sim", store=f"{folder}/market.db", progress=False)
    >>> print(report.planned, report.complete)
    1 True
    """
    if not 1 <= workers <= 64:
        raise ValueError(f"workers is 1 to 64, not {workers}")
    if compute is not None and dask is None:
        raise ValueError("compute is for the workers of a cluster: give dask too")
    stop = stop or threading.Event()
    clock = clock or SystemClock()
    with ExitStack() as opened:
        wishes = _wishes(symbols, timeframe, start, end, kind, clock.now())
        held = _held(store, config, opened)
        meter = Meter(progress, opened)
        pace: dict[str, Any] = {"config": config, "per_minute": per_minute, "window": window}
        archive = _opened(source, opened, on_wait=meter.waiting, clock=clock, stop=stop, **pace)
        known = coverage or Settlement(ledger_of(held, clock), held, clock=clock)
        run = Filling(archive, known, meter, clock, settle, stop, quarantine)
        if dask is None:
            return run.report(wishes, confirm, refresh=refresh, workers=workers)
        cluster = opened.enter_context(open_cluster(dask, archive, compute=compute))
        run.ask = cluster.page
        report = run.report(wishes, confirm, refresh=refresh, workers=workers)
        return replace(report, computed=cluster.computed)


def _wishes(
    symbols: str | Iterable[str],
    length: str | int | Timeframe | None,
    start: When,
    end: When | None,
    kind: Kind,
    now: int,
) -> list[Request]:
    low, high = nanoseconds(start), now if end is None else min(nanoseconds(end), now)
    if kind == "bar" and length is not None and high == now:
        tf = timeframe(length)
        high = high if day_long(tf) else tf.start(high)  # the bar that forms now is not history
    if low >= high:
        raise ValueError(f"nothing lies between {start} and {end or 'now'}")
    names = dict.fromkeys(canonicals(symbols))
    return [request(name, length, start=low, end=high, kind=kind) for name in names]


def _opened(source: str | Archive, opened: ExitStack, **opening: Any) -> Archive:
    if isinstance(source, Archive):
        return source  # whoever opened it closes it
    return opened.enter_context(open_archive(source, **opening))


def _held(store: Store | str | Path, config: Settings | None, opened: ExitStack) -> SqliteStore:
    if isinstance(store, str | Path):
        durability = (config or settings()).durability
        store = opened.enter_context(open_store(store, durability=durability))
    if not isinstance(store, SqliteStore):
        raise StoreError("a backfill needs an embedded store, which keeps a ledger")
    return store
