"""Momentum: how fast prices change."""

from __future__ import annotations

from workbench.analytics.spec import Spec, length, one
from workbench.kernels import momentum as kernels

__all__ = ["SPECS"]

SPECS: tuple[Spec, ...] = (
    Spec(
        name="rsi",
        title="Relative strength index",
        family="Momentum",
        kernel=kernels.rsi,
        inputs=("close",),
        outputs=("rsi",),
        parameters=length(14, "bars of Wilder's smoothing"),
        state=kernels.RSI,
        slots=one,
        warmup=lambda p: p["length"],
        pane="own",
        text="The share of rises in all changes, 0 to 100, smoothed as Wilder did and seeded "
        "by the means of the first `length` changes; 0 while nothing moved.",
        source="Wilder 1978, New Concepts in Technical Trading Systems",
        bounds=(0.0, 100.0),
        levels=(30.0, 70.0),
    ),
)
