"""Volume profile of the last bars: value area and volume nodes as zones with a history."""

from __future__ import annotations

from workbench.analytics.parameters import Parameter
from workbench.kernels import profile as kernel
from workbench.study.spec import Spec
from workbench.study.study import Study

__all__ = ["PROFILE", "profile"]

PROFILE = Spec(
    name="profile",
    title="Volume profile",
    text=(
        "Volume by price of the last `length` bars, each bar's volume spread evenly over its "
        "range. The value area (peak: the point of control) holds `value_area` of it; high "
        "volume nodes (HVN) are unbroken runs of bins whose smoothed volume is at or above a "
        "quantile of all bins, low volume nodes (LVN) inner runs at or below its counterpart. "
        "A node lives while a node of its kind covers its last peak; if one covers several, the "
        "oldest lives on and the others merge into it. The value area lives while the point of "
        "control stays in its bin. Share is of the volume in the window, strength the smoothed "
        "volume at the peak over the largest."
    ),
    source="Steidlmayer and Koy 1986, Markets and Market Logic (profile, value area by pairs of "
    "prices); volume nodes as in Dalton, Jones and Dalton 1993, Mind over Markets",
    kernel=kernel.profile,
    parameters={
        "length": Parameter(200, 1, 10_000, "bars in the window"),
        "bins": Parameter(100, 8, 2000, "most bins over the range of the window"),
        "tick": Parameter(0.0, 0.0, 1e9, "price step that bins are multiples of; 0 for none"),
        "value_area": Parameter(0.7, 0.01, 1.0, "share of volume in the value area"),
        "quantile": Parameter(0.7, 0.5, 0.99, "quantile of bins that nodes stand out of"),
        "smooth": Parameter(2, 0, 50, "bins to either side in the smoothing"),
    },
    events=kernel.EVENTS,
    columns=("low", "high", "peak", "share", "strength", "low_now", "high_now", "peak_now"),
    words={
        "kind": ("value area", "HVN", "LVN"),
        "reason": ("", "faded", "merged", "moved"),
    },
    state=kernel.STATE,
    window=kernel.WINDOW,
    bars=lambda p: int(p["length"]),
    zones=kernel.NODES,
    slots=lambda p: int(p["bins"]) + 2,
    most=lambda p: 2 * int(p["bins"]) + 8,
    changing=("low_now", "high_now", "peak_now"),
    volume=True,
)


def profile(
    length: int = 200,
    bins: int = 100,
    tick: float = 0.0,
    value_area: float = 0.7,
    quantile: float = 0.7,
    smooth: int = 2,
) -> Study:
    """Return the study of the volume profile: value area, high and low volume nodes.

    Parameters
    ----------
    length : int
        Bars in the window, 1 to 10,000; there are no rows before it is full.
    bins : int
        Most bins over the range of the window, 8 to 2000. The step is the least of 1, 2 or 5
        times a power of ten (of the tick, if given) that needs no more, and the edges are
        multiples of it, so the grid does not move with the window.
    tick : float
        Price step of the market, 0 for none.
    value_area : float
        Share of volume in the value area, 0.01 to 1.
    quantile : float
        Of the bins' smoothed volume, 0.5 to 0.99: nodes are above it, or below its counterpart.
    smooth : int
        Bins to either side that triangular smoothing takes in, 0 to 50.

    Returns
    -------
    Study
        Columns kind (value area, HVN, LVN), low, high, peak, share and strength, as at
        confirmation, and low_now, high_now, peak_now as of the last bar.

    Raises
    ------
    ConfigError
        If a parameter is out of range.

    See Also
    --------
    workbench.study.volume.profile_of : the profile itself, of bars or trades.

    Examples
    --------
    >>> profile(length=50, tick=0.01)
    profile(length=50, bins=100, tick=0.01, value_area=0.7, quantile=0.7, smooth=2)
    """
    given = {
        "length": length, "bins": bins, "tick": tick, "value_area": value_area,
        "quantile": quantile, "smooth": smooth,
    }  # fmt: skip
    return Study(PROFILE, given)
