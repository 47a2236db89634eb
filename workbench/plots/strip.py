"""What is known of each bar of a chart: the states of the strip below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.store.coverage import OPEN, Interval

__all__ = ["ORDER", "Piece", "StripState", "is_tail", "pieces", "strip_state"]

#: From the least to the worst: of several states of one bar the last of these is shown.
ORDER = ("closed", "no-trade", "received", "backfilled", "unknown", "doubt", "missing")
#: States in which trades of a bar may be absent.
_DOUBTFUL = frozenset({"unknown", "doubt", "missing"})
#: States that are marked where no bar stands; the others are as they should be there.
_MARKED = frozenset({"closed", "no-trade", "doubt", "missing"})
_NEVER = -(1 << 62)

Times: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time with what is known of it.

    Attributes
    ----------
    start, end : int
        ns UTC, half-open; OPEN goes on.
    state : str
        One of ORDER.
    reason : str
        From what it is known, or why it is not.
    """

    start: int
    end: int
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class StripState:
    """What a strip shows.

    Attributes
    ----------
    runs : list
        [first, last, state, reason, start, end]: ordinals of bars, ms UTC of the piece that
        decides; None for a last or an end that goes on with the newest bar, and for a start
        that is not known.
    marks : list
        [ordinal, state, reason, start, end]: what lies before that bar without a bar.
    incomplete : bool
        Whether trades of the newest bar may be absent.
    """

    runs: list[list[Any]]
    marks: list[list[Any]]
    incomplete: bool = False


def is_tail(one: Interval) -> bool:
    """Tell whether an interval is what a live series is about to bring, rather than a doubt.

    >>> is_tail(Interval(0, OPEN, "doubt", "live 1", 0, OPEN))
    True
    >>> is_tail(Interval(0, OPEN, "doubt", "closed by the peer", 0, OPEN))
    False
    """
    return one.state == "doubt" and one.ready == OPEN and one.learned.startswith("live ")


def pieces(intervals: Sequence[Interval]) -> list[Piece]:
    """Return intervals as pieces that cover all of time.

    What a live series is about to bring continues what it brought.
    """
    made: list[Piece] = []
    for one in intervals:
        before = made[-1].end if made else _NEVER
        if one.start > before:
            made.append(Piece(before, one.start, "unknown", ""))
        goes_on = one.ready == OPEN and one is intervals[-1]
        end = OPEN if goes_on else one.end
        if is_tail(one):
            last = made[-1]
            if (last.state, last.reason, last.end) == ("received", one.learned, one.start):
                made[-1] = Piece(last.start, end, "received", one.learned)
            else:
                made.append(Piece(one.start, end, "received", one.learned))
        elif one.start < end:
            made.append(Piece(one.start, end, one.state, one.learned))
    if made and made[-1].end != OPEN:
        made.append(Piece(made[-1].end, OPEN, "unknown", ""))
    return made


def _worst(starts: Times, ends: Times, parts: Sequence[Piece]) -> npt.NDArray[np.int64]:
    """Return for each range which of the pieces in it is worst; -1 for none."""
    found = np.full(len(starts), -1, np.int64)
    for state in ORDER:
        for number, part in enumerate(parts):
            if part.state == state:
                first = int(np.searchsorted(ends, part.start, side="right"))
                found[first : int(np.searchsorted(starts, part.end, side="left"))] = number
    return found


def strip_state(
    first: int, starts: Times, length: int | None, intervals: Sequence[Interval]
) -> StripState:
    """Return the states of the bars of a chart.

    Parameters
    ----------
    first : int
        Ordinal of the first bar.
    starts : int64 array
        Of the bars, ns UTC, in order.
    length : int or None
        Of a bar, ns; None for bars that end where the next one begins.
    intervals : sequence of Interval
        Of the trades they are made of, disjoint and in order.

    Returns
    -------
    StripState
        The worst state of each bar; neighbours for which one piece decides are one run.

    Examples
    --------
    >>> known = [Interval(0, 120, "received", "live 1", 0), Interval(120, 180, "missing", "no", 0)]
    >>> strip_state(5, np.array([0, 60, 120]), 60, known).runs
    [[5, 6, 'received', 'live 1', 0.0, 0.00012], [7, 7, 'missing', 'no', 0.00012, 0.00018]]
    """
    if not len(intervals) or not len(starts):
        return StripState([], [])
    parts = pieces(intervals)
    ends = np.append(starts[1:], OPEN)
    if length is not None:
        ends = np.minimum(starts + length, ends)
    decided = _worst(starts, ends, parts)
    turns = np.flatnonzero(np.diff(decided)) + 1
    runs = []
    for low, high in zip([0, *turns], [*turns, len(starts)], strict=True):
        part = parts[decided[low]]
        newest = high == len(starts) and part.end == OPEN
        runs.append([first + int(low), None if newest else first + int(high) - 1, *_told(part)])
    return StripState(
        [run for run in runs if run[2] != "unknown"],
        _marks(first, starts, ends, parts),
        parts[decided[-1]].state in _DOUBTFUL,
    )


def _marks(first: int, starts: Times, ends: Times, parts: Sequence[Piece]) -> list[list[Any]]:
    """Return what lies between bars where none stands."""
    between = np.flatnonzero(starts[1:] > ends[:-1])
    some = [part for part in parts if part.state in _MARKED]
    decided = _worst(ends[:-1][between], starts[1:][between], some)
    return [
        [first + int(bar) + 1, *_told(some[number])]
        for bar, number in zip(between, decided, strict=True)
        if number >= 0
    ]


def _told(part: Piece) -> list[Any]:
    start = None if part.start == _NEVER else part.start / 1e6
    return [part.state, part.reason, start, None if part.end == OPEN else part.end / 1e6]
