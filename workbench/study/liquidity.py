"""Liquidity: levels where resting orders gather, and when they were swept."""

from __future__ import annotations

from workbench.analytics.parameters import Choice, Parameter
from workbench.kernels import liquidity as kernel
from workbench.kernels.swings import WINDOW
from workbench.study.spec import Spec
from workbench.study.study import Study

__all__ = ["LIQUIDITY", "liquidity"]

LIQUIDITY = Spec(
    name="liquidity",
    title="Liquidity levels",
    text=(
        "Equal highs and lows: two or more swings of a side within `tolerance` average true "
        "ranges of each other. High and low of the day and of the week (from Monday) before, "
        "confirmed with the first bar of the new one. A level is swept when price goes beyond "
        "it. A single swing waits for its equal until price goes beyond it by more than the "
        "tolerance."
    ),
    source="equal highs and lows and stop runs: Schabacker 1932, Technical Analysis and Stock "
    "Market Profits; in the present wording the ICT school (Huddleston, from 2010)",
    kernel=kernel.liquidity,
    parameters={
        "swing": Parameter(3, 1, 200, "bars on either side of a swing"),
        "tolerance": Parameter(0.1, 0.0, 10.0, "largest distance in average true ranges"),
        "atr": Parameter(14, 1, 1000, "bars of the average true range"),
        "sweep": Choice("wick", ("wick", "close"), "what goes beyond a level to sweep it"),
        "periods": Choice("both", ("both", "none"), "levels of the day and week before"),
        "max_open": Parameter(100, 1, 5000, "levels and waiting swings; then the oldest leaves"),
    },
    events=kernel.EVENTS,
    columns=("low", "high", "swings", "low_now", "high_now", "swings_now"),
    words={
        "kind": (
            "equal highs", "equal lows", "previous day high", "previous day low",
            "previous week high", "previous week low",
        ),
        "reason": ("", "swept", "superseded", "expired"),
    },
    state=kernel.STATE,
    window=WINDOW,
    bars=lambda p: 2 * int(p["swing"]) + 1,
    zones=kernel.LEVELS,
    slots=lambda p: int(p["max_open"]) + 4,
    most=lambda p: int(p["max_open"]) + 24,
    changing=("low_now", "high_now", "swings_now"),
    days=True,
)  # fmt: skip


def liquidity(
    swing: int = 3,
    tolerance: float = 0.1,
    atr: int = 14,
    sweep: str = "wick",
    periods: str = "both",
    max_open: int = 100,
) -> Study:
    """Return the study of liquidity levels.

    Parameters
    ----------
    swing : int
        Bars on either side of a swing, 1 to 200.
    tolerance : float
        Largest distance between equal highs or lows, in average true ranges, 0 to 10.
    atr : int
        Bars of the average true range, 1 to 1000.
    sweep : "wick" or "close"
        What must go beyond a level to sweep it.
    periods : "both" or "none"
        Whether there are levels of the day and week before. Days are those of the symbol's
        market; the first one is that of the bars given, whole or not.
    max_open : int
        Levels of equal swings and swings that wait for an equal, 1 to 5000 in all. The
        oldest leaves with the reason "expired".

    Returns
    -------
    Study
        Columns kind, low, high and swings (how many), as at confirmation, and low_now,
        high_now, swings_now as of the last bar. `formed` is the bar of the newest swing at
        confirmation or of the period's extreme; `mitigated` with reason "swept" the time of
        the sweep.

    Raises
    ------
    ConfigError
        If a parameter is out of range.

    Examples
    --------
    >>> liquidity(tolerance=0.2, periods="none").columns[:4]
    ('kind', 'low', 'high', 'swings')
    """
    given = {
        "swing": swing, "tolerance": tolerance, "atr": atr, "sweep": sweep, "periods": periods,
        "max_open": max_open,
    }  # fmt: skip
    return Study(LIQUIDITY, given)
