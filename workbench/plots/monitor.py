"""The monitor: a chart, a list of symbols and the state of the connection on one page."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import panel as pn
import param

from workbench.analytics.catalogue import find
from workbench.analytics.configured import Indicator
from workbench.bars.kinds import FAMILIES, BarKind, bar_kind
from workbench.clock import Clock, SystemClock
from workbench.errors import WorkbenchError
from workbench.plots.chart import Chart, Watchable
from workbench.plots.columns import decimals
from workbench.plots.page import page
from workbench.plots.parts import EventLog, TopBar, Watchlist
from workbench.plots.theme import theme
from workbench.symbols import canonical
from workbench.timeframes import Timeframe

__all__ = ["Monitor", "Monitored"]

_log = logging.getLogger("workbench.plots.monitor")

#: Seconds between looks at prices, state and events.
_PERIOD = 0.3
#: Seconds of delay from which the badge turns amber.
_SLOW = 2.0
_FRAMES = ("1s", "5s", "15s", "1m", "5m", "15m", "1h", "4h", "1d")
_KINDS = (
    *("heikin-ashi@1m", "line-break:3@1m", "renko:atr14@1m", "trades:100", "dollar:1e6"),
    *("imbalance-trades", "run-volume", "session:day"),
)
_EVENTS = 60
_STATES = {
    "connected": ("good", "Live"),
    "replaying": ("good", "Replay"),
    "connecting": ("warn", "Connecting"),
    "reconnecting": ("warn", "Reconnecting"),
    "stale": ("warn", "No data"),
    "failed": ("bad", "Failed"),
    "closed": ("bad", "Closed"),
    "finished": ("idle", "Finished"),
    "idle": ("idle", "Idle"),
}


_OFFERED: tuple[tuple[str, dict[str, float]], ...] = (
    ("ema", {"length": 20}), ("ema", {"length": 50}), ("sma", {"length": 50}), ("vwap", {}),
    ("vwap_bands", {}), ("bollinger", {}), ("keltner", {}), ("donchian", {}), ("supertrend", {}),
    ("ichimoku", {}), ("psar", {}), ("rsi", {}), ("macd", {}), ("stochastic", {}), ("adx", {}),
    ("atr", {}), ("obv", {}), ("mfi", {}),
)  # fmt: skip


class Monitored(Watchable, Protocol):
    """What the page needs of a feed, beside the windows of its chart."""

    @property
    def health(self) -> Any:
        """State and delay of the connection."""
        ...

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that are received."""
        ...

    def prices(self) -> pd.DataFrame:
        """Return a row of prices for each symbol."""
        ...

    def events(self, n: int = ...) -> Sequence[Any]:
        """Return what happened lately, newest first."""
        ...


class Monitor(pn.viewable.Viewer):
    """Watch a market: one chart, the last prices of all symbols, the state of the connection.

    Each browser session has a monitor of its own; the feed is shared by all.

    Parameters
    ----------
    feed : Feed
    symbol : str or None
        Shown first; None takes the feed's first one.
    timeframe : str
    overlays : mapping of str to Indicator, or None
        Indicators that can be chosen, by label; None offers some that are used most.
    chosen : sequence of str
        Labels of those that are drawn at first.
    dark : bool
    title : str
        Name of the page.
    clock : Clock or None
    """

    symbol = param.String(doc="Symbol in the chart.")
    timeframe = param.String(doc='Length of a bar, such as "1m".')
    chosen = param.List(item_type=str, doc="Labels of the indicators that are drawn.")
    dark = param.Boolean(default=True, doc="Whether the page is dark.")

    def __init__(
        self,
        feed: Monitored,
        *,
        symbol: str | None = None,
        timeframe: str = "1m",
        overlays: Mapping[str, Any] | None = None,
        chosen: Sequence[str] = ("EMA 20", "VWAP"),
        dark: bool = True,
        title: str = "Workbench",
        clock: Clock | None = None,
    ) -> None:
        self._feed = feed
        self._title = title
        self._prices = _shared_prices(feed, clock or SystemClock())
        offered = [Indicator(find(name), given) for name, given in _OFFERED]
        self._overlays = dict(overlays or {one.label: one for one in offered})
        symbol = symbol or next(iter(feed.symbols()), "BTC-USD")
        super().__init__(
            symbol=canonical(symbol),
            timeframe=bar_kind(timeframe).name,
            chosen=[name for name in chosen if name in self._overlays],
            dark=dark,
        )
        refused = self._read_address()
        self._digits: dict[str, int] = {}
        self._task: Any = None
        self._make_parts(refused)
        self._wire()
        self._show_state()

    def _make_parts(self, refused: str) -> None:
        self.chart = Chart(
            self._feed, self.symbol, self.timeframe, self._drawn(), dark=self.dark
        )  # fmt: skip
        self.top = TopBar(
            title=self._title,
            symbols=list(self._feed.symbols()),
            symbol=self.symbol,
            timeframes=self._frames(),
            timeframe=self.timeframe,
            kinds=[
                [kind.name, FAMILIES[kind.family].title]
                for kind in map(bar_kind, _KINDS)
                if isinstance(kind, BarKind)
            ],
            overlays=list(self._overlays),
            chosen=self.chosen,
            dark=self.dark,
            error=refused,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.watchlist = Watchlist(symbol=self.symbol, sizing_mode="stretch_both", margin=0)
        self.log = EventLog(sizing_mode="stretch_width", margin=0)

    def _wire(self) -> None:
        self.top.param.watch(self._chosen_in_head, ["symbol", "timeframe", "chosen", "dark"])
        self.watchlist.param.watch(lambda event: self._switch(symbol=event.new), ["symbol"])
        self.param.watch(self._apply, ["symbol", "timeframe", "chosen", "dark"])

    # -- where it is shown
    def __panel__(self) -> pn.viewable.Viewable:
        """Return head, chart, list and log above and beside each other, for a cell."""
        self._begin()
        middle = pn.Row(
            self.chart, pn.Column(self.watchlist, width=286, margin=0), sizing_mode="stretch_both"
        )
        return pn.Column(self.top, middle, self.log, sizing_mode="stretch_both", min_height=560)

    def page(self) -> pn.Template:
        """Return the whole page, for a server."""
        self._begin()
        return page(
            self._title,
            theme(self.dark),
            top=self.top,
            chart=pn.panel(self.chart),
            list=self.watchlist,
            log=self.log,
        )

    def servable(self) -> pn.Template:
        """Serve the whole page when this is called in a script that `panel serve` runs."""
        return self.page().servable(title=self._title)

    def close(self) -> None:
        """Stop looking at the feed and give its windows back."""
        if self._task is not None:
            self._task.stop()
            self._task = None
        self.chart.close()

    def _begin(self) -> None:
        document = pn.state.curdoc
        if self._task is None and document is not None and document.session_context is not None:
            self._task = pn.state.add_periodic_callback(self.refresh, period=int(_PERIOD * 1000))

    # -- what the user chooses
    def _read_address(self) -> str:
        """Take symbol, timeframe and colours from the page's address; say what was refused."""
        said = {key: values[0].decode("utf-8", "replace") if values else ""
                for key, values in (pn.state.session_args or {}).items()}  # fmt: skip
        refused = ""
        for name, key, read in (
            ("symbol", "symbol", canonical),
            ("timeframe", "tf", lambda text: bar_kind(text).name),
        ):
            if said.get(key):
                try:
                    setattr(self, name, read(said[key].strip('"')))
                except WorkbenchError as error:
                    refused = str(error)
        if said.get("theme", "").strip('"') in ("dark", "light"):
            self.dark = said["theme"].strip('"') == "dark"
        return refused

    def _chosen_in_head(self, *events: param.parameterized.Event) -> None:
        self._switch(**{event.name: event.new for event in events})

    def _switch(self, **wanted: Any) -> None:
        """Show something else; what cannot be shown is told and taken back."""
        try:
            if "symbol" in wanted:
                wanted["symbol"] = canonical(wanted["symbol"])
            new = {name: value for name, value in wanted.items() if value != getattr(self, name)}
            if new:
                self.param.update(**new)
                self.top.error = ""
        except WorkbenchError as error:
            self.top.error = str(error)
        self._reflect()

    def _apply(self, *events: param.parameterized.Event) -> None:
        names = {event.name for event in events}
        try:
            if names & {"symbol", "timeframe"}:
                self.chart.param.update(symbol=self.symbol, timeframe=self.timeframe)
        except WorkbenchError:
            with param.parameterized.discard_events(self):
                self.param.update(symbol=self.chart.symbol, timeframe=self.chart.timeframe)
            raise
        if "chosen" in names:
            self._choose()
        if "dark" in names:
            self.chart.dark = self.dark
        self._reflect()
        if pn.state.location is not None:
            colors = "dark" if self.dark else "light"
            pn.state.location.update_query(symbol=self.symbol, tf=self.timeframe, theme=colors)

    def _choose(self) -> None:
        """Draw what is chosen; on a server compile it first in a thread, if it must be."""
        document = pn.state.curdoc
        if document is None or document.session_context is None:
            self.chart.overlays = self._drawn()
            return

        async def draw() -> None:
            for one in self._drawn():
                if hasattr(one, "prepare"):
                    await asyncio.to_thread(one.prepare)
            self.chart.overlays = self._drawn()

        pn.state.execute(draw)

    def _reflect(self) -> None:
        """Show in all parts what is chosen now."""
        self.top.param.update(
            symbol=self.symbol, timeframe=self.timeframe, chosen=self.chosen, dark=self.dark,
            timeframes=self._frames(),
        )  # fmt: skip
        self.watchlist.symbol = self.symbol
        self._show_prices(self._prices.newest)

    def _drawn(self) -> list[Any]:
        return [self._overlays[name] for name in self._overlays if name in self.chosen]

    def _frames(self) -> list[str]:
        read = {bar_kind(name) for name in (*_FRAMES, self.timeframe)}
        return [one.name for one in sorted(one for one in read if isinstance(one, Timeframe))]

    # -- what the feed tells
    async def refresh(self) -> None:
        """Show the newest prices, state and events."""
        try:
            table = await self._prices.table(self._feed)
        except WorkbenchError as error:  # closed, say: the badge tells of it
            _log.debug("no prices: %s", error)
        else:
            self._show_prices(table)
        self._show_state()

    def _show_prices(self, table: pd.DataFrame) -> None:
        rows, quote = [], {"symbol": self.symbol, "price": None}
        for symbol, price, change, percent in zip(
            table.index, table["price"], table["change"], table["change_percent"], strict=True
        ):
            digits = self._decimals(symbol, price)
            rows.append([symbol, _plain(price), _plain(percent), digits])
            if symbol == self.symbol:
                quote |= {"price": _plain(price), "change": _plain(change)}
                quote |= {"percent": _plain(percent), "decimals": digits}
        symbols = list(table.index)
        if symbols != self.top.symbols:
            self.top.symbols = symbols
        if rows != self.watchlist.rows:
            self.watchlist.rows = rows
        if quote != self.top.quote:
            self.top.quote = quote

    def _decimals(self, symbol: str, price: float) -> int:
        """Return decimals that never become fewer, or prices would jump about."""
        found = max(self._digits.get(symbol, 0), decimals(np.array([price], dtype=np.float64)))
        if math.isfinite(price):
            self._digits[symbol] = found
        return found

    def _show_state(self) -> None:
        health = self._feed.health
        status = _status(health.state, health.delay)
        if status != self.top.status:
            self.top.status = status
        entries = [_entry(event) for event in self._feed.events(_EVENTS)]
        if entries != self.log.entries:
            self.log.entries = entries


class _Prices:
    """One look at a feed's prices for all pages that show them."""

    def __init__(self, newest: pd.DataFrame, clock: Clock) -> None:
        self._clock = clock
        self._at = -math.inf
        self.newest = newest

    async def table(self, feed: Monitored) -> pd.DataFrame:
        """Return prices that are not older than a look is long."""
        now = self._clock.monotonic()
        if now - self._at >= _PERIOD * 0.8:
            self._at = now
            # The feed answers from its own thread; a page must not wait for it.
            self.newest = await asyncio.to_thread(feed.prices)
        return self.newest


_looks: WeakKeyDictionary[Any, _Prices] = WeakKeyDictionary()


def _shared_prices(feed: Monitored, clock: Clock) -> _Prices:
    if feed not in _looks:
        _looks[feed] = _Prices(feed.prices(), clock)
    return _looks[feed]


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _entry(event: Any) -> list[Any]:
    time, kind, text = (
        event if isinstance(event, tuple) else (event.time, event.kind, event.text)
    )  # fmt: skip
    return [time / 1e6, str(kind), str(text)]


def _status(state: str, delay: float | None) -> dict[str, str]:
    """Return colour and words of the badge.

    >>> _status("connected", 0.0421)["text"], _status("connected", 12.3)["level"]
    ('Live 42 ms', 'warn')
    """
    level, text = _STATES.get(state, ("warn", state))
    hint = f"The feed is {state}"
    if state == "connected" and delay is not None:
        shown = f"{max(0, round(delay * 1000, -1 if delay > 0.1 else 0)):.0f} ms"
        shown = shown if delay < 1 else f"{delay:.1f} s"
        hint += f"; trades arrive {shown} after they were made"
        text = f"{text} {shown}" if delay < _SLOW else f"Delayed {shown}"
        level = level if delay < _SLOW else "warn"
    return {"level": level, "text": text, "hint": hint}
