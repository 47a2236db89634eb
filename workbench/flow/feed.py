"""A running source with its series: what notebooks, pages and scripts hold in their hand."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pandas as pd
from streamz import Stream

from workbench.analytics import Indicator
from workbench.bars.kinds import BarKind
from workbench.bars.prepared import prepared
from workbench.clock import Clock, SystemClock
from workbench.config import Settings, settings
from workbench.errors import ConnectError, FeedClosedError, UnknownSymbolError
from workbench.flow.core import Core
from workbench.flow.health import Event, Health
from workbench.flow.joint import History
from workbench.flow.loop import LoopThread
from workbench.flow.mending import MakeArchive
from workbench.flow.playback import sources
from workbench.flow.window import Window
from workbench.flow.wishes import check_channels
from workbench.gate import Quarantine
from workbench.history.coordinator import Coordinator
from workbench.history.coverage import Coverage
from workbench.net.replay import Replayed
from workbench.quality.score import Quality
from workbench.sources.source import Source
from workbench.store.frames import dataframe, quote_frame
from workbench.store.store import Store
from workbench.symbols import SymbolTable, canonical, canonicals
from workbench.tape import TapeReader, TapeWriter
from workbench.timeframes import Timeframe, each

__all__ = ["Feed"]


class Feed:
    """Receive a provider's data and keep its bars, in a thread of its own.

    Every method may be called from any thread and returns at once or when its answer is
    there; nothing a caller does holds up the socket.

    Parameters
    ----------
    make_source : callable
        ``make_source(market, table)`` returns the source of a market.
    config : Settings or None
        None reads them.
    store : Store or None
        Receives trades, quotes (if so set) and bars; the caller closes it.
    tape : TapeWriter or None
        Receives every frame before it is decoded; closed with the feed.
    clock : Clock or None
    rng : random.Random or None
        Jitter of reconnects.
    connect : callable or None
        Opens a websocket; None is the real one.
    make_archive : callable or None
        ``make_archive(table)`` opens the provider's history, of which holes are filled; None
        leaves them in doubt.
    on_close : callable or None
        Called once the feed is closed.

    Examples
    --------
    >>> from workbench.sources.massive import MassiveSource
    >>> feed = Feed(lambda market, table: MassiveSource(market, table=table))
    >>> feed.symbols(), feed.health.state
    ((), 'idle')
    >>> feed.close()
    """

    def __init__(
        self,
        make_source: Callable[[str, SymbolTable], Source],
        *,
        config: Settings | None = None,
        store: Store | None = None,
        tape: TapeWriter | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        connect: Callable[..., Any] | None = None,
        make_archive: MakeArchive | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._config = config or settings()
        self._clock = clock or SystemClock()
        self._on_close = on_close
        self._make_source = make_source
        self._loop = LoopThread("workbench-feed")
        dice = rng or random.Random()
        try:
            self._core = self._loop.call(
                lambda: Core(
                    make_source, self._config, store, tape, self._clock, dice, connect, make_archive
                )
            )
        except BaseException:
            self._loop.close()
            raise
        self.table = self._core.table

    # -- what to receive -------------------------------------------------------------

    def subscribe(
        self,
        symbols: str | Iterable[str],
        timeframes: str | Timeframe | Iterable[str | Timeframe] = ("1m",),
        *,
        channels: Sequence[str] = ("trade", "quote"),
        timeout: float | None = 10.0,
    ) -> None:
        """Receive symbols and build their bars; adds to what is subscribed already.

        Parameters
        ----------
        symbols : str or iterable of str
            In any spelling: "BTC-USD", "X:BTCUSD", "AAPL".
        timeframes : str, Timeframe or iterable of them
            More may be added at any time; a new one joins with the trades at hand.
        channels : sequence of str
            "trade", "quote", and "bar:1s" or "bar:1m" for bars made by the provider.
        timeout : float or None
            Seconds to wait for the login; None does not wait.

        Raises
        ------
        UnknownSymbolError, UnknownTimeframeError
            If one is not spelled as such.
        AuthError
            If the provider refuses the key.
        ConnectError
            If there is no connection within `timeout`; the feed goes on trying.
        """
        names = canonicals(symbols)
        tfs = each(timeframes)
        check_channels(channels)
        markets = self._call(lambda: self._core.subscribe(names, tfs, channels))
        if timeout is not None:
            self._wait_ready(markets, timeout)

    def unsubscribe(
        self,
        symbols: str | Iterable[str],
        timeframes: str | Timeframe | Iterable[str | Timeframe] | None = None,
    ) -> None:
        """Stop receiving symbols, or (given timeframes) only stop building those bars."""
        names = canonicals(symbols)
        tfs = None if timeframes is None else each(timeframes)
        self._call(lambda: self._core.unsubscribe(names, tfs))

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols subscribed to, in the order they were asked for."""
        return tuple(self._core.subscriptions)

    def timeframes(self, symbol: str) -> tuple[Timeframe, ...]:
        """Return the timeframes built for a symbol, shortest first."""
        wanted = self._core.subscriptions.get(canonical(symbol))
        return tuple(sorted(wanted.timeframes)) if wanted else ()

    # -- what was received -----------------------------------------------------------

    def bars(
        self,
        symbol: str,
        timeframe: str | Timeframe | BarKind = "1m",
        *,
        last: int | None = None,
        forming: bool = True,
    ) -> pd.DataFrame:
        """Return the bars of a series.

        Parameters
        ----------
        symbol : str
        timeframe : str, Timeframe or BarKind
            "5m", or another kind such as "volume:1000" or "renko:10", built from the trades
            at hand on.
        last : int or None
            Only the newest so many; None for all in memory (2000 by default).
        forming : bool
            Whether the newest, unfinished bar is the last row; its `state` is 1.

        Returns
        -------
        DataFrame
            Indexed by the UTC time of the start; open, high, low, close, volume, vwap, count,
            revision, state (1 forming, 2 closed, 3 revised) and origin (1 made by the provider).
            Of time bars of a live feed `complete` tells whether all of a bar so far has come.

        Raises
        ------
        UnknownSymbolError
            If the feed is not subscribed to it.
        """
        name, tf = self._known(symbol), prepared(timeframe)
        rows = self._call(lambda: self._core.bars(name, tf, forming))
        rows = rows if last is None else rows[max(0, len(rows) - last) :]
        frame = dataframe("bar", rows)
        if isinstance(tf, Timeframe) and self._core.live:
            whole = self._core.mending.whole(name, rows["time"], tf.ns)
            frame["complete"] = whole | (rows["origin"] == 1)
        return frame

    def trades(self, symbol: str, *, last: int | None = 100) -> pd.DataFrame:
        """Return the newest trades at hand, oldest first; None for all of them."""
        name = self._known(symbol)
        return dataframe("trade", self._call(lambda: self._core.recent("trade", name, last)))

    def quotes(self, symbol: str, *, last: int | None = 100) -> pd.DataFrame:
        """Return the newest quotes at hand, oldest first; None for all of them."""
        name = self._known(symbol)
        return quote_frame(self._call(lambda: self._core.recent("quote", name, last)))

    def prices(self) -> pd.DataFrame:
        """Return last price, quote and the day so far of every symbol, a row each."""
        return pd.DataFrame(self._call(self._core.prices))

    def watch(
        self,
        symbol: str,
        timeframe: str | Timeframe | BarKind,
        indicators: Sequence[Indicator] = (),
    ) -> Window:
        """Return the window of a series, kept up to date with its forming bar.

        Subscribes if need be. Give it back with :meth:`unwatch`.

        Parameters
        ----------
        symbol : str
        timeframe : str, Timeframe or BarKind
        indicators : sequence of Indicator
            Their outputs stand beside the bars.
        """
        name, tf = canonical(symbol), prepared(timeframe)
        for indicator in indicators:
            indicator.prepare()  # compiled in this thread, as the bars, not in the feed's
        return self._call(lambda: self._core.watch(name, tf, indicators))  # type: ignore[no-any-return]

    def unwatch(self, window: Window) -> None:
        """Give a window back; what nobody watches costs nothing."""
        if self._loop.running:
            self._call(lambda: self._core.unwatch(window))

    def stream(self, kind: str = "trade") -> Stream:
        """Return a streamz stream of batches, for filters and sinks of your own.

        Parameters
        ----------
        kind : str
            "trade", "quote", "bar" (closed and revised), "provider_bar", "warmup" or "status".
            Sinks run in the feed's thread: be quick there. One that raises is counted.
        """
        if kind not in self._core.pipeline.streams:
            known = ", ".join(self._core.pipeline.streams)
            raise ValueError(f"stream {kind!r} is not one of {known}")
        return self._call(lambda: self._core.pipeline.branch(kind, f"stream {kind}"))

    @property
    def health(self) -> Health:
        """Counts, delays and the state of the connection."""
        return self._core.pipeline.health

    @property
    def quarantine(self) -> Quarantine:
        """What was refused, with reasons."""
        return self._core.pipeline.quarantine

    @property
    def coverage(self) -> Coverage:
        """What is known of each series, and when: received, backfilled, in doubt, missing."""
        return self._core.mending.coverage

    @property
    def history(self) -> History:
        """Bars of the provider before ours: ``feed.history("BTC-USD", "1m", bars=500)``."""
        return History(lambda *w: self._call(lambda: self._core.past.ask(*w)), self._core.past)

    @property
    def warmups(self) -> Coordinator | None:
        """What runs the named fetches of a symbol's past; None for a feed without a provider."""
        return self._core.past.warmups

    @property
    def quality(self) -> Quality:
        """How good the data are, 0 to 100, for each symbol and the whole."""
        return Quality(self._call(self._core.scores.series))

    def events(self, n: int = 50) -> list[Event]:
        """Return what happened to the feed lately, newest first."""
        return self.health.events(n)

    # -- life ------------------------------------------------------------------------

    def wait(
        self, symbol: str | None = None, *, timeout: float = 10.0, count: int = 1,
        whole: bool = False,
    ) -> None:  # fmt: skip
        """Wait until trades have come.

        Parameters
        ----------
        symbol : str or None
            Of this symbol; None for any.
        timeout : float
            Seconds.
        count : int
        whole : bool
            Whether to wait too until no hole is left that is to be filled.

        Raises
        ------
        AuthError, ConnectError
            If the feed has failed, or they do not come in time.
        """
        name = None if symbol is None else self._known(symbol)
        if not self._loop.within(self._core.wait(name, count, whole), timeout):
            what = f"no{' whole' * whole} trade of {name or 'any symbol'} within {timeout:g} s"
            raise ConnectError(f"{what}; the feed is {self.health.state}", symbol=name)

    def _wait_ready(self, markets: Iterable[str], timeout: float) -> None:
        if not self._loop.within(self._core.ready(markets), timeout):
            said = next((f": {e.text}" for e in self.events(20) if e.kind == "disconnected"), "")
            raise ConnectError(f"not connected within {timeout:g} s{said}; the feed goes on trying")

    def play(
        self,
        tape: str | Path,
        *,
        speed: float = math.inf,
        timeframes: str | Timeframe | Iterable[str | Timeframe] = ("1m",),
        on_progress: Callable[[Replayed], None] | None = None,
    ) -> Future[Replayed]:
        """Run a tape through the feed in place of a provider.

        Parameters
        ----------
        tape, speed, timeframes, on_progress
            As of :func:`~workbench.feeds.replay`.

        Returns
        -------
        Future
            Its ``result()`` waits for the end, and raises TapeError for a damaged tape.
        """
        if not speed > 0:
            raise ValueError(f"speed must be above zero, not {speed!r}")
        tfs = each(timeframes)
        reader = TapeReader(tape)
        source = sources(self._make_source, self.table)
        self._call(lambda: self._core.follow(tfs))
        return self._loop.submit(self._core.play(reader, source, speed, on_progress))

    def close(self) -> None:
        """Disconnect, write what is waiting, and stop the thread; a second call does nothing."""
        if not self._loop.running:
            return
        try:
            self._loop.submit(self._core.close()).result(600)
        finally:
            self._loop.close()
            if self._on_close is not None:
                self._on_close()

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _call(self, function: Callable[[], Any]) -> Any:
        if not self._loop.running:
            raise FeedClosedError("the feed is closed")
        return self._loop.call(function)

    def _known(self, symbol: str) -> str:
        name = canonical(symbol)
        if name not in self._core.subscriptions:
            have = ", ".join(self.symbols()[:10]) or "nothing yet"
            text = f"not subscribed to {name}: call feed.subscribe({name!r}) first; there is {have}"
            raise UnknownSymbolError(text, symbol=name)
        return name

    def __repr__(self) -> str:
        names = self.symbols()
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        return f"Feed({shown or 'no symbols'}; {self.health!r})"

    def _repr_html_(self) -> str:
        shown = self._loop.running and self.symbols()
        table = self.prices()._repr_html_() if shown else ""  # type: ignore[operator]
        return f"<b>Feed</b> {self.health.state}{table}"
