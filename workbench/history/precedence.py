"""Who wins where two say something of the same stretch of a series.

=============  =========================================  ====================================
said           changes                                    leaves
=============  =========================================  ====================================
live, heard    nothing known, its own tail, missing,      backfilled, doubt of another cause
               closed, no-trade -> received
lost           nothing known, received, doubt -> doubt    backfilled, no-trade, closed, missing
doubted        nothing known, received, closed, doubt;    backfilled, no-trade, missing
               backfilled and no-trade too, if what was
               fetched is to be fetched again -> doubt
fetched        nothing known, missing, no-trade, closed   received; doubt that was not ready
               (if there are rows), doubt that was        when the fetch began; backfilled, if
               ready -> backfilled or no-trade            now there are no rows
declared       nothing known, missing, doubt that is      all else
               ready -> missing
closed         nothing known, missing, no-trade           received, backfilled, doubt
               -> closed
=============  =========================================  ====================================

Each function returns what decides for a piece that is of one state, or of none.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter, itemgetter

from workbench.history.pieces import Decide
from workbench.store.coverage import OPEN, Interval, IntervalState

__all__ = [
    "closing",
    "declaring",
    "doubting",
    "ending",
    "fetching",
    "hearing",
    "losing",
    "reviving",
]

_start, _end = attrgetter("start"), attrgetter("end")


def reviving(begin: int, tail: Interval) -> Decide:
    """Settle where open doubts end, and lay a live tail where nothing else is known."""

    def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
        if old is not None and old.ready != OPEN:
            return [old]
        parts = []
        if old is not None and a < begin:
            parts.append(old._replace(start=a, end=min(b, begin), ready=begin))
        if b > begin:
            parts.append(tail._replace(start=max(a, begin), end=b))
        return parts

    return decide


def hearing(new: Interval) -> Decide:
    """Prove a live stretch."""

    def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
        if old is not None and (
            old.state == "backfilled" or (old.state == "doubt" and old.ready != OPEN)
        ):
            return [old]
        return [new._replace(start=a, end=b)]

    return decide


def losing(new: Interval) -> Decide:
    """Put an open doubt over what only the lost connection could have told."""

    def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
        if old is None or old.state in ("received", "doubt"):
            return [new._replace(start=a, end=b)]
        return [old]

    return decide


def ending(end: int) -> Decide:
    """Settle where open doubts end, with nothing known after them."""

    def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
        if old is None or old.ready != OPEN:
            return [] if old is None else [old]
        return [old._replace(start=a, end=min(b, end), ready=end)] if a < end else []

    return decide


def doubting(new: Interval, *, live: bool, whole: bool = False) -> Decide:
    """Put a doubt over what was received, or is to come; with `whole` over what was fetched."""
    kept = ("missing",) if whole else ("backfilled", "no-trade", "missing")

    def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
        if old is not None and old.state in kept:
            return [old]
        ready = 0 if old is None else old.ready
        if ready == OPEN and live:
            ready = 0  # the tail of what is live: it is only not proven yet
        return [new._replace(start=a, end=b, ready=max(new.ready, ready))]

    return decide


def fetching(pieces: Sequence[tuple[int, int, bool]], begun: int, learned: str, at: int) -> Decide:
    """Lay what a fetch found; `pieces` cover all of it and tell where there were rows."""

    def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
        if old is not None and (old.state == "received" or old.ready > begun):
            return [old]
        first = bisect_right(pieces, a, key=itemgetter(0)) - 1
        last = bisect_left(pieces, b, key=itemgetter(0))
        parts = []
        for low, high, some in pieces[first:last]:
            start, end = max(low, a), min(high, b)
            if old is not None and not some and old.state in ("backfilled", "closed"):
                parts.append(old._replace(start=start, end=end))
                continue
            state: IntervalState = "backfilled" if some else "no-trade"
            parts.append(Interval(start, end, state, learned, at))
        return parts

    return decide


def declaring(new: Interval) -> Decide:
    """Give up what nothing is known of, and doubts that a fetch could have settled."""

    def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
        if old is None or (old.state in ("doubt", "missing") and old.ready != OPEN):
            return [new._replace(start=a, end=b)]
        return [old]

    return decide


def closing(spans: Sequence[tuple[int, int]], learned: str, at: int) -> Decide:
    """Lay closed spans, which are in order, where nothing was heard."""
    closed = [Interval(low, high, "closed", learned, at) for low, high in spans]

    def decide(a: int, b: int, old: Interval | None) -> list[Interval]:
        if old is not None and old.state not in ("missing", "no-trade"):
            return [old]
        parts = []
        first = bisect_right(closed, a, key=_end)
        for span in closed[first : bisect_left(closed, b, key=_start)]:
            low, high = max(span.start, a), min(span.end, b)
            if old is not None and low > a:
                parts.append(old._replace(start=a, end=low))
            parts.append(span._replace(start=low, end=high))
            a = high
        if old is not None and a < b:
            parts.append(old._replace(start=a, end=b))
        return parts

    return decide
