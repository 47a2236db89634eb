"""Fair value gaps: prices that three bars leave untraded on one side."""

from __future__ import annotations

from workbench.analytics.parameters import Choice, Parameter
from workbench.kernels import zones as kernel
from workbench.kernels.swings import WINDOW
from workbench.study.spec import Spec, fixed
from workbench.study.study import Study

__all__ = ["GAPS", "fair_value_gaps"]

GAPS = Spec(
    name="fair_value_gaps",
    title="Fair value gaps",
    text=(
        "Between the first and the third of three bars whose ranges leave prices out: low of the "
        "third above high of the first (up), or high of the third below low of the first (down). "
        "Strength is the size over the range of all three bars; filled the share of the zone that "
        "later wicks have reached."
    ),
    source="three-bar imbalance as traders of the ICT school draw it (Huddleston, from 2010); "
    "conventions checked against the smartmoneyconcepts library of Attridge, 2023",
    kernel=kernel.fair_value_gaps,
    parameters={
        "min_size": Parameter(0.0, 0.0, 1e15, "least size in price"),
        "mitigation": Choice("fill", ("fill", "close", "touch"), "what ends a gap"),
        "middle": Choice("any", ("any", "directional"), "must the middle bar close that way"),
        "max_open": Parameter(100, 1, 5000, "gaps kept open; then the oldest expires"),
    },
    events=kernel.GAP_EVENTS,
    columns=("low", "high", "size", "strength", "filled"),
    words={"kind": ("up", "down"), "reason": ("", "mitigated", "expired")},
    state=kernel.GAPS,
    window=WINDOW,
    bars=fixed(3),
    zones=kernel.ZONES,
    slots=lambda p: int(p["max_open"]),
    most=lambda p: int(p["max_open"]) + 4,
    changing=("filled",),
)  # fmt: skip


def fair_value_gaps(
    min_size: float = 0.0, mitigation: str = "fill", middle: str = "any", max_open: int = 100
) -> Study:
    """Return the study of fair value gaps.

    Parameters
    ----------
    min_size : float
        Least size in price, from 0.
    mitigation : "fill", "close" or "touch"
        A gap ends when a wick reaches its far edge, when a bar closes beyond that edge, or
        as soon as price comes back to it.
    middle : "any" or "directional"
        Whether the middle bar must close in the direction of the gap.
    max_open : int
        Gaps kept open, 1 to 5000. The oldest leaves with the reason "expired".

    Returns
    -------
    Study
        Columns kind (up, down), low, high, size, strength (0 to 1) and filled (0 to 1, as of
        the last bar). `formed` is the middle bar, `confirmed` the end of the third.

    Raises
    ------
    ConfigError
        If a parameter is out of range.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame(
    ...     {"open": [1.0, 2, 4, 4], "high": [2.0, 4, 5, 5], "low": [1.0, 2, 3, 2.5],
    ...      "close": [2.0, 4, 5, 4]},
    ...     index=pd.date_range("2025-11-03", periods=4, freq="1min"),
    ... )
    >>> fair_value_gaps().over(frame)[["kind", "low", "high", "filled", "reason"]]
       kind  low  high  filled reason
    id
    0    up  2.0   3.0     0.5
    """
    given = {
        "min_size": min_size, "mitigation": mitigation, "middle": middle, "max_open": max_open,
    }  # fmt: skip
    return Study(GAPS, given)
