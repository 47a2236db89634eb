"""What is left to tell of bars that were built anew, where several tell of them already."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.bars.news import SAID, news
from workbench.records import REVISED, Rows

__all__ = ["among", "newest_of", "renewed"]

_KEY = ("time", "sequence", "exchange", "id")


def among(rows: Rows, others: Rows) -> npt.NDArray[np.bool_]:
    """Tell of each trade whether it is among others, by what names it.

    >>> from workbench.records import empty
    >>> rows = empty("trade", 3)
    >>> rows["id"] = [1, 2, 3]
    >>> among(rows, rows[1:2]).tolist()
    [False, True, False]
    """
    return np.isin(_keys(rows), _keys(others))


def _keys(rows: Rows) -> npt.NDArray[np.void]:
    keys = np.zeros(len(rows), [(name, rows.dtype[name]) for name in _KEY])
    for name in _KEY:
        keys[name] = rows[name]
    return keys


def newest_of(one: Rows, other: Rows) -> Rows:
    """Return the bars of two tellings of a series, each once and as last revised.

    Parameters
    ----------
    one, other : array of BAR
        In order of time. Of equal revisions that of `other` is taken.
    """
    both = np.concatenate([one, other])
    both = both[np.lexsort((both["revision"], both["time"]))]
    last = np.ones(len(both), np.bool_)
    last[:-1] = both["time"][1:] != both["time"][:-1]
    newest: Rows = both[last]
    return newest


def renewed(bars: Rows, stored: Rows, told: Rows, since: int) -> Rows:
    """Return what is to be told of bars that were built anew.

    Parameters
    ----------
    bars : array of BAR
        Built anew; closed ones of one series in order of time.
    stored, told : array of BAR
        What the store has of them, which others than the feed may have written, and what the
        feed has told.
    since : int
        Start of the oldest bar of which `told` says anything, ns UTC.

    Returns
    -------
    array of BAR
        What neither says, with the next revision; and what only the store says, as it is there.
    """
    known = newest_of(stored, told)
    fresh = news(bars, known)
    rest = known[np.isin(known["time"], bars["time"]) & ~np.isin(known["time"], fresh["time"])]
    rest = rest[rest["time"] >= since]
    at = np.searchsorted(told["time"], rest["time"])
    there = at < len(told)
    there[there] = told["time"][at[there]] == rest["time"][there]
    same = there.copy()
    for name in SAID:
        same[there] &= told[name][at[there]] == rest[name][there]
    rest = rest[~same]
    rest["state"] = REVISED
    rest["symbol"] = bars["symbol"][0] if len(bars) else 0
    fresh = np.concatenate([fresh, rest])
    fresh = fresh[np.argsort(fresh["time"], kind="stable")]
    return fresh
