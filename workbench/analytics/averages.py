"""Moving averages."""

from __future__ import annotations

from workbench.analytics.spec import Spec, length, one, per_length
from workbench.kernels import averages as kernels

__all__ = ["SPECS"]

SPECS: tuple[Spec, ...] = (
    Spec(
        name="sma",
        title="Simple moving average",
        family="Averages",
        kernel=kernels.sma,
        inputs=("close",),
        outputs=("sma",),
        parameters=length(20, "bars averaged"),
        state=kernels.SMA,
        slots=per_length,
        warmup=lambda p: p["length"] - 1,
        pane="price",
        text="The mean of the last closes, all with the same weight.",
        source="arithmetic mean",
    ),
    Spec(
        name="ema",
        title="Exponential moving average",
        family="Averages",
        kernel=kernels.ema,
        inputs=("close",),
        outputs=("ema",),
        parameters=length(20, "bars; the factor is 2 / (length + 1)"),
        state=kernels.EMA,
        slots=one,
        warmup=lambda p: p["length"] - 1,
        pane="price",
        text="A mean in which each bar counts less than the next; seeded by the mean of the "
        "first `length` closes, as TA-Lib does.",
        source="Hunter 1986, The exponentially weighted moving average",
    ),
)
