"""Suspicions: what may be behind a difference, from what is known besides the bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from workbench.bars.conditions import ALL, HIGHLOW, LAST, VOLUME, TapeRules
from workbench.reconciliation.evidence import (
    ADDED,
    CHANGED,
    RESTORED,
    WITHDRAWN,
    Cause,
    Evidence,
)

__all__ = ["ODD_LOT", "REASONS", "causes", "everything"]

#: Reasons by the weight of what speaks for them: the first are told by the provider or seen
#: by us, the next are rules that make the bars equal, the last say that none was found.
REASONS = (
    "correction", "missing", "late", "odd lot", "condition", "venue", "rounding", "unexplained",
)  # fmt: skip
#: The code that marks an odd lot.
ODD_LOT = 37
_CODES = 4
#: Late trades that are tried one by one, the latest first.
_LATEST = 6
_SETS = (
    (ALL, "counts for everything"),
    (HIGHLOW | VOLUME, "sets no open and close"),
    (VOLUME, "sets volume only"),
    (LAST | HIGHLOW, "sets no volume"),
    (0, "is left out"),
)

_Mask = npt.NDArray[np.bool_]


def causes(evidence: Evidence, *, lateness: float, told: _Mask, round_lot: float) -> list[Cause]:
    """Return what may be behind the differences of some bars, proven causes first.

    Parameters
    ----------
    evidence : Evidence
    lateness : float
        Seconds after the end of a bar from which on a trade may be too late for the
        provider's.
    told : bool array
        Trades whose time of receipt tells how late they were, by trade of the evidence.
    round_lot : float
        Size below which a trade is an odd lot, shares; 0 where there is no such thing.
    """
    found = [*_changed(evidence), *_added(evidence), *_late(evidence, lateness, told)]
    found += [*_odd_lots(evidence, round_lot), *_conditions(evidence), *_venues(evidence)]
    return [cause for cause in found if cause.touched.any()]


def everything(found: Iterable[Cause]) -> list[Cause]:
    """Return of some causes those that let each code count for everything."""
    return [one for one in found if one.codes and set(one.codes.values()) == {ALL}]


def _changed(evidence: Evidence) -> Iterator[Cause]:
    changed = evidence.role == CHANGED
    old, new = changed & ~evidence.new, changed & evidence.new
    yield Cause("correction", "cancelled or corrected since", changed, True, old, new)
    restored = evidence.role == RESTORED
    yield Cause("correction", "taken back, but counted in its bar", restored, True, on=restored)
    gone = evidence.role == WITHDRAWN
    venues = _foreign(evidence, gone, evidence.role == ADDED)
    for venue in venues:
        own = gone & (evidence.trades["exchange"] == venue)
        gone &= ~own
        yield Cause("venue", f"exchange {venue} is not told", own, True, off=own)
    yield Cause("correction", "not told any more", gone, True, off=gone)


def _added(evidence: Evidence) -> Iterator[Cause]:
    added = evidence.role == ADDED
    for venue in _foreign(evidence, added, evidence.counted):
        other = added & (evidence.trades["exchange"] == venue)
        other &= evidence.touched(evidence.counted)[evidence.bar]
        added &= ~other
        yield Cause("venue", f"exchange {venue} is not among ours", other, True, on=other)
    yield Cause("missing", "not among ours", added, True, on=added)


def _foreign(evidence: Evidence, some: _Mask, others: _Mask) -> list[int]:
    """Return exchanges of some trades that one side never has, in bars where it has others."""
    there = evidence.touched(evidence.counted)[evidence.bar]
    exchange = evidence.trades["exchange"]
    if others is evidence.counted:
        never = np.setdiff1d(exchange[some], exchange[evidence.counted])
    else:  # of the provider's: what both hold, and what it adds
        shared = (evidence.role != WITHDRAWN) & (evidence.role != RESTORED)
        never = np.setdiff1d(exchange[some], exchange[shared | others])
    return [
        int(venue)
        for venue in never.tolist()
        if len(np.unique(evidence.bar[some & there & (exchange == venue)])) > 1
    ]


def _late(evidence: Evidence, lateness: float, told: _Mask) -> Iterator[Cause]:
    received = evidence.trades["received"]
    ends = evidence.starts[evidence.bar] + evidence.tf.ns
    overdue = received - ends > round(lateness * 1e9)
    usable = evidence.counted & told
    # Where no trade came in time, all were fetched later: that tells nothing.
    live = evidence.touched(usable & ~overdue)[evidence.bar]
    late = usable & overdue & live
    yield Cause("late", f"received over {lateness:g} s after the end", late, True, off=late)
    places = np.flatnonzero(late)
    order = places[np.lexsort((received[places], evidence.bar[places]))][::-1]
    rank = np.arange(len(order)) - np.searchsorted(-evidence.bar[order], -evidence.bar[order])
    for count in range(1, _LATEST + 1):
        last = np.zeros(len(late), np.bool_)
        last[order[rank < count]] = True
        # Only where there are more: else it is what was tried already.
        more = np.zeros(len(evidence.starts), np.bool_)
        more[evidence.bar[order[rank == count]]] = True
        last &= more[evidence.bar]
        yield Cause("late", f"the latest {count} received", last, True, off=last)


def _with(evidence: Evidence, code: int) -> _Mask:
    conditions = evidence.trades["conditions"]
    found = np.zeros(len(conditions), np.bool_)
    for byte in range(_CODES):
        found |= ((conditions >> np.uint32(8 * byte)) & np.uint32(255)) == code
    return found


def _odd_lots(evidence: Evidence, round_lot: float) -> Iterator[Cause]:
    if not round_lot:
        return
    marked = _with(evidence, ODD_LOT)
    yield from _code(evidence.rules, ODD_LOT, "odd lot", "an odd lot", marked)
    small = (evidence.trades["size"] < round_lot) & ~marked
    what = f"a trade below {round_lot:g} shares"
    yield Cause("odd lot", f"{what} sets volume only", small, capped=small)
    yield Cause("odd lot", f"{what} is left out", small, off=small)
    if marked.any():
        both = small | marked
        yield Cause("odd lot", f"{what}, marked or not, is left out", both, off=both)


def _conditions(evidence: Evidence) -> Iterator[Cause]:
    if not evidence.rules.codes:
        return  # codes of such markets tell who took, not what counts
    conditions = np.unique(evidence.trades["conditions"])
    codes = {int(packed >> 8 * byte & 255) for packed in conditions.tolist() for byte in range(4)}
    for code in sorted(codes - {0, ODD_LOT}):
        mask = _with(evidence, code)
        yield from _code(evidence.rules, code, "condition", f"condition {code}", mask)


def _code(rules: TapeRules, code: int, reason: str, what: str, mask: _Mask) -> Iterator[Cause]:
    for sets, words in _SETS:
        mild = code in rules.extended  # which holds within regular hours only
        if sets != rules.allowed(code) or mild:
            yield Cause(reason, f"{what} {words}", mask, codes={code: sets})


def _venues(evidence: Evidence) -> Iterator[Cause]:
    exchange = evidence.trades["exchange"]
    for venue in np.unique(exchange[evidence.counted]).tolist():
        mask = evidence.counted & (exchange == venue)
        yield Cause("venue", f"exchange {venue} is left out", mask, off=mask)
