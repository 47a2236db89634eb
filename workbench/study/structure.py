"""Market structure: swings and the closes beyond them."""

from __future__ import annotations

from workbench.analytics.parameters import Choice, Parameter
from workbench.kernels import structure as kernel
from workbench.kernels.swings import WINDOW
from workbench.study.spec import DIRECTIONS, Spec, fixed
from workbench.study.study import Study

__all__ = ["STRUCTURE", "TIES", "structure"]

TIES = ("strict", "first", "last", "any")

STRUCTURE = Spec(
    name="structure",
    title="Market structure",
    text=(
        "Swing highs and lows, named by comparison with the swing of the same side before (HH, "
        "LH, EH; HL, LL, EL; E for equal), and breaks: closes beyond the last swing of a side, "
        "each swing at most once. A break against the trend is a change of character (CHoCH), "
        "any other, the very first too, a break of structure (BOS); both set the trend. A swing "
        "ends when it is broken or a later one of its side takes over, a break when a later one "
        "does. Strength is the height of "
        "a swing over the last opposite one, or the distance of the close beyond the level, in "
        "average true ranges (NaN while unknown)."
    ),
    source="Dow theory (Rhea 1932, The Dow Theory); swings as the fractals of Williams 1995, "
    "Trading Chaos; average true range of Wilder 1978",
    kernel=kernel.structure,
    parameters={
        "left": Parameter(3, 1, 500, "bars before a swing that stay within it"),
        "right": Parameter(3, 1, 500, "bars after a swing that stay within it, and confirm it"),
        "ties": Choice("first", TIES, "which of equal extremes is a swing"),
        "atr": Parameter(14, 1, 1000, "bars of the average true range"),
    },
    events=kernel.EVENTS,
    columns=("label", "side", "price", "broke", "trend", "strength"),
    words={
        "kind": ("swing high", "swing low", "break"),
        "label": ("", "HH", "HL", "LH", "LL", "EH", "EL", "BOS", "CHoCH"),
        "side": DIRECTIONS,
        "trend": DIRECTIONS,
        "reason": ("", "broken", "superseded"),
    },
    state=kernel.STATE,
    window=WINDOW,
    bars=lambda p: int(p["left"]) + int(p["right"]) + 1,
    most=fixed(10),
)


def structure(left: int = 3, right: int = 3, ties: str = "first", atr: int = 14) -> Study:
    """Return the study of market structure: swings, breaks and the trend they make.

    Parameters
    ----------
    left, right : int
        Bars before and after a swing that must stay within it, 1 to 500. A swing is known
        `right` bars after its bar.
    ties : "first", "last", "strict" or "any"
        Of bars with equal extremes: the first, the last, none or each may be a swing.
    atr : int
        Bars of the average true range that strengths are measured in, 1 to 1000.

    Returns
    -------
    Study
        Its table has the columns kind (swing high, swing low, break), label, side, price,
        broke (id of the swing that a break broke, -1 for swings), trend (after it) and
        strength, next to the times that all studies have.

    Raises
    ------
    ConfigError
        If a parameter is out of range.

    Examples
    --------
    >>> import pandas as pd
    >>> close = [1.0, 2, 3, 2, 1, 2, 3, 4]
    >>> frame = pd.DataFrame({name: close for name in ("open", "high", "low", "close")})
    >>> frame.index = pd.date_range("2025-11-03", periods=8, freq="1min")
    >>> table = structure(left=2, right=2, atr=2).over(frame)
    >>> table[["kind", "label", "price", "trend"]]
              kind label  price trend
    id
    0   swing high          3.0  none
    1    swing low          1.0  none
    2        break   BOS    3.0    up
    >>> table["confirmed"].dt.strftime("%H:%M").tolist()
    ['00:05', '00:07', '00:08']

    References
    ----------
    R. Rhea, The Dow Theory, 1932; B. Williams, Trading Chaos, 1995.
    """
    return Study(STRUCTURE, {"left": left, "right": right, "ties": ties, "atr": atr})
