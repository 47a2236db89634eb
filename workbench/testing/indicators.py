"""What every indicator must hold to, proved on one: `check_indicator`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analytics.catalogue import Maker
from workbench.analytics.configured import Indicator
from workbench.analytics.inputs import WHOLE, columns
from workbench.analytics.run import Run, Runs
from workbench.errors import ConfigError
from workbench.kernels.allocations import allocations
from workbench.kernels.columns import bars_type
from workbench.records import Rows
from workbench.testing.market import invented_bars
from workbench.testing.plain import plain
from workbench.testing.report import CheckError, Report

__all__ = ["check_indicator"]

Values = npt.NDArray[np.float64]
Columns = list[npt.NDArray[Any]]
#: Ways to cut the bars that are tried, and prefixes.
_SPLITS, _PREFIXES = 6, 8
#: Rows over which memory is counted, and twice as many.
_MANY = 8192


def check_indicator(
    indicator: Indicator | Maker, bars: pd.DataFrame | Rows | None = None, *, seed: int = 0
) -> Report:
    """Prove that an indicator keeps the rules by which live, replay and batch agree.

    - splits: any cut of the bars into parts, down to single rows and through `Runs`, gives the
      bits that all bars at once give;
    - peeks: a look at the next bar gives that bar's value and leaves no trace;
    - prefixes: the values over the first n bars are the first n over all: it never looks ahead;
    - checkpoints: a state taken as bytes, and a step back, go on with the same bits;
    - warm-up: no value is missing after as many bars as it says, and one is before (only the
      second where the indicator says `gaps`, and neither if a session decides);
    - finite: no value is infinite, on constant and on zero bars neither;
    - twin: the loop run as plain Python gives the same bits;
    - allocations: no memory is asked for per row (a loop may ask for some per block of rows);
    - gaps: rows that are not finite are passed over.

    Parameters
    ----------
    indicator : Indicator, or the function that makes it
        With the defaults of its parameters if it is a function.
    bars : DataFrame, array of BAR or None
        Of one symbol, in order of time; None for an invented market.
    seed : int
        For the market and for where it is cut.

    Returns
    -------
    Report

    Raises
    ------
    CheckError
        Naming the rule, the first bar and output, and both values.
    ConfigError
        If the bars are too few for two values.

    Examples
    --------
    >>> from workbench.analytics import sma
    >>> check_indicator(sma(5))
    sma(length=5) holds on 600 bars
      splits ...
    """
    chosen = indicator() if isinstance(indicator, Maker) else indicator
    if bars is None:
        bars = invented_bars(max(600, chosen.warmup + 300), seed=seed)
    elif len(bars) < chosen.warmup + 2:
        raise ConfigError(f"{chosen!r} needs at least {chosen.warmup + 2} bars, not {len(bars)}")
    return _Check(chosen, bars, seed).report()


@dataclass
class _Check:
    indicator: Indicator
    bars: pd.DataFrame | Rows
    seed: int
    given: Columns = field(init=False)
    whole: Values = field(init=False)
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        chosen = self.indicator
        self.given = columns(self.bars, chosen.inputs, "UTC", chosen.spec.name)
        self.whole = self.start().columns(self.given)
        self.rng = np.random.default_rng(self.seed)

    def start(self) -> Run:
        return self.indicator.start()

    def report(self) -> Report:
        proofs: list[tuple[str, str]] = []
        skipped: list[tuple[str, str]] = []
        checks: dict[str, Callable[[], str]] = {
            "splits": self.splits,
            "peeks": self.peeks,
            "prefixes": self.prefixes,
            "checkpoints": self.checkpoints,
            "warm-up": self.warm_up,
            "finite": self.finite,
            "twin": self.twin,
            "allocations": self.allocations,
            "gaps": self.gaps,
        }
        compiled = hasattr(self.indicator.spec.kernel, "py_func")
        for rule, check in checks.items():
            if not compiled and rule in ("twin", "allocations"):
                skipped.append((rule, "the loop is not compiled"))
            else:
                proofs.append((rule, check()))
        return Report(self.indicator, len(self.bars), tuple(proofs), tuple(skipped))

    # -- one method for each rule ----------------------------------------------------

    def splits(self) -> str:
        n = len(self.bars)
        for i in range(_SPLITS):
            cuts = np.unique(self.rng.integers(0, n + 1, 2 + 5 * i))
            run = self.start()
            parts = [run.columns(_part(self.given, a, b)) for a, b in _spans(cuts, n)]
            self.equal("splits", np.concatenate(parts), f"cut at {cuts.tolist()[:12]}")
        run = self.start()
        rows = np.concatenate([run.columns(_part(self.given, i, i + 1)) for i in range(n)])
        self.equal("splits", rows, "a row at a time")
        if isinstance(self.bars, np.ndarray):
            runs = Runs([self.indicator, self.indicator])
            both = np.concatenate([runs.add(self.bars[i : i + 1]) for i in range(n)])
            width = self.whole.shape[1]
            self.equal("splits", both[:, :width], "a row at a time, in Runs")
            self.equal("splits", both[:, width:], "a row at a time, second in Runs")
        return f"{_SPLITS} random cuts and single rows"

    def peeks(self) -> str:
        n = len(self.bars)
        at = np.unique(self.rng.integers(0, n, 40))
        run = self.start()
        done = 0
        out = np.empty_like(self.whole)
        for place in at.tolist():
            out[done:place] = run.columns(_part(self.given, done, place))
            done = place
            for _ in range(2):
                seen = np.atleast_2d(run.peek(_rows(self.bars, place, place + 1)))
                self.equal("peeks", seen, "a look at the next bar", place)
        out[done:] = run.columns(_part(self.given, done, n))
        self.equal("peeks", out, "with looks ahead between the parts")
        return f"{len(at)} looks at the next bar, each twice"

    def prefixes(self) -> str:
        ends = {0, 1, min(self.indicator.warmup + 1, len(self.bars))}
        ends.update(self.rng.integers(0, len(self.bars), _PREFIXES).tolist())
        for end in sorted(ends):
            found = self.start().columns(_part(self.given, 0, end))
            self.equal("prefixes", found, f"over the first {end} bars", length=end)
        return f"{len(ends)} prefixes"

    def checkpoints(self) -> str:
        n = len(self.bars)
        for at in self.rng.integers(0, n, 4).tolist():
            run = self.start()
            run.columns(_part(self.given, 0, at))
            kept = run._s.tobytes()
            other = self.start()
            other.columns(_part(self.given, n - at, n))
            other._s[...] = np.frombuffer(kept, other._s.dtype).reshape(other._s.shape)
            found = other.columns(_part(self.given, at, n))
            self.equal("checkpoints", found, f"from the state after {at} bars", at)
        run = self.start()
        run.columns(self.given)
        back = run.reach(n // 2)
        if back >= 0:
            run.rollback(back)
            found = run.columns(_part(self.given, back, n))
            self.equal("checkpoints", found, f"after a step back to bar {back}", back)
        return "4 states as bytes, and a step back"

    def warm_up(self) -> str:
        spec, warmup = self.indicator.spec, self.indicator.warmup
        missing = np.isnan(self.whole)
        if spec.gaps:
            early = ~missing[:warmup].any(1)
            if early.any():
                at = int(early.argmax())
                self.fail("warm-up", f"it says that no bar before {warmup} has all its values", at)
            return f"no bar before {warmup} has all its values; gaps are allowed"
        wrong = missing[warmup:].any(1)
        if wrong.any():
            at = warmup + int(wrong.argmax())
            self.fail("warm-up", f"it says that values begin at bar {warmup}, without gaps", at)
        if warmup and not missing[:warmup].any(1).all():
            at = int((~missing[:warmup].any(1)).argmax())
            self.fail("warm-up", f"it says that bars before {warmup} lack a value", at)
        return f"values from bar {warmup} on"

    def finite(self) -> str:
        tried = {"these bars": self.whole}
        kinds = self.indicator.inputs
        for word, value in (("bars of 1", 1.0), ("bars of 0", 0.0)):
            flat = [
                column if name in WHOLE else np.full(len(column), value)
                for name, column in zip(kinds, self.given, strict=True)
            ]
            tried[word] = self.start().columns(_frozen(flat))
        for word, values in tried.items():
            infinite = np.isinf(values).any(1)
            if infinite.any():
                self.fail("finite", f"infinite on {word}", int(infinite.argmax()))
            holes = np.isnan(values[self.indicator.warmup :]).any(1)
            if holes.any() and not self.indicator.spec.gaps:
                at = self.indicator.warmup + int(holes.argmax())
                self.fail("finite", f"no value on {word}", at)
        return "also on bars that are all 1 and all 0"

    def twin(self) -> str:
        n = min(len(self.bars), self.indicator.warmup + 300)
        spec, run, other = self.indicator.spec, self.start(), self.start()
        part = bars_type(spec.inputs)(*_part(self.given, 0, n))
        compiled, out = np.empty((2, n, len(spec.outputs)))
        spec.kernel(run._p, run._s, part, compiled)  # at once, as its twin: a state may hold scraps
        with np.errstate(all="ignore"):
            plain(spec.kernel)(other._p, other._s, part, out)
        self.equal("twin", out, "run as plain Python", length=n)
        if not _same(run._s, other._s):
            self.fail("twin", "run as plain Python it leaves another state")
        return f"{n} bars as plain Python"

    def allocations(self) -> str:
        run, n = self.start(), _MANY
        part = bars_type(self.indicator.spec.inputs)
        given = _frozen([np.resize(column, 2 * n) for column in self.given])
        few, many = part(*_part(given, 0, n)), part(*given)
        kernel, out = self.indicator.spec.kernel, np.empty((2 * n, self.whole.shape[1]))
        kernel(run._p, run._s, few, out[:n])  # compiled, and past what only a start needs
        short = allocations(lambda: kernel(run._p, run._s, few, out[:n]))
        long = allocations(lambda: kernel(run._p, run._s, many, out))
        if long - short > n // 128:  # room for loops that work in blocks
            self.fail("allocations", f"{short} for {n} rows, {long} for {2 * n}")
        return f"none per row ({long} for {2 * n} rows)"

    def gaps(self) -> str:
        floats = [i for i, name in enumerate(self.indicator.inputs) if name not in WHOLE]
        n = len(self.bars)
        bad = self.rng.random(n) < 0.1
        dirty = [column.copy() for column in self.given]
        for place in np.flatnonzero(bad).tolist():
            which = dirty[floats[int(self.rng.integers(len(floats)))]] if floats else None
            if which is not None:
                which[place] = self.rng.choice([np.nan, np.inf, -np.inf])
        if not floats:
            return "it reads whole numbers only"
        expected = np.full_like(self.whole, np.nan)
        expected[~bad] = self.start().columns(_frozen([column[~bad] for column in self.given]))
        found = self.start().columns(_frozen(dirty))
        self.equal("gaps", found, "rows that are not finite", expected=expected)
        return f"{int(bad.sum())} rows that are not finite passed over"

    # -- findings --------------------------------------------------------------------

    def equal(
        self,
        rule: str,
        found: Values,
        text: str,
        start: int = 0,
        length: int | None = None,
        expected: Values | None = None,
    ) -> None:
        """Raise CheckError unless values are, bit for bit, those of the whole from `start` on."""
        end = start + (len(found) if length is None else length)
        wanted = (self.whole if expected is None else expected)[start:end]
        if found.shape != wanted.shape:
            self.fail(rule, f"{text}: {found.shape} values, not {wanted.shape}")
        apart = (_bits(found) != _bits(wanted)) & ~(np.isnan(found) & np.isnan(wanted))
        if apart.any():
            row, column = (int(i) for i in np.argwhere(apart)[0])
            raise CheckError(
                self.indicator,
                rule,
                text,
                bar=start + row,
                output=self.indicator.spec.outputs[column],
                expected=float(wanted[row, column]),
                found=float(found[row, column]),
            )

    def fail(self, rule: str, text: str, bar: int | None = None) -> None:
        raise CheckError(self.indicator, rule, text, bar=bar)


def _bits(values: Values) -> npt.NDArray[np.int64]:
    return np.ascontiguousarray(values).view(np.int64)


def _same(a: Rows, b: Rows) -> bool:
    """Tell whether two states hold the same bits, whatever kind of NaN they hold."""
    for name in a.dtype.names or ():
        x, y = a[name], b[name]
        if x.dtype == np.float64:
            x, y = (np.where(np.isnan(v), np.nan, v) for v in (x, y))
        if x.tobytes() != y.tobytes():
            return False
    return True


def _spans(cuts: npt.NDArray[np.int64], n: int) -> list[tuple[int, int]]:
    edges = [0, *cuts.tolist(), n]
    return list(pairwise(edges))


def _part(given: Columns, start: int, end: int) -> Columns:
    return [column[start:end] for column in given]


def _frozen(given: Columns) -> Columns:
    for column in given:
        column.flags.writeable = False
    return given


def _rows(bars: pd.DataFrame | Rows, start: int, end: int) -> Any:
    return bars.iloc[start:end] if isinstance(bars, pd.DataFrame) else bars[start:end]
