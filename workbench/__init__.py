"""Workbench: live and historical market data for research, in notebooks and in the browser."""

from __future__ import annotations

__version__ = "0.1.0"
