"""All trades that either side knows, and the bars they make if some count otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import starmap

import numpy as np
import numpy.typing as npt

from workbench.bars.conditions import VOLUME, TapeRules
from workbench.calendar import market_session
from workbench.reconciliation.grid import built, values
from workbench.reconciliation.tape import Pairing, Tape
from workbench.records import Rows
from workbench.timeframes import Timeframe

__all__ = ["ADDED", "CHANGED", "HELD", "RESTORED", "WITHDRAWN", "Cause", "Evidence", "gather"]

#: What a trade is: held by us and told by the provider alike; held by us and taken back or
#: told otherwise; not told at all; told only; taken back, and perhaps in its bars still.
HELD, CHANGED, WITHDRAWN, ADDED, RESTORED = range(5)

_Floats = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]
_Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cause:
    """One way in which the trades of the provider's bars may differ from those of ours.

    Attributes
    ----------
    reason : str
        "correction", "missing", "late", "odd lot", "condition" or "venue".
    what : str
        What the provider did, for a person.
    touched : bool array
        Trades it is about.
    proven : bool
        Whether something besides the bars speaks for it; if not, it is a rule that the
        provider may have.
    off, on : bool array or None
        Trades that do not count then, and that do.
    capped : bool array or None
        Trades that set no prices then.
    codes : mapping of int to int
        What trades with a code may set then.
    """

    reason: str
    what: str
    touched: _Mask
    proven: bool = False
    off: _Mask | None = None
    on: _Mask | None = None
    capped: _Mask | None = None
    codes: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Trades by time, each bar's in one stretch.

    Attributes
    ----------
    trades : array of TRADE
        Of both sides.
    role : uint8 array
        HELD, CHANGED, WITHDRAWN, ADDED or RESTORED.
    new : bool array
        Of CHANGED ones: the provider's version.
    counted : bool array
        Those that our bars are made of.
    starts : int64 array
        Start of each bar.
    edges : int64 array
        Where the trades of each bar begin, and the last ones end.
    bar : int64 array
        Number of each trade's bar.
    outside : bool array
        Trades beyond regular hours.
    rules : TapeRules
    tf : Timeframe
    """

    trades: Rows
    role: npt.NDArray[np.uint8]
    new: _Mask
    counted: _Mask
    starts: _Places
    edges: _Places
    bar: _Places
    outside: _Mask
    rules: TapeRules
    tf: Timeframe

    def touched(self, mask: _Mask) -> _Mask:
        """Return which bars have any of some trades."""
        found = np.zeros(len(self.starts), np.bool_)
        found[self.bar[mask]] = True
        return found

    def values(self, causes: Sequence[Cause], bars: _Places) -> _Floats:
        """Return the fields of bars if all of some causes held, NaN where there is no bar.

        Parameters
        ----------
        causes : sequence of Cause
        bars : int64 array
            Numbers of bars, ascending.
        """
        spans = zip(self.edges[bars].tolist(), self.edges[bars + 1].tolist(), strict=True)
        parts = list(starmap(np.arange, spans))
        places = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        counted = self.counted[places]
        for cause in causes:
            if cause.off is not None:
                counted = counted & ~cause.off[places]
        for cause in causes:
            if cause.on is not None:
                counted = counted | cause.on[places]
        places = places[counted]
        allowed = self._allowed(causes, places)
        return values(built(self.trades[places], allowed, self.tf), self.starts[bars])

    def _allowed(self, causes: Sequence[Cause], places: _Places) -> npt.NDArray[np.uint8]:
        codes: dict[int, int] = {}
        for cause in causes:
            codes |= cause.codes
        rules = self.rules
        if codes:
            rules = replace(rules, codes={**rules.codes, **codes},
                            extended=rules.extended - set(codes))  # fmt: skip
        conditions = np.ascontiguousarray(self.trades["conditions"][places])
        allowed = rules.lookup(conditions, late=True)
        if rules.extended:
            mild = rules.lookup(conditions, late=False)
            allowed = np.where(self.outside[places], mild, allowed)
        for cause in causes:
            if cause.capped is not None:
                allowed[cause.capped[places]] &= VOLUME
        return allowed


def gather(
    own: Tape, found: Pairing | None, starts: _Places, rules: TapeRules, tf: Timeframe
) -> Evidence:
    """Put the trades of both sides together.

    Parameters
    ----------
    own : Tape
    found : Pairing or None
        How ours pair with the provider's; None if it was not asked for trades.
    starts : int64 array
        Starts of the bars in question; trades elsewhere are left out.
    rules : TapeRules
        What trades may set in our bars.
    tf : Timeframe
    """
    parts = list(_parts(own, found))
    rows = np.concatenate([part for part, _, _, _ in parts])
    sizes = [len(part) for part, _, _, _ in parts]
    role = np.concatenate([part for _, part, _, _ in parts])
    new, counted = (np.repeat([part[n] for part in parts], sizes) for n in (2, 3))
    begins = rows["time"] - (rows["time"] - tf.origin) % tf.ns
    kept = np.flatnonzero(np.isin(begins, starts))
    order = kept[np.lexsort((rows["sequence"][kept], rows["time"][kept]))]
    rows, begins = rows[order], begins[order]
    edges = np.append(np.searchsorted(begins, starts), len(rows))
    outside = np.zeros(len(rows), np.bool_)
    if rules.extended and len(rows):
        # The markets that have such rules share their hours.
        outside = market_session(np.ascontiguousarray(rows["time"]), "SPY") != "regular"
    return Evidence(
        rows,
        role[order],
        new[order].astype(np.bool_),
        counted[order].astype(np.bool_),
        starts,
        edges.astype(np.int64),
        np.searchsorted(starts, begins).astype(np.int64),
        outside,
        rules,
        tf,
    )


_Part = tuple[Rows, npt.NDArray[np.uint8], bool, bool]


def _parts(own: Tape, found: Pairing | None) -> Iterable[_Part]:
    """Yield trades, their roles, whether they are new, and whether ours are made of them."""
    roles = np.full(len(own), HELD, np.uint8)
    void = [own.void]
    if found is not None:
        roles[found.cancelled] = roles[found.replaced] = CHANGED
        roles[found.withdrawn] = WITHDRAWN
        # What we struck out and the provider tells again is a correction, and no trade missed.
        again = _among(found.added, own.void)
        void.append(found.void[~_among(found.void, own.void)])
        added = found.added[~again]
        yield found.replacing, np.full(len(found.replacing), CHANGED, np.uint8), True, False
        yield added, np.full(len(added), ADDED, np.uint8), False, False
    yield own.trades, roles, False, True
    struck = np.concatenate(void)
    yield struck, np.full(len(struck), RESTORED, np.uint8), False, False


def _among(rows: Rows, others: Rows) -> _Mask:
    names = ("time", "sequence", "exchange", "id")
    known = set(zip(*(others[name].tolist() for name in names), strict=True))
    keys = zip(*(rows[name].tolist() for name in names), strict=True)
    return np.array([key in known for key in keys], np.bool_)
