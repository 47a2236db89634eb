"""Indicators: the catalogue, the machine that runs them, and how to add one's own."""

from __future__ import annotations

from typing import Any

from workbench.analytics.catalogue import CATALOGUE, Maker, indicators
from workbench.analytics.configured import Indicator
from workbench.analytics.own import indicator
from workbench.analytics.parameters import Choice, Moment, Parameter
from workbench.analytics.run import Run, Runs
from workbench.analytics.spec import Spec

__all__ = [
    "CATALOGUE",
    "Choice",
    "Indicator",
    "Maker",
    "Moment",
    "Parameter",
    "Run",
    "Runs",
    "Spec",
    "indicator",
    "indicators",
]


def __getattr__(name: str) -> Any:
    """Return the function that makes the indicator of that name."""
    spec = CATALOGUE.get(name)
    if spec is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    maker = globals()[name] = Maker(spec)
    return maker


def __dir__() -> list[str]:
    """List the indicators too, for completion."""
    return sorted([*__all__, *CATALOGUE])
