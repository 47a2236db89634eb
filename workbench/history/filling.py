"""Carrying out a plan of history: page by page, into a store that knows what it lacks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from typing import Protocol, TypeAlias

from workbench.clock import Clock
from workbench.errors import ConnectError, DecodeError, ProviderError
from workbench.gate import Quarantine
from workbench.history.archive import Archive, Ask
from workbench.history.meter import Meter
from workbench.history.plan import Call, Plan, plan
from workbench.history.report import Gap, Outcome, Report
from workbench.history.request import Request, day_long, settled_until
from workbench.history.screening import screen
from workbench.records import Batch, Rows
from workbench.sources.massive_rest import Page
from workbench.store.coverage import Series
from workbench.symbols import SymbolTable
from workbench.timeframes import Timeframe

__all__ = ["Coverage", "Filling", "Span", "plan_backfill", "series_of"]

log = logging.getLogger("workbench.history.filling")

#: A half-open range of event time, ns UTC.
Span: TypeAlias = tuple[int, int]
_HOUR = 3_600_000_000_000
_YOUNG = "too young to be final: stored, and fetched again next time"
#: What ends the fetch of one series and leaves the others alone.
_TROUBLE = (ProviderError, ConnectError, DecodeError)


class Coverage(Protocol):
    """Know what came whole of each series, and keep it with the rows."""

    def missing(self, series: Series, start: int, end: int) -> Sequence[Span]:
        """Return what of [start, end) is not known to be whole."""
        ...

    def doubt(self, series: Series, spans: Sequence[Span]) -> None:
        """Note durably that ranges are not known to be whole."""
        ...

    def came(
        self,
        series: Series,
        span: Span,
        batches: Iterable[Batch],
        table: SymbolTable,
        *,
        begun: int,
        certain: bool = True,
    ) -> int:
        """Store rows and that their range came whole, both or none; return rows changed.

        The request of them was sent at `begun`; where not `certain`, a step without a bar says
        nothing.
        """
        ...


def series_of(archive: Archive, wish: Request) -> Series:
    """Return as what the rows of a request are known."""
    seconds = 0 if wish.timeframe is None else wish.timeframe.seconds
    return Series(archive.name, wish.symbol, wish.kind, seconds)


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

    def missing(wish: Request) -> Sequence[Span]:
        if refresh:
            return [(wish.start, wish.end)]
        return coverage.missing(series_of(archive, wish), wish.start, wish.end)

    return plan(
        wanted,
        missing,
        per_minute=archive.per_minute,
        page_rows=archive.page_rows,
        base=archive.base_seconds,
    )


class Filling:
    """Carry out one plan.

    Parameters
    ----------
    archive : Archive
    coverage : Coverage
    meter : Meter
    clock : Clock
    settle : float
        Seconds after which the provider's rows are final.
    stop : threading.Event
        Ends it when set.
    quarantine : Quarantine or None
        Takes what is refused; None makes one.
    """

    def __init__(
        self,
        archive: Archive,
        coverage: Coverage,
        meter: Meter,
        clock: Clock,
        settle: float,
        stop: threading.Event,
        quarantine: Quarantine | None = None,
    ) -> None:
        self._archive = archive
        self._coverage = coverage
        self._meter = meter
        self._clock = clock
        self._settle = settle
        self._stop = stop
        self._quarantine = Quarantine() if quarantine is None else quarantine
        self._lock = threading.Lock()
        self._failed: list[tuple[Request, str]] = []  # what was not fetched, and why
        self._why = "stopped"
        #: Gets pages elsewhere; None asks from here.
        self.ask: Ask | None = None

    def report(
        self,
        wishes: list[Request],
        confirm: Callable[[Plan], bool] | None,
        *,
        refresh: bool,
        workers: int,
    ) -> Report:
        """Plan what is missing of some requests, fetch it if that is agreed to, and report.

        Parameters
        ----------
        wishes : list of Request
        confirm : callable or None
            Shown the plan; False leaves it at that.
        refresh : bool
            Whether to fetch what is known too.
        workers : int
            Calls at a time.
        """
        begun = self._clock.monotonic()
        made = plan_backfill(wishes, self._archive, self._coverage, refresh=refresh)
        outcomes = {wish: Outcome(wish) for wish in wishes}
        by_series = {self._series(wish): outcome for wish, outcome in outcomes.items()}
        for call in made.calls:
            of = by_series[self._series(call.request)]
            of.missing += sum(high - low for low, high in call.gaps)
        log.debug("backfill from %s: %r", self._archive.name, made)
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
        taken = self._clock.monotonic() - begun
        return Report(made, tuple(outcomes.values()), taken, quarantine=self._quarantine)

    def _series(self, wish: Request) -> Series:
        return series_of(self._archive, wish)

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
        reached, begun = wish.start, self._clock.now()
        if self._stop.is_set():
            return
        for page in self._archive.pages(wish, ask=self.ask):
            reached = self.keep(wish, outcome, page, reached=reached, begun=begun)
            if self._stop.is_set():
                return
            begun = self._clock.now()

    def keep(self, wish: Request, outcome: Outcome, page: Page, *, reached: int, begun: int) -> int:
        """Store a page and what it settles; return up to where all has come and is final.

        Parameters
        ----------
        wish : Request
            Of whose pages it is the next.
        outcome : Outcome
            Counts it.
        page : Page
        reached : int
            What the page before it returned; the start of the request at first.
        begun : int
            When it was asked for, ns UTC.
        """
        batch = Batch(wish.kind, _ended(page.batch.rows, wish.timeframe, begun), wish.timeframe)
        fetched = len(batch)
        batch, refused = screen(batch, now=self._clock.now(), start=wish.start)
        self._quarantine.rejects(page.rejects)
        for rule, some in refused:
            self._quarantine.rows(wish.kind, rule, some, self._archive.table)
        lost = len(page.rejects) + fetched - len(batch)
        # What is younger may still change: it stays in doubt.
        final = min(page.reached, settled_until(wish.timeframe, begun, self._settle))
        stored = self._coverage.came(
            self._series(wish),
            (reached, final),
            [batch],
            self._archive.table,
            begun=begun,
            certain=not lost,
        )
        reached = max(reached, final)
        with self._lock:
            if page.next is None and final < page.reached:
                self._failed.append((wish.over(reached, page.reached), _YOUNG))
            outcome.requests += 1
            outcome.fetched += len(batch)
            outcome.stored += stored
            outcome.refused += lost
        self._meter.add(str(wish), len(batch))
        return reached

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
