"""Curves of indicators: over the candles, or in panes of their own below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import holoviews as hv
import pandas as pd
from bokeh.models import ColumnDataSource, Dodge, GlyphRenderer, LinearColorMapper

from workbench.plots.candles import HALF, bind
from workbench.plots.theme import CURVES, Theme

__all__ = ["Curve", "Indicator", "Pane", "curves", "elements", "paint_curves"]

_ROWS = pd.DataFrame({"x": [0.0, 1.0], "y": [1.0, 1.0]})


class Indicator(Protocol):
    """What a chart needs to know of an indicator."""

    @property
    def label(self) -> str:
        """Its name on the screen, such as "EMA 20"."""
        ...

    @property
    def keys(self) -> Sequence[str]:
        """Names of its outputs in the window."""
        ...

    @property
    def pane(self) -> str:
        """Where it is drawn: "price", over the candles, or "own", below them."""
        ...


@dataclass(frozen=True, slots=True)
class Curve:
    """One output of an indicator, as a line or as bars from zero.

    Attributes
    ----------
    column : str
        Its column in the shared source.
    label : str
        Its name in the legend.
    color : str
        Its colour, as CSS writes it; of bars, that of its value in the legend.
    bars : bool
        Whether it is drawn as bars, which rise and fall from zero in two colours.
    """

    column: str
    label: str
    color: str
    bars: bool = False


@dataclass(frozen=True, slots=True)
class Pane:
    """A pane below the candles.

    Attributes
    ----------
    curves : tuple of Curve
    range : (float, float) or None
        Fixed ends of its scale; None fits it to what is visible.
    levels : tuple of float
        Values at which dashed lines are drawn.
    """

    curves: tuple[Curve, ...]
    range: tuple[float, float] | None
    levels: tuple[float, ...]


def curves(indicators: Iterable[Indicator]) -> tuple[tuple[Curve, ...], tuple[Pane, ...]]:
    """Return the curves over the candles and the panes below them.

    Colours are given in order, so a curve keeps its colour when others are added after it.
    """
    over: list[Curve] = []
    below: list[Pane] = []
    count = 0
    for indicator in indicators:
        lines = []
        named = dict.fromkeys(indicator.keys, indicator.label)
        for key, label in getattr(indicator, "drawn", named).items():
            bars = indicator.pane == "own" and key.endswith("histogram")
            lines.append(Curve(f"i_{key}", label, CURVES[count % len(CURVES)], bars))
            count += 1
        if indicator.pane == "own":
            lines.sort(key=lambda line: not line.bars)  # bars lie behind lines
            ends = getattr(indicator, "range", None)
            levels = tuple(float(level) for level in getattr(indicator, "levels", None) or ())
            fixed = (float(ends[0]), float(ends[1])) if ends is not None else None
            below.append(Pane(tuple(lines), fixed, levels))
        else:
            over.extend(lines)
    return tuple(over), tuple(below)


def elements(items: Sequence[Curve]) -> list[Any]:
    """Return the HoloViews elements of some curves.

    >>> [element.label for element in elements([Curve("i_rsi_14", "RSI 14", "#fff")])]
    ['i_rsi_14']
    """
    return [
        hv.Rectangles(_ROWS, ["x", "y", "x", "y"], label=curve.column)
        if curve.bars
        else hv.Curve(_ROWS, "x", "y", label=curve.column)
        for curve in items
    ]


def paint_curves(
    items: Sequence[Curve],
    renderers: dict[str, GlyphRenderer],
    source: ColumnDataSource,
    theme: Theme,
) -> None:
    """Bind curves to the shared source, bars in the colours of a theme."""
    for curve in items:
        if curve.bars:
            _paint_bars(curve, renderers[curve.column], source, theme)
            continue
        bind(
            renderers[curve.column], source, x="x", y=curve.column, line_color=curve.color,
            line_width=1.5, line_join="round",
        )  # fmt: skip


def _paint_bars(
    curve: Curve, renderer: GlyphRenderer, source: ColumnDataSource, theme: Theme
) -> None:
    # Two colours whose border is zero; what lies further out has the colour of its end.
    sides = LinearColorMapper(palette=[theme.down, theme.up], low=-1e-9, high=1e-9)
    bind(
        renderer, source, bottom=0, top=curve.column,
        left={"field": "x", "transform": Dodge(value=-HALF)},
        right={"field": "x", "transform": Dodge(value=HALF)},
        fill_color={"field": curve.column, "transform": sides}, line_color=None,
        hatch_color=None, fill_alpha=0.55,
    )  # fmt: skip
