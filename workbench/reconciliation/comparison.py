"""Comparing two sides of a day: bars from our trades against those of a provider."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.bars.conditions import TapeRules, eligibility, rules_for
from workbench.reconciliation.causes import REASONS, causes
from workbench.reconciliation.evidence import Cause, Evidence, gather
from workbench.reconciliation.grid import (
    DIFFERS,
    FIELDS,
    ROUNDED,
    Grid,
    agreement,
    built,
    grid,
)
from workbench.reconciliation.reasons import Finding, explain
from workbench.reconciliation.result import Reconciliation
from workbench.reconciliation.tape import Tape, changes, pair
from workbench.records import Rows
from workbench.store.coverage import Interval
from workbench.store.frames import utc
from workbench.symbols import SymbolTable, asset_class, canonical
from workbench.timeframes import Timeframe, timeframe

__all__ = ["compare", "differing"]

#: Shares of a round lot, where there is such a thing.
_ROUND_LOT = 100.0
#: States of the ledger in which trades may be missing.
_LACKING = ("missing", "doubt")
_Line = tuple[int, str, float, float, str, str]


def compare(
    symbol: str,
    own: Tape | Rows,
    bars: Rows,
    theirs: Tape | None = None,
    *,
    tf: str | Timeframe = "1m",
    span: tuple[int, int] | None = None,
    intervals: Iterable[Interval] = (),
    rules: TapeRules | None = None,
    lateness: float = 2.0,
    round_lot: float | None = None,
    source: str = "provider",
    numbers: SymbolTable | None = None,
) -> Reconciliation:
    """Compare bars of our trades with a provider's, and find a reason for each difference.

    A reason is what makes our bar equal to the provider's when it is built again: with trades
    that only the provider has, without those that it took back, without those that came too
    late, under another rule for odd lots or a condition, or without an exchange. The simplest
    is taken; two at once are named both. What nothing makes equal is "unexplained".

    Parameters
    ----------
    symbol : str
        In any spelling; tells the rules of its market.
    own : Tape or array of TRADE
        Each trade once.
    bars : array of BAR
        The provider's.
    theirs : Tape or None
        The provider's trades over the same range; None if they are not known.
    tf : str or Timeframe
        Of the bars, shorter than a day.
    span : (int, int) or None
        Only bars that start within it, ns UTC; None is all.
    intervals : iterable of Interval
        What the ledger knows of our trades.
    rules : TapeRules or None
        What trades may set in our bars; None has those of the symbol's market.
    lateness : float
        Seconds after the end of a bar from which on a trade may be too late for the
        provider's bar, 0 or more.
    round_lot : float or None
        Shares below which a trade is an odd lot; 0 for markets without such. None is 100 for
        stocks and 0 for others.
    source : str
        What the provider is called.
    numbers : SymbolTable or None
        Names the symbols in the rows; None makes one.

    Examples
    --------
    >>> from workbench.records import TRADE
    >>> own = np.zeros(2, TRADE)
    >>> own["time"], own["id"] = [0, 10**9], [1, 2]
    >>> own["price"], own["size"] = [10.0, 11.0], 100.0
    >>> theirs = built(own, np.full(2, 7, np.uint8), timeframe("1m"))
    >>> compare("BTC-USD", own, theirs).agreed
    1
    >>> found = compare("BTC-USD", own[:1], theirs, Tape(own))
    >>> found.table["reason"].unique().tolist(), found.table["field"].tolist()
    (['missing'], ['high', 'close', 'volume', 'vwap', 'count'])
    """
    name, length = canonical(symbol), timeframe(tf)
    mine = own if isinstance(own, Tape) else Tape(own)
    if rules is None:
        rules = rules_for(name)
    if round_lot is None:
        round_lot = _ROUND_LOT if asset_class(name) == "stocks" else 0.0
    held = built(mine.trades, eligibility(mine.trades, rules), length)
    if span is not None:
        held, bars = (b[(b["time"] >= span[0]) & (b["time"] < span[1])] for b in (held, bars))
    both = grid(held, bars)
    found = agreement(both.own, both.theirs, both.told)
    pairing = None if theirs is None else pair(mine.trades, theirs)
    apart = np.flatnonzero((found == DIFFERS).any(axis=1))
    evidence = gather(mine, pairing, both.starts[apart], rules, length)
    parts = list(intervals)
    told = ~_within(evidence.trades["time"], parts, ("backfilled",))
    suspected = causes(evidence, lateness=lateness, told=told, round_lot=round_lot)
    lines = list(_rounded(both, found))
    lines += _explained(both, found, evidence, suspected, parts if pairing is None else [])
    start, end = span or _ends(both, length)
    return Reconciliation(
        symbol=name, source=source, timeframe=length, start=start, end=end,
        table=_table(lines), bars=len(both), agreed=len(both) - len(apart),
        corrections=changes(mine.trades, pairing or pair(mine.trades, Tape(mine.trades))),
        trades=mine.trades, own_bars=held, pairing=pairing,
        numbers=numbers or SymbolTable([name]),
    )  # fmt: skip


def _explained(
    both: Grid,
    found: npt.NDArray[np.int8],
    evidence: Evidence,
    suspected: list[Cause],
    intervals: list[Interval],
) -> Iterator[_Line]:
    """Yield the differences of bars by more than rounding; intervals tell of gaps."""
    apart = np.flatnonzero((found == DIFFERS).any(axis=1))
    some = Grid(both.starts[apart], both.own[apart], both.theirs[apart], both.told[apart])
    lacking = _lacking(some, intervals, evidence.tf)
    for n, finding in enumerate(explain(evidence, suspected, some)):
        yield from _lines(some, n, found[apart[n]], finding, evidence, lacks=bool(lacking[n]))


def differing(
    symbol: str, own: Rows, bars: Rows, tf: Timeframe, *, rules: TapeRules | None = None
) -> npt.NDArray[np.int64]:
    """Return the starts of bars that differ by more than rounding, ns UTC.

    Parameters
    ----------
    symbol : str
    own : array of TRADE
    bars : array of BAR
        The provider's.
    tf : Timeframe
    rules : TapeRules or None
        As of :func:`compare`.
    """
    rules = rules or rules_for(canonical(symbol))
    both = grid(built(own, eligibility(own, rules), tf), bars)
    apart = (agreement(both.own, both.theirs, both.told) == DIFFERS).any(axis=1)
    starts: npt.NDArray[np.int64] = both.starts[apart]
    return starts


def _ends(both: Grid, length: Timeframe) -> tuple[int, int]:
    if not len(both):
        return 0, 0
    return int(both.starts[0]), int(both.starts[-1]) + length.ns


def _within(
    times: npt.NDArray[np.int64], intervals: list[Interval], states: tuple[str, ...]
) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(times), np.bool_)
    for one in intervals:
        if one.state in states:
            found |= (times >= one.start) & (times < one.end)
    return found


def _lacking(some: Grid, intervals: list[Interval], length: Timeframe) -> npt.NDArray[np.bool_]:
    """Return bars in which the ledger lacks trades, and that more trades could make equal."""
    found = np.zeros(len(some), np.bool_)
    for one in intervals:
        if one.state in _LACKING:
            found |= (some.starts < one.end) & (some.starts + length.ns > one.start)
    own, theirs = some.own, some.theirs
    with np.errstate(invalid="ignore"):
        less = (own[:, 1] <= theirs[:, 1]) & (own[:, 2] >= theirs[:, 2])
        less &= (own[:, 4] <= theirs[:, 4]) & ((own[:, 6] <= theirs[:, 6]) | ~some.told[:, 6])
    none = np.isnan(own[:, 0])
    possible: npt.NDArray[np.bool_] = found & (less | none)
    return possible


def _rounded(both: Grid, found: npt.NDArray[np.int8]) -> Iterator[_Line]:
    for row, column in np.argwhere(found == ROUNDED).tolist():
        own, theirs = float(both.own[row, column]), float(both.theirs[row, column])
        detail = "equal as far as the provider tells it"
        yield int(both.starts[row]), FIELDS[column], own, theirs, "rounding", detail


def _lines(
    some: Grid,
    n: int,
    found: npt.NDArray[np.int8],
    finding: Finding,
    evidence: Evidence,
    *,
    lacks: bool,
) -> Iterator[_Line]:
    start = int(some.starts[n])
    if np.isnan(some.own[n, 0]) or np.isnan(some.theirs[n, 0]):
        whole = finding.causes if len(finding.by_field) == len(FIELDS) else ()
        told = _why(whole, evidence, n, lacks)
        yield start, "bar", float(some.own[n, 4]), float(some.theirs[n, 4]), *told
        return
    for column in np.flatnonzero(found == DIFFERS).tolist():
        field = FIELDS[column]
        told = _why(finding.by_field.get(field, ()), evidence, n, lacks)
        if field in finding.rounded:
            told = (f"{told[0]} + rounding", told[1])
        yield start, field, float(some.own[n, column]), float(some.theirs[n, column]), *told


def _why(found: tuple[Cause, ...], evidence: Evidence, n: int, lacks: bool) -> tuple[str, str]:
    """Return the reason and the detail of a difference in a bar."""
    if not found:
        if lacks:
            return "missing", "the ledger knows that trades may be missing here"
        return "unexplained", "nothing that is known makes it equal"
    names = sorted({cause.reason for cause in found}, key=REASONS.index)
    here = slice(int(evidence.edges[n]), int(evidence.edges[n + 1]))
    details = []
    for cause in found:
        count = int(np.count_nonzero(cause.touched[here]))
        details.append(f"{cause.what} ({count} trade{'s' if count != 1 else ''})")
    return " + ".join(names), "; ".join(details)


def _table(lines: list[_Line]) -> pd.DataFrame:
    order = {field: place for place, field in enumerate(("bar", *FIELDS))}
    lines = sorted(lines, key=lambda line: (line[0], order[line[1]]))
    times = np.array([line[0] for line in lines], np.int64)
    names = ["field", "own", "provider", "difference", "reason", "detail"]
    columns: dict[str, object] = {"field": [line[1] for line in lines]}
    own, theirs = (np.array([line[n] for line in lines], np.float64) for n in (2, 3))
    columns |= {"own": own, "provider": theirs, "difference": own - theirs}
    columns |= {"reason": [line[4] for line in lines], "detail": [line[5] for line in lines]}
    return pd.DataFrame(columns, index=utc(times, "time"), columns=names)
