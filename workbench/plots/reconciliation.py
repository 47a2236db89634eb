"""A strip of where our bars differ from a provider's, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.plots.theme import theme

if TYPE_CHECKING:
    from workbench.reconciliation.result import Reconciliation

__all__ = ["COLORS", "reconciliation_plot"]

#: Colour of each reason; of several the first one's.
COLORS = {
    "correction": "#a855f7",
    "missing": "#e5384f",
    "late": "#e9a23b",
    "odd lot": "#22ab94",
    "condition": "#4c8dff",
    "venue": "#14b8d4",
    "rounding": "#c3c9d4",
    "unexplained": "#6b7280",
}
#: Lines of the strip, from the top.
_LINES = ("bar", "open", "high", "low", "close", "volume", "vwap", "count")
_HALF = 0.4


def reconciliation_plot(found: Reconciliation, *, dark: bool = False) -> Any:
    """Return a reconciliation as one HoloViews overlay: a line for each field.

    Parameters
    ----------
    found : Reconciliation
    dark : bool
        Whether it stands on a dark page.

    Returns
    -------
    holoviews.Overlay
        One `Rectangles` for each reason, named after it, with the numbers of both sides where
        the pointer is. A bar without a mark agrees.
    """
    # Loaded by those who draw, not by those who show the table.
    import holoviews as hv
    import holoviews.plotting.bokeh  # makes the options below known

    hv.Store.set_current_backend("bokeh")
    table = _marks(found)
    edges = ["start", "low", "end", "high"]
    told = ["field", "own", "provider", "reason", "detail"]
    layers = []
    for reason, color in COLORS.items():
        some = table[table["first"] == reason]
        rectangles = hv.Rectangles(some[edges + told], edges, told, label=reason)
        tips = [(name, f"@{name}") for name in told]
        layers.append(
            rectangles.opts(color=color, line_width=0, tools=["hover"], hover_tooltips=tips)
        )
    low, high = (_moment(np.array([time]))[0] for time in (found.start, found.end))
    return hv.Overlay(layers).opts(
        hv.opts.Overlay(
            responsive=True,
            height=280,
            title=f"{found.symbol} {found.timeframe}: {found.agreed} of {found.bars} bars agree",
            xlabel="time (UTC)",
            ylabel="",
            yticks=[(len(_LINES) - 1 - place, name) for place, name in enumerate(_LINES)],
            xlim=(low, max(high, low + np.timedelta64(1, "ms"))),
            ylim=(-0.6, len(_LINES) - 0.4),
            bgcolor=theme(dark).background,
            legend_position="right",
            toolbar="above",
        )
    )


def _marks(found: Reconciliation) -> pd.DataFrame:
    """Return the table of differences with the edges of their marks."""
    table = found.table.reset_index(drop=True)
    times = pd.DatetimeIndex(found.table.index).as_unit("ns").asi8
    rows = np.array([len(_LINES) - 1 - _LINES.index(name) for name in table["field"]], np.float64)
    reasons = table["reason"].astype(str)
    return table.assign(
        start=_moment(times),
        end=_moment(times + found.timeframe.ns),
        low=rows - _HALF,
        high=rows + _HALF,
        first=[reason.partition(" + ")[0] for reason in reasons],
    )


def _moment(times: Any) -> Any:
    # Milliseconds are what the page draws.
    return np.asarray(times, np.int64).view("M8[ns]").astype("M8[ms]")
