"""A plan: the fewest calls that fetch exactly what is missing, and what they cost."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from workbench.calendar import edges_between, round_the_clock
from workbench.history.request import Request, day_long

__all__ = ["Call", "Missing", "Plan", "open_seconds", "plan", "planned"]

#: Returns what is missing of a request: intervals [start, end) in ns, in order.
Missing = Callable[[Request], Sequence[tuple[int, int]]]

_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
#: Rows an open minute is taken to have; only a plan's estimate depends on it.
_DENSITY = {"trade": 120.0, "quote": 600.0}
#: Beyond so many gaps of one series, only neighbours are compared.
_MOST_GAPS = 400
#: The years whose sessions are known.
_KNOWN = (-252_288_000 * _SECOND, 4_102_444_800 * _SECOND)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, perhaps of several pages, that covers one or more gaps.

    Attributes
    ----------
    request : Request
    gaps : tuple of (int, int)
        What is missing within it, ns.
    pages : int
        Requests it is expected to take, at least 1.
    rows : int
        Rows it is expected to bring: at most, of bars.
    """

    request: Request
    gaps: tuple[tuple[int, int], ...]
    pages: int
    rows: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What to fetch, and what it costs.

    Attributes
    ----------
    wanted : tuple of Request
        What was asked for.
    calls : tuple of Call
        What is missing of it.
    per_minute : int
        Requests a minute that the provider allows; 0 is no limit.

    Examples
    --------
    >>> from workbench.history.request import request
    >>> wish = request("BTC-USD", "1m", start="2020-01-01", end="2024-01-01")
    >>> plan([wish], lambda wish: [(wish.start, wish.end)], per_minute=5)
    43 requests, about 9 min at 5 a minute, up to 2,103,840 rows
    """

    wanted: tuple[Request, ...]
    calls: tuple[Call, ...]
    per_minute: int = 0

    @property
    def requests(self) -> int:
        """Requests that are expected, pages included."""
        return sum(call.pages for call in self.calls)

    @property
    def rows(self) -> int:
        """Rows that are expected."""
        return sum(call.rows for call in self.calls)

    @property
    def minutes(self) -> float:
        """Minutes it takes at the limit; 0 without one."""
        return self.requests / self.per_minute if self.per_minute else 0.0

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.calls

    def __repr__(self) -> str:
        if self.complete:
            return "nothing is missing"
        n = self.requests
        words = [f"{n:,} request{'s' * (n != 1)}"]
        if self.per_minute:
            words.append(f"about {_duration(self.minutes)} at {self.per_minute} a minute")
        ticks = any(call.request.kind != "bar" for call in self.calls)
        words.append(f"{'roughly' if ticks else 'up to'} {self.rows:,} rows")
        return ", ".join(words)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        lines = "".join(
            f"<tr><td>{html.escape(str(call.request))}</td><td>{_utc(call.request.start)}</td>"
            f"<td>{_utc(call.request.end)}</td><td>{call.pages}</td><td>{call.rows:,}</td></tr>"
            for call in self.calls[:50]
        )
        more = len(self.calls) - 50
        last = f"<tr><td colspan=5>and {more:,} more</td></tr>" if more > 0 else ""
        head = "<tr><th>series<th>from<th>to<th>requests<th>rows</tr>"
        return f"<p>{html.escape(repr(self))}</p><table>{head}{lines}{last}</table>"


def plan(
    wanted: Iterable[Request],
    missing: Missing,
    *,
    per_minute: int = 0,
    page_rows: int = 50_000,
    base: Callable[[Request], int] = lambda request: 60,
) -> Plan:
    """Return the fewest calls that fetch all that is missing.

    Gaps that lie near each other become one call where that takes fewer requests than one
    for each, even if what lies between is fetched again.

    Parameters
    ----------
    wanted : iterable of Request
    missing : callable
        Says what is missing of each, such as a ledger.
    per_minute : int
        Requests a minute that the provider allows; 0 is no limit.
    page_rows : int
        Rows, or base bars, that one request brings.
    base : callable
        Length in seconds of the bars that a request's page is counted in.
    """
    wishes = tuple(wanted)
    calls: list[Call] = []
    for wish in wishes:
        gaps = [(low, high) for low, high in missing(wish) if low < high]
        calls.extend(planned(wish, gaps, page_rows=page_rows, base=base(wish)))
    return Plan(wishes, tuple(calls), per_minute)


def planned(
    wish: Request, gaps: Sequence[tuple[int, int]], *, page_rows: int, base: int
) -> list[Call]:
    """Return the fewest calls that cover the gaps of one series, in order of time."""
    if len(gaps) > _MOST_GAPS:
        half = len(gaps) // 2
        return [
            call
            for part in (gaps[:half], gaps[half:])
            for call in planned(wish, part, page_rows=page_rows, base=base)
        ]

    # How full a page gets up to each edge, so that a pair of edges costs one subtraction.
    edges = [edge for gap in gaps for edge in gap]
    steps = [0.0] + [_units(wish, a, b, base) for a, b in pairwise(edges)]
    filled = list(accumulate(steps))

    def cost(first: int, last: int) -> int:
        rows = math.ceil(filled[2 * last + 1] - filled[2 * first])
        return max(1, -(-(rows + day_long(wish.timeframe)) // page_rows))

    # best[i]: fewest requests for the first i gaps, then the least time covered.
    best: list[tuple[int, int, int]] = [(0, 0, 0)]
    for end in range(1, len(gaps) + 1):
        options = []
        for first in range(end):
            pages, span, _ = best[first]
            covered = gaps[end - 1][1] - gaps[first][0]
            options.append((pages + cost(first, end - 1), span + covered, first))
        best.append(min(options))
    calls: list[Call] = []
    end = len(gaps)
    while end:
        first = best[end][2]
        low, high = gaps[first][0], gaps[end - 1][1]
        over = wish.over(low, high)
        calls.append(Call(over, tuple(gaps[first:end]), cost(first, end - 1), _rows(over, base)))
        end = first
    return calls[::-1]


def _units(wish: Request, low: int, high: int, base: int) -> float:
    """Return how many rows of a page a range can fill at most, by the hours of its market."""
    seconds = open_seconds(wish.symbol, low, high)
    if wish.kind != "bar":
        return seconds / 60 * _DENSITY[wish.kind]
    if day_long(wish.timeframe):
        return (high - low) / _DAY
    return seconds / base


def _rows(wish: Request, base: int) -> int:
    units = _units(wish, wish.start, wish.end, base)
    if wish.kind == "bar" and wish.timeframe is not None:
        units = units * base / wish.timeframe.seconds
    return math.ceil(units)


def open_seconds(symbol: str, low: int, high: int) -> float:
    """Return for how many seconds of a range a market may trade, before and after hours too.

    Parameters
    ----------
    symbol : str
    low, high : int
        ns UTC.

    Examples
    --------
    >>> day = 86_400 * 10**9
    >>> saturday = 1_762_560_000 * 10**9
    >>> open_seconds("BTC-USD", saturday, saturday + day)
    86400.0
    """
    if round_the_clock(symbol) or not _KNOWN[0] < low < high < _KNOWN[1] - 90 * _DAY:
        return (high - low) / _SECOND
    spans = edges_between(symbol, "extended", low, high)
    length = np.minimum(spans.closes, high) - np.maximum(spans.opens, low)
    return float(np.maximum(length, 0).sum()) / _SECOND


def _duration(minutes: float) -> str:
    whole = math.ceil(minutes)
    if whole < 120:
        return f"{whole} min"
    hours, rest = divmod(whole, 60)
    return f"{hours} h {rest} min" if hours < 48 else f"{hours / 24:.1f} days"


def _utc(time: int) -> str:
    return str(np.datetime64(time, "ns").astype("M8[s]")).replace("T", " ")
