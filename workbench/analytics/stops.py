"""Stops that trail prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.analytics.parameters import Choice, Parameter
from workbench.analytics.spec import Spec, length, one
from workbench.kernels import stops as kernels

__all__ = ["SPECS"]


def _steps(p: Mapping[str, Any]) -> str | None:
    if p["step"] <= p["maximum"]:
        return None
    return f"step must be at most maximum, not {p['step']:g} with {p['maximum']:g}"


SPECS: tuple[Spec, ...] = (
    Spec(
        name="psar",
        title="Parabolic stop and reverse",
        family="Stops",
        kernel=kernels.psar,
        inputs=("high", "low"),
        outputs=("psar",),
        parameters={
            "step": Parameter(0.02, 0.0001, 1.0, "factor at the start and its growth"),
            "maximum": Parameter(0.2, 0.0001, 1.0, "largest factor"),
            "rule": Choice(
                "talib",
                ("talib", "extreme"),
                "talib: the first trend goes with the first two bars, a touch turns it, and the "
                "new stop lies beyond the last two bars; extreme: the first trend is taken to "
                "rise, a bar must pass the stop, and the new stop is the old trend's extreme",
            ),
        },
        state=kernels.PSAR,
        slots=one,
        warmup=lambda p: 1,
        pane="price",
        text="A stop that nears prices faster with each new extreme of the trend, and changes "
        "sides when they reach it.",
        source="Wilder 1978, New Concepts in Technical Trading Systems",
        check=_steps,
    ),
    Spec(
        name="supertrend",
        title="Supertrend",
        family="Stops",
        kernel=kernels.supertrend,
        inputs=("high", "low", "close"),
        outputs=("supertrend", "direction", "upper", "lower"),
        parameters={
            **length(10, "bars of Wilder's average true range"),
            "width": Parameter(3.0, 0.01, 1000.0, "distance of the bands in average true ranges"),
            "start": Choice(
                "middle",
                ("middle", "up", "down"),
                "first direction: middle, up if the first close is not below its bar's middle",
            ),
        },
        state=kernels.SUPERTREND,
        slots=one,
        warmup=lambda p: p["length"],
        pane="price",
        text="A band around the middle of the bar that only tightens: the lower one while the "
        "trend is up (direction 1), the upper one after a close at or under it (-1), until one "
        "above the upper. The first true range has no last close and is left out, as in TA-Lib.",
        drawn=("supertrend",),
        source="Seban 2008, Tout le monde mérite d'être riche; average true range of Wilder 1978",
    ),
)
