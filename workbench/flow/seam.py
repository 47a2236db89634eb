"""Where bars of the provider end and our own begin: one series of both, each interval once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from workbench.records import Rows
from workbench.timeframes import Timeframe

__all__ = ["both", "newer", "outward", "prevails", "seam"]

Span = tuple[int, int]


def prevails(
    own: Rows, whole: npt.NDArray[np.bool_], provider: Rows
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell of our own bars which count, and beside which there is one of the provider.

    A bar of ours counts if all of its trades are known to have come, if it holds at least as
    many trades as the provider counts, or if the provider has none for that time.

    Parameters
    ----------
    own, provider : array of BAR
        Closed bars of one series, each in order of time.
    whole : bool array
        Of our own, whether all of their trades are known to have come.
    """
    at = np.searchsorted(provider["time"], own["time"])
    beside = at < len(provider)
    beside[beside] = provider["time"][at[beside]] == own["time"][beside]
    theirs = np.zeros(len(own), np.int64)
    theirs[beside] = provider["count"][at[beside]]
    counts = ~beside | whole | ((theirs > 0) & (own["count"] >= theirs))
    return counts, beside


def seam(own: Rows, whole: npt.NDArray[np.bool_], provider: Rows) -> Rows:
    """Return one series of our own bars and the provider's, no interval twice.

    Parameters
    ----------
    own, provider : array of BAR
        Closed bars of one series, each in order of time.
    whole : bool array
        Of our own, whether all of their trades are known to have come.

    Returns
    -------
    array of BAR
        In order of time: our own bars where they count (see :func:`prevails`), and the
        provider's elsewhere.

    Examples
    --------
    >>> from workbench.records import empty
    >>> own, provider = empty("bar", 2), empty("bar", 3)
    >>> own["time"], own["count"] = [120, 180], [1, 9]
    >>> provider["time"], provider["count"], provider["origin"] = [0, 60, 120], 5, 1
    >>> seam(own, np.array([False, True]), provider)[["time", "origin"]].tolist()
    [(0, 1), (60, 1), (120, 1), (180, 0)]
    """
    if not len(provider) or not len(own):
        return own if len(own) else provider
    kept = own[prevails(own, whole, provider)[0]]
    rest = provider[~np.isin(provider["time"], kept["time"])]
    joined = np.concatenate([rest, kept])
    ordered: Rows = joined[np.argsort(joined["time"], kind="stable")]
    return ordered


def newer(old: Rows, new: Rows) -> Rows:
    """Return the bars of both in order of time; where both have one, the new one."""
    if not len(old) or not len(new):
        return new if len(new) else old
    rest = old[~np.isin(old["time"], new["time"])]
    joined = np.concatenate([rest, new])
    ordered: Rows = joined[np.argsort(joined["time"], kind="stable")]
    return ordered


def both(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """Return what two lists of spans have in common; each in order and without overlap.

    >>> both([(0, 10), (20, 30)], [(5, 22), (29, 40)])
    [(5, 10), (20, 22), (29, 30)]
    """
    found, i, j = [], 0, 0
    while i < len(some) and j < len(others):
        low, high = max(some[i][0], others[j][0]), min(some[i][1], others[j][1])
        if low < high:
            found.append((low, high))
        if some[i][1] < others[j][1]:
            i += 1
        else:
            j += 1
    return found


def outward(spans: Iterable[Span], length: Timeframe) -> list[Span]:
    """Return the whole bars that spans reach into, those that touch as one.

    >>> from workbench.timeframes import timeframe
    >>> outward([(1, 2), (60 * 10**9, 61 * 10**9)], timeframe("1m"))
    [(0, 120000000000)]
    """
    found: list[Span] = []
    for start, end in spans:
        low, high = length.start(start), length.start(end - 1) + length.ns
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found
