"""Workbench: live and historical market data for research, in notebooks and in the browser."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench import testing
    from workbench.analytics.catalogue import indicators
    from workbench.analytics.configured import Indicator
    from workbench.analytics.joining import join_timeframes
    from workbench.analytics.own import indicator
    from workbench.bars.batchbars import time_bars
    from workbench.bars.build import build_bars
    from workbench.bars.kinds import BarKind, bar_kind
    from workbench.calendar import is_market_open, market_session
    from workbench.config import Settings, settings
    from workbench.crosssection import panel
    from workbench.feeds import connect, replay
    from workbench.flow.correction import follow_corrections
    from workbench.flow.feed import Feed
    from workbench.flow.livesignals import signals
    from workbench.flow.release import release
    from workbench.history.backfill import backfill
    from workbench.history.coordinator import Coordinator
    from workbench.history.coverage import Coverage
    from workbench.history.daybars import day_sessions
    from workbench.history.fetch import fetch_bars, fetch_many, fetch_quotes, fetch_trades
    from workbench.history.markethours import market_status
    from workbench.plots.chart import chart
    from workbench.quality.cleaning import clean
    from workbench.quality.quarantine import Quarantine
    from workbench.quality.rules import Rules
    from workbench.quality.validation import validate
    from workbench.reconciliation.day import reconcile
    from workbench.rules.catalogue import ema_cross, structure_change, vwap_reversion, zone_breakout
    from workbench.rules.definition import enter, leave, rule
    from workbench.rules.signal import Signal
    from workbench.store.store import open_store
    from workbench.study.alignment import alignment
    from workbench.study.blocks import order_blocks
    from workbench.study.catalogue import studies
    from workbench.study.gaps import fair_value_gaps
    from workbench.study.liquidity import liquidity
    from workbench.study.profile import profile
    from workbench.study.structure import structure
    from workbench.study.trend import trend
    from workbench.study.volume import profile_of
    from workbench.symbols import SymbolTable
    from workbench.tape import TapeReader, TapeWriter
    from workbench.testing.leaks import lookahead
    from workbench.timeframes import Timeframe, timeframe
    from workbench.verification import verify
    from workbench.warmup import warm

__version__ = "0.1.0"

__all__ = [
    "BarKind",
    "Coordinator",
    "Coverage",
    "Feed",
    "Indicator",
    "Quarantine",
    "Rules",
    "Settings",
    "Signal",
    "SymbolTable",
    "TapeReader",
    "TapeWriter",
    "Timeframe",
    "alignment",
    "backfill",
    "bar_kind",
    "build_bars",
    "chart",
    "clean",
    "connect",
    "day_sessions",
    "ema_cross",
    "enter",
    "fair_value_gaps",
    "fetch_bars",
    "fetch_many",
    "fetch_quotes",
    "fetch_trades",
    "follow_corrections",
    "indicator",
    "indicators",
    "is_market_open",
    "join_timeframes",
    "leave",
    "liquidity",
    "lookahead",
    "market_session",
    "market_status",
    "open_store",
    "order_blocks",
    "panel",
    "profile",
    "profile_of",
    "reconcile",
    "release",
    "replay",
    "rule",
    "settings",
    "signals",
    "structure",
    "structure_change",
    "studies",
    "testing",
    "time_bars",
    "timeframe",
    "trend",
    "validate",
    "verify",
    "vwap_reversion",
    "warm",
    "zone_breakout",
]

# Loaded when first used: `import workbench` costs no numba, no panel, no pandas.
_HOME = {
    "BarKind": "bars.kinds",
    "Coordinator": "history.coordinator",
    "Coverage": "history.coverage",
    "Feed": "flow.feed",
    "Indicator": "analytics.configured",
    "Quarantine": "quality.quarantine",
    "Rules": "quality.rules",
    "Settings": "config",
    "Signal": "rules.signal",
    "SymbolTable": "symbols",
    "TapeReader": "tape",
    "TapeWriter": "tape",
    "Timeframe": "timeframes",
    "alignment": "study.alignment",
    "backfill": "history.backfill",
    "bar_kind": "bars.kinds",
    "build_bars": "bars.build",
    "chart": "plots.chart",
    "clean": "quality.cleaning",
    "connect": "feeds",
    "day_sessions": "history.daybars",
    "ema_cross": "rules.catalogue",
    "enter": "rules.definition",
    "fair_value_gaps": "study.gaps",
    "fetch_bars": "history.fetch",
    "fetch_many": "history.fetch",
    "fetch_quotes": "history.fetch",
    "fetch_trades": "history.fetch",
    "follow_corrections": "flow.correction",
    "indicator": "analytics.own",
    "indicators": "analytics.catalogue",
    "is_market_open": "calendar",
    "join_timeframes": "analytics.joining",
    "leave": "rules.definition",
    "liquidity": "study.liquidity",
    "lookahead": "testing.leaks",
    "market_session": "calendar",
    "market_status": "history.markethours",
    "open_store": "store.store",
    "order_blocks": "study.blocks",
    "panel": "crosssection",
    "profile": "study.profile",
    "profile_of": "study.volume",
    "reconcile": "reconciliation.day",
    "release": "flow.release",
    "replay": "feeds",
    "rule": "rules.definition",
    "settings": "config",
    "signals": "flow.livesignals",
    "structure": "study.structure",
    "structure_change": "rules.catalogue",
    "studies": "study.catalogue",
    "time_bars": "bars.batchbars",
    "timeframe": "timeframes",
    "trend": "study.trend",
    "validate": "quality.validation",
    "verify": "verification",
    "vwap_reversion": "rules.catalogue",
    "warm": "warmup",
    "zone_breakout": "rules.catalogue",
}

# The functions that make indicators, `wb.ema(20)`: the names of the catalogue.
_INDICATORS = frozenset(
    """
    ad adosc adx adxr apo aroon atr awesome beta bollinger bollinger_b bollinger_width cci
    chandelier choppiness cmf cmo correlation covariance dema dmi donchian dx ema eom force
    forecast fractals heikin_ashi highest hma ichimoku kama keltner linreg linreg_channel
    lowest macd median mfi mom natr obv pivots ppo psar quantile r_squared rank realised rma
    roc rsi slope sma stddev stochastic stochrsi supertrend t3 tema trange trix tsi ultimate
    variance vortex vwap vwap_anchored vwap_bands vwap_rolling vwma williams wma zigzag zscore
    """.split()  # noqa: SIM905
)


def __getattr__(name: str) -> Any:
    """Load a public name from its home."""
    if name == "testing":
        return import_module("workbench.testing")
    home = _HOME.get(name) or ("analytics" if name in _INDICATORS else None)
    if home is None:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    return getattr(import_module(f"workbench.{home}"), name)


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return sorted([*__all__, *_INDICATORS, "__version__"])
