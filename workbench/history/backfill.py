"""Fill a store with history: exactly what is missing, page by page, whatever interrupts it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from workbench.clock import Clock, SystemClock
from workbench.config import Settings, settings
from workbench.errors import ConnectError, DecodeError, ProviderError, StoreError
from workbench.history.archive import Archive, open_archive
from workbench.history.meter import Meter, Told
from workbench.history.plan import Call, Plan, plan
from workbench.history.report import Gap, Outcome, Report
from workbench.history.request import Request, day_long, request, settled_until
from workbench.records import Batch, Kind, Rows
from workbench.store.fetches import Fetches, Interval, Series
from workbench.store.frames import When, nanoseconds
from workbench.store.sqlite import SqliteStore
from workbench.store.store import Store, open_store
from workbench.symbols import SymbolTable, canonicals
from workbench.timeframes import Timeframe, timeframe

__all__ = ["Coverage", "backfill", "plan_backfill"]

log = logging.getLogger("workbench.history.backfill")

_HOUR = 3_600_000_000_000
_YOUNG = "too young to be final: stored, and fetched again next time"
#: What ends the fetch of one series and leaves the others alone.
_TROUBLE = (ProviderError, ConnectError, DecodeError)


class Coverage(Protocol):
    """Know what came whole of each series, and keep it with the rows."""

    def missing(self, series: Series, start: int, end: int) -> Sequence[Interval]:
        """Return what of [start, end) is not known to be whole."""
        ...

    def doubt(self, series: Series, intervals: Sequence[Interval]) -> None:
        """Note durably that ranges are not known to be whole."""
        ...

    def came(
        self, series: Series, interval: Interval, batches: Iterable[Batch], table: SymbolTable
    ) -> int:
        """Store rows and that their range came whole, both or none; return rows changed."""
        ...


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
    config: Settings | None = None,
    per_minute: int | None = None,
    window: float = 60.0,
    clock: Clock | None = None,
    stop: threading.Event | None = None,
) -> Report:
    """Fetch what a store lacks of some series, and keep it.

    What is to be fetched is written down first, and struck out together with the rows that
    came, page by page. So it may be interrupted at any moment, in any way, and run again: it
    goes on where it was, and asks again only for the page that was on its way.

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
        Knows what is missing; None is what the store noted of earlier fetches.
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
    stop = stop or threading.Event()
    clock = clock or SystemClock()
    with ExitStack() as opened:
        wishes = _wishes(symbols, timeframe, start, end, kind, clock.now())
        held = _held(store, config, opened)
        meter = Meter(progress, opened)
        archive = source
        if not isinstance(archive, Archive):
            pace: dict[str, Any] = {"config": config, "per_minute": per_minute, "window": window}
            archive = open_archive(source, on_wait=meter.waiting, clock=clock, stop=stop, **pace)
            opened.enter_context(archive)
        known = coverage or Fetches(held, clock)
        run = _Run(archive, known, meter, clock, settle, stop)
        return run.report(wishes, confirm, refresh=refresh, workers=workers)


def plan_backfill(
    wanted: Iterable[Request], archive: Archive, coverage: Coverage, *, refresh: bool = False
) -> Plan:
    """Return what a backfill would fetch, and what it costs, without fetching it.

    Parameters
    ----------
    wanted : iterable of Request
    archive : Archive
    coverage : Coverage
    refresh : bool
        Whether to fetch everything again.
    """

    def missing(wish: Request) -> Sequence[Interval]:
        if refresh:
            return [(wish.start, wish.end)]
        return coverage.missing(_series(archive, wish), wish.start, wish.end)

    return plan(
        wanted,
        missing,
        per_minute=archive.per_minute,
        page_rows=archive.page_rows,
        base=archive.base_seconds,
    )


def _series(archive: Archive, wish: Request) -> Series:
    return Series(archive.name, wish.kind, wish.symbol, wish.timeframe)


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


def _held(store: Store | str | Path, config: Settings | None, opened: ExitStack) -> SqliteStore:
    if isinstance(store, str | Path):
        durability = (config or settings()).durability
        store = opened.enter_context(open_store(store, durability=durability))
    if not isinstance(store, SqliteStore):
        raise StoreError("a backfill needs an embedded store, which keeps what was fetched")
    return store


class _Run:
    """Carry out one plan."""

    def __init__(
        self,
        archive: Archive,
        coverage: Coverage,
        meter: Meter,
        clock: Clock,
        settle: float,
        stop: threading.Event,
    ) -> None:
        self._archive = archive
        self._coverage = coverage
        self._meter = meter
        self._clock = clock
        self._settle = settle
        self._stop = stop
        self._lock = threading.Lock()
        self._failed: list[tuple[Request, str]] = []  # what was not fetched, and why
        self._why = "stopped"

    def report(
        self,
        wishes: list[Request],
        confirm: Callable[[Plan], bool] | None,
        *,
        refresh: bool,
        workers: int,
    ) -> Report:
        begun = self._clock.monotonic()
        made = plan_backfill(wishes, self._archive, self._coverage, refresh=refresh)
        outcomes = {wish: Outcome(wish) for wish in wishes}
        by_series = {self._series(wish): outcome for wish, outcome in outcomes.items()}
        for call in made.calls:
            of = by_series[self._series(call.request)]
            of.missing += sum(high - low for low, high in call.gaps)
        log.info("backfill from %s: %r", self._archive.name, made)
        agreed = made.complete or confirm is None or confirm(made)
        if agreed and not made.complete:
            # Before anything is fetched: whatever happens now, it is known to be missing.
            for call in made.calls:
                self._coverage.doubt(self._series(call.request), call.gaps)
            self._meter.begin(made.requests)
            self._fetch(made.calls, by_series, workers)
            self._meter.finish()
        for wish, outcome in outcomes.items():
            outcome.gaps = self._left(wish, self._why if agreed else "not confirmed")
        return Report(made, tuple(outcomes.values()), self._clock.monotonic() - begun)

    def _series(self, wish: Request) -> Series:
        return _series(self._archive, wish)

    def _fetch(self, calls: Sequence[Call], outcomes: dict[Series, Outcome], workers: int) -> None:
        pool = ThreadPoolExecutor(min(workers, len(calls)), thread_name_prefix="workbench-backfill")
        try:
            futures = [
                pool.submit(self._call, call, outcomes[self._series(call.request)])
                for call in calls
            ]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        except BaseException:
            # Ctrl+C, or a store that fails: the pages on their way are the last.
            self._stop.set()
            self._archive.cancel()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _call(self, call: Call, outcome: Outcome) -> None:
        wish = call.request
        try:
            self._pages(wish, outcome)
        except CancelledError:
            return
        except _TROUBLE as error:
            log.warning("%s of %s was not fetched whole: %s", wish, self._archive.name, error)
            with self._lock:
                outcome.errors.append(error.message)
                self._failed.append((wish, error.message))
            if error.status == 401:  # no other call can fare better
                self._why = error.message
                self._stop.set()

    def _pages(self, wish: Request, outcome: Outcome) -> None:
        series = self._series(wish)
        reached, begun = wish.start, self._clock.now()
        if self._stop.is_set():
            return
        for page in self._archive.pages(wish):
            rows = _ended(page.batch.rows, wish.timeframe, begun)
            # What is younger may still change: it stays in doubt.
            final = min(page.reached, settled_until(wish.timeframe, begun, self._settle))
            batch = Batch(wish.kind, rows, wish.timeframe)
            stored = self._coverage.came(series, (reached, final), [batch], self._archive.table)
            reached = max(reached, final)
            with self._lock:
                if page.next is None and final < page.reached:
                    self._failed.append((wish.over(reached, page.reached), _YOUNG))
                outcome.requests += 1
                outcome.fetched += len(rows)
                outcome.stored += stored
                outcome.refused += len(page.rejects)
            self._meter.add(str(wish), len(rows))
            if self._stop.is_set():
                return
            begun = self._clock.now()

    def _left(self, wish: Request, otherwise: str) -> list[Gap]:
        gaps = []
        for low, high in self._coverage.missing(self._series(wish), wish.start, wish.end):
            why = otherwise
            for failed, reason in self._failed:
                over = failed.start < high and low < failed.end
                if over and self._series(failed) == self._series(wish):
                    why = reason
            gaps.append(Gap(low, high, why))
        return gaps


def _ended(rows: Rows, length: Timeframe | None, begun: int) -> Rows:
    """Return the bars that were over when their page was asked for."""
    if length is None:
        return rows
    whole = length.ns + (_HOUR if day_long(length) else 0)
    return rows[rows["time"] <= begun - whole]
