"""Workbench: live and historical market data for research, in notebooks and in the browser."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.analytics import indicator, indicators
    from workbench.bars import time_bars
    from workbench.config import Settings, settings
    from workbench.feeds import connect, replay
    from workbench.flow.feed import Feed
    from workbench.plots.chart import chart
    from workbench.store.store import open_store
    from workbench.symbols import SymbolTable
    from workbench.tape import TapeReader, TapeWriter
    from workbench.timeframes import Timeframe, timeframe
    from workbench.warmup import warm

__version__ = "0.1.0"

__all__ = [
    "Feed",
    "Settings",
    "SymbolTable",
    "TapeReader",
    "TapeWriter",
    "Timeframe",
    "chart",
    "connect",
    "indicator",
    "indicators",
    "open_store",
    "replay",
    "settings",
    "time_bars",
    "timeframe",
    "warm",
]

# Loaded when first used: `import workbench` costs no numba, no panel, no pandas.
_HOME = {
    "Feed": "flow.feed",
    "Settings": "config",
    "SymbolTable": "symbols",
    "TapeReader": "tape",
    "TapeWriter": "tape",
    "Timeframe": "timeframes",
    "chart": "plots.chart",
    "connect": "feeds",
    "indicator": "analytics",
    "indicators": "analytics",
    "open_store": "store.store",
    "replay": "feeds",
    "settings": "config",
    "time_bars": "bars",
    "timeframe": "timeframes",
    "warm": "warmup",
}

# The functions that make indicators, `wb.ema(20)`: the names of the catalogue.
_INDICATORS = frozenset(
    ["ema", "rsi", "sma", "vwap"]
)


def __getattr__(name: str) -> Any:
    """Load a public name from its home."""
    home = _HOME.get(name) or ("analytics" if name in _INDICATORS else None)
    if home is None:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    return getattr(import_module(f"workbench.{home}"), name)


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return sorted([*__all__, *_INDICATORS, "__version__"])
