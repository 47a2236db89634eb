"""Straight lines through the last closes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workbench.analytics.parameters import Choice, Parameter
from workbench.analytics.spec import Spec, length
from workbench.kernels import regression as kernels

__all__ = ["SPECS"]

_LEAST_SQUARES = "least squares: Gauss 1809, Theoria motus, on x = 0 .. length - 1"


def _one_more(parameters: Mapping[str, Any]) -> int:
    """Return one row of state more than the length: sums from its place on stay zero."""
    return int(parameters["length"]) + 1


def _single(
    name: str,
    title: str,
    kernel: Callable[..., None],
    pane: str,
    text: str,
    **more: Any,
) -> Spec:
    return Spec(
        name=name,
        title=title,
        family="Regression",
        kernel=kernel,
        inputs=("close",),
        outputs=(name,),
        parameters=length(14, "bars the line goes through", 2),
        state=kernels.LINE,
        slots=_one_more,
        warmup=lambda p: p["length"] - 1,
        pane=pane,
        text=text,
        source=_LEAST_SQUARES,
        **more,
    )


SPECS: tuple[Spec, ...] = (
    Spec(
        name="linreg",
        title="Linear regression",
        family="Regression",
        kernel=kernels.linreg,
        inputs=("close",),
        outputs=("value", "slope", "intercept", "r2", "t", "error"),
        parameters=length(14, "bars the line goes through", 2),
        state=kernels.LINE,
        slots=_one_more,
        warmup=lambda p: p["length"] - 1,
        pane="price",
        text="The straight line nearest to the last closes: its value at the last bar and "
        "(intercept) at the first, its rise per bar, how much of the movement it explains (0 "
        "to 1), the t-value of its slope and the standard error of a close about it, over "
        "length - 2. Closes that are all equal have slope, R2, t and error 0; a line without "
        "any error has an infinite t with the sign of its slope. Of two bars t and error are "
        "0, since nothing is left to judge them by.",
        drawn=("value",),
        source=_LEAST_SQUARES + "; t and error: Fisher 1922, The goodness of fit of regression "
        "formulae",
        gaps=True,
    ),
    Spec(
        name="linreg_channel",
        title="Linear regression channel",
        family="Regression",
        kernel=kernels.channel,
        inputs=("close",),
        outputs=("middle", "upper", "lower", "slope"),
        parameters={
            "length": Parameter(100, 2, 100_000, "bars the line goes through"),
            "width": Parameter(2.0, 0.0, 1000.0, "deviations from the line to either side"),
            "deviation": Choice(
                "residual",
                ("residual", "error", "stdev"),
                "residual: of closes about the line, over length; error: the same over "
                "length - 2; stdev: of closes about their mean, over length",
            ),
        },
        state=kernels.LINE,
        slots=_one_more,
        warmup=lambda p: p["length"] - 1,
        pane="price",
        text="The end of the straight line nearest to the last closes, and lines some "
        "deviations above and below it; with its rise per bar.",
        drawn=("middle", "upper", "lower"),
        source="Raff 1991, Trading the regression channel; here with deviations for its width",
    ),
    _single(
        "forecast",
        "Time series forecast",
        kernels.forecast,
        "price",
        "The straight line nearest to the last closes, drawn on by one bar.",
    ),
    _single(
        "slope",
        "Slope of the regression line",
        kernels.slope,
        "own",
        "How much the straight line nearest to the last closes rises from bar to bar; 0 for "
        "closes that are all equal.",
        levels=(0.0,),
    ),
    _single(
        "r_squared",
        "R squared",
        kernels.r_squared,
        "own",
        "How much of the squared deviations of the last closes from their mean a straight line "
        "explains; 0 for closes that are all equal.",
        bounds=(0.0, 1.0),
    ),
)
