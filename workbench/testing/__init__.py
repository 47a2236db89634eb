"""Proofs that authors run on code of their own: indicators, and any function of bars."""

from __future__ import annotations

from workbench.testing.indicators import check_indicator
from workbench.testing.leaks import Leaks, Offence, lookahead
from workbench.testing.market import invented_bars
from workbench.testing.report import CheckError, Report

__all__ = [
    "CheckError",
    "Leaks",
    "Offence",
    "Report",
    "check_indicator",
    "invented_bars",
    "lookahead",
]
