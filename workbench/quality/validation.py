"""Check tables and rows from history or elsewhere by the rules."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import ConfigError, UnknownSymbolError
from workbench.quality.judge import Judge, possible
from workbench.quality.rules import RULES, Rules
from workbench.quality.tables import NEEDED, frame_of, kind_of, names_of, rows_of, times_of
from workbench.records import Kind, Rows
from workbench.symbols import SymbolTable, canonical

__all__ = ["Validation", "validate"]

#: What is said of a row, where the rules of the gate say nothing.
_SAYS = {
    "time": "no time, or one of the first days of 1970: a wrong unit",
    "order": "older than the row before it",
    "duplicate": "the same row was here before",
    "contradiction": "another row of the same time says something else",
    "deviation": "too far from the prices around it",
    "symbol": "not a symbol any market uses",
}
#: Times in s, ms or us that are read as ns fall into the first days of 1970.
_UNIT = 20 * 86_400 * 10**9
#: Bars on either side that a bar is compared with, and that tell which moves are usual.
_AROUND = 3
_USUAL = 51
#: A bar may always be off its surroundings by this many typical moves between bars.
_TYPICAL_MOVES = 15.0


@dataclass(frozen=True)
class Validation:
    """What a check found.

    Attributes
    ----------
    kind : "trade", "quote" or "bar"
    errors : pandas.DataFrame
        A line for each error: row (position), time (UTC), symbol, type, description.
    statistics : dict
        validated, errors_detected (rows with an error), corrections_made (0: nothing is
        changed), success_rate (from 0 to 1).
    """

    kind: Kind
    errors: pd.DataFrame
    statistics: dict[str, float | int]

    @property
    def success(self) -> bool:
        """Whether nothing was found."""
        return self.errors.empty

    def list(self, limit: int = 10) -> list[dict[str, str]]:
        """Return the first errors as type and description.

        Parameters
        ----------
        limit : int
            How many at most.
        """
        first = self.errors.head(limit)
        return [
            {"type": str(kind), "description": f"row {row}: {text}"}
            for kind, row, text in zip(
                first["type"], first["row"], first["description"], strict=True
            )
        ]

    def __bool__(self) -> bool:
        return self.success

    def __repr__(self) -> str:
        counts = ", ".join(f"{k} {n}" for k, n in self.errors["type"].value_counts().items())
        rows = self.statistics["validated"]
        return f"Validation({rows} {self.kind} rows, {'success' if self.success else counts})"

    def _repr_html_(self) -> str:
        shown: str = self.errors.head(20).to_html(index=False)
        return f"<p>{html.escape(repr(self))}</p>{shown}"


def validate(
    data: pd.DataFrame | Rows,
    *,
    kind: Kind | None = None,
    rules: Rules | None = None,
    symbol: str | None = None,
    table: SymbolTable | None = None,
) -> Validation:
    """Check a table or rows by the rules, and change nothing.

    Parameters
    ----------
    data : DataFrame or structured array
        A table is indexed by time, or has a column "time"; what names no zone is UTC. Bars
        have open, high, low, close and perhaps volume; quotes bid and ask; trades price and
        size. A column "symbol" may tell series apart.
    kind : "trade", "quote", "bar" or None
        None tells it from the columns.
    rules : Rules or None
        None is the usual ones.
    symbol : str or None
        Of all rows, where no column tells it; it decides the limits. None are those of stocks.
    table : SymbolTable or None
        Names of the symbols of a structured array.

    Returns
    -------
    Validation

    Raises
    ------
    ConfigError
        If columns are missing.

    Examples
    --------
    >>> times = pd.date_range("2025-11-03", periods=3, freq="min")
    >>> frame = pd.DataFrame({"open": 10.0, "high": 11.0, "low": [9.0, 12.0, 9.0],
    ...                       "close": 10.0}, index=times)
    >>> check = validate(frame)
    >>> check, check.list()[0]["type"]
    (Validation(3 bar rows, ohlc 1), 'ohlc')
    """
    rules = rules or Rules()
    frame = data if isinstance(data, pd.DataFrame) else frame_of(data, table)
    kind = kind or kind_of(frame)
    lacking = [name for name in NEEDED[kind] if name not in frame.columns]
    if lacking:
        raise ConfigError(f"a table of {kind}s needs the columns {', '.join(NEEDED[kind])}")
    times = times_of(frame)
    names = names_of(frame, symbol)
    types = np.full(len(frame), "", dtype=object)
    for name in pd.unique(names):
        where = np.flatnonzero(names == name)
        types[where] = _types(frame.iloc[where], times[where], str(name), kind, rules)
    return _report(kind, types, times, names)


def _types(
    frame: pd.DataFrame, times: npt.NDArray[np.int64], name: str, kind: Kind, rules: Rules
) -> npt.NDArray[np.object_]:
    """Return which rule each row of one series breaks, "" for none."""
    types = np.full(len(frame), "", dtype=object)
    try:
        canonical(name or "A")
    except UnknownSymbolError:
        types[:] = "symbol"
        return types
    types[(times >= 0) & (times < _UNIT) | (times == np.iinfo(np.int64).min)] = "time"
    if kind == "bar":
        _check_bars(frame, times, name, rules, types)
    else:
        _check_ticks(frame, times, name, kind, rules, types)
    return types


def _check_bars(
    frame: pd.DataFrame,
    times: npt.NDArray[np.int64],
    name: str,
    rules: Rules,
    types: npt.NDArray[np.object_],
) -> None:
    rows = rows_of(frame, "bar", times)
    rows["vwap"] = np.where(np.isfinite(rows["vwap"]), rows["vwap"], 0.0)
    _mark(types, ~possible(rows), "ohlc")
    content = [row.tobytes() for row in rows]
    seen: dict[int, bytes] = {}
    latest = np.iinfo(np.int64).min
    for i in np.flatnonzero(types == ""):
        time = int(times[i])
        if time in seen:
            types[i] = "duplicate" if seen[time] == content[i] else "contradiction"
        elif time < latest:
            types[i] = "order"
        seen.setdefault(time, content[i])
        latest = max(latest, time)
    usable = np.flatnonzero((types == "") | (types == "order"))
    usable = usable[np.argsort(times[usable], kind="stable")]
    off = usable[_outliers(rows[usable], rules.of(name or "A").max_price_deviation)]
    _mark(types, np.isin(np.arange(len(rows)), off), "deviation")


def _check_ticks(
    frame: pd.DataFrame,
    times: npt.NDArray[np.int64],
    name: str,
    kind: Kind,
    rules: Rules,
    types: npt.NDArray[np.object_],
) -> None:
    rows = rows_of(frame, kind, times)
    judge = Judge(SymbolTable([name or "A"]), rules, max(512, len(rows)))
    good = np.flatnonzero(types == "")
    some = rows[good]
    some.flags.writeable = False
    verdicts = judge.trades(some) if kind == "trade" else judge.quotes(some)
    codes = verdicts.codes
    for one in verdicts.confirmed:
        codes[one.serials] = 0
    types[good] = np.array(verdicts.names, dtype=object)[codes]
    ordered = times[good]
    backwards = ordered < np.maximum.accumulate(ordered) if len(ordered) else ordered > 0
    _mark(types, np.isin(np.arange(len(rows)), good[backwards]), "order")


def _mark(types: npt.NDArray[np.object_], where: npt.NDArray[np.bool_], name: str) -> None:
    """Name an error where there is none yet."""
    types[where & (types == "")] = name


def _outliers(rows: Rows, deviation: float) -> npt.NDArray[np.bool_]:
    """Tell which bars, in order of time, are off the bars before and off those after them.

    What lies between the median closes of both sides, as in a leap or a fall, is not off; the
    distance that is allowed beyond grows with the moves that are usual around there.
    """
    off: npt.NDArray[np.bool_] = np.zeros(len(rows), np.bool_)
    if not deviation or len(rows) < 2 * _AROUND + 1:
        return off
    close = pd.Series(np.ascontiguousarray(rows["close"]))
    before = close.rolling(_AROUND, min_periods=1).median().shift(1)
    after = close[::-1].rolling(_AROUND, min_periods=1).median().shift(1)[::-1]
    sides = np.stack([before.fillna(after), after.fillna(before)])
    moves = close.pct_change().abs()
    usual = moves.rolling(_USUAL, center=True, min_periods=_AROUND).median()
    share = np.maximum(deviation, _TYPICAL_MOVES * usual.to_numpy())
    low, high = sides.min(axis=0) * (1.0 - share), sides.max(axis=0) * (1.0 + share)
    for name in NEEDED["bar"]:
        off |= (rows[name] < low) | (rows[name] > high)
    return off


def _report(
    kind: Kind,
    types: npt.NDArray[np.object_],
    times: npt.NDArray[np.int64],
    names: npt.NDArray[np.object_],
) -> Validation:
    bad = np.flatnonzero(types != "")
    says = {name: rule.says for name, rule in RULES.items()} | _SAYS
    if kind == "trade":
        says["deviation"] = RULES["deviation"].says
    errors = pd.DataFrame(
        {
            "row": bad,
            "time": pd.to_datetime(times[bad], utc=True),
            "symbol": names[bad],
            "type": types[bad],
            "description": [says[str(one)] for one in types[bad]],
        }
    )
    total = len(types)
    statistics: dict[str, float | int] = {
        "validated": total,
        "errors_detected": len(bad),
        "corrections_made": 0,
        "success_rate": 1.0 - len(bad) / total if total else 1.0,
    }
    return Validation(kind, errors, statistics)
