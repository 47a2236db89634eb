"""Momentum: how fast prices change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.analytics.parameters import Choice, Parameter
from workbench.analytics.spec import Spec, length, one, per_length
from workbench.kernels import momentum as kernels
from workbench.kernels import stochastic, truestrength, ultimate

__all__ = ["SPECS"]


def _rings(parameters: Mapping[str, Any]) -> int:
    return max(int(parameters[name]) for name in ("stoch", "smooth", "signal"))


def _rising(parameters: Mapping[str, Any]) -> str | None:
    short, medium, long = (parameters[name] for name in ("short", "medium", "long"))
    if short < medium < long:
        return None
    return f"short < medium < long is wanted, not {short}, {medium} and {long}"


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
    Spec(
        name="stochrsi",
        title="Stochastic RSI",
        family="Momentum",
        kernel=stochastic.stochrsi,
        inputs=("close",),
        outputs=("k", "d"),
        parameters={
            **length(14, "bars of RSI"),
            "stoch": Parameter(14, 1, 100_000, "values of RSI the range is of"),
            "smooth": Parameter(1, 1, 1000, "values averaged for k; 1 as TA-Lib, often 3"),
            "signal": Parameter(3, 1, 1000, "values of k averaged for d"),
            "seed": Choice(
                "mean", ("mean", "zero"), "what RSI's smoothing begins with: means, or 0"
            ),
        },
        state=stochastic.STOCHRSI,
        slots=_rings,
        warmup=lambda p: p["length"] + p["stoch"] + p["smooth"] + p["signal"] - 3,
        pane="own",
        text="Where RSI stands between its own extremes, 0 to 100 (k), and a simple mean of that "
        "(d); both begin together, and RSI that did not move counts as 0, as in TA-Lib.",
        source="Chande and Kroll 1994, The New Technical Trader",
        bounds=(0.0, 100.0),
        levels=(20.0, 80.0),
    ),
    Spec(
        name="cmo",
        title="Chande momentum oscillator",
        family="Momentum",
        kernel=kernels.cmo,
        inputs=("close",),
        outputs=("cmo",),
        parameters={
            **length(14, "bars of smoothing, or changes summed"),
            "form": Choice(
                "wilder", ("wilder", "sums"), "smoothed as RSI (TA-Lib), or Chande's plain sums"
            ),
        },
        state=kernels.CMO,
        slots=lambda p: p["length"] if p["form"] == "sums" else 1,
        warmup=lambda p: p["length"],
        pane="own",
        text="Rises less falls in all changes, -100 to 100, smoothed as Wilder did unless "
        "`form` is sums; 0 while nothing moved.",
        source="Chande and Kroll 1994, The New Technical Trader",
        bounds=(-100.0, 100.0),
        levels=(-50.0, 50.0),
    ),
    Spec(
        name="mom",
        title="Momentum",
        family="Momentum",
        kernel=kernels.mom,
        inputs=("close",),
        outputs=("mom",),
        parameters=length(10, "bars to look back"),
        state=kernels.CHANGE,
        slots=per_length,
        warmup=lambda p: p["length"],
        pane="own",
        text="The close less the close `length` bars before.",
        source="difference",
        levels=(0.0,),
    ),
    Spec(
        name="roc",
        title="Rate of change",
        family="Momentum",
        kernel=kernels.roc,
        inputs=("close",),
        outputs=("roc",),
        parameters={
            **length(10, "bars to look back"),
            "form": Choice(
                "percent", ("percent", "fraction", "ratio"), "5 %, 0.05 or 1.05 for the same rise"
            ),
        },
        state=kernels.CHANGE,
        slots=per_length,
        warmup=lambda p: p["length"],
        pane="own",
        text="The change of the close since `length` bars before, relative to it; 0 where that "
        "close is 0.",
        source="relative difference",
        levels=(0.0,),
    ),
    Spec(
        name="tsi",
        title="True strength index",
        family="Momentum",
        kernel=truestrength.tsi,
        inputs=("close",),
        outputs=("tsi", "signal"),
        parameters={
            "long": Parameter(25, 1, 100_000, "bars of the first exponential mean"),
            "short": Parameter(13, 1, 100_000, "bars of the mean of that mean"),
            "signal": Parameter(7, 1, 100_000, "bars of the mean of the index"),
        },
        state=truestrength.TSI,
        slots=one,
        warmup=lambda p: p["long"] + p["short"] + p["signal"] - 2,
        pane="own",
        text="Changes of the close, smoothed twice, in their sizes smoothed likewise, -100 to "
        "100, and an exponential mean of that; every mean is seeded by the simple mean of its "
        "first values, both outputs begin together, and nothing moved counts as 0.",
        source="Blau 1995, Momentum, Direction and Divergence",
        bounds=(-100.0, 100.0),
        levels=(-25.0, 25.0),
    ),
    Spec(
        name="ultimate",
        title="Ultimate oscillator",
        family="Momentum",
        kernel=ultimate.ultimate,
        inputs=("high", "low", "close"),
        outputs=("ultimate",),
        parameters={
            "short": Parameter(7, 1, 100_000, "bars of the window that weighs 4"),
            "medium": Parameter(14, 1, 100_000, "bars of the window that weighs 2"),
            "long": Parameter(28, 1, 100_000, "bars of the window that weighs 1"),
        },
        state=ultimate.ULTIMATE,
        slots=lambda p: p["long"] + 1,
        warmup=lambda p: p["long"],
        pane="own",
        text="How far closes are above true lows, in the true range, over three windows, 0 to "
        "100; a window in which nothing moved counts as 0.",
        source="Williams 1985, The Ultimate Oscillator",
        bounds=(0.0, 100.0),
        levels=(30.0, 70.0),
        check=_rising,
    ),
)
