"""Moving averages, and the two oscillators that are made of nothing but such."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any

from workbench.analytics.parameters import Choice, Parameter
from workbench.analytics.spec import Spec, length, one
from workbench.kernels import adaptive, averages, chains, convergence, smoothing, tillson

__all__ = ["SPECS"]

_SEED = Choice(
    "sma",
    ("sma", "first"),
    "what it begins with: the mean of the first `length` values, or the first value",
)
_SEEDS = Choice(
    "sma",
    ("sma", "mixed", "first"),
    "what each mean begins with: the mean of its first `length` values (sma) or its first value "
    "(first); mixed begins the first mean as sma, the others as first",
)


def _ring(parameters: Mapping[str, Any]) -> int:
    """Return the rows of a ring with one place more than the window."""
    return int(parameters["length"]) + 1


def _whole(parameters: Mapping[str, Any]) -> int:
    """Return the rows before a window is full."""
    return int(parameters["length"]) - 1


def _seeded(parameters: Mapping[str, Any]) -> int:
    return 0 if parameters["seed"] == "first" else _whole(parameters)


def _chained(means: int, more: int = 0) -> Any:
    """Return the warm-up of so many means in a row and `more` bars."""

    def rows(parameters: Mapping[str, Any]) -> int:
        seeds = {"sma": means, "mixed": 1, "first": 0}
        return seeds[parameters["seed"]] * _whole(parameters) + more

    return rows


def _macd_rows(parameters: Mapping[str, Any]) -> int:
    if parameters["seed"] == "first":
        return 0
    return int(parameters["slow"]) + int(parameters["signal"]) - 2


def _fast_below_slow(parameters: Mapping[str, Any]) -> str | None:
    fast, slow = parameters["fast"], parameters["slow"]
    return None if fast < slow else f"fast must be below slow, not {fast} and {slow}"


SPECS: tuple[Spec, ...] = (
    Spec(
        name="sma",
        title="Simple moving average",
        family="Averages",
        kernel=averages.sma,
        inputs=("close",),
        outputs=("sma",),
        parameters=length(20, "bars averaged"),
        state=averages.SMA,
        slots=_ring,
        warmup=_whole,
        pane="price",
        text="The mean of the last closes, all with the same weight.",
        source="arithmetic mean",
    ),
    Spec(
        name="ema",
        title="Exponential moving average",
        family="Averages",
        kernel=smoothing.ema,
        inputs=("close",),
        outputs=("ema",),
        parameters={**length(20, "bars; the factor is 2 / (length + 1)"), "seed": _SEED},
        state=smoothing.EMA,
        slots=one,
        warmup=_seeded,
        pane="price",
        text="A mean in which each bar counts less than the next; seeded by the mean of the "
        "first `length` closes, as TA-Lib does, unless told otherwise.",
        source="Hunter 1986, The exponentially weighted moving average",
    ),
    Spec(
        name="rma",
        title="Wilder's moving average",
        family="Averages",
        kernel=smoothing.rma,
        inputs=("close",),
        outputs=("rma",),
        parameters={**length(14, "bars; the factor is 1 / length"), "seed": _SEED},
        state=smoothing.EMA,
        slots=one,
        warmup=_seeded,
        pane="price",
        text="The slow exponential mean that RSI, ATR and ADX are smoothed with.",
        source="Wilder 1978, New Concepts in Technical Trading Systems",
    ),
    Spec(
        name="dema",
        title="Double exponential moving average",
        family="Averages",
        kernel=chains.dema,
        inputs=("close",),
        outputs=("dema",),
        parameters={**length(20, "bars of each exponential mean"), "seed": _SEEDS},
        state=chains.DEMA,
        slots=one,
        warmup=_chained(2),
        pane="price",
        text="Twice an exponential mean less the exponential mean of it: lags less than either.",
        source="Mulloy 1994, Smoothing data with faster moving averages",
    ),
    Spec(
        name="tema",
        title="Triple exponential moving average",
        family="Averages",
        kernel=chains.tema,
        inputs=("close",),
        outputs=("tema",),
        parameters={**length(20, "bars of each exponential mean"), "seed": _SEEDS},
        state=chains.TEMA,
        slots=one,
        warmup=_chained(3),
        pane="price",
        text="An exponential mean, its mean and the mean of that, put together so that most of "
        "the lag cancels: 3 e1 - 3 e2 + e3.",
        source="Mulloy 1994, Smoothing data with less lag",
    ),
    Spec(
        name="t3",
        title="Tillson's T3",
        family="Averages",
        kernel=tillson.t3,
        inputs=("close",),
        outputs=("t3",),
        parameters={
            **length(5, "bars of each exponential mean"),
            "factor": Parameter(0.7, 0.0, 1.0, "0 for a plain smoothing of six, 1 for most vigour"),
        },
        state=tillson.T3,
        slots=one,
        warmup=lambda p: 6 * (p["length"] - 1),
        pane="price",
        text="Six exponential means in a row, put together to be smooth and yet near the price.",
        source="Tillson 1998, Smoothing techniques for more accurate signals",
    ),
    Spec(
        name="wma",
        title="Weighted moving average",
        family="Averages",
        kernel=averages.wma,
        inputs=("close",),
        outputs=("wma",),
        parameters=length(20, "bars averaged"),
        state=averages.WMA,
        slots=_ring,
        warmup=_whole,
        pane="price",
        text="The mean of the last closes; the newest counts `length` times, the oldest once.",
        source="arithmetic mean with linear weights",
    ),
    Spec(
        name="hma",
        title="Hull moving average",
        family="Averages",
        kernel=averages.hma,
        inputs=("close",),
        outputs=("hma",),
        parameters=length(16, "bars of the slow mean; half and root are rounded down"),
        state=averages.HMA,
        slots=_ring,
        warmup=lambda p: p["length"] - 1 + isqrt(p["length"]) - 1,
        pane="price",
        text="Weighted mean over sqrt(length) bars of twice the weighted mean over half the "
        "length less that over all of it: quick and smooth, and may overshoot.",
        source="Hull 2005, How to reduce lag in a moving average",
    ),
    Spec(
        name="vwma",
        title="Volume-weighted moving average",
        family="Averages",
        kernel=averages.vwma,
        inputs=("close", "volume"),
        outputs=("vwma",),
        parameters=length(20, "bars averaged"),
        state=averages.VWMA,
        slots=_ring,
        warmup=_whole,
        pane="price",
        text="The mean of the last closes, each weighted by its volume; none where nothing was "
        "traded in all of them.",
        source="mean weighted by volume",
        gaps=True,
    ),
    Spec(
        name="kama",
        title="Kaufman's adaptive moving average",
        family="Averages",
        kernel=adaptive.kama,
        inputs=("close",),
        outputs=("kama",),
        parameters={
            **length(10, "bars the efficiency is measured over", 2),
            "fast": Parameter(2, 1, 100_000, "bars of the pace in a straight move"),
            "slow": Parameter(30, 2, 100_000, "bars of the pace in a move to and fro"),
        },
        state=adaptive.KAMA,
        slots=_ring,
        warmup=lambda p: p["length"],
        pane="price",
        text="An exponential mean whose pace follows how straight the price moves: the change "
        "over `length` bars by the way taken. Where nothing moves the pace is the fast one.",
        source="Kaufman 1995, Smarter Trading",
        check=_fast_below_slow,
    ),
    Spec(
        name="trix",
        title="Rate of change of a triple exponential mean",
        family="Momentum",
        kernel=chains.trix,
        inputs=("close",),
        outputs=("trix",),
        parameters={**length(30, "bars of each exponential mean"), "seed": _SEEDS},
        state=chains.TRIX,
        slots=one,
        warmup=_chained(3, 1),
        pane="own",
        text="Change from bar to bar, in percent, of an exponential mean of a mean of a mean: "
        "momentum without the small swings.",
        source="Hutson 1983, Good TRIX",
        levels=(0.0,),
    ),
    Spec(
        name="macd",
        title="Moving average convergence divergence",
        family="Momentum",
        kernel=convergence.macd,
        inputs=("close",),
        outputs=("macd", "signal", "histogram"),
        parameters={
            "fast": Parameter(12, 1, 100_000, "bars of the fast mean"),
            "slow": Parameter(26, 2, 100_000, "bars of the slow mean"),
            "signal": Parameter(9, 1, 100_000, "bars of the mean of the difference"),
            "seed": Choice(
                "sma",
                ("sma", "own", "first"),
                "what the means begin with: sma begins both on the same bar with the mean of "
                "the last closes by then, as TA-Lib does; own begins each with the mean of its "
                "own first closes, and tells the line before there is a signal; first begins each "
                "with its first value",
            ),
        },
        state=convergence.MACD,
        slots=one,
        warmup=_macd_rows,
        pane="own",
        text="A fast exponential mean less a slow one, the exponential mean of that (signal), "
        "and the difference of the two (histogram).",
        source="Appel 1979, The Moving Average Convergence-Divergence Trading Method",
        levels=(0.0,),
        check=_fast_below_slow,
    ),
)
