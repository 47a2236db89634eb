"""Longer bars of one series, put together from closed bars as they come."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from workbench.bars.folding import Spans, checked_bars, fold_spans, joined, straddles
from workbench.kernels.folding import NEVER
from workbench.records import BAR, CLOSED, FORMING, REVISED, Rows

__all__ = ["FoldedBars"]


class FoldedBars:
    """Put closed bars of one series together as they come, revised ones too.

    A longer bar closes with the smaller bar that reaches its end, with the first one after
    it, or by :meth:`advance`. A smaller bar that comes again with a higher revision, or late,
    revises the longer one. The newest rows are those of :func:`fold_bars`, for any split into
    calls.

    Parameters
    ----------
    spans : Spans
        What the longer bars cover.
    keep : int
        Longer bars whose parts stay at hand for revisions, beside the newest.

    Attributes
    ----------
    overdue : list of array of BAR
        Bars that came too late for that, one row each.
    outside : int
        Bars that no span holds, such as those between sessions.

    Examples
    --------
    >>> from workbench.bars.folding import FrameSpans
    >>> bars = np.zeros(5, BAR)
    >>> bars["time"], bars["timeframe"] = np.arange(5) * 60 * 10**9, 60
    >>> bars["open"] = bars["high"] = bars["low"] = bars["close"] = [1.0, 4.0, 2.0, 3.0, 5.0]
    >>> five = FoldedBars(FrameSpans("5m"))
    >>> len(five.add(bars[:4])), five.forming()["close"].item(), five.add(bars[4:])["high"].item()
    (0, 3.0, 5.0)
    """

    def __init__(self, spans: Spans, *, keep: int = 4) -> None:
        self.spans = spans
        self.overdue: list[Rows] = []
        self.outside = 0
        self._keep = keep
        self._pieces: list[_Piece] = []

    def __repr__(self) -> str:
        return f"FoldedBars({self.spans.name}, {len(self._pieces)} bars at hand)"

    def add(self, bars: Rows) -> Rows:
        """Take closed or revised bars, in order of emission, and return what they close or revise.

        Raises
        ------
        UnknownTimeframeError
            If a bar reaches over the end of the span it starts in.
        ValueError
            If a row is no bar.
        """
        if not len(bars):
            return np.zeros(0, BAR)
        checked_bars(bars)
        starts, ends = self.spans.bounds(np.ascontiguousarray(bars["time"]))
        inside = starts != NEVER
        last = bars["time"] + bars["timeframe"].astype(np.int64) * 1_000_000_000
        wrong = np.flatnonzero(last > ends)
        if len(wrong):
            raise straddles(bars, int(wrong[0]), self.spans.name)
        self.outside += int((~inside).sum())
        bars, starts, ends, last = bars[inside], starts[inside], ends[inside], last[inside]
        out: list[Rows] = []
        # Runs of rows that go on in one span are taken at once.
        breaks = (np.diff(starts) != 0) | (np.diff(bars["time"]) <= 0)
        cuts = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(bars)]
        for a, b in pairwise(cuts):
            if b > a:
                self._take(bars[a:b], int(starts[a]), int(ends[a]), int(last[b - 1]), out)
        return joined(out)

    def advance(self, clock: int) -> Rows:
        """Return the bars whose span has ended by the market's time given in ns UTC.

        Call it when every smaller bar up to then has been added.
        """
        parts = [self._close(p) for p in self._pieces if not p.closed and p.end <= clock]
        return joined(parts)

    def forming(self, more: Rows | None = None) -> Rows:
        """Return the bars that are not closed, as they stand, oldest first.

        Parameters
        ----------
        more : array of BAR, or None
            Smaller bars that are forming themselves, to be looked at and not kept.
        """
        if more is None or not len(more):
            open_ = [self._made(p, FORMING) for p in self._pieces if not p.closed]
            return joined(open_)
        ahead = FoldedBars(self.spans, keep=self._keep)
        ahead._pieces = [p.copy() for p in self._pieces]
        closed = ahead.add(more)
        closed["state"] = FORMING
        known = {p.start for p in self._pieces if p.closed}
        fresh = closed[[int(t) not in known for t in closed["time"]]]
        return joined([fresh, ahead.forming()])

    def _take(self, bars: Rows, start: int, end: int, last: int, out: list[Rows]) -> None:
        pieces = self._pieces
        at = next((i for i, p in enumerate(pieces) if p.start >= start), len(pieces))
        known = at < len(pieces) and pieces[at].start == start
        if not known and at == 0 and len(pieces) > self._keep:
            self.overdue += [bars[i : i + 1].copy() for i in range(len(bars))]
            return
        if not known:
            pieces.insert(at, _Piece(start, end))
        piece = pieces[at]
        if piece.closed:  # each row revises it, whatever calls they come in
            for i in range(len(bars)):
                if piece.put(bars[i : i + 1]):
                    piece.revision += 1
                    out.append(self._made(piece, REVISED))
        else:
            if at + 1 < len(pieces) and len(bars) > 1:  # it closes with its first row
                self._take(bars[:1], start, end, last, out)
                self._take(bars[1:], start, end, last, out)
                return
            piece.put(bars)
            out += [self._close(p) for p in pieces[:at] if not p.closed]
            if last >= end or at + 1 < len(pieces):
                out.append(self._close(piece))
        del pieces[: max(0, len(pieces) - self._keep - 1)]

    def _close(self, piece: _Piece) -> Rows:
        piece.closed = True
        return self._made(piece, CLOSED)

    def _made(self, piece: _Piece, state: int) -> Rows:
        rows = piece.rows()
        made = fold_spans(rows, np.full(len(rows), piece.start), self.spans.code)
        made["state"], made["revision"] = state, piece.revision
        return made


class _Piece:
    """The smaller bars of a longer one, by time, in an array that grows."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.closed = False
        self.revision = 0
        self._rows = np.zeros(8, BAR)
        self._n = 0

    def rows(self) -> Rows:
        return self._rows[: self._n]

    def copy(self) -> _Piece:
        other = _Piece(self.start, self.end)
        other.closed, other.revision = self.closed, self.revision
        other._rows, other._n = self.rows().copy(), self._n
        return other

    def put(self, bars: Rows) -> bool:
        """Add rows in order of time; False if they were there with no lower revision."""
        if not self._n or bars["time"][0] > self._rows["time"][self._n - 1]:
            self._room(len(bars))
            self._rows[self._n : self._n + len(bars)] = bars
            self._n += len(bars)
            return True
        changed = False
        for i in range(len(bars)):
            changed |= self._put_one(bars[i : i + 1])
        return changed

    def _put_one(self, bar: Rows) -> bool:
        at = int(np.searchsorted(self.rows()["time"], bar["time"][0]))
        if at < self._n and self._rows["time"][at] == bar["time"][0]:
            if bar["revision"][0] <= self._rows["revision"][at]:
                return False
            self._rows[at] = bar[0]
            return True
        self._room(1)
        self._rows[at + 1 : self._n + 1] = self._rows[at : self._n].copy()
        self._rows[at] = bar[0]
        self._n += 1
        return True

    def _room(self, more: int) -> None:
        if self._n + more > len(self._rows):
            rows = np.zeros(max(2 * len(self._rows), self._n + more), BAR)
            rows[: self._n] = self.rows()
            self._rows = rows
