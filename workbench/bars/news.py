"""What of bars that were built again is new, and what of it revises bars known before."""

from __future__ import annotations

import numpy as np

from workbench.records import CLOSED, REVISED, Rows

__all__ = ["SAID", "latest", "news"]

#: The fields that make two bars of one time the same; the rest follows from them.
SAID = ("open", "high", "low", "close", "volume", "count", "volume_rest", "notional")


def news(bars: Rows, known: Rows, *, shrink: bool = True) -> Rows:
    """Return bars that are not known yet, or known otherwise, numbered as revisions.

    Parameters
    ----------
    bars : array of BAR
        Closed bars of one series, each once, in order of time.
    known : array of BAR
        What was told of the same series before, in order of time; the newest revision of each.
    shrink : bool
        Whether a bar of fewer trades than the known one replaces it: not if the trades that
        it was built of may be only some of them.

    Returns
    -------
    array of BAR
        New bars are closed ones of revision 0, others revised ones with the next number.

    Examples
    --------
    >>> from workbench.records import empty
    >>> known, bars = empty("bar", 2), empty("bar", 3)
    >>> known["time"], bars["time"] = [0, 60], [0, 60, 120]
    >>> bars["close"] = [0.0, 5.0, 6.0]
    >>> news(bars, known)[["time", "revision", "state"]].tolist()
    [(60, 1, 3), (120, 0, 2)]
    """
    bars = bars.copy()
    bars["state"], bars["revision"] = CLOSED, 0
    if not len(known) or not len(bars):
        return bars
    at = np.searchsorted(known["time"], bars["time"])
    there = np.flatnonzero(at < len(known))
    there = there[known["time"][at[there]] == bars["time"][there]]
    old, again = known[at[there]], bars[there]
    other = np.zeros(len(there), bool)
    for name in SAID:
        other |= again[name] != old[name]
    if not shrink:
        other &= again["count"] >= old["count"]
    told = np.ones(len(bars), bool)
    told[there[~other]] = False
    bars["revision"][there] = old["revision"] + 1
    bars["state"][there] = REVISED
    new: Rows = bars[told]
    return new


def latest(bars: Rows) -> Rows:
    """Leave out revisions that later ones among them replace.

    Parameters
    ----------
    bars : array of BAR
        Closed and revised bars of any series, in the order in which they became known.

    Returns
    -------
    array of BAR
        In the same order; numbers of revisions that were left out are skipped.

    Examples
    --------
    >>> from workbench.records import empty
    >>> bars = empty("bar", 4)
    >>> bars["time"], bars["revision"] = [60, 0, 60, 0], [0, 1, 1, 2]
    >>> latest(bars)[["time", "revision"]].tolist()
    [(60, 0), (60, 1), (0, 2)]
    """
    revised = np.flatnonzero(bars["revision"])
    if len(revised) < 2:
        return bars
    rows = bars[revised]
    keys = rows["time"], rows["timeframe"], rows["symbol"]
    order = np.lexsort((revised, *keys))
    replaced = np.ones(len(order) - 1, np.bool_)
    for key in keys:
        replaced &= key[order[1:]] == key[order[:-1]]
    kept = np.ones(len(bars), np.bool_)
    kept[revised[order[:-1][replaced]]] = False
    left: Rows = bars[kept]
    return left
