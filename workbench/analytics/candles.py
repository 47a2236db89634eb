"""Values of candles of another kind."""

from __future__ import annotations

from workbench.analytics.spec import Spec, one
from workbench.kernels import candles as kernels

__all__ = ["SPECS"]


SPECS: tuple[Spec, ...] = (
    Spec(
        name="heikin_ashi",
        title="Heikin-Ashi candles",
        family="Candles",
        kernel=kernels.heikin_ashi,
        inputs=("open", "high", "low", "close"),
        outputs=("open", "high", "low", "close"),
        parameters={},
        state=kernels.HEIKIN_ASHI,
        slots=one,
        warmup=lambda p: 0,
        pane="price",
        text="Candles that open in the middle of the body before and close at the mean of the "
        "bar's prices; the first opens in the middle of the first bar's body.",
        source="Valcu 2004, Using the heikin-ashi technique",
    ),
)
