"""A score from 0 to 100 for the data of a series, from what is known of it."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

__all__ = ["WEIGHTS", "Quality", "SeriesQuality", "completeness_of", "quality_of"]

#: Exponents of the factors in the score. What is missing or refused is lost, share by share;
#: what is late, or was revised, is all there in the end and weighs half.
WEIGHTS = {"completeness": 1.0, "validity": 1.0, "timeliness": 0.5, "consistency": 0.5}

_THERE = ("received", "backfilled", "no-trade")


@dataclass(frozen=True, slots=True)
class SeriesQuality:
    """The quality of one series, and what it was computed from.

    Attributes
    ----------
    series : str
    completeness, validity, timeliness, consistency : float
        From 0 to 1.
    silence : float or None
        Seconds since the newest row; None if not known.
    open_market : bool
    missing_seconds : float
        Length of what is missing.
    """

    series: str
    completeness: float = 1.0
    validity: float = 1.0
    timeliness: float = 1.0
    consistency: float = 1.0
    silence: float | None = None
    open_market: bool = True
    missing_seconds: float = 0.0

    def __post_init__(self) -> None:
        for name in WEIGHTS:
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must be from 0 to 1, not {value}")

    @property
    def score(self) -> float:
        """From 0 to 100: 100 times the product of the factors, each to its weight."""
        if all(getattr(self, name) == 1.0 for name in WEIGHTS):
            return 100.0
        product = math.prod(getattr(self, name) ** weight for name, weight in WEIGHTS.items())
        # However small a flaw is, it must not be rounded away.
        return float(min(100.0 * product, math.nextafter(100.0, 0.0)))


def completeness_of(shares: Mapping[str, float]) -> float:
    """Return which share of the time a market was open is received, fetched or without trade.

    Parameters
    ----------
    shares : mapping of str to float
        Shares by state, as a line of `Coverage.shares()`: received, backfilled, no-trade,
        closed, missing, doubt, unknown. Others are ignored, absent ones are 0.

    Returns
    -------
    float
        From 0 to 1; 1 where the market was closed all the time.

    Examples
    --------
    >>> completeness_of({"received": 0.3, "no-trade": 0.1, "closed": 0.5, "missing": 0.1})
    0.8
    """
    there = math.fsum(shares.get(state, 0.0) for state in _THERE)
    lacking = math.fsum(shares.get(state, 0.0) for state in ("missing", "doubt", "unknown"))
    if lacking <= 0.0:
        return 1.0
    return max(0.0, min(1.0, there / (there + lacking)))


def quality_of(
    series: str,
    *,
    completeness: float = 1.0,
    accepted: int = 0,
    refused: int = 0,
    late: int = 0,
    silence: float | None = None,
    stale_after: float = 60.0,
    open_market: bool = True,
    bars: int = 0,
    revised: int = 0,
    differing: int = 0,
    missing_seconds: float = 0.0,
) -> SeriesQuality:
    """Return the quality of a series from counts.

    Parameters
    ----------
    series : str
        What it is called on the screen.
    completeness : float
        From 0 to 1, see :func:`completeness_of`.
    accepted, refused : int
        Rows.
    late : int
        Accepted rows that came later than allowed.
    silence : float or None
        Seconds since the newest row; None if not known.
    stale_after : float
        Seconds of silence that an open market may have, above 0.
    open_market : bool
        Whether silence counts.
    bars, revised, differing : int
        Closed bars, how many of them were revised, and how many differ from the provider's.
    missing_seconds : float
        Length of what is missing now.

    Returns
    -------
    SeriesQuality

    Raises
    ------
    ValueError
        If a count is negative or completeness is not from 0 to 1.

    Examples
    --------
    >>> one = quality_of("AAPL 1m", completeness=0.9, accepted=99, refused=1)
    >>> one.validity, round(one.score, 2)
    (0.99, 89.1)
    >>> quality_of("AAPL 1m", silence=240.0).timeliness
    0.25
    """
    counts = {"accepted": accepted, "refused": refused, "late": late, "bars": bars}
    counts |= {"revised": revised, "differing": differing}
    for name, count in counts.items():
        if count < 0:
            raise ValueError(f"{name} must not be negative: {count}")
    if not stale_after > 0:
        raise ValueError(f"stale_after must be above 0: {stale_after}")
    fresh = 1.0
    if open_market and silence is not None and silence > stale_after:
        fresh = stale_after / silence
    return SeriesQuality(
        series,
        completeness,
        _without(refused, accepted + refused),
        _without(late, accepted) * fresh,
        _without(revised + differing, bars),
        silence,
        open_market,
        missing_seconds,
    )


def _without(bad: int, whole: int) -> float:
    """Return the share that is not bad; 0 if all is, 1 if there is nothing."""
    if not bad:
        return 1.0
    return max(0.0, 1.0 - bad / whole) if whole else 0.0


class Quality:
    """The quality of several series and of the whole.

    Parameters
    ----------
    series : iterable of SeriesQuality

    Examples
    --------
    >>> quality = Quality([quality_of("A", completeness=0.5), quality_of("B")])
    >>> quality
    Quality(75.0 of 100; worst A 50.0)
    >>> quality.table().loc["A", ["completeness", "score"]].tolist()
    [0.5, 50.0]
    """

    def __init__(self, series: Iterable[SeriesQuality]) -> None:
        self.series = tuple(series)

    @property
    def score(self) -> float:
        """The mean of the scores of all series; 100 for none."""
        if not self.series:
            return 100.0
        scores = [one.score for one in self.series]
        mean = math.fsum(scores) / len(scores)
        return mean if min(scores) == 100.0 else min(mean, math.nextafter(100.0, 0.0))

    @property
    def worst(self) -> SeriesQuality | None:
        """The series with the lowest score; None if there is none."""
        return min(self.series, key=lambda one: one.score, default=None)

    def table(self) -> pd.DataFrame:
        """Return a line for each series, worst first.

        Returns
        -------
        pandas.DataFrame
            Index "series"; score (0 to 100), the factors (0 to 1), silence and
            missing_seconds.
        """
        names = ["score", *WEIGHTS, "silence", "missing_seconds"]
        lines = sorted(self.series, key=lambda one: one.score)
        return pd.DataFrame(
            [[getattr(one, name) for name in names] for one in lines],
            index=pd.Index([one.series for one in lines], name="series", dtype=object),
            columns=names,
        )

    def __repr__(self) -> str:
        worst = self.worst
        tail = "" if worst is None else f"; worst {worst.series} {shown(worst.score)}"
        return f"Quality({shown(self.score)} of 100{tail})"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("series", "score", *WEIGHTS))
        lines = "".join(
            f"<tr><td>{html.escape(one.series)}</td>{_bar(one.score / 100, shown(one.score))}"
            + "".join(_bar(getattr(one, n), shown(100 * getattr(one, n))) for n in WEIGHTS)
            + "</tr>"
            for one in sorted(self.series, key=lambda one: one.score)
        )
        return f"<p>{html.escape(repr(self))}</p><table><tr>{head}</tr>{lines}</table>"


def shown(score: float) -> str:
    """Return a score with one decimal, cut rather than rounded: 100.0 is perfect.

    >>> shown(99.99), shown(100.0)
    ('99.9', '100.0')
    """
    # The small addend makes up for 0.3 * 100 being a little less than 30.
    cut = math.floor(score * 10 + 1e-9) / 10
    return f"{score if score == 100.0 else min(cut, 99.9):.1f}"


def _bar(share: float, text: str) -> str:
    color = "#2e9e5b" if share >= 0.95 else "#d9a21b" if share >= 0.8 else "#c8453b"
    width = max(0, min(100, round(100 * share)))
    return (
        f'<td style="background:linear-gradient(90deg,{color}55 {width}%,transparent {width}%)">'
        f"{text}</td>"
    )
