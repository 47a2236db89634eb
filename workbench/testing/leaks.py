"""Whether a function of bars knows at a bar what only later bars tell: `lookahead`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analytics.catalogue import Maker
from workbench.analytics.configured import Indicator
from workbench.errors import ConfigError, WorkbenchError
from workbench.testing.answers import Answer, Bars, apart, read_answer, times_of

__all__ = ["Leaks", "Offence", "lookahead"]

#: Prefixes that are tried if no step is told, and how far back the first offence is looked for.
_PREFIXES, _NEAR = 64, 256
#: Columns that say which bar it is rather than what happened in it.
_KEYS = ("time", "symbol", "timeframe", "state", "origin", "revision", "padding")


@dataclass(frozen=True)
class Offence:
    """A value at a bar that later bars made or changed.

    Attributes
    ----------
    bar : int
        Row of the bar; of the bar at which an event became known.
    time : Timestamp or None
        Of the bar.
    column : str
    given, later : object
        The value without and with what came later; None or NaN where there was none.
    kind : str
        "changed": a value was given and is another now, or gone. "appeared": there was none.
        "fitted": a value moved that stood long before the bars that moved it.
    how : str
        By which two runs it showed.
    """

    bar: int
    time: pd.Timestamp | None
    column: str
    given: Any
    later: Any
    kind: str
    how: str


@dataclass(frozen=True)
class Leaks:
    """What became of the values of a function when more bars came.

    Attributes
    ----------
    name : str
        Of the function.
    verdict : "clean", "repaints" or "leaks"
    first : Offence or None
        At the earliest bar.
    counts : mapping of column to int
        Bars with an offence that were seen.
    bars, runs : int
        Length of the whole, and how many times the function ran.
    """

    name: str
    verdict: str
    first: Offence | None
    counts: dict[str, int]
    bars: int
    runs: int

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return self.verdict == "clean"

    @property
    def count(self) -> int:
        """Values with an offence that were seen, of all columns."""
        return sum(self.counts.values())

    def __repr__(self) -> str:
        ran = f"{self.runs} runs over {self.bars} bars"
        if self.first is None:
            return f"{self.name}: clean ({ran})"
        one = self.first
        when = "" if one.time is None else f" ({one.time})"
        return (
            f"{self.name}: {self.verdict}, first at bar {one.bar}{when}, column {one.column!r}: "
            f"{one.given} became {one.later} ({one.kind}: {one.how}); "
            f"{self.count} values in {ran}"
        )

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>"


def lookahead(
    fn: Any,
    bars: Bars,
    *,
    step: int | None = None,
    symbol: str = "",
    settle: int | None = None,
    known: str | None = None,
    now: Sequence[str] = (),
    tolerance: float = 1e-9,
) -> Leaks:
    """Tell whether a function knows at a bar what only later bars tell.

    The function is run over the whole, over prefixes of it, and over bars whose later part was
    altered (reordered and scaled). A value at a bar is *given* if there was one when that bar
    was among the bars seen, and every longer run is compared with it:

    - "clean": nothing that was given changed, and nothing appeared at bars already seen.
      History shows what live showed.
    - "repaints": a value that was given changed later, or was withdrawn, while its bar was
      among the newest `settle` ones; then it stands. Live showed something, history shows
      something else (a line through the last swing, the forming bar of a longer timeframe).
    - "leaks": a value appeared at a bar where there was none when the bar was seen, or a value
      moved though `settle` bars or more stood between it and all that differs. History shows
      what nobody could have known then (a shift back, a centred window, a fit to the whole).

    A leak outweighs a repaint. For a table of events (a column "confirmed", or `known`) a row
    counts from that time on, and later times in it (such as "mitigated") when they come.
    What a function took from elsewhere, such as a mean computed before, cannot be seen.

    Parameters
    ----------
    fn : callable, Indicator or anything with a method `over`
        Of bars of the kind given; answers a value for each bar (array, Series, DataFrame) or
        a table of events. It may raise ValueError, IndexError or a WorkbenchError where bars
        are too few: such runs are passed over.
    bars : DataFrame or array of BAR
        Of one symbol, in order of time, at least 8. A few hundred are enough.
    step : int or None
        Bars between two prefixes, 1 or more; 1 tries every bar. None for about 64 prefixes of
        irregular lengths.
    symbol : str
        For an indicator or a study: tells the market's time zone.
    settle : int or None
        Bars after which a value should stand, 1 or more; None for a quarter of the bars.
    known : str or None
        For events: column with the time from which a row may be used, the end of a bar; None
        for "confirmed".
    now : sequence of str
        Columns that say how things stand at the last bar, such as how much of a gap is filled
        by then: they are not compared. Those of a study are known.
    tolerance : float
        Differences of this much of a value are rounding, 0 or more.

    Returns
    -------
    Leaks

    Raises
    ------
    ConfigError
        If the bars are too few, or an answer is neither values of bars nor events.

    Examples
    --------
    >>> frame = pd.DataFrame({"close": [float(i * i % 17) for i in range(60)]})
    >>> lookahead(lambda bars: bars["close"].rolling(5).mean(), frame).verdict
    'clean'
    >>> lookahead(lambda bars: bars["close"].shift(-1), frame, step=1).first.bar
    0
    """
    if len(bars) < 8:
        raise ConfigError(f"lookahead needs at least 8 bars, not {len(bars)}")
    for name, number in (("step", step), ("settle", settle)):
        if number is not None and number < 1:
            raise ConfigError(f"{name} must be at least 1, not {number!r}")
    reach = settle if settle is not None else max(2, len(bars) // 4)
    work, name = _work(fn, symbol)
    passing = frozenset(now) | frozenset(getattr(getattr(fn, "spec", None), "changing", ()))
    return _Test(work, name, bars, reach, known, passing, tolerance).run(step)


@dataclass
class _Test:
    work: Callable[[Any], Any]
    name: str
    bars: Bars
    reach: int
    known: str | None
    passing: frozenset[str]
    tolerance: float
    runs: int = 0
    seen: dict[str, set[int]] = field(default_factory=dict)
    found: list[Offence] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.times = times_of(self.bars)

    def run(self, step: int | None) -> Leaks:
        n = len(self.bars)
        lengths = _lengths(n, step)
        whole = self.answer(self.bars)
        assert whole is not None
        before: tuple[int, Answer] | None = None
        for length in [*lengths, n]:
            now = whole if length == n else self.answer(_first(self.bars, length))
            if now is None:
                continue
            if before is not None:
                how = f"over {before[0]} bars, then over {length}"
                self.compare(before[1], now, before[0], how)
            before = (length, now)
        for cut in _cuts(n):
            for way, altered in _altered(self.bars, cut):
                other = self.answer(altered)
                if other is not None:
                    self.compare(whole, other, cut, f"bars from {cut} on {way}")
        self.earlier(whole, lengths)
        return self.verdict()

    def answer(self, bars: Bars) -> Answer | None:
        """Return what the function gives for some bars; None if they are too few for it."""
        self.runs += 1
        try:
            given = self.work(bars.copy())
        except (WorkbenchError, ValueError, IndexError):
            if len(bars) == len(self.bars) and self.runs == 1:
                raise
            return None
        read = read_answer(given, bars, self.known)
        for name in self.passing & read.columns.keys():
            del read.columns[name]
        return read

    def compare(self, a: Answer, b: Answer, length: int, how: str) -> None:
        """Note where b differs from a in the first `length` bars, those that both were given."""
        if (a.known is None) != (b.known is None):
            raise ConfigError("the function answers now values of bars, now a table of events")
        if b.known is not None:
            self.compare_events(a, b, length, how)
            return
        for column in dict.fromkeys([*a.columns, *b.columns]):
            old, new = _cut(a, column, length), _cut(b, column, length)
            for bar in np.flatnonzero(apart(old, new, self.tolerance)).tolist():
                far = length - bar > self.reach
                kind = "fitted" if far else "appeared" if pd.isna(old[bar]) else "changed"
                self.note(bar, column, old[bar], new[bar], kind, how)

    def compare_events(self, a: Answer, b: Answer, length: int, how: str) -> None:
        end = self.end(length)
        x, y = (_until(part, end) for part in (a, b))
        n = max(len(x.known), len(y.known))  # type: ignore[arg-type]
        later = np.zeros(n, np.bool_)  # rows that tell of what came after: compared by birth only
        for part in (x, y):
            assert part.ended is not None
            later[: len(part.ended)] |= part.ended > end
        for column in y.columns or x.columns:
            old, new = (_padded(part, column, n) for part in (x, y))
            born = column in (self.known or "confirmed", "formed", "kind", "first", "last")
            wrong = apart(old, new, self.tolerance) & (~later | born)
            for row in np.flatnonzero(wrong).tolist():
                known = (y if row < len(y.known) else x).known[row]  # type: ignore[arg-type,index]
                kind = "appeared" if row >= len(x.known) else "changed"  # type: ignore[arg-type]
                self.note(self.bar_at(int(known)), column, old[row], new[row], kind, how)

    def end(self, length: int) -> int:
        """Return the time at which the last of the first bars has ended."""
        if self.times is None:
            raise ConfigError("a table of events needs bars with times")
        usual = int(np.median(np.diff(self.times)))
        end = int(self.times[length - 1]) + usual
        return min(end, int(self.times[length])) if length < len(self.times) else end

    def bar_at(self, known: int) -> int:
        assert self.times is not None
        return max(0, int(np.searchsorted(self.times, known, side="left")) - 1)

    def note(self, bar: int, column: str, given: Any, later: Any, kind: str, how: str) -> None:
        self.seen.setdefault(column, set()).add(bar)
        time = None
        if self.times is not None:
            time = pd.Timestamp(int(self.times[bar]), unit="ns", tz="UTC")
        self.found.append(Offence(bar, time, column, given, later, kind, how))

    def earlier(self, whole: Answer, lengths: list[int]) -> None:
        """Look at each bar before the first offence that was seen, if it is near."""
        if not self.found or whole.known is not None:
            return
        first = min(one.bar for one in self.found)
        for bar in range(max(0, first - _NEAR), first):
            if bar + 1 in lengths:
                continue
            now = self.answer(_first(self.bars, bar + 1))
            before = len(self.found)
            if now is not None:
                how = f"over {bar + 1} bars, then over {len(self.bars)}"
                self.compare(now, whole, bar + 1, how)
            if len(self.found) > before:
                return

    def verdict(self) -> Leaks:
        kinds = {one.kind for one in self.found}
        word = "leaks" if kinds & {"appeared", "fitted"} else "repaints" if kinds else "clean"
        first = min(self.found, key=lambda one: one.bar, default=None)
        counts = {column: len(bars) for column, bars in self.seen.items()}
        return Leaks(self.name, word, first, counts, len(self.bars), self.runs)


def _work(fn: Any, symbol: str) -> tuple[Callable[[Any], Any], str]:
    if isinstance(fn, Maker):
        fn = fn()
    if isinstance(fn, Indicator):
        chosen = fn
        return lambda bars: _table(chosen, bars, symbol), repr(chosen)
    if hasattr(fn, "over"):
        return lambda bars: fn.over(bars, symbol) if symbol else fn.over(bars), repr(fn)
    if callable(fn):
        return fn, getattr(fn, "__name__", type(fn).__name__)
    raise ConfigError(f"lookahead takes a function of bars, not {type(fn).__name__}")


def _table(chosen: Indicator, bars: Bars, symbol: str) -> pd.DataFrame:
    values = chosen.start(symbol).add(bars)
    return pd.DataFrame(values, columns=list(chosen.spec.outputs), index=_index(bars))


def _index(bars: Bars) -> pd.Index[Any] | None:
    return bars.index if isinstance(bars, pd.DataFrame) else None


def _first(bars: Bars, length: int) -> Any:
    return bars.iloc[:length] if isinstance(bars, pd.DataFrame) else bars[:length]


def _lengths(n: int, step: int | None) -> list[int]:
    if step is not None:
        return list(range(1, n, step))
    if n <= 2 * _PREFIXES:
        return list(range(1, n))
    # Irregular, so that no prefix test keeps step with the hours it should find out about.
    drawn = np.random.default_rng(n).integers(1, n, _PREFIXES - 4)
    return sorted({1, 2, 3, n - 1, *drawn.tolist()})


def _cuts(n: int) -> list[int]:
    return sorted({max(1, n * share // 97) for share in (31, 53, 78)} | {n - 1})


def _altered(bars: Bars, cut: int) -> Iterator[tuple[str, Bars]]:
    """Yield bars that are the same before a cut, and others from it on."""
    rng = np.random.default_rng(cut)
    order = np.arange(cut, len(bars))[::-1], cut + rng.permutation(len(bars) - cut)
    for way, factor, places in (("raised", 1.7, order[0]), ("lowered", 0.6, order[1])):
        made = bars.copy()
        if isinstance(made, pd.DataFrame):
            for name in made.columns:
                kind = made[name].dtype
                if name in _KEYS or not pd.api.types.is_numeric_dtype(kind):
                    continue
                column = made[name].to_numpy(copy=True)
                column[cut:] = column[places]
                if pd.api.types.is_float_dtype(kind):
                    column[cut:] *= factor
                made[name] = column
        else:
            for name in made.dtype.names or ():
                if name not in _KEYS:
                    made[name][cut:] = bars[name][places] * (factor if name != "count" else 1)
        yield f"reordered and {way}", made


def _cut(answer: Answer, column: str, length: int) -> npt.NDArray[Any]:
    if column not in answer.columns:
        return np.full(length, np.nan)
    return answer.columns[column][:length]


def _until(answer: Answer, end: int) -> Answer:
    assert answer.known is not None
    assert answer.ended is not None
    there = answer.known <= end
    kept = {name: column[there] for name, column in answer.columns.items()}
    return Answer(kept, answer.known[there], answer.ended[there])


def _padded(answer: Answer, column: str, n: int) -> npt.NDArray[Any]:
    """Return a column of events, objects, with None for rows that are not there."""
    out = np.full(n, None, object)
    if column in answer.columns:
        values = answer.columns[column]
        out[: len(values)] = values
    return out
