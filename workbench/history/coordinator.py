"""Warm up whatever symbol is looked at: the newest switch wins, what was fetched is shared."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self

import pandas as pd

from workbench.calendar import market_session
from workbench.clock import Clock
from workbench.history.archive import Archive
from workbench.history.barloader import BarLoader, Loaded
from workbench.history.sharedbars import SharedBars
from workbench.history.warmevents import Outbox, WarmupEvent
from workbench.history.warmresults import Result, Status
from workbench.history.warmuprun import Means, WarmupRun
from workbench.history.warmups import PLENTY, WARMUPS, Call, Series, Warmup
from workbench.store.frames import dataframe
from workbench.store.store import Store
from workbench.symbols import canonical
from workbench.timeframes import Timeframe, timeframe

__all__ = ["Alarm", "Coordinator", "alarm"]


class Alarm(Protocol):
    """What rings once, unless it is cancelled before."""

    def cancel(self) -> None:
        """Let it not ring any more, and leave no thread behind."""
        ...


class _Alarm:
    def __init__(self, seconds: float, ring: Callable[[], None]) -> None:
        self._timer = threading.Timer(seconds, ring)
        self._timer.name = "workbench-refresh"
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        self._timer.cancel()
        if threading.current_thread() is not self._timer:
            self._timer.join()


def alarm(seconds: float, ring: Callable[[], None]) -> Alarm:
    """Return an alarm by the machine's clock, which calls `ring` on a thread of its own."""
    return _Alarm(seconds, ring)


class Coordinator:
    """Run the warm-ups of the symbol that is looked at.

    Parameters
    ----------
    archive : Archive
        Closed by whoever opened it, after this. Leaving the ``with`` block by an exception,
        Ctrl+C too, cancels its requests.
    store : Store or None
        Read when the provider gives nothing and nothing is at hand.
    warmups : sequence of Warmup
    validity : float
        Seconds for which bars serve without being fetched again.
    retries : int
        How often a request is tried before the warm-ups on it fail; the rest goes on.
    workers : int or None
        Requests at a time, 1 to 64. None is 3, and 1 where the provider allows few.
    clock : Clock or None
        None is the archive's.
    on_event : callable or None
        Told what :mod:`workbench.history.warmevents` defines, one at a time, from any thread;
        may call :meth:`fetch` but must not wait for results.
    use_priority_mode : bool
        Whether high priority is done before medium begins, and medium before low. False
        asks for everything at once.
    refresh_every : float or None
        Seconds between refreshes while the market is closed; None for none.
    timer : callable
        Makes the alarm that counts them.
    pause : float
        Seconds before a second try.

    Examples
    --------
    >>> from workbench.history.archive import open_archive
    >>> with open_archive("sim") as archive, Coordinator(archive) as coordinator:
    ...     results = coordinator.fetch("BTC-USD").result(timeout=120)
    >>> len(results), results["M5_EMA"].state, len(results["HVN"].bars)
    (11, 'done', 200)
    """

    def __init__(
        self,
        archive: Archive,
        *,
        store: Store | None = None,
        warmups: Sequence[Warmup] = WARMUPS,
        validity: float = 300.0,
        retries: int = 3,
        workers: int | None = None,
        clock: Clock | None = None,
        on_event: Callable[[WarmupEvent], object] | None = None,
        use_priority_mode: bool = True,
        refresh_every: float | None = 300.0,
        timer: Callable[[float, Callable[[], None]], Alarm] = alarm,
        pause: float = 0.5,
    ) -> None:
        _checked(warmups, workers, refresh_every)
        few = 0 < archive.per_minute < PLENTY
        self._archive = archive
        self._clock = clock or archive.clock
        self._every, self._timer = refresh_every, timer
        shared = SharedBars(self._clock, validity=validity)
        loader = BarLoader(archive, shared, store=store, tries=retries, pause=pause)
        # With few requests to spend, one at a time: so those of a symbol that is left again
        # are let go before they take a place in the limit.
        self._pool = ThreadPoolExecutor(
            workers or (1 if few else 3), thread_name_prefix="workbench-warmups"
        )
        self._means = Means(
            warmups=tuple(warmups),
            loader=loader,
            shared=shared,
            pool=self._pool,
            outbox=Outbox(on_event),
            clock=self._clock,
            per_minute=archive.per_minute,
            use_priority_mode=use_priority_mode,
        )
        self._lock = threading.Lock()
        self._run: WarmupRun | None = None
        self._alarm: Alarm | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"Coordinator({self._archive.name!r}, {self.status.summary})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._archive.cancel()
        self.close()

    @property
    def status(self) -> Status:
        """How far the warm-ups of the newest symbol are."""
        run = self._run
        return Status() if run is None else run.status

    @property
    def results(self) -> dict[str, Result]:
        """What there is of the newest symbol, by name."""
        return self.status.results

    def fetch(self, symbol: str, *, force: bool = False) -> WarmupRun:
        """Switch to a symbol: start its warm-ups and let go of those that wait for another.

        Parameters
        ----------
        symbol : str
            In any spelling. If its warm-ups are under way already, those are returned.
        force : bool
            Fetch even what was fetched a moment ago.

        Raises
        ------
        UnknownSymbolError
            If it is not spelled as a symbol.
        RuntimeError
            After :meth:`close`.
        """
        name = canonical(symbol)
        with self._lock:
            old = self._run
            if old is not None and old.symbol == name and not old.done and not force:
                return old
            run = self._begun(name, force=force)
        return self._started(run, old)

    def refresh(self) -> WarmupRun | None:
        """Fetch the newest symbol again if its market is closed.

        Called by the timer; nothing happens, and None is returned, if the market is in any
        session, or the last warm-ups are still under way.
        """
        with self._lock:
            old = self._run
            if old is None or not old.done or self._closed:
                return None
            if market_session(self._clock.now(), old.symbol) != "closed":
                return None
            run = self._begun(old.symbol, force=True)
        return self._started(run, old)

    def _begun(self, symbol: str, *, force: bool) -> WarmupRun:
        if self._closed:
            raise RuntimeError("the coordinator is closed: make a new one")
        since = self._clock.monotonic() if force else None
        self._run = WarmupRun(symbol, self._means, since=since)
        if self._alarm is None and self._every is not None:
            self._alarm = self._timer(self._every, self._ring)
        return self._run

    def _started(self, run: WarmupRun, old: WarmupRun | None) -> WarmupRun:
        if old is not None:
            old.cancel()
        run.start()
        return run

    def _ring(self) -> None:
        self.refresh()
        with self._lock:
            if not self._closed and self._every is not None:
                self._alarm = self._timer(self._every, self._ring)

    def fetch_historical_bars(
        self,
        symbol: str,
        *,
        bars_needed: int = 200,
        timeframe: str | int | Timeframe = "1m",
        force: bool = True,
    ) -> pd.DataFrame:
        """Fetch the newest closed bars and share them with the warm-ups.

        Parameters
        ----------
        symbol : str
            In any spelling.
        bars_needed : int
            At least 1.
        timeframe : str, int or Timeframe
        force : bool
            False takes what was fetched a moment ago.

        Returns
        -------
        pandas.DataFrame
            As :func:`~workbench.history.fetch.fetch_bars` gives it. If the provider gave
            nothing these may be older ones: `attrs["stale"]` then says why, else it is "".

        Raises
        ------
        WorkbenchError
            If the provider gave nothing, and there are no older ones.
        """
        if bars_needed < 1:
            raise ValueError(f"bars_needed is at least 1, not {bars_needed}")
        length = _length(timeframe)
        # As many as the warm-ups want cost no more, and serve them too.
        most = [one.bars for one in self._means.warmups if one.timeframe == length.name]
        series = Series(length.name, max([bars_needed, *most]))
        since = self._clock.monotonic() if force else None
        call = Call(*series, covers=(series,))
        loaded = self._means.loader.load(canonical(symbol), call, since=since)[length.name]
        if loaded.rows is None:
            assert loaded.error is not None
            raise loaded.error
        frame = dataframe("bar", loaded.rows[-bars_needed:])
        frame.attrs["stale"] = "" if loaded.error is None else loaded.error.message
        return frame

    def load(self, symbol: str, call: Call, *, since: float | None = None) -> dict[str, Loaded]:
        """Return the series of a call by timeframe, shared with the warm-ups; waits for them.

        Parameters
        ----------
        symbol, call, since
            As of :meth:`~workbench.history.barloader.BarLoader.load`.
        """
        return self._means.loader.load(canonical(symbol), call, since=since)

    def close(self) -> None:
        """Let go of what waits, and wait for what is on its way; a second call does nothing.

        On its way is also a request that waits for its place in the archive's limit:
        :meth:`Archive.cancel <workbench.history.archive.Archive.cancel>` before ends that.
        """
        with self._lock:
            self._closed = True
            run, ring = self._run, self._alarm
            self._alarm = None
        if run is not None:
            run.cancel()
        if ring is not None:
            ring.cancel()
        self._pool.shutdown(cancel_futures=True)


def _checked(warmups: Sequence[Warmup], workers: int | None, refresh_every: float | None) -> None:
    names = [one.name for one in warmups]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"each warm-up needs a name of its own; twice there is {twice[0]!r}")
    if workers is not None and not 1 <= workers <= 64:
        raise ValueError(f"workers is 1 to 64, not {workers}")
    if refresh_every is not None and not refresh_every > 0:
        raise ValueError(f"refresh_every is above 0 seconds or None, not {refresh_every}")


def _length(name: str | int | Timeframe) -> Timeframe:
    return timeframe(name)
