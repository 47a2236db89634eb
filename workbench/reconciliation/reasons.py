"""The search for reasons: which trades, counted otherwise, make our bar the provider's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from workbench.reconciliation.causes import REASONS, everything
from workbench.reconciliation.evidence import Cause, Evidence
from workbench.reconciliation.grid import DIFFERS, FIELDS, ROUNDED, Grid, agreement

__all__ = ["Finding", "explain"]

_RANK = {reason: place for place, reason in enumerate(REASONS)}
#: Bars on which pairs of rules without proof are tried first; those that explain none of
#: them are not tried on the rest.
_SAMPLE = 40

_Places = npt.NDArray[np.int64]
_Ok = npt.NDArray[np.bool_]
_Set = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one bar.

    Attributes
    ----------
    causes : tuple of Cause
        The fewest that make the bar equal, or as equal as can be shown; empty for none.
    by_field : dict of str to tuple of Cause
        Which of them each differing field needs; fields that stay without one are left out.
    rounded : frozenset of str
        Fields that are then equal but for rounding.
    """

    causes: tuple[Cause, ...]
    by_field: dict[str, tuple[Cause, ...]]
    rounded: frozenset[str] = frozenset()


class _Search:
    """Try sets of causes on bars, and keep what each made of them."""

    def __init__(self, evidence: Evidence, found: Sequence[Cause], grid: Grid) -> None:
        self.evidence, self.causes, self.grid = evidence, found, grid
        self.touched = [evidence.touched(cause.touched) for cause in found]
        self.open = np.ones(len(grid), np.bool_)
        self.before = self._ok((), np.arange(len(grid)))
        self.best: dict[int, list[_Set]] = {}
        self.partial: dict[int, list[tuple[int, _Set]]] = {}
        self.support: Counter[_Set] = Counter()

    def level(self, chosen: _Set, bars: _Places) -> npt.NDArray[np.int8]:
        """Return how far the fields of bars agree if a set holds."""
        held = [self.causes[n] for n in chosen]
        made = self.evidence.values(held, bars)
        found = agreement(made, self.grid.theirs[bars], self.grid.told[bars])
        if any(cause.reason == "venue" and not cause.proven for cause in held):
            # To leave out all there is makes a bar vanish for any exchange.
            found[np.isnan(made[:, 0])] = DIFFERS
        return found

    def _ok(self, chosen: _Set, bars: _Places) -> _Ok:
        ok: _Ok = self.level(chosen, bars) != DIFFERS
        return ok

    def attempt(self, chosen: _Set, bars: _Places) -> int:
        """Try a set on bars; return how many it makes equal."""
        if not len(bars):
            return 0
        ok = self._ok(chosen, bars)
        solved = ok.all(axis=1)
        for bar in bars[solved].tolist():
            self.best.setdefault(bar, []).append(chosen)
        before = self.before[bars]
        better = ~solved & (ok | ~before).all(axis=1) & (ok & ~before).any(axis=1)
        proven = all(self.causes[n].proven for n in chosen)
        for row in np.flatnonzero(better).tolist():
            count = int((ok[row] & ~before[row]).sum())
            # A rule that leaves more open than it explains has hit upon a number by chance.
            if not proven and count < int((~ok[row]).sum()):
                continue
            self.partial.setdefault(int(bars[row]), []).append((-count, chosen))
        self.support[chosen] += int(solved.sum())
        return int(solved.sum())

    def settle(self) -> None:
        """Take what explains a bar now for its reason, and go on with the others."""
        self.open[list(self.best)] = False

    def bars(self, chosen: _Set) -> _Places:
        """Return open bars that each cause of a set touches."""
        mask = self.open.copy()
        for n in chosen:
            mask &= self.touched[n]
        return np.flatnonzero(mask)

    def rank(self, chosen: _Set) -> tuple[object, ...]:
        """Return what sorts sets: few, proven, often right ones first."""
        held = [self.causes[n] for n in chosen]
        weight = sorted(_RANK[cause.reason] for cause in held)
        proven = sum(not cause.proven for cause in held)
        return len(chosen), proven, -self.support[chosen] if proven else 0, weight, chosen


def explain(evidence: Evidence, found: Sequence[Cause], grid: Grid) -> list[Finding]:
    """Return for each bar the simplest causes that make ours equal to the provider's.

    Single causes come before pairs, proven ones before rules, a rule that explains more bars
    before one that explains fewer. Where nothing explains all of a bar, what makes some of its
    fields equal and none unequal is taken for those.

    Parameters
    ----------
    evidence : Evidence
        Of the bars of the grid.
    found : sequence of Cause
    grid : Grid
        Bars that differ.
    """
    search = _Search(evidence, found, grid)
    for n in range(len(found)):
        search.attempt((n,), search.bars((n,)))
    search.settle()
    for pair in combinations(range(len(found)), 2):
        _try_pair(search, pair)
    search.settle()
    for bar in np.flatnonzero(search.open).tolist():
        _reduce(search, bar)
    search.settle()
    return [_finding(search, bar) for bar in range(len(grid))]


def _try_pair(search: _Search, pair: _Set) -> None:
    one, other = (search.causes[n] for n in pair)
    if set(one.codes) & set(other.codes) or (one.reason == other.reason == "late"):
        return
    bars = search.bars(pair)
    if len(bars) > _SAMPLE and not (one.proven or other.proven):
        some = bars[:: -(-len(bars) // _SAMPLE)]
        if not search.attempt(pair, some):
            return
        bars = np.setdiff1d(bars, some)
    search.attempt(pair, bars)


def _reduce(search: _Search, bar: int) -> None:
    """Look for larger sets: all that is proven, all codes without a rule, and then fewer."""
    here = [n for n in range(len(search.causes)) if search.touched[n][bar]]
    mild = {id(cause) for cause in everything(search.causes)}
    loose = [n for n in here if id(search.causes[n]) in mild]
    proven, lateness = [], False
    for n in here:
        late = search.causes[n].reason == "late"
        if search.causes[n].proven and not (late and lateness):
            proven.append(n)
            lateness |= late
    place = np.array([bar])
    for large in (proven, loose, proven + loose):
        if len(large) < 3 or not search._ok(tuple(large), place).all():
            continue
        left = list(large)
        for n in reversed(large):
            fewer = [other for other in left if other != n]
            if search._ok(tuple(fewer), place).all():
                left = fewer
        search.attempt(tuple(sorted(left)), place)
        return


def _finding(search: _Search, bar: int) -> Finding:
    whole = search.best.get(bar)
    if whole:
        chosen = min(whole, key=search.rank)
    elif bar in search.partial:
        chosen = min(search.partial[bar], key=lambda one: (one[0], search.rank(one[1])))[1]
    else:
        return Finding((), {})
    place = np.array([bar])
    level = search.level(chosen, place)[0]
    fixed = np.flatnonzero((level != DIFFERS) & ~search.before[bar]).tolist()
    rounded = frozenset(FIELDS[column] for column in fixed if level[column] == ROUNDED)
    by_field: dict[str, tuple[Cause, ...]] = {}
    for few in _subsets(chosen):
        ok = search._ok(few, place)[0]
        for column in fixed:
            if ok[column]:
                by_field.setdefault(FIELDS[column], tuple(search.causes[n] for n in few))
    return Finding(tuple(search.causes[n] for n in chosen), by_field, rounded)


def _subsets(chosen: _Set) -> Iterator[_Set]:
    for count in range(1, min(len(chosen), 3)):
        yield from combinations(chosen, count)
    yield chosen
