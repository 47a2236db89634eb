"""The monitor: a chart, a list of symbols and the state of the connection on one page."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
import panel as pn
import param

from workbench.bars.kinds import bar_kind
from workbench.clock import Clock
from workbench.errors import WorkbenchError
from workbench.plots.badges import event_entry, quality_badge, read_quality, status_badge
from workbench.plots.chart import Chart, Watchable
from workbench.plots.columns import decimals
from workbench.plots.known import Known, alert_pill, read_known
from workbench.plots.looks import look, tells
from workbench.plots.offers import kinds, overlays_offered, timeframes
from workbench.plots.page import page
from workbench.plots.parts import EventLog, TopBar, Watchlist
from workbench.plots.theme import theme
from workbench.plots.warming import Warmups, WarmupView
from workbench.plots.zones import ZONES
from workbench.symbols import canonical

__all__ = ["Monitor", "Monitored"]

_log = logging.getLogger("workbench.plots.monitor")

#: Seconds between looks at prices, state and events.
_PERIOD = 0.3
#: Seconds between looks at the quality of the data.
_SLOWLY = 2.0
_EVENTS = 60


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
    zones : sequence of str
        Names of the zones that are drawn at first.
    dark : bool
    title : str
        Name of the page.
    warmups : Coordinator or None
        Runs the warm-ups of the symbol that is shown; closed by whoever made it. None takes
        the feed's own, if it has any.
    clock : Clock or None
    """

    symbol = param.String(doc="Symbol in the chart.")
    timeframe = param.String(doc='Length of a bar, such as "1m".')
    chosen = param.List(item_type=str, doc="Labels of the indicators that are drawn.")
    zones = param.List(item_type=str, doc="Names of the zones that are drawn.")
    dark = param.Boolean(default=True, doc="Whether the page is dark.")

    def __init__(
        self,
        feed: Monitored,
        *,
        symbol: str | None = None,
        timeframe: str = "1m",
        overlays: Mapping[str, Any] | None = None,
        chosen: Sequence[str] = ("EMA 20", "VWAP"),
        zones: Sequence[str] = (),
        dark: bool = True,
        title: str = "Workbench",
        warmups: Warmups | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._feed = feed
        self._title = title
        self._prices = look(feed, _read_prices, period=_PERIOD * 0.8, clock=clock)
        if self._prices.newest is None:
            self._prices.newest = feed.prices()
        self._clock = clock
        self._warmups = warmups or getattr(feed, "warmups", None)
        self._warm = None if self._warmups is None else WarmupView(self._warmups)
        self._overlays = dict(overlays or overlays_offered())
        symbol = symbol or next(iter(feed.symbols()), "BTC-USD")
        super().__init__(
            symbol=canonical(symbol),
            timeframe=bar_kind(timeframe).name,
            chosen=[name for name in chosen if name in self._overlays],
            zones=[name for name in zones if name in ZONES],
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
            self._feed, self.symbol, self.timeframe, self._drawn(), dark=self.dark,
            zones=self.zones,
        )  # fmt: skip
        self.top = TopBar(
            title=self._title,
            symbols=list(self._feed.symbols()),
            symbol=self.symbol,
            timeframes=timeframes(self.timeframe),
            timeframe=self.timeframe,
            kinds=kinds(),
            overlays=list(self._overlays),
            chosen=self.chosen,
            zones=list(ZONES),
            zoned=self.zones,
            dark=self.dark,
            error=refused,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.watchlist = Watchlist(symbol=self.symbol, sizing_mode="stretch_both", margin=0)
        self.log = EventLog(sizing_mode="stretch_width", margin=0)

    def _wire(self) -> None:
        for part, names in (
            (self.top, ["symbol", "timeframe", "chosen", "dark", "zoned"]),
            (self.watchlist, ["symbol"]),
        ):
            part.param.watch(self._chosen_on_page, names)
        self.param.watch(self._apply, ["symbol", "timeframe", "chosen", "dark", "zones"])
        if self._warm is not None:
            self._warm.panel.param.watch(self._warm_again, ["force"])

    # -- where it is shown
    def __panel__(self) -> pn.viewable.Viewable:
        """Return head, chart, list and log above and beside each other, for a cell."""
        self._begin()
        side = pn.Column(self.watchlist, width=286, margin=0)
        if self._warm is not None:
            side.append(self._warm.panel)
        middle = pn.Row(self.chart, side, sizing_mode="stretch_both")
        return pn.Column(self.top, middle, self.log, sizing_mode="stretch_both", min_height=560)

    def page(self) -> pn.Template:
        """Return the whole page, for a server."""
        self._begin()
        more = {} if self._warm is None else {"warm": self._warm.panel}
        return page(
            self._title,
            theme(self.dark),
            top=self.top,
            chart=pn.panel(self.chart),
            list=self.watchlist,
            log=self.log,
            **more,
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
        self._warm_up()
        if getattr(pn.state.curdoc, "session_context", None) is not None:
            pn.state.onload(self._look)

    def _look(self) -> None:
        """Begin to look at the feed, and do what was asked for while the page was loading.

        What we change before then never reaches a page that has its document already.
        """
        top = self.top
        self._switch(
            symbol=top.symbol, timeframe=top.timeframe, chosen=top.chosen, dark=top.dark,
            zones=top.zoned,
        )  # fmt: skip
        if self._warm is not None and self._warm.panel.force:
            self._warm_up(force=True)
        if self._task is None:
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

    def _chosen_on_page(self, *events: param.parameterized.Event) -> None:
        if pn.state.loaded:
            wanted = {event.name: event.new for event in events}
            self._switch(**{{"zoned": "zones"}.get(name, name): wanted[name] for name in wanted})

    def _warm_again(self, _: param.parameterized.Event) -> None:
        if pn.state.loaded:
            self._warm_up(force=True)

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
        if "symbol" in names:
            self._warm_up()
        if "chosen" in names:
            self._choose()
        if "zones" in names:
            self.chart.zones = self.zones
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
            timeframes=timeframes(self.timeframe), zoned=self.zones,
        )  # fmt: skip
        self.watchlist.symbol = self.symbol
        if self._prices.newest is not None:
            self._show_prices(self._prices.newest)

    def _warm_up(self, *, force: bool = False) -> None:
        """Start the warm-ups of the symbol, if there are any."""
        if self._warmups is None or self._warm is None:
            return
        try:
            self._warmups.fetch(self.symbol, force=force)
        except (WorkbenchError, RuntimeError) as error:  # closed, say
            self._warm.panel.errors = [[self.symbol, str(error)]]
        else:
            self._warm.refresh()

    def _drawn(self) -> list[Any]:
        return [self._overlays[name] for name in self._overlays if name in self.chosen]

    # -- what the feed tells
    async def refresh(self) -> None:
        """Show the newest prices, state, events, warm-ups and what is known of the data."""
        try:
            table = await self._prices.of(self._feed)
            if table is not None:
                self._show_prices(table)
            await self._show_known()
        except WorkbenchError as error:  # closed, say: the badge tells of it
            _log.debug("nothing to show: %s", error)
        if self._warm is not None:
            self._warm.refresh()
        self._show_state()

    async def _show_known(self) -> None:
        """Show which series lack data now, and how good the data are."""
        if tells(self._feed, "coverage"):
            found = await look(self._feed, read_known, period=0.9, clock=self._clock).of(self._feed)
            alert = alert_pill(found or Known())
            if alert != self.top.alert:
                self.top.alert = alert
        if tells(self._feed, "quality"):
            seen = look(self._feed, _read_badge, period=_SLOWLY, clock=self._clock)
            badge = await seen.of(self._feed) or {}
            if badge != self.top.quality:
                self.top.quality = badge

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
        status = status_badge(health.state, health.delay)
        if status != self.top.status:
            self.top.status = status
        entries = [event_entry(event) for event in self._feed.events(_EVENTS)]
        if entries != self.log.entries:
            self.log.entries = entries


def _read_prices(feed: Monitored) -> pd.DataFrame:
    """Return a feed's prices."""
    return feed.prices()


def _read_badge(feed: Any) -> dict[str, Any]:
    return quality_badge(read_quality(feed))


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
