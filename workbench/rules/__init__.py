"""Signals: rules over bars, indicators and studies, on history as a table and live as a stream."""

from __future__ import annotations

from workbench.rules.book import SignalBook
from workbench.rules.catalogue import ema_cross, structure_change, vwap_reversion, zone_breakout
from workbench.rules.definition import Decision, Rule, enter, leave, rule
from workbench.rules.run import RuleRun
from workbench.rules.signal import Signal, table

__all__ = [
    "Decision",
    "Rule",
    "RuleRun",
    "Signal",
    "SignalBook",
    "ema_cross",
    "enter",
    "leave",
    "rule",
    "structure_change",
    "table",
    "vwap_reversion",
    "zone_breakout",
]
