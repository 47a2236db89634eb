"""Coverage: what is known of series, as tables, shares and strips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from workbench.history.pieces import gaps
from workbench.store.coverage import (
    OPEN,
    STATES,
    Interval,
    IntervalState,
    Series,
    intervals_table,
)
from workbench.store.frames import nanoseconds
from workbench.timeframes import timeframe

if TYPE_CHECKING:
    from workbench.store.frames import When

__all__ = ["KNOWN", "Coverage", "completeness"]

#: States in which there is nothing left to fetch.
KNOWN = frozenset({"received", "backfilled", "no-trade", "closed"})
_UNKNOWN = cast(IntervalState, "unknown")
_NAT = -(1 << 63)


def completeness(intervals: Iterable[Interval], start: int, end: int) -> float:
    """Return which share of a range is known: received, backfilled, without trade or closed.

    Parameters
    ----------
    intervals : iterable of Interval
        Disjoint.
    start, end : int
        ns UTC, half-open.

    Returns
    -------
    float
        From 0 to 1; 1 for an empty range.

    Examples
    --------
    >>> known = Interval(0, 30, "received", "live 1", 30)
    >>> completeness([known, Interval(30, 40, "doubt", "lost", 40, 40)], 0, 40)
    0.75
    """
    if not start < end:
        return 1.0
    known = sum(
        max(0, min(one.end, end) - max(one.start, start)) for one in intervals if one.state in KNOWN
    )
    return known / (end - start)


class Coverage:
    """What is known of some series, when.

    Parameters
    ----------
    rows : iterable of (Series, Interval)
        As `Ledger.rows` or a store's `intervals` returns them.
    start, end : When or None
        Cut to this range, in which what nothing is known of counts too; None is from the first
        to the last interval of each series.

    Examples
    --------
    >>> second = 10**9
    >>> series = Series("sim", "BTC-USD", "trade")
    >>> coverage = Coverage([(series, Interval(0, 30 * second, "received", "live 1", 0))],
    ...                     start=0, end=40 * second)
    >>> coverage.table()["state"].tolist()
    ['received', 'unknown']
    >>> coverage.shares()["complete"].tolist()
    [0.75]
    """

    def __init__(
        self,
        rows: Iterable[tuple[Series, Interval]],
        *,
        start: When | None = None,
        end: When | None = None,
    ) -> None:
        self._start = None if start is None else nanoseconds(start)
        self._end = None if end is None else nanoseconds(end)
        self._series: dict[Series, list[Interval]] = {}
        for series, interval in rows:
            self._series.setdefault(series, []).append(interval)

    @property
    def series(self) -> tuple[Series, ...]:
        """The series, in their order."""
        return tuple(self._series)

    def strips(self) -> Iterator[tuple[str, int, int, list[Interval]]]:
        """Yield for each series its label, its range, and all intervals of that, none left out.

        What goes on ends with the range, and what nothing is known of has the state "unknown".
        """
        finite = [one.end for held in self._series.values() for one in held if one.end != OPEN] + [
            one.start + 1 for held in self._series.values() for one in held
        ]
        last = max(finite, default=0)
        for series, held in self._series.items():
            start = held[0].start if self._start is None else self._start
            end = last if self._end is None else self._end
            cut = [
                one._replace(start=max(one.start, start), end=min(one.end, end))
                for one in held
                if one.start < end and one.end > start
            ]
            blank = [Interval(a, b, _UNKNOWN, "", _NAT) for a, b in gaps(cut, start, end)]
            yield _label(series), start, max(end, start), sorted(cut + blank)

    def table(self) -> pd.DataFrame:
        """Return a line for each interval.

        Returns
        -------
        pandas.DataFrame
            Columns source, symbol, kind, timeframe, start, end (UTC; NaT where it goes on),
            state, learned (from what), at (UTC; when).
        """
        rows: list[tuple[Series, Interval]] = []
        for series, (_, start, end, strip) in zip(self._series, self.strips(), strict=True):
            if self._end is not None:
                rows += [(series, one) for one in strip]
                continue
            # Without an end asked for, what goes on is shown as that.
            held = [one for one in self._series[series] if one.end > start]
            cut = [one._replace(start=max(one.start, start)) for one in held]
            blank = [one for one in strip if one.state == _UNKNOWN and one.end < end]
            rows += [(series, one) for one in sorted(cut + blank)]
        return intervals_table(rows)

    def shares(self) -> pd.DataFrame:
        """Return how much of the range of each series is in which state.

        Returns
        -------
        pandas.DataFrame
            Index "series"; a column for each state with its share from 0 to 1, unknown, and
            complete: the share of which there is nothing left to fetch.
        """
        lines: list[dict[str, float]] = []
        names: list[str] = []
        for name, start, end, strip in self.strips():
            parts = dict.fromkeys([*STATES, "unknown"], 0)
            for one in strip:
                parts[one.state] += one.end - one.start
            whole = max(1, end - start)
            line = {state: length / whole for state, length in parts.items()}
            lines.append(line | {"complete": completeness(strip, start, end)})
            names.append(name)
        columns = [*STATES, "unknown", "complete"]
        return pd.DataFrame(lines, index=pd.Index(names, name="series"), columns=columns)

    def plot(self, *, dark: bool = False) -> Any:
        """Return a strip for each series over time as a HoloViews element.

        Parameters
        ----------
        dark : bool
            Whether it stands on a dark page.
        """
        return _drawing().strip_plot(list(self.strips()), dark=dark)

    def __repr__(self) -> str:
        intervals = sum(map(len, self._series.values()))
        return f"Coverage({len(self._series)} series, {intervals} intervals)"

    def _repr_html_(self) -> str:
        html: str = _drawing().strip_html(list(self.strips()))
        return html


def _label(series: Series) -> str:
    """Return how a series is called on the screen.

    >>> _label(Series("sim", "AAPL", "bar", 60)), _label(Series("sim", "AAPL", "trade"))
    ('sim AAPL 1m', 'sim AAPL trade')
    """
    what = timeframe(series.timeframe).name if series.timeframe else series.kind
    return f"{series.source} {series.symbol} {what}"


def _drawing() -> Any:
    # What draws lies above what is drawn, and is loaded by those only who look.
    return import_module("workbench.plots.coverage")
