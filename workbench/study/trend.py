"""Statistical trend: regression and Mann-Kendall test of the last closes."""

from __future__ import annotations

from workbench.analytics.parameters import Parameter
from workbench.kernels import mannkendall as kernel
from workbench.study.spec import DIRECTIONS, Spec, fixed
from workbench.study.study import Study

__all__ = ["TREND", "trend"]

TREND = Spec(
    name="trend",
    title="Statistical trend",
    text=(
        "For every bar, over the last `length` closes: slope of the least squares line in price "
        "per bar, its value at the bar, t-value and R2; S, Z, tau-b and two-sided p of the test "
        "of Mann and Kendall, ties taken into account. The direction is up or down where slope "
        "and S agree and p is at most alpha, otherwise none. Strength is sqrt(R2 |tau|), and 0 "
        "where the two disagree."
    ),
    source="Mann 1945, Nonparametric tests against trend; Kendall 1975, Rank Correlation Methods "
    "(variance with ties, tau-b, continuity correction); least squares of Legendre 1805",
    kernel=kernel.trend,
    parameters={
        "length": Parameter(15, 3, 5000, "closes looked at"),
        "alpha": Parameter(0.05, 0.0, 1.0, "largest p that counts as a trend"),
    },
    events=kernel.EVENTS,
    columns=("direction", "strength", "slope", "line", "t", "r2", "s", "z", "tau", "p"),
    words={"direction": DIRECTIONS},
    state=kernel.STATE,
    window=kernel.TIES,
    bars=lambda p: int(p["length"]),
    most=fixed(1),
    ends=False,
)


def trend(length: int = 15, alpha: float = 0.05) -> Study:
    """Return the study of the statistical trend, a row for every bar.

    Parameters
    ----------
    length : int
        Closes looked at, 3 to 5000. The normal approximation of the test wants ten or more;
        with fewer than five no p is below 0.05.
    alpha : float
        Largest p that counts as a trend, 0 to 1.

    Returns
    -------
    Study
        Columns direction, strength (0 to 1), slope (price per bar), line (price), t, r2, s, z,
        tau and p. A perfect line has t = inf with the sign of its slope; constant closes have
        slope, t, r2, s, z, tau and strength 0 and p = 1.

    Raises
    ------
    ConfigError
        If a parameter is out of range.

    Notes
    -----
    S = sum of sign(y_j - y_i) over i < j. Var S = (n (n - 1)(2n + 5) - sum t (t - 1)(2t + 5)) /
    18 over groups of t equal closes; Z = (S - sign S) / sqrt(Var S); p = erfc(|Z| / sqrt 2).
    Strength = sqrt(R2 |tau-b|): the geometric mean of the share of variance that a line explains
    and of the share of pairs in order.

    Examples
    --------
    >>> import pandas as pd
    >>> close = [1.0, 2, 3, 5, 4, 6, 7, 8]
    >>> frame = pd.DataFrame({name: close for name in ("open", "high", "low", "close")})
    >>> frame.index = pd.date_range("2025-11-03", periods=8, freq="1min")
    >>> row = trend(length=8).over(frame).iloc[0]
    >>> row["direction"], int(row["s"]), round(float(row["slope"]), 3)
    ('up', 26, 0.976)

    References
    ----------
    H. B. Mann, Econometrica 13, 1945; M. G. Kendall, Rank Correlation Methods, 1975.
    """
    return Study(TREND, {"length": length, "alpha": alpha})
