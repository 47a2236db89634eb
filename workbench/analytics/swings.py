"""Turning points and levels of the last period."""

from __future__ import annotations

from workbench.analytics.parameters import Choice, Parameter
from workbench.analytics.spec import Spec, length, one
from workbench.kernels import levels, turns

__all__ = ["SPECS"]

_ZIGZAG = Spec(
    name="zigzag",
    title="Zigzag",
    family="Swings",
    kernel=turns.zigzag,
    inputs=("high", "low", "close"),
    outputs=("price", "direction", "offset"),
    parameters={
        "percent": Parameter(5.0, 0.0001, 1000.0, "change from an extreme that confirms it"),
        "by": Choice("highlow", ("highlow", "close"), "prices looked at"),
    },
    state=turns.ZIGZAG,
    slots=one,
    warmup=lambda p: 1,
    pane="price",
    text="The last turn of prices that is certain: its price, 1 for a top or -1 for a bottom, and "
    "how many bars ago it was. It is told from the bar on which prices have changed enough since, "
    "where the offset drops; NaN before the first. A bar that sets a new extreme confirms none; "
    "of equal extremes the last counts.",
    drawn=("price",),
    source="Merrill 1977, Filtered Waves",
    gaps=True,
)

_FRACTALS = Spec(
    name="fractals",
    title="Fractals",
    family="Swings",
    kernel=turns.fractals,
    inputs=("high", "low"),
    outputs=("high", "low"),
    parameters=length(2, "bars on either side, all lower (higher)"),
    state=turns.FRACTALS,
    slots=lambda p: 2 * int(p["length"]),
    warmup=lambda p: 2 * p["length"],
    pane="price",
    text="A high above those of `length` bars on either side, and a low below them; told on the "
    "bar that confirms it, `length` bars after. NaN elsewhere.",
    source="Williams 1995, Trading Chaos",
    gaps=True,
)

_PIVOTS = Spec(
    name="pivots",
    title="Pivot points",
    family="Swings",
    kernel=levels.pivots,
    inputs=("open", "high", "low", "close", "session", "week", "month"),
    outputs=("pivot", "r1", "r2", "r3", "r4", "s1", "s2", "s3", "s4"),
    parameters={
        "method": Choice(
            "classic",
            ("classic", "fibonacci", "camarilla", "woodie"),
            "formula; woodie's pivot counts the open of this period twice, the others' the close "
            "of the last once",
        ),
        "period": Choice("session", ("session", "week", "month"), "civil day, week or month"),
    },
    state=levels.PIVOTS,
    slots=lambda p: levels.LEVELS,
    warmup=lambda p: 1,
    pane="price",
    text="Levels from the high, low and close of the last period, in the market's time zone; "
    "NaN in the first period, and r4 and s4 but for camarilla.",
    source="Person 2004, A Complete Guide to Technical Trading Tactics; Camarilla: Stott 1989",
    gaps=True,
)

SPECS: tuple[Spec, ...] = (_ZIGZAG, _FRACTALS, _PIVOTS)
