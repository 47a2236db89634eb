"""The live chart: one object for a cell, a page or a file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import panel as pn
import param
from bokeh.document import Document
from panel.io.document import unlocked
from panel.io.state import set_curdoc

from workbench.bars.kinds import BarKind, bar_kind
from workbench.errors import ConfigError, WorkbenchError
from workbench.flow.window import Window
from workbench.plots.background import Background
from workbench.plots.drawing import Drawing
from workbench.plots.live import Flusher, flusher
from workbench.plots.overlays import Indicator
from workbench.plots.theme import theme
from workbench.symbols import asset_class, canonical
from workbench.timeframes import Timeframe

__all__ = ["Chart", "Watchable", "chart", "time_zone"]

_EXCHANGES = {"stocks": "America/New_York", "options": "America/New_York"}
_EXCHANGES |= {"indices": "America/New_York"}
_ids = count(1)


class Watchable(Protocol):
    """What a chart needs of a feed."""

    def watch(self, symbol: str, timeframe: Any, indicators: Sequence[Any] = ...) -> Window:
        """Return the window of a series, counting one more reader."""
        ...

    def unwatch(self, window: Window) -> None:
        """Give a window back."""
        ...


def time_zone(name: str, symbol: str) -> str:
    """Return the IANA name of a chart's time zone.

    Parameters
    ----------
    name : str
        "exchange" for that of the symbol's market, or an IANA name.
    symbol : str

    Raises
    ------
    ConfigError
        If there is no such time zone.

    Examples
    --------
    >>> time_zone("exchange", "AAPL"), time_zone("exchange", "BTC-USD")
    ('America/New_York', 'UTC')
    """
    if name == "exchange":
        return _EXCHANGES.get(asset_class(symbol), "UTC")
    try:
        return "UTC" if name == "UTC" else ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f'no time zone {name!r}: write "exchange", "UTC" or a name such as "Europe/Berlin"'
        ) from None


class Chart(pn.viewable.Viewer):
    """Show a series of a feed as candles that keep up with the market.

    Make it with :func:`chart`. `symbol`, `timeframe`, `overlays`, `zones` and `dark` may be
    changed while it is shown.
    """

    symbol = param.String(doc="Symbol that is shown.")
    timeframe = param.String(doc='Bars, such as "1m" or "volume:1000".')
    overlays = param.List(doc="Indicators that are drawn.")
    zones = param.List(item_type=str, doc='Drawn behind the candles: "Order blocks" and others.')
    dark = param.Boolean(default=None, allow_None=True, doc="None follows the page's theme.")

    def __init__(
        self,
        feed: Watchable,
        symbol: str,
        timeframe: str | Timeframe | BarKind,
        overlays: Sequence[Indicator] = (),
        *,
        height: int | None = None,
        width: int | None = None,
        dark: bool | None = None,
        follow: bool = True,
        volume: bool = True,
        timezone: str = "exchange",
        zones: Sequence[str] = (),
    ) -> None:
        symbol = canonical(symbol)
        time_zone(timezone, symbol)
        super().__init__(
            symbol=symbol,
            timeframe=bar_kind(timeframe).name,
            overlays=list(overlays),
            dark=dark,
            zones=list(zones),
        )
        self._feed = feed
        self._size = (width, height)
        self._look: dict[str, Any] = {
            "follow": follow,
            "volume": volume,
            "memory": f"chart {next(_ids)}",
        }
        self._zone = timezone
        self._shown: list[_Shown] = []
        self.param.watch(self._follow_series, ["symbol", "timeframe"])
        self.param.watch(self._redraw, ["overlays"])
        self.param.watch(self._repaint, ["dark"])
        self.param.watch(self._choose_zones, ["zones"])

    def __panel__(self) -> pn.viewable.Viewable:
        """Return a new rendering of the chart; each is kept up to date until it is closed."""
        shown = _Shown(self._box(), Background(self._feed))
        shown.background.zones = tuple(self.zones)
        self._fill(shown)
        self._shown.append(shown)
        shown.start(lambda: self._leave(shown))
        return shown.box

    def close(self) -> None:
        """Stop updating and give the feed's windows back; what is shown stays as it is."""
        for shown in list(self._shown):
            self._leave(shown)

    def flush(self) -> None:
        """Bring all renderings up to date now, instead of at their next turn."""
        for shown in self._shown:
            shown.flush()

    def _box(self) -> pn.Column:
        width, height = self._size
        sizing = "stretch_width" if height else "stretch_both"
        limits: dict[str, Any] = {"height": height} if height else {"min_height": 420}
        if width:
            sizing = "fixed" if height else "stretch_height"
            limits["width"] = width
        return pn.Column(sizing_mode=sizing, margin=0, **limits)

    def _fill(self, shown: _Shown) -> None:
        window = self._feed.watch(self.symbol, self.timeframe, indicators=self.overlays)
        drawing = Drawing(
            window,
            self.overlays,
            theme(self._is_dark()),
            zone=time_zone(self._zone, self.symbol),
            strip=shown.background.strip,
            **self._look,
        )
        old = shown.drawing
        shown.draw(drawing)
        if old is not None:
            self._feed.unwatch(old.columns.window)

    def _leave(self, shown: _Shown) -> None:
        if shown in self._shown:
            self._shown.remove(shown)
            shown.stop()
            if shown.drawing is not None:
                self._feed.unwatch(shown.drawing.columns.window)

    def _is_dark(self) -> bool:
        return bool(pn.config.theme == "dark" if self.dark is None else self.dark)

    def _follow_series(self, *events: param.parameterized.Event) -> None:
        try:
            symbol, frame = canonical(self.symbol), bar_kind(self.timeframe).name
            with param.parameterized.discard_events(self):
                self.symbol, self.timeframe = symbol, frame
            for shown in self._shown:
                if shown.drawing is None:
                    continue
                window = self._feed.watch(symbol, frame, indicators=self.overlays)
                old = shown.drawing.columns.window
                with shown.document():
                    shown.drawing.show(window, time_zone(self._zone, symbol))
                self._feed.unwatch(old)
        except (WorkbenchError, ValueError):
            # Whatever refused the new series: the chart still shows the one before.
            with param.parameterized.discard_events(self):
                self.param.update(**{event.name: event.old for event in events})
            raise

    def _redraw(self, *_: param.parameterized.Event) -> None:
        for shown in self._shown:
            self._fill(shown)

    def _choose_zones(self, *_: param.parameterized.Event) -> None:
        for shown in self._shown:
            shown.background.zones = tuple(self.zones)
            shown.look()

    def _repaint(self, *_: param.parameterized.Event) -> None:
        for shown in self._shown:
            if shown.drawing is not None:
                with shown.document():
                    shown.drawing.paint(theme(self._is_dark()))


class _Shown:
    """One place where a chart is shown, and how to reach it."""

    def __init__(self, box: pn.Column, background: Background) -> None:
        self.box = box
        self.background = background
        self.drawing: Drawing | None = None
        self._flusher: Flusher | None = None
        self._seen = False

    def draw(self, drawing: Drawing) -> None:
        """Show a drawing in place of the one before."""
        self.drawing = drawing
        self.look()
        self.box[:] = [pn.pane.Bokeh(drawing.layout, sizing_mode="stretch_both", margin=0)]

    def start(self, gone: Any) -> None:
        """Join the flusher of the loop: at once in a notebook, on a server when it is loaded."""
        if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
            pn.state.onload(self._join)
            pn.state.on_session_destroyed(lambda context: gone())
            return
        try:
            self._join()
        except RuntimeError:
            pass  # a plain script has no loop: the chart is a picture of now

    def _join(self) -> None:
        self._flusher = flusher()
        self._flusher.add(self)
        self.look()

    def look(self) -> None:
        """Look at zones and strip now, and from then on at their own pace."""
        if self._flusher is not None:
            self.background.start(lambda: self.drawing if self.alive else None, self.document)

    def stop(self) -> None:
        """Leave the flusher."""
        self.background.stop()
        if self._flusher is not None:
            self._flusher.remove(self)
            self._flusher = None

    @property
    def alive(self) -> bool:
        """Whether the chart is still on a screen."""
        roots = self._roots()
        self._seen = self._seen or bool(roots)
        return bool(roots) or not self._seen

    @property
    def behind(self) -> bool:
        """Whether the window has changed, and somebody would see it."""
        if self.drawing is None or not self.drawing.columns.behind:
            return False
        # Before its comm opens, a notebook has nobody to send to.
        return any(comm is None or comm._comm is not None for _, comm in self._roots())

    def flush(self) -> None:
        """Send what changed."""
        if self.drawing is not None:
            with self.document():
                self.drawing.columns.pull()

    def document(self) -> _Sending:
        """Return a context in which changes of the drawing reach the screen."""
        return _Sending(self)

    def _roots(self) -> list[tuple[Document, Any]]:
        views = (pn.state._views.get(ref) for ref in self.box._models)
        return [(view[2], view[3]) for view in views if view is not None]


class _Sending:
    """Send what is changed within, in one message."""

    def __init__(self, shown: _Shown) -> None:
        self._shown = shown
        self._stack: list[Any] = []

    def __enter__(self) -> None:
        drawing = self._shown.drawing
        document = drawing.layout.document if drawing is not None else None
        if document is not None and document.session_context is not None:
            for context in (set_curdoc(document), unlocked()):
                context.__enter__()
                self._stack.append(context)

    def __exit__(self, *error: Any) -> None:
        if self._stack:
            while self._stack:
                self._stack.pop().__exit__(*error)
        elif any(comm is not None for _, comm in self._shown._roots()):
            pn.io.push_notebook(self._shown.box)


def chart(
    feed: Watchable,
    symbol: str,
    timeframe: str | Timeframe | BarKind,
    overlays: Sequence[Indicator] = (),
    *,
    height: int | None = None,
    width: int | None = None,
    dark: bool | None = None,
    follow: bool = True,
    volume: bool = True,
    timezone: str = "exchange",
    zones: Sequence[str] = (),
) -> Chart:
    """Show a series of a feed as a chart that keeps up with the market.

    Parameters
    ----------
    feed : Feed
        Where the bars come from.
    symbol : str
        Such as "BTC-USD" or "AAPL".
    timeframe : str, Timeframe or BarKind
        Length of a bar, such as "1m", or another kind: "volume:1000", "renko:10",
        "heikin-ashi@1m".
    overlays : sequence of Indicator
        Drawn over the candles or, where an indicator says so, in a pane below.
    height, width : int or None
        Size in CSS pixels; None fills what the chart is put into, at least 420 high.
    dark : bool or None
        Dark or light colours; None takes those of the page.
    follow : bool
        Whether the view moves on with each new bar while the newest one is in sight. A view
        that was moved away from it never moves by itself.
    volume : bool
        Whether volume is shown at the foot of the candles.
    timezone : str
        Of the time axis: "exchange" for the symbol's market, "UTC", or an IANA name.
    zones : sequence of str
        Drawn behind the candles, of their closed bars: "Order blocks", "Fair value gaps",
        "Volume profile", "Liquidity".

    Returns
    -------
    Chart
        Shown when it is the last expression of a cell, or put into any Panel layout.

    Raises
    ------
    UnknownSymbolError, UnknownTimeframeError, ConfigError
        If the symbol, the timeframe or the time zone is not one.
    """
    return Chart(
        feed, symbol, timeframe, overlays, height=height, width=width, dark=dark,
        follow=follow, volume=volume, timezone=timezone, zones=zones,
    )  # fmt: skip
