"""The parts of a page around its chart: head, list of symbols, log of events."""

from __future__ import annotations

from pathlib import Path

import param
from panel.custom import JSComponent

from workbench.plots.theme import DARK, LIGHT

__all__ = ["EventLog", "TopBar", "WarmupPanel", "Watchlist"]


def _script(name: str) -> str:
    folder = Path(__file__).parent
    files = (folder / "parts.js", folder / name)
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


class TopBar(JSComponent):
    """Show and choose symbol, timeframe, indicators and colours; show price and connection."""

    title = param.String(default="Workbench", doc="Name of the page.")
    symbols = param.List(item_type=str, doc="Symbols that are offered.")
    symbol = param.String(doc="The chosen one; any text may be typed.")
    timeframes = param.List(item_type=str, doc="Timeframes that are offered.")
    timeframe = param.String(doc="The chosen one.")
    kinds = param.List(doc="Other kinds of bars that are offered: name and title of each.")
    overlays = param.List(item_type=str, doc="Labels of indicators that are offered.")
    chosen = param.List(item_type=str, doc="Those that are drawn.")
    zones = param.List(item_type=str, doc="Names of zones that are offered.")
    zoned = param.List(item_type=str, doc="Those that are drawn.")
    dark = param.Boolean(default=True, doc="Whether the page is dark.")
    quote = param.Dict(default={}, doc="symbol, price, change, percent and decimals.")
    status = param.Dict(default={}, doc="level (good, warn, bad, idle), text and hint.")
    quality = param.Dict(default={}, doc="level, text, factors and rows; empty hides it.")
    alert = param.Dict(default={}, doc="count, text and lines; empty hides it.")
    error = param.String(doc="What was refused last; empty hides it.")
    colors = param.Dict(
        default={"dark": DARK.tokens(), "light": LIGHT.tokens()}, doc="Of both appearances."
    )

    _esm = _script("topbar.js")


class Watchlist(JSComponent):
    """List symbols with price and change; a press chooses one."""

    rows = param.List(doc="For each symbol: name, price, change in percent, decimals.")
    symbol = param.String(doc="The chosen one.")

    _esm = _script("watchlist.js")


class EventLog(JSComponent):
    """List what happened to the connection under one line that opens."""

    entries = param.List(doc="Newest first: ms UTC, kind, text.")

    _esm = _script("events.js")


class WarmupPanel(JSComponent):
    """List the warm-ups of a symbol, how far they are, and what went wrong."""

    symbol = param.String(doc="Whose they are.")
    rows = param.List(doc="Name, timeframe, state, bars, what it says, ms UTC when fetched.")
    done = param.List(default=[0, 0], doc="How many are over, and how many there are.")
    running = param.Boolean(doc="Whether more will come.")
    errors = param.List(doc="Name and reason of each that went wrong.")
    force = param.Integer(doc="Grows with each press of the button that fetches again.")

    _esm = _script("warmups.js")
