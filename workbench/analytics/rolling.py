"""Extremes, order and relations of the last values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workbench.analytics.parameters import Choice, Parameter, Taken
from workbench.analytics.spec import Spec, length, per_length
from workbench.kernels import deviation, extremes, order

__all__ = ["SPECS"]


def _one_more(parameters: Mapping[str, Any]) -> int:
    """Return one row of state more than the length: sums from its place on stay zero."""
    return int(parameters["length"]) + 1


def _spec(
    name: str,
    title: str,
    kernel: Callable[..., None],
    state: list[tuple[str, str]],
    parameters: Mapping[str, Taken],
    text: str,
    source: str,
    **more: Any,
) -> Spec:
    plain: dict[str, Any] = {
        "inputs": ("close",),
        "outputs": (name,),
        "slots": per_length,
        "warmup": lambda p: p["length"] - 1,
        "pane": "own",
    }
    return Spec(
        name=name,
        title=title,
        family="Rolling",
        kernel=kernel,
        state=state,
        parameters=parameters,
        text=text,
        source=source,
        **(plain | more),
    )


def _ddof(default: int) -> dict[str, Taken]:
    text = "0 divides by length, as for a whole population; 1 by length - 1, as for a sample"
    return {"ddof": Parameter(default, 0, 1, text)}


def _too_short(p: Mapping[str, Any]) -> str | None:
    if p["ddof"] >= p["length"]:
        return f"length must be over ddof ({p['ddof']}), not {p['length']}"
    return None


_SLIDING = (
    "maximum and minimum; van Herk 1992, A fast algorithm for local minimum and maximum filters"
)
_PEARSON = "Pearson 1895, Note on regression and inheritance in the case of two parents"
_HYNDMAN = "Hyndman and Fan 1996, Sample quantiles in statistical packages"
_TWO = ("close", "volume")

SPECS: tuple[Spec, ...] = (
    _spec(
        "highest", "Highest value", extremes.highest, extremes.EXTREME,
        length(30, "bars looked at, the last one included"),
        "The highest of the last closes.", _SLIDING, pane="price",
    ),
    _spec(
        "lowest", "Lowest value", extremes.lowest, extremes.EXTREME,
        length(30, "bars looked at, the last one included"),
        "The lowest of the last closes.", _SLIDING, pane="price",
    ),
    _spec(
        "median", "Rolling median", order.median, order.ORDER,
        length(20, "bars looked at"),
        "The middle of the last closes in order; of an even number, the mean of the two in the "
        "middle.", _HYNDMAN, pane="price",
    ),
    _spec(
        "quantile", "Rolling quantile", order.quantile, order.ORDER,
        {
            **length(20, "bars looked at"),
            "q": Parameter(0.5, 0.0, 1.0, "part of the closes that is to lie below"),
            "between": Choice(
                "linear", ("linear", "lower", "higher", "nearest", "middle"),
                "what to take where the place q * (length - 1) is between two values; nearest "
                "goes to the even place from the very middle",
            ),
        },
        "The value below which a given part of the last closes lies.",
        _HYNDMAN + ", definition 7", pane="price",
    ),
    _spec(
        "rank", "Percent rank", order.rank, order.RANK,
        {
            **length(100, "bars looked at, the last one included", 2),
            "ties": Choice(
                "below", ("below", "upto", "half"),
                "others equal to the last close: below leaves them out, upto counts them, "
                "half counts every second",
            ),
        },
        "Per cent of the other closes in the window that the last one is above. If all are equal, "
        "it is 0 with ties \"below\", 100 with \"upto\" and 50 with \"half\".",
        "percentile rank; as by Connors and Alvarez 2009, Short term trading strategies that work",
        bounds=(0.0, 100.0), levels=(50.0,),
    ),
    _spec(
        "variance", "Rolling variance", deviation.variance, deviation.SPREAD,
        {**length(5, "bars looked at"), **_ddof(0)},
        "The mean squared deviation of the last closes from their mean; 0 if all are equal.",
        "Fisher 1918, The correlation between relatives", check=_too_short, slots=_one_more,
    ),
    _spec(
        "zscore", "Z-score", deviation.zscore, deviation.SPREAD,
        {**length(20, "bars looked at", 2), **_ddof(0)},
        "How many standard deviations the last close is from the mean of the last closes; 0 if "
        "all are equal.",
        "standard score", check=_too_short, levels=(-2.0, 0.0, 2.0), slots=_one_more,
    ),
    _spec(
        "covariance", "Rolling covariance", deviation.covariance, deviation.PAIR,
        {**length(30, "bars looked at"), **_ddof(0)},
        "The mean product of two columns' deviations from their means; `of=` names others than "
        "close and volume.",
        _PEARSON, inputs=_TWO, check=_too_short, levels=(0.0,), slots=_one_more,
    ),
    _spec(
        "correlation", "Rolling correlation", deviation.correlation, deviation.PAIR,
        length(30, "bars looked at"),
        "How closely two columns go along a line, -1 to 1; 0 if one of them does not move. `of=` "
        "names others than close and volume.",
        _PEARSON, inputs=_TWO, bounds=(-1.0, 1.0), levels=(0.0,), slots=_one_more,
    ),
    _spec(
        "beta", "Beta", deviation.beta, deviation.BETA,
        length(5, "returns looked at"),
        "How much the second column's return changes with the first one's (the market's): the "
        "slope of its returns on those; 0 if those do not differ. A return from a price of zero "
        "counts as 0. `of=` names others than close and volume.",
        "Sharpe 1964, Capital asset prices", inputs=_TWO, levels=(0.0, 1.0),
        warmup=lambda p: p["length"], slots=_one_more,
    ),
)  # fmt: skip
