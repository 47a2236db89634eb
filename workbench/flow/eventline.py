"""Event bars of a running series, which go back for trades that came too late."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.bars.eventbars import EventBars
from workbench.bars.kinds import BarKind
from workbench.records import BAR, Rows

__all__ = ["EventLine"]

#: Nanoseconds of the market between two checkpoints, how many there may be, and how many of
#: the newest stay as close as that.
_EVERY, _MOST, _CLOSE = 1_000_000_000, 256, 128
#: Trades that are taken at once, so that there are checkpoints between them.
_SOME = 16_384


@dataclass(frozen=True, slots=True)
class _Mark:
    """A checkpoint: what all trades before a time have made, and how many bars those are."""

    until: int
    made: int
    state: bytes


class EventLine:
    """Build the event bars of one symbol, and build the last of them again where need be.

    Where such a bar ends depends on every trade before it. So a trade that comes too late, or
    that was fetched to fill a hole, moves all bars after it; these are made again from the
    newest checkpoint before the trade.

    Parameters
    ----------
    kind : BarKind
    number : int
        Of the symbol.
    lateness : float
        Seconds that a trade may be behind the market's clock.
    whole : int
        Time, ns UTC, from which on the trades at hand are all there were.

    Attributes
    ----------
    whole : int
        As it was given, until whoever holds the trades moves it on.
    late : int or None
        Time of the oldest trade that came too late, or changed, and that bars do not tell of
        yet; None if there is none.
    overdue : int
        Trades that came too late.

    Examples
    --------
    >>> from workbench.bars.kinds import bar_kind
    >>> from workbench.records import empty
    >>> trades = empty("trade", 6)
    >>> trades["time"], trades["price"], trades["size"] = np.arange(6) * 10**9, range(6), 1.0
    >>> line = EventLine(bar_kind("trades:2"), 0, lateness=0.0, whole=0)
    >>> line.add(trades[[0, 1, 3, 4, 5]])["close"].tolist()
    [1.0, 4.0]
    >>> line.add(trades[2:3])["close"].tolist(), line.late
    ([], 2000000000)
    >>> bars, gone = line.again(trades)
    >>> bars["close"].tolist(), gone
    ([1.0, 3.0], 2)
    """

    def __init__(self, kind: BarKind, number: int, *, lateness: float, whole: int) -> None:
        self.kind = kind
        self.late: int | None = None
        self.overdue = 0
        self.whole = whole
        self._bars = EventBars(kind, symbol=number, lateness=lateness)
        self._made = 0
        self._clock = 0
        self._marks = [_Mark(whole, 0, self._bars.state())]

    def begin(self, trades: Rows) -> Rows:
        """Take trades that there were before, in any order, and return the bars they make."""
        trades = trades[np.argsort(trades["time"], kind="stable")]  # nearly so: soon done
        parts = [self.add(trades[at : at + _SOME]) for at in range(0, len(trades), _SOME)]
        return np.concatenate([np.zeros(0, BAR), *parts])

    def add(self, trades: Rows) -> Rows:
        """Take trades as they come and return the bars they complete."""
        before = self._bars.overdue
        bars = self._bars.add(trades)
        late = self._bars.overdue - before
        if late:
            self.overdue += late
            self.changed(int(trades["time"].min()))
        return self._counted(bars)

    def changed(self, since: int | None) -> None:
        """Take note that trades from a time on, ns UTC, are others now; None if none are."""
        if since is not None:
            self.late = since if self.late is None else min(since, self.late)

    def due(self) -> int:
        """Return the time of receipt, ns UTC, from which :meth:`advance` would do something."""
        return self._bars.due()

    def advance(self, clock: int) -> Rows:
        """Return the bars of trades that waited long enough at a time of receipt, ns UTC."""
        self._clock = max(self._clock, clock)
        return self._counted(self._bars.advance(clock))

    def forming(self) -> Rows:
        """Return the bars that are not complete, as they stand, oldest first."""
        return self._bars.forming()

    def again(self, trades: Rows) -> tuple[Rows, int]:
        """Make the bars again that depend on trades which came too late, or changed.

        Parameters
        ----------
        trades : array of TRADE
            The symbol's trades at hand, those that came too late among them.

        Returns
        -------
        bars : array of BAR
        gone : int
            How many of the newest bars so far they take the place of. Where what came before
            the late trades is not at hand any more, these stay out, and nothing changes.
        """
        late, self.late = self.late, None
        reached = [late is not None and self.whole <= m.until <= late for m in self._marks]
        if not any(reached):
            return np.zeros(0, BAR), 0
        del self._marks[len(reached) - reached[::-1].index(True) :]
        mark = self._marks[-1]
        gone = self._made - mark.made
        self._made = mark.made
        self._bars.restore(mark.state)
        bars = self.begin(trades[trades["time"] >= mark.until])
        return np.concatenate([bars, self.advance(self._clock)]), gone

    def _counted(self, bars: Rows) -> Rows:
        """Count bars that were made, and keep a checkpoint if one is due."""
        self._made += len(bars)
        until = self._bars.until
        if until - self._marks[-1].until >= _EVERY:
            self._marks.append(_Mark(until, self._made, self._bars.state(held=False)))
            if len(self._marks) > _MOST:
                self._thin()
        return bars

    def _thin(self) -> None:
        """Give up checkpoints: those out of reach, or one of the older that lie closest."""
        *older, newest = self._marks
        kept = [*(mark for mark in older if mark.until >= self.whole), newest]
        if len(kept) > _MOST:
            times = [mark.until for mark in kept[:-_CLOSE]]
            gaps = [after - before for before, after in zip(times, times[2:], strict=False)]
            del kept[1 + gaps.index(min(gaps))]
        self._marks = kept
