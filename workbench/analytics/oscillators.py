"""Oscillators: where a close stands in what was seen lately."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.analytics.parameters import Choice, Parameter, Taken
from workbench.analytics.spec import Spec, length, per_length
from workbench.kernels import aroon, moneyflow, spreads, stochastic, typical

__all__ = ["SPECS"]


def means(smooth: int, signal: int) -> dict[str, Taken]:
    """Return the parameters of the two means a stochastic is smoothed by."""
    return {
        "smooth": Parameter(smooth, 1, 1000, "values averaged for k; 1 for the fast form"),
        "signal": Parameter(signal, 1, 1000, "values of k averaged for d"),
    }


def _rings(parameters: Mapping[str, Any]) -> int:
    return max(int(parameters[name]) for name in ("length", "smooth", "signal"))


def spread(fast: int, slow: int) -> dict[str, Taken]:
    """Return the parameters of two means of different length."""
    return {
        "fast": Parameter(fast, 1, 100_000, "bars of the fast mean"),
        "slow": Parameter(slow, 2, 100_000, "bars of the slow mean"),
    }


_AVERAGE = Choice("sma", ("sma", "ema"), "simple means (TA-Lib's default) or exponential ones")


def _apart(parameters: Mapping[str, Any]) -> str | None:
    fast, slow = parameters["fast"], parameters["slow"]
    return None if fast < slow else f"fast < slow is wanted, not {fast} and {slow}"


def _slow(parameters: Mapping[str, Any]) -> int:
    return int(parameters["slow"]) + 1


SPECS: tuple[Spec, ...] = (
    Spec(
        name="stochastic",
        title="Stochastic oscillator",
        family="Oscillators",
        kernel=stochastic.stochastic,
        inputs=("high", "low", "close"),
        outputs=("k", "d"),
        parameters={**length(14, "bars of the range"), **means(3, 3)},
        state=stochastic.STOCHASTIC,
        slots=_rings,
        warmup=lambda p: p["length"] + p["smooth"] + p["signal"] - 3,
        pane="own",
        text="Where the close stands between the lowest low and the highest high, 0 to 100, as a "
        "simple mean (k), and a simple mean of that (d); both begin together, and a range without "
        "height counts as 0, as in TA-Lib.",
        source="Lane 1984, Lane's Stochastics",
        bounds=(0.0, 100.0),
        levels=(20.0, 80.0),
    ),
    Spec(
        name="williams",
        title="Williams %R",
        family="Oscillators",
        kernel=stochastic.williams,
        inputs=("high", "low", "close"),
        outputs=("williams",),
        parameters=length(14, "bars of the range"),
        state=stochastic.STOCHASTIC,
        slots=per_length,
        warmup=lambda p: p["length"] - 1,
        pane="own",
        text="How far the close is below the highest high, in percent of the range, -100 to 0; "
        "0 where the range has no height.",
        source="Williams 1973, How I Made One Million Dollars Last Year Trading Commodities",
        bounds=(-100.0, 0.0),
        levels=(-80.0, -20.0),
    ),
    Spec(
        name="aroon",
        title="Aroon",
        family="Oscillators",
        kernel=aroon.aroon,
        inputs=("high", "low"),
        outputs=("down", "up", "oscillator"),
        parameters={
            **length(25, "bars the extremes may be old"),
            "ties": Choice(
                "latest", ("latest", "first"), "which of equal extremes counts; latest as TA-Lib"
            ),
        },
        state=aroon.AROON,
        slots=lambda p: p["length"] + 1,
        warmup=lambda p: p["length"],
        pane="own",
        text="How new the lowest low and the highest high of the last `length` + 1 bars are, 100 "
        "for this bar and 0 for the oldest, and up less down.",
        source="Chande 1995, The Time Price Oscillator",
        bounds=(-100.0, 100.0),
        levels=(30.0, 70.0),
    ),
    Spec(
        name="cci",
        title="Commodity channel index",
        family="Oscillators",
        kernel=typical.cci,
        inputs=("high", "low", "close"),
        outputs=("cci",),
        parameters=length(20, "bars of the mean and the mean deviation"),
        state=typical.CCI,
        slots=per_length,
        warmup=lambda p: p["length"] - 1,
        pane="own",
        text="How far the typical price is from its mean, in units of 0.015 mean absolute "
        "deviations; 0 while prices are the same.",
        source="Lambert 1980, Commodity Channel Index: Tools for Trading Cyclic Trends",
        levels=(-100.0, 100.0),
    ),
    Spec(
        name="mfi",
        title="Money flow index",
        family="Oscillators",
        kernel=moneyflow.mfi,
        inputs=("high", "low", "close", "volume"),
        outputs=("mfi",),
        parameters=length(14, "bars summed"),
        state=moneyflow.MFI,
        slots=per_length,
        warmup=lambda p: p["length"],
        pane="own",
        text="The share of the money (typical price times volume) that moved on bars whose "
        "typical price rose, 0 to 100; 0 while none moved.",
        source="Quong and Soudack 1989, Volume-Weighted RSI: Money Flow",
        bounds=(0.0, 100.0),
        levels=(20.0, 80.0),
    ),
    Spec(
        name="apo",
        title="Absolute price oscillator",
        family="Oscillators",
        kernel=spreads.apo,
        inputs=("close",),
        outputs=("apo",),
        parameters={**spread(12, 26), "average": _AVERAGE},
        state=spreads.SPREAD,
        slots=_slow,
        warmup=lambda p: p["slow"] - 1,
        pane="own",
        text="A fast mean of closes less a slow one, simple or exponential; each exponential mean "
        "is seeded by the simple mean of its own first closes.",
        source="Appel 1979, The Moving Average Convergence-Divergence Trading Method",
        levels=(0.0,),
        check=_apart,
    ),
    Spec(
        name="ppo",
        title="Percentage price oscillator",
        family="Oscillators",
        kernel=spreads.ppo,
        inputs=("close",),
        outputs=("ppo",),
        parameters={**spread(12, 26), "average": _AVERAGE},
        state=spreads.SPREAD,
        slots=_slow,
        warmup=lambda p: p["slow"] - 1,
        pane="own",
        text="A fast mean of closes less a slow one in percent of the slow one, simple or "
        "exponential; 0 where the slow one is 0.",
        source="Appel 1979, The Moving Average Convergence-Divergence Trading Method",
        levels=(0.0,),
        check=_apart,
    ),
    Spec(
        name="awesome",
        title="Awesome oscillator",
        family="Oscillators",
        kernel=spreads.awesome,
        inputs=("hl2",),
        outputs=("awesome",),
        parameters=spread(5, 34),
        state=spreads.SPREAD,
        slots=_slow,
        warmup=lambda p: p["slow"] - 1,
        pane="own",
        text="A fast simple mean of the bars' middles less a slow one.",
        source="Williams 1998, New Trading Dimensions",
        levels=(0.0,),
        check=_apart,
    ),
)
