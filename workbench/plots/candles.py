"""The price pane: candles over their volume, composed with HoloViews."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import pandas as pd
from bokeh.document import Document
from bokeh.models import (
    ColumnDataSource,
    Dodge,
    GlyphRenderer,
    LinearColorMapper,
    Range1d,
)
from bokeh.plotting import figure as Figure
from holoviews.plotting.bokeh import BokehRenderer

from workbench.plots.theme import Theme

__all__ = ["HALF", "bind", "candles", "draw", "paint_candles", "paint_zones", "volume_range"]

#: Half the width of a candle, in bars.
HALF = 0.36
#: Elements are composed over two rows and bound to the shared source afterwards.
_ROWS = pd.DataFrame(
    {
        "x": [0.0, 1.0],
        "left": [-HALF, 1 - HALF],
        "right": [HALF, 1 + HALF],
        "open": [1.0, 1.0],
        "high": [2.0, 2.0],
        "low": [0.5, 0.5],
        "close": [1.5, 1.5],
        "volume": [1.0, 1.0],
        "zero": [0.0, 0.0],
    }
)


def candles(volume: bool = True) -> list[Any]:
    """Return the elements of a price pane, from back to front.

    Parameters
    ----------
    volume : bool
        Whether bars of volume stand at the foot of the pane.
    """
    zones = hv.Rectangles(_ROWS, ["left", "low", "right", "high"], label="zones")
    bars = [hv.Rectangles(_ROWS, ["left", "zero", "right", "volume"], label="volume")]
    wicks = hv.Segments(_ROWS, ["left", "low", "right", "high"], label="wicks")
    bodies = hv.Rectangles(_ROWS, ["left", "open", "right", "close"], label="bodies")
    return [zones, *(bars if volume else []), wicks, bodies]


def draw(elements: list[Any]) -> tuple[Figure, dict[str, GlyphRenderer]]:
    """Render elements laid over each other; return the figure and its glyphs by label."""
    hv.Store.set_current_backend("bokeh")
    overlay = hv.Overlay(elements).opts(
        hv.opts.Overlay(responsive=True, default_tools=[], toolbar=None, show_legend=False)
    )
    plot = BokehRenderer.instance(mode="server").get_plot(overlay, doc=Document())
    figure = plot.state
    renderers = {
        element.label: sub.handles["glyph_renderer"]
        for element, sub in zip(elements, plot.subplots.values(), strict=True)
    }
    return figure, renderers


def bind(renderer: GlyphRenderer, source: ColumnDataSource, **fields: Any) -> None:
    """Make a glyph read the shared source, under the given names of columns."""
    renderer.glyph.update(**fields)
    renderer.data_source = source
    # Selections are not offered, and each of these glyphs would be kept up to date in vain.
    renderer.nonselection_glyph = None
    renderer.selection_glyph = None
    renderer.muted_glyph = None
    renderer.hover_glyph = None


def paint_candles(
    renderers: dict[str, GlyphRenderer], source: ColumnDataSource, theme: Theme
) -> None:
    """Bind candles and volume to the shared source, in the colours of a theme."""
    mapper = LinearColorMapper(palette=[theme.down, theme.up], low=0, high=1)
    colour = {"field": "up", "transform": mapper}
    left = {"field": "x", "transform": Dodge(value=-HALF)}
    right = {"field": "x", "transform": Dodge(value=HALF)}
    bind(
        renderers["wicks"], source, x0="x", x1="x", y0="low", y1="high", line_color=colour,
        line_width=1,
    )  # fmt: skip
    bind(
        renderers["bodies"], source, left=left, right=right, bottom="open", top="close",
        fill_color=colour, line_color=colour, hatch_color=None, fill_alpha=1, line_width=1,
    )  # fmt: skip
    if "volume" in renderers:
        bind(
            renderers["volume"], source, left=left, right=right, bottom=0, top="volume",
            fill_color=colour, line_color=None, hatch_color=None, fill_alpha=0.28,
        )  # fmt: skip


def paint_zones(renderers: dict[str, GlyphRenderer], source: ColumnDataSource) -> None:
    """Bind the rectangles behind the candles to the source of zones."""
    bind(
        renderers["zones"], source, left="left", right="right", bottom="low", top="high",
        fill_color="color", line_color="color", hatch_color=None, fill_alpha="fill",
        line_alpha="line", line_width=1,
    )  # fmt: skip


def volume_range(figure: Figure, renderer: GlyphRenderer) -> Range1d:
    """Give volume a scale of its own, which keeps it in the lowest fifth of the pane."""
    scale = Range1d(start=0, end=5)
    figure.extra_y_ranges = {"volume": scale}
    renderer.y_range_name = "volume"
    return scale
