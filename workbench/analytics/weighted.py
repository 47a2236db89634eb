"""Prices weighted by volume since a session, a week or a moment began."""

from __future__ import annotations

from workbench.analytics.spec import Spec, one
from workbench.kernels import weighted as kernels

__all__ = ["SPECS"]

SPECS: tuple[Spec, ...] = (
    Spec(
        name="vwap",
        title="Volume-weighted average price of the session",
        family="Averages",
        kernel=kernels.vwap,
        inputs=("session", "notional", "volume"),
        outputs=("vwap",),
        parameters={},
        state=kernels.VWAP,
        slots=one,
        warmup=lambda p: 0,
        pane="price",
        text="What a share traded at on average since local midnight: traded notional over volume.",
        source="Berkowitz, Logue and Noser 1988, The total cost of transactions on the NYSE",
        gaps=True,
    ),
)
