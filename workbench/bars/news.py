"""What of bars that were built again is new, and what of it revises bars known before."""

from __future__ import annotations

import numpy as np

from workbench.records import CLOSED, REVISED, Rows

__all__ = ["SAID", "news"]

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
