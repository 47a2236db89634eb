"""One rendering of a chart: figures that share a source, and the page's own logic."""

from __future__ import annotations

from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from bokeh.models import (
    Column,
    ColumnDataSource,
    CustomJS,
    CustomJSTicker,
    CustomJSTickFormatter,
    Range1d,
    Span,
)
from bokeh.plotting import figure as Figure

from workbench.flow.window import Window
from workbench.plots.candles import candles, draw, paint_candles, paint_zones, volume_range
from workbench.plots.columns import ColumnFeed
from workbench.plots.overlays import Curve, Indicator, Pane, curves, elements, paint_curves
from workbench.plots.strip import StripState
from workbench.plots.theme import Theme
from workbench.plots.zones import Zone, zone_columns

__all__ = ["Drawing"]

_SCRIPTS = ("axis.js", "strip.js", "view.js", "gestures.js", "start.js")
_X_TICKS = "const v = globalThis.workbench_views?.get(figure); "
_X_TICKS += "return v ? v.view.xTicks().map((t) => t.x) : []"
_X_LABEL = "const v = globalThis.workbench_views?.get(figure); "
_X_LABEL += "return v?.view.ticks?.find((t) => t.x == tick)?.label ?? ''"
_Y_TICKS = "const v = globalThis.workbench_views?.get(figure); return v ? v.view.yTicks(v.i) : []"
_Y_LABEL = "const v = globalThis.workbench_views?.get(figure); "
_Y_LABEL += "return v ? v.view.yLabel(v.i, tick) : ''"
_BELOW = 120  # height of a pane below the candles, px
_FOOT = 26  # of the time axis, px
_STRIP = 11  # of the strip of coverage with what keeps it clear, px
_FONT = "-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif"
_ids = count(1)


@cache
def _script() -> str:
    folder = Path(__file__).parent
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)


class Drawing:
    """Draw a window once, for one page or cell.

    Parameters
    ----------
    window : Window
        What to draw.
    indicators : list of Indicator
        Those whose outputs the window holds.
    theme : Theme
        Colours.
    zone : str
        IANA time zone of the time axis.
    volume, follow : bool
        Whether volume is shown, and whether the chart stays at the newest bar.
    strip : bool
        Whether there is room for a strip of coverage under the chart.
    memory : str
        Charts of one page that share it take over each other's visible range, so that a
        chart that is drawn anew stays where the user put it.

    Attributes
    ----------
    columns : ColumnFeed
        Owner of the one source of all glyphs.
    figures : list of figure
        The price pane first, then those below it.
    layout : Column
        All of them.
    """

    def __init__(
        self,
        window: Window,
        indicators: list[Indicator],
        theme: Theme,
        *,
        zone: str = "UTC",
        volume: bool = True,
        follow: bool = True,
        strip: bool = False,
        memory: str | None = None,
    ) -> None:
        self.columns = ColumnFeed(window, zone)
        self.theme = theme
        self._strip = _STRIP if strip else 0
        self._zones: list[Zone] = []
        self._zone_source = ColumnDataSource(data=zone_columns([], theme))
        self._curves: list[tuple[tuple[Curve, ...], dict[str, Any]]] = []
        self._x = Range1d(start=0, end=1)
        self._y: list[Range1d] = []
        self._spans: list[Span] = []
        self.figures: list[Figure] = []
        over, below = curves(indicators)
        self._candles: dict[str, Any] = {}
        volume_scale = self._price_pane(over, volume)
        for pane in below:
            self._pane(pane)
        self._axes()
        self.layout = Column(children=self.figures, sizing_mode="stretch_both", spacing=0)
        spec = {
            "id": memory or f"chart {next(_ids)}",
            "follow": follow,
            "strip": self._strip,
            "panes": [_spec(over, None, ()), *(_spec(p.curves, p.range, p.levels) for p in below)],
        }
        self._wire(spec, volume_scale)
        self.paint(theme)
        self._fit()

    def paint(self, theme: Theme) -> None:
        """Show the chart in the colours of a theme."""
        self.theme = theme
        self.columns.describe(theme=theme.tokens())
        paint_candles(self._candles, self.columns.source, theme)
        for items, renderers in self._curves:
            paint_curves(items, renderers, self.columns.source, theme)
        if self._zones:
            self._zone_source.data = zone_columns(self._zones, theme)
        for span in self._spans:
            span.line_color = theme.muted
        for number, figure in enumerate(self.figures):
            figure.background_fill_color = theme.background
            figure.border_fill_color = theme.background
            figure.grid.grid_line_color = theme.grid
            figure.axis.major_label_text_color = theme.muted
            figure.styles = {"border-top": f"1px solid {theme.border}"} if number else {}

    def show(self, window: Window, zone: str) -> None:
        """Draw another window with the same outputs instead."""
        self.show_zones([])
        self.show_strip(StripState([], []))
        self.columns.watch(window, zone)
        self._fit()

    def show_strip(self, state: StripState) -> bool:
        """Show what is known of each bar; return whether that is something new."""
        if not self.strip_differs(state):
            return False
        self._x.tags = [state.runs, state.marks, state.incomplete, self.columns.loads]
        return True

    def strip_differs(self, state: StripState) -> bool:
        """Tell whether a strip shows something else than it should."""
        told = [state.runs, state.marks, state.incomplete]
        loads = self.columns.loads
        return bool(self._strip) and [*told, loads] != (self._x.tags or [[], [], False, loads])

    @property
    def zones(self) -> list[Zone]:
        """What is drawn behind the candles."""
        return self._zones

    def show_zones(self, zones: list[Zone]) -> bool:
        """Draw zones behind the candles; return whether they are others than before."""
        if zones == self._zones:
            return False
        self._zones = zones
        self._zone_source.data = zone_columns(zones, self.theme)
        return True

    def _price_pane(self, over: tuple[Curve, ...], volume: bool) -> Range1d | None:
        figure, renderers = draw([*candles(volume), *elements(over)])
        self._candles = {name: renderers[name] for name in renderers if not name.startswith("i_")}
        self._curves.append((over, renderers))
        paint_zones(renderers, self._zone_source)
        scale = volume_range(figure, renderers["volume"]) if volume else None
        self._add(figure, Range1d(start=0, end=1))
        figure.update(sizing_mode="stretch_both", min_height=200)
        return scale

    def _pane(self, pane: Pane) -> None:
        figure, renderers = draw(elements(pane.curves))
        self._curves.append((pane.curves, renderers))
        start, end = pane.range or (0.0, 1.0)
        self._add(figure, Range1d(start=start, end=end))
        for level in pane.levels:
            span = Span(
                location=level, dimension="width", line_dash="dashed", line_width=1, line_alpha=0.6
            )
            figure.add_layout(span)
            self._spans.append(span)
        figure.update(sizing_mode="stretch_width", height=_BELOW)

    def _add(self, figure: Figure, y: Range1d) -> None:
        figure.x_range, figure.y_range = self._x, y
        figure.toolbar.update(tools=[], logo=None)
        figure.update(
            toolbar_location=None, title=None, outline_line_color=None, min_border=0,
            min_border_top=0, min_border_bottom=0, min_border_left=0, width=None, height=None,
            output_backend="canvas", lod_threshold=None,
        )  # fmt: skip
        self.figures.append(figure)
        self._y.append(y)

    def _axes(self) -> None:
        """Put prices on the right and times below the lowest pane only."""
        for figure in self.figures:
            args = {"figure": figure}
            times = CustomJSTicker(args=args, major_code=_X_TICKS)
            prices = CustomJSTicker(args=args, major_code=_Y_TICKS)
            x, y = figure.below[0], figure.left[0]
            figure.update(left=[], right=[y])
            x.ticker = figure.xgrid[0].ticker = times
            y.ticker = figure.ygrid[0].ticker = prices
            x.formatter = CustomJSTickFormatter(args=args, code=_X_LABEL)
            y.formatter = CustomJSTickFormatter(args=args, code=_Y_LABEL)
            for axis in (x, y):
                axis.update(
                    axis_label=None, axis_line_color=None, major_tick_line_color=None,
                    minor_tick_line_color=None, major_label_text_font_size="11px",
                    major_label_text_font=_FONT,
                    major_label_standoff=7, major_tick_in=0, major_tick_out=0, minor_tick_out=0,
                )  # fmt: skip
            x.visible = figure is self.figures[-1]
            for grid in figure.grid:
                grid.update(grid_line_width=1, grid_line_alpha=1)
        foot = _FOOT + self._strip
        self.figures[-1].min_border_bottom = foot
        self.figures[-1].below[0].major_label_standoff += self._strip
        if len(self.figures) > 1:
            self.figures[-1].height = _BELOW + foot

    def _fit(self) -> None:
        """Give all price axes one width, or the panes would not be in line."""
        source = self.columns.source
        digits = source.tags[0]["decimals"] if source.tags else 2
        highs = source.data["high"]
        widest = f"{float(highs.max()) if len(highs) else 0.0:,.{digits}f}"
        width = max(58, 7 * len(widest) + 14)
        for figure in self.figures:
            figure.min_border_right = width

    def _wire(self, spec: dict[str, Any], volume_scale: Range1d | None) -> None:
        script = CustomJS(
            code=_script(),
            args={
                "source": self.columns.source,
                "zones": self._zone_source,
                "figures": self.figures,
                "x_range": self._x,
                "y_ranges": self._y,
                "volume_range": volume_scale,
                "spec": spec,
            },
        )
        self.columns.source.js_on_change("data", script)
        self.columns.source.js_on_change("streaming", script)
        self.columns.source.js_on_change("patching", script)
        self.columns.source.js_on_change("tags", script)
        self._zone_source.js_on_change("data", script)
        self._x.js_on_change("tags", script)
        for figure in self.figures:
            figure.js_on_change("inner_width", script)
            figure.js_on_change("inner_height", script)


def _spec(
    items: tuple[Curve, ...], ends: tuple[float, float] | None, levels: tuple[float, ...]
) -> dict[str, Any]:
    lines = [
        {"column": c.column, "label": c.label, "color": c.color, "bars": c.bars} for c in items
    ]
    return {"curves": lines, "range": ends and list(ends), "levels": list(levels)}
