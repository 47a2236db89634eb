"""Order blocks: the last opposite bar before a move that breaks structure."""

from __future__ import annotations

from workbench.analytics.parameters import Choice, Parameter
from workbench.kernels import zones as kernel
from workbench.kernels.swings import WINDOW
from workbench.study.spec import Spec
from workbench.study.study import Study

__all__ = ["BLOCKS", "order_blocks"]

BLOCKS = Spec(
    name="order_blocks",
    title="Order blocks",
    text=(
        "When a bar closes beyond the last swing, the last bar before it that closed the other "
        "way is an order block if the move since (close of the breaking bar less open of the bar "
        "after the block) is at least `displacement` average true ranges, as they were at the "
        "block. Strength is that move in average true ranges, volume the block's, broke the "
        "price of the swing, filled the share of the zone that later wicks have reached. A bar "
        "is a block of its side once."
    ),
    source="order blocks as traders of the ICT school draw them (Huddleston, from 2010); swings "
    "as the fractals of Williams 1995; average true range of Wilder 1978",
    kernel=kernel.order_blocks,
    parameters={
        "swing": Parameter(3, 1, 200, "bars on either side of a swing"),
        "displacement": Parameter(1.5, 0.0, 100.0, "least move in average true ranges"),
        "lookback": Parameter(20, 1, 1000, "bars in which the block is looked for"),
        "atr": Parameter(14, 1, 1000, "bars of the average true range"),
        "zone": Choice("range", ("range", "body"), "the block's whole range or its body"),
        "mitigation": Choice("close", ("wick", "close", "touch"), "what ends a block"),
        "max_open": Parameter(50, 1, 5000, "blocks kept open; then the oldest expires"),
    },
    events=kernel.BLOCK_EVENTS,
    columns=("low", "high", "broke", "strength", "volume", "filled"),
    words={"kind": ("bullish", "bearish"), "reason": ("", "mitigated", "expired")},
    state=kernel.BLOCKS,
    window=WINDOW,
    bars=lambda p: max(2 * int(p["swing"]) + 1, int(p["lookback"]) + 2),
    zones=kernel.ZONES,
    slots=lambda p: int(p["max_open"]),
    most=lambda p: int(p["max_open"]) + 6,
    changing=("filled",),
    volume=True,
)


def order_blocks(
    swing: int = 3,
    displacement: float = 1.5,
    lookback: int = 20,
    atr: int = 14,
    zone: str = "range",
    mitigation: str = "close",
    max_open: int = 50,
) -> Study:
    """Return the study of order blocks.

    Parameters
    ----------
    swing : int
        Bars on either side of a swing, 1 to 200.
    displacement : float
        Least move from the block to the breaking close, in average true ranges, 0 to 100.
    lookback : int
        Bars before the breaking one in which the block is looked for, 1 to 1000.
    atr : int
        Bars of the average true range, 1 to 1000; there are no blocks before it is known.
    zone : "range" or "body"
        What of the block is the zone.
    mitigation : "close", "wick" or "touch"
        A block ends when a bar closes beyond its far edge, when a wick reaches that edge, or
        as soon as price comes back to it.
    max_open : int
        Blocks kept open, 1 to 5000. The oldest leaves with the reason "expired".

    Returns
    -------
    Study
        Columns kind (bullish, bearish), low, high, broke, strength, volume and filled.
        `formed` is the block's bar, `confirmed` the end of the breaking bar.

    Raises
    ------
    ConfigError
        If a parameter is out of range.

    Examples
    --------
    >>> order_blocks(displacement=2.0, mitigation="touch").parameters["displacement"]
    2.0
    """
    given = {
        "swing": swing, "displacement": displacement, "lookback": lookback, "atr": atr,
        "zone": zone, "mitigation": mitigation, "max_open": max_open,
    }  # fmt: skip
    return Study(BLOCKS, given)
