"""Strips of what is known of series: time to the right, a line for each, a colour for a state."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from workbench.plots.theme import theme

if TYPE_CHECKING:
    from workbench.store.coverage import Interval

__all__ = ["COLORS", "Strip", "strip_html", "strip_plot"]

#: Label, start and end in ns UTC, and intervals that cover all of it.
Strip: TypeAlias = "tuple[str, int, int, list[Interval]]"
#: Colour of each state; of what nothing is known of, the page shines through.
COLORS = {
    "received": "#22ab94",
    "backfilled": "#4c8dff",
    "no-trade": "#9bb8a8",
    "closed": "#98a1b2",
    "missing": "#e5384f",
    "doubt": "#e9a23b",
}
_HALF = 0.4
#: Strips and parts of a strip in a notebook's cell; a strip of more parts is drawn coarser.
_LINES, _PARTS = 40, 300


def strip_plot(strips: Sequence[Strip], *, dark: bool = False) -> Any:
    """Return strips as one HoloViews overlay.

    Parameters
    ----------
    strips : sequence of Strip
        The first is on top.
    dark : bool
        Whether it stands on a dark page.

    Returns
    -------
    holoviews.Overlay
        One `Rectangles` for each state, named after it, with the series and from what it was
        learned where the pointer is.
    """
    # Loaded by those who draw, not by those who show the table.
    import holoviews as hv
    import holoviews.plotting.bokeh  # makes the options below known
    import pandas as pd

    hv.Store.set_current_backend("bokeh")
    colors = theme(dark)
    layers = []
    for state, color in COLORS.items():
        rows = [
            (one.start, y - _HALF, one.end, y + _HALF, name, one.learned)
            for y, (name, _, _, parts) in enumerate(reversed(strips))
            for one in parts
            if one.state == state
        ]
        table = pd.DataFrame(rows, columns=["start", "low", "end", "high", "series", "learned"])
        for column in ("start", "end"):
            times = table[column].to_numpy(np.int64).view("M8[ns]")
            # Milliseconds are what the page draws; ns that end in the middle of one are cut.
            table[column] = times.astype("M8[ms]")
        rectangles = hv.Rectangles(
            table, ["start", "low", "end", "high"], ["series", "learned"], label=state
        )
        layers.append(
            rectangles.opts(color=color, line_width=0, tools=["hover"], hover_tooltips=[
                ("series", "@series"), ("state", state), ("learned", "@learned"),
            ])
        )  # fmt: skip
    return _framed(hv.Overlay(layers), strips, colors.background)


def _framed(layers: Any, strips: Sequence[Strip], background: str) -> Any:
    import holoviews as hv

    ends = [time for _, low, high, _ in strips for time in (low, high)] or [0, 10**9]
    low, high = (np.datetime64(time, "ns").astype("M8[ms]") for time in (min(ends), max(ends)))
    names = [name for name, _, _, _ in reversed(strips)]
    return layers.opts(
        hv.opts.Overlay(
            responsive=True,
            height=max(230, 90 + 26 * len(strips)),
            xlabel="time (UTC)",
            ylabel="",
            yticks=list(enumerate(names)) or [(0, "")],
            xlim=(low, high),
            ylim=(-0.6, max(1, len(strips)) - 0.4),
            bgcolor=background,
            legend_position="right",
            toolbar="above",
        )
    )


def strip_html(strips: Sequence[Strip]) -> str:
    """Return strips as a small block of HTML that needs no script.

    Parameters
    ----------
    strips : sequence of Strip
        Beyond the first 40, only their number is told.
    """
    if not strips:
        return "<p>Nothing is known of any series yet.</p>"
    start = min(strip[1] for strip in strips)
    end = max(strip[2] for strip in strips)
    lines = [_line(strip, start, max(end, start + 1)) for strip in strips[:_LINES]]
    more = f"<p>and {len(strips) - _LINES} more</p>" if len(strips) > _LINES else ""
    legend = "".join(
        f'<span style="margin-right:1em"><span style="display:inline-block;width:.8em;'
        f'height:.8em;background:{color}"></span> {state}</span>'
        for state, color in COLORS.items()
    )
    return (
        f'<div style="font-size:90%"><div>{legend}</div><table style="width:100%">'
        f"{''.join(lines)}</table><div>{_when(start)} to {_when(end)} UTC</div>{more}</div>"
    )


def _line(strip: Strip, start: int, end: int) -> str:
    name, _, _, parts = strip
    whole = end - start
    drawn = "".join(
        f'<span title="{html.escape(f"{state}: {text}" if text else state)}" style="position:'
        f"absolute;top:0;bottom:0;left:{100 * (low - start) / whole:.3f}%;"
        f'width:{100 * (high - low) / whole:.3f}%;background:{COLORS[state]}"></span>'
        for low, high, state, text in _coarse(parts, whole)
    )
    return (
        f'<tr><td style="white-space:nowrap;text-align:left">{html.escape(name)}</td>'
        '<td style="width:90%"><div style="position:relative;height:1.1em;'
        f'border:1px solid #98a1b2">{drawn}</div></td></tr>'
    )


def _coarse(parts: Sequence[Interval], whole: int) -> list[tuple[int, int, str, str]]:
    """Return what is drawn; of very many parts neighbours of one state become one.

    What is missing or in doubt is never left out, however short.
    """
    drawn: list[tuple[int, int, str, str]] = []
    for one in parts:
        if one.state not in COLORS:
            continue
        if len(parts) > _PARTS and drawn and one.state not in ("missing", "doubt"):
            low, high, state, _ = drawn[-1]
            known = state not in ("missing", "doubt")
            if (
                one.start == high
                and known
                and (state == one.state or one.end - low < whole / _PARTS)
            ):
                drawn[-1] = (low, one.end, state, "")
                continue
        drawn.append((one.start, one.end, one.state, one.learned))
    return drawn


def _when(time: int) -> str:
    return str(np.datetime64(time, "ns").astype("M8[s]")).replace("T", " ")
