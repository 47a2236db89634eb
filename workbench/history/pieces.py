"""Sorted, disjoint intervals: rewriting a range of them, and merging what is alike."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.store.coverage import OPEN, Change, Interval, Series

__all__ = [
    "Decide",
    "Splice",
    "Unwritten",
    "bar_pieces",
    "check_stretch",
    "gaps",
    "grown",
    "splice",
    "within",
]

#: ``decide(start, end, old)`` returns what replaces a piece of an interval, or of a gap (None).
#: A piece that is returned whole, with wider ends than asked for, is cut to them.
Decide: TypeAlias = Callable[[int, int, Interval | None], list[Interval]]
_start = attrgetter("start")


@dataclass(frozen=True, slots=True)
class Splice:
    """What replaces a slice of a list of intervals.

    Attributes
    ----------
    first, last : int
        The slice.
    old, new : list of Interval
        What it holds, and what it shall hold.
    """

    first: int
    last: int
    old: list[Interval]
    new: list[Interval]


@dataclass(slots=True)
class Unwritten:
    """What a store does not hold yet of one series.

    Attributes
    ----------
    removed : dict of int to None
        Starts that the store still has.
    added : dict of int to Interval
        By start.
    fresh : set of int
        Starts among `added` that the store never had: to take one away again leaves no trace,
        so what gathers does not grow with time.
    """

    removed: dict[int, None] = field(default_factory=dict)
    added: dict[int, Interval] = field(default_factory=dict)
    fresh: set[int] = field(default_factory=set)

    def and_then(self, done: Splice) -> Unwritten:
        """Return what is unwritten after one more splice."""
        removed, added, fresh = dict(self.removed), dict(self.added), set(self.fresh)
        new = {one.start: one for one in done.new}
        old = {one.start: one for one in done.old}
        for start in old:
            if start in new:
                continue
            added.pop(start, None)
            if start in fresh:
                fresh.discard(start)
            else:
                removed[start] = None
        for start, one in new.items():
            if old.get(start) == one:
                continue
            if start in removed:
                del removed[start]
            elif start not in old:
                fresh.add(start)
            added[start] = one
        return Unwritten(removed, added, fresh)

    def change(self, series: Series) -> Change:
        """Return it as what a store is told."""
        return Change(series, tuple(self.removed), tuple(self.added.values()))


def check_stretch(start: int, end: int) -> None:
    """Refuse a stretch that is empty or has no end with a ValueError.

    >>> check_stretch(0, 10)
    """
    if not start < end < OPEN:
        raise ValueError(f"a stretch begins before it ends, and has an end: {start}, {end}")


def grown(held: list[Interval], position: int, new: Interval) -> Splice | None:
    """Return the splice that lets the last but one interval grow into the last one's begin.

    Parameters
    ----------
    held : list of Interval
    position : int
        Where the last one begins.
    new : Interval
        What is put there; it ends before the last one does.

    Returns
    -------
    Splice or None
        None if the two do not just meet there, or `new` would not merge with the first.
    """
    if len(held) < 2:
        return None
    before, last = held[-2:]
    if before.end != position or last.start != position or not new.end < last.end:
        return None
    if last.ready != OPEN or not _alike(before, new):
        return None
    made = [
        Interval(before.start, new.end, new.state, new.learned, max(before.at, new.at)),
        Interval(new.end, last.end, last.state, last.learned, last.at, last.ready),
    ]
    return Splice(len(held) - 2, len(held), [before, last], made)


def splice(held: list[Interval], start: int, end: int, decide: Decide) -> Splice | None:
    """Return what rewriting a range of sorted intervals changes, None if it is nothing.

    Parameters
    ----------
    held : list of Interval
        Disjoint and in order; not changed.
    start, end : int
        The range, half-open.
    decide : callable
        Called for each interval and gap in the range, cut to it.

    Examples
    --------
    >>> held = [Interval(0, 10, "received", "live 1", 10)]
    >>> doubt = Interval(4, 6, "doubt", "bad frame", 6, 6)
    >>> [(i.start, i.end, i.state) for i in splice(held, 4, 6, lambda a, b, old: [doubt]).new]
    [(0, 4, 'received'), (4, 6, 'doubt'), (6, 10, 'received')]
    """
    # Neighbours that only touch are taken along: what is put beside them may merge with them.
    first = bisect_left(held, start, key=_start)
    if first and held[first - 1].end >= start:
        first -= 1
    last = max(first, bisect_right(held, end, key=_start))
    old = held[first:last]
    made = [
        one if one.end <= start else one._replace(end=start) for one in old if one.start < start
    ]
    for a, b, piece in _pieces(old, start, end):
        made += [
            one if one.start >= a and one.end <= b else _cut(one, a, b)
            for one in decide(a, b, piece)
        ]
    made += [one if one.start >= end else one._replace(start=end) for one in old if one.end > end]
    new = list(_merged(made))
    return None if new == old else Splice(first, last, old, new)


def _cut(one: Interval, start: int, end: int) -> Interval:
    return one._replace(start=max(one.start, start), end=min(one.end, end))


def _pieces(
    old: Iterable[Interval], start: int, end: int
) -> Iterator[tuple[int, int, Interval | None]]:
    at = start
    for one in old:
        low, high = max(one.start, start), min(one.end, end)
        if low >= high:
            continue
        if low > at:
            yield at, low, None
        yield low, high, one
        at = high
    if at < end:
        yield at, end, None


def _merged(made: Iterable[Interval]) -> Iterator[Interval]:
    last: Interval | None = None
    for one in made:
        if last is not None:
            if last.end == one.start and _alike(last, one):
                last = last._replace(end=one.end, at=max(last.at, one.at))
                continue
            yield last
        last = one
    if last is not None:
        yield last


def _alike(one: Interval, other: Interval) -> bool:
    return (one.state, one.learned, one.ready) == (other.state, other.learned, other.ready)


def within(held: list[Interval], start: int, end: int) -> Iterator[Interval]:
    """Yield the intervals that have any part in a range, uncut."""
    first = bisect_right(held, start, key=_start)
    if first and held[first - 1].end > start:
        first -= 1
    for place in range(first, len(held)):
        if held[place].start >= end:
            return
        yield held[place]


def gaps(known: Iterable[Interval], start: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of a range that are in none of some sorted intervals.

    >>> gaps([Interval(2, 4, "received", "live 1", 4)], 0, 10)
    [(0, 2), (4, 10)]
    """
    found: list[tuple[int, int]] = []
    at = start
    for one in known:
        if one.start > at:
            found.append((at, one.start))
        at = max(at, one.end)
    if at < end:
        found.append((at, end))
    return found


def bar_pieces(
    rows: int | npt.NDArray[np.int64], start: int, end: int, step: int
) -> list[tuple[int, int, bool]]:
    """Return pieces of a range in order, each with whether there were rows in it.

    Parameters
    ----------
    rows : int or int64 array
        How many there were in all, or the starts of bars.
    start, end : int
        The range, half-open.
    step : int
        Length of a bar in ns; 0 takes the range as one piece.

    Examples
    --------
    >>> bar_pieces(np.array([0, 60, 240]), 0, 360, 60)
    [(0, 120, True), (120, 240, False), (240, 300, True), (300, 360, False)]
    >>> bar_pieces(0, 0, 360, 60)
    [(0, 360, False)]
    """
    if isinstance(rows, int | np.integer):
        return [(start, end, rows > 0)]
    if not step:
        return [(start, end, len(rows) > 0)]
    times = np.unique(np.asarray(rows, np.int64))
    times = times[bisect_left(times, start - step + 1) : bisect_left(times, end)]
    if not len(times):
        return [(start, end, False)]
    breaks = np.flatnonzero(np.diff(times) > step)
    lows = np.r_[times[:1], times[breaks + 1]].tolist()
    highs = (np.r_[times[breaks], times[-1:]] + step).tolist()
    pieces: list[tuple[int, int, bool]] = []
    at = start
    for low, high in zip(lows, highs, strict=True):
        if low > at:
            pieces.append((at, low, False))
        at = min(high, end)
        pieces.append((max(low, start), at, True))
    if at < end:
        pieces.append((at, end, False))
    return pieces
