"""Prices weighted by volume since a session, a week or a moment began."""

from __future__ import annotations

from workbench.analytics.parameters import Choice, Moment, Parameter
from workbench.analytics.spec import Spec, length, one
from workbench.kernels import weighted as kernels

__all__ = ["SPECS"]

_SOURCE = "Berkowitz, Logue and Noser 1988, The total cost of transactions on the NYSE"
_PRICE = Choice(
    "traded",
    ("traded", "typical", "ohlc4"),
    "price of a bar: what its trades cost on average, (high + low + close) / 3, or the mean of "
    "open, high, low and close",
)
_PRICES = ("notional", "volume", "hlc3", "ohlc4")

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
        source=_SOURCE,
        gaps=True,
    ),
    Spec(
        name="vwap_bands",
        title="Volume-weighted average price with bands",
        family="Averages",
        kernel=kernels.vwap_bands,
        inputs=("session", *_PRICES),
        outputs=("vwap", "upper", "lower"),
        parameters={
            "multiplier": Parameter(2.0, 0.0, 100.0, "standard deviations from the middle"),
            "period": Choice(
                "session",
                ("session", "week", "month"),
                "what it is measured since: local midnight, Monday, or the first of the month",
            ),
            "price": _PRICE,
        },
        state=kernels.BANDS,
        slots=one,
        warmup=lambda p: 0,
        pane="price",
        text="The average price since a session, week or month began, and how far the prices of "
        "its bars lie from it, weighted by volume too.",
        source=f"{_SOURCE}; West 1979, Updating mean and variance estimates",
        gaps=True,
    ),
    Spec(
        name="vwap_rolling",
        title="Volume-weighted average price of the last bars",
        family="Averages",
        kernel=kernels.vwap_rolling,
        inputs=_PRICES,
        outputs=("vwap",),
        parameters={
            **length(20, "bars"),
            "price": _PRICE,
            "start": Choice(
                "full",
                ("full", "partial"),
                "whether to wait for `length` bars, or to begin with those there are",
            ),
        },
        state=kernels.ROLLING,
        slots=lambda p: p["length"] + 1,
        warmup=lambda p: p["length"] - 1 if p["start"] == "full" else 0,
        pane="price",
        text="What a share traded at on average in the last bars; none where nothing was traded "
        "in all of them.",
        source=_SOURCE,
        gaps=True,
    ),
    Spec(
        name="vwap_anchored",
        title="Volume-weighted average price since a moment",
        family="Averages",
        kernel=kernels.vwap_anchored,
        inputs=("time", *_PRICES),
        outputs=("vwap",),
        parameters={
            "anchor": Moment(0, "bars that begin then or later count; the first bar if before"),
            "price": _PRICE,
        },
        state=kernels.ANCHORED,
        slots=one,
        warmup=lambda p: 0,
        pane="price",
        text="What a share traded at on average since a moment that mattered, such as news or a "
        "high.",
        source=_SOURCE,
        gaps=True,
    ),
)
