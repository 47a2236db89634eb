"""How far prices move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.analytics.parameters import Choice, Parameter
from workbench.analytics.spec import Spec, length, one, per_length
from workbench.kernels import bands, realised, volatility

__all__ = ["SPECS"]

_BARS = ("high", "low", "close")
_FAMILY = "Volatility"


def _one_more(parameters: Mapping[str, Any]) -> int:
    """Return the slots of a ring of blocks."""
    return int(parameters["length"]) + 1


def _atr_slots(parameters: Mapping[str, Any]) -> int:
    return 1 if parameters["average"] == "wilder" else _one_more(parameters)


def _atr_warmup(parameters: Mapping[str, Any]) -> int:
    first: bool = parameters["start"] == "first"
    return int(parameters["length"]) - first


def _realised_warmup(parameters: Mapping[str, Any]) -> int:
    alone: bool = parameters["method"] not in ("close", "yang_zhang")
    return int(parameters["length"]) - alone


SPECS: tuple[Spec, ...] = (
    Spec(
        name="trange",
        title="True range",
        family=_FAMILY,
        kernel=volatility.trange,
        inputs=_BARS,
        outputs=("trange",),
        parameters={},
        state=volatility.TRANGE,
        slots=one,
        warmup=lambda p: 1,
        pane="own",
        text="The range of the bar, with the gap since the close before; the first bar has none.",
        source="Wilder 1978, New Concepts in Technical Trading Systems",
    ),
    Spec(
        name="atr",
        title="Average true range",
        family=_FAMILY,
        kernel=volatility.atr,
        inputs=_BARS,
        outputs=("atr",),
        parameters={
            "length": Parameter(14, 1, 100_000, "bars averaged"),
            "average": Choice(
                "wilder",
                ("wilder", "sma"),
                "Wilder's mean, with a factor of 1 / length, or the plain one",
            ),
            "start": Choice(
                "second",
                ("second", "first"),
                "bar with the first true range: the second, as in TA-Lib, or the first, whose "
                "range is high less low",
            ),
        },
        state=volatility.ATR,
        slots=_atr_slots,
        warmup=_atr_warmup,
        pane="own",
        text="How far prices move in a bar: the mean of true ranges, seeded by the plain mean of "
        "the first `length` of them.",
        source="Wilder 1978, New Concepts in Technical Trading Systems",
    ),
    Spec(
        name="natr",
        title="Normalised average true range",
        family=_FAMILY,
        kernel=volatility.natr,
        inputs=_BARS,
        outputs=("natr",),
        parameters=length(14, "bars averaged, as Wilder did"),
        state=volatility.NATR,
        slots=one,
        warmup=lambda p: p["length"],
        pane="own",
        text="The average true range in percent of the close, to compare prices of different "
        "size; 0 where the close is 0.",
        source="Forman 2006, Cross-Market Evaluations with Normalized Average True Range",
    ),
    Spec(
        name="stddev",
        title="Standard deviation",
        family=_FAMILY,
        kernel=bands.stddev,
        inputs=("close",),
        outputs=("stddev",),
        parameters={
            "length": Parameter(20, 1, 100_000, "bars in the window"),
            "divisor": Choice(
                "population",
                ("population", "sample"),
                "whether squares are divided by length, as in TA-Lib, or by length - 1",
            ),
        },
        state=bands.WINDOW,
        slots=per_length,
        warmup=lambda p: p["length"] - 1,
        pane="own",
        text="How far closes lie from their mean; 0 if all are the same, or there is one only.",
        source="Welford 1962, Note on a method for calculating corrected sums of squares",
    ),
    Spec(
        name="realised",
        title="Realised volatility",
        family=_FAMILY,
        kernel=realised.realised,
        inputs=("open", *_BARS),
        outputs=("realised",),
        parameters={
            "length": Parameter(20, 2, 100_000, "bars in the window"),
            "method": Choice(
                "close",
                ("close", "parkinson", "garman_klass", "rogers_satchell", "yang_zhang"),
                "what is measured: changes of the close (their mean taken off, as a sample), "
                "ranges, or ranges with bodies; the last adds the gaps between bars",
            ),
            "year": Parameter(252.0, 1.0, 1e9, "bars a year; 1 for the volatility of a bar"),
        },
        state=realised.REALISED,
        slots=_one_more,
        warmup=_realised_warmup,
        pane="own",
        text="The standard deviation of logarithmic changes in a year, 0.2 for 20 percent, by one "
        "of five estimators. A change from or to a price that is not above 0 counts as none.",
        source="Parkinson 1980; Garman and Klass 1980; Rogers and Satchell 1991; Yang and Zhang "
        "2000, Drift-Independent Volatility Estimation",
    ),
    Spec(
        name="choppiness",
        title="Choppiness index",
        family=_FAMILY,
        kernel=volatility.choppiness,
        inputs=_BARS,
        outputs=("choppiness",),
        parameters=length(14, "bars in the window", 2),
        state=volatility.CHOPPINESS,
        slots=_one_more,
        warmup=lambda p: p["length"],
        pane="own",
        text="High where prices went to and fro, low where they went one way: the sum of true "
        "ranges over the range of all, as a logarithm. 100 if there is no range; gaps can bring "
        "it above 100.",
        source="Dreiss 1993, Choppiness Index",
        bounds=(0.0, 100.0),
        levels=(38.2, 61.8),
    ),
)
