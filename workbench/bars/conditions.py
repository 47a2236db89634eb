"""What a trade may set in a bar, by the conditions it was reported with.

Rules are data: a table of a venue's codes. The strictest of a trade's codes decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.calendar import market_session
from workbench.records import Batch, Rows
from workbench.symbols import SymbolTable, asset_class

__all__ = [
    "ALL",
    "EVERYTHING",
    "HIGHLOW",
    "LAST",
    "NO_HIGHLOW",
    "NO_LAST",
    "NO_VOLUME",
    "RESTRICTED",
    "US_EQUITIES",
    "VOLUME",
    "Marker",
    "TapeRules",
    "eligibility",
    "marked",
    "rules_for",
]

#: A trade may set open and close; high and low; volume, notional and vwap.
LAST, HIGHLOW, VOLUME = 1, 2, 4
ALL = LAST | HIGHLOW | VOLUME

#: The same, the other way round, as bits of a trade's flags: 0 leaves everything allowed.
NO_LAST, NO_HIGHLOW, NO_VOLUME = 2, 4, 8
RESTRICTED = NO_LAST | NO_HIGHLOW | NO_VOLUME


@dataclass(frozen=True, eq=False)
class TapeRules:
    """What trades may set in bars, by code.

    Attributes
    ----------
    name : str
    codes : mapping of int to int
        Code from 1 to 255 to a sum of LAST, HIGHLOW and VOLUME; what is not listed may set all.
    extended : frozenset of int
        Codes that mark a trade outside of regular hours. There they restrict nothing, or no
        bar could be built; within regular hours, as late reports, they do.

    Examples
    --------
    >>> US_EQUITIES.allowed(37) == VOLUME, US_EQUITIES.allowed(14) == ALL
    (True, True)
    """

    name: str
    codes: Mapping[int, int]
    extended: frozenset[int] = frozenset()
    _table: npt.NDArray[np.uint8] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        table = np.full(256, ALL, np.uint8)
        for code, allowed in self.codes.items():
            if not 0 < code < 256 or not 0 <= allowed <= ALL:
                raise ValueError(f"a rule is a code from 1 to 255 and a sum up to {ALL}: {code}")
            table[code] = allowed
        table.flags.writeable = False
        object.__setattr__(self, "_table", table)

    def allowed(self, code: int) -> int:
        """Return what a trade with this code alone may set."""
        return int(self._table[code])

    def lookup(self, conditions: npt.NDArray[np.uint32], *, late: bool) -> npt.NDArray[np.uint8]:
        """Return what trades may set by their packed codes, four at most.

        Parameters
        ----------
        conditions : uint32 array
            Up to four codes, a byte each; 0 is none.
        late : bool
            Whether codes of extended hours restrict.
        """
        table = self._table
        if not late and self.extended:
            table = table.copy()
            table[list(self.extended)] = ALL
        found: npt.NDArray[np.uint8] = table[conditions & np.uint32(255)]
        for shift in (8, 16, 24):
            found &= table[(conditions >> np.uint32(shift)) & np.uint32(255)]
        return found


_VOLUME_ONLY = (
    *(2, 7, 12, 13, 20, 21),  # average price, cash, form T, sold in extended hours, next day ..
    *(37, 52, 53),  # odd lot, contingent, qualified contingent
)
_NOT_LAST = (5, 10, 22, 29, 32, 33)  # bunched sold, derivatively priced, prior reference ..
_NOTHING = (15, 16)  # official close and open of a market centre: no trades

#: Consolidated rules of the US equities tape, in Massive's numbers of sale conditions: the
#: update rules of the CTA and UTP plans, as /v3/reference/conditions lists them. Code 38, a
#: corrected consolidated close, sets prices and no volume.
US_EQUITIES = TapeRules(
    "us-equities",
    dict.fromkeys(_VOLUME_ONLY, VOLUME)
    | dict.fromkeys(_NOT_LAST, HIGHLOW | VOLUME)
    | dict.fromkeys(_NOTHING, 0)
    | {38: LAST | HIGHLOW},
    frozenset({12}),
)

#: For venues whose trades all count for everything.
EVERYTHING = TapeRules("everything", {})


def rules_for(symbol: str) -> TapeRules:
    """Return the rules of the market a symbol of ours trades in.

    Stocks have those of the US tape. Everywhere else each trade counts for everything.

    >>> rules_for("AAPL").name, rules_for("BTC-USD").name
    ('us-equities', 'everything')
    """
    return US_EQUITIES if asset_class(symbol) == "stocks" else EVERYTHING


def eligibility(trades: Rows | pd.DataFrame, rules: TapeRules) -> npt.NDArray[np.uint8]:
    """Return what each trade may set in a bar.

    Parameters
    ----------
    trades : array of TRADE, or DataFrame
        A DataFrame is indexed by time and has packed conditions.
    rules : TapeRules

    Returns
    -------
    uint8 array
        Sums of LAST, HIGHLOW and VOLUME. Several codes on one trade: what all of them allow.

    Examples
    --------
    >>> from workbench.records import TRADE
    >>> trades = np.zeros(3, TRADE)
    >>> trades["time"] = 1_762_189_200 * 10**9
    >>> trades["conditions"] = [0, 14 | 37 << 8, 16]
    >>> eligibility(trades, US_EQUITIES).tolist()
    [7, 4, 0]
    """
    if isinstance(trades, pd.DataFrame):
        index = trades.index
        if not isinstance(index, pd.DatetimeIndex):
            raise TypeError(f"trades must be indexed by time, not by {type(index).__name__}")
        times = np.asarray(index.as_unit("ns").asi8)
        conditions = trades["conditions"].to_numpy(np.uint32)
    else:
        times, conditions = trades["time"], np.ascontiguousarray(trades["conditions"])
    if not rules.codes or not conditions.any():
        return np.full(len(times), ALL, np.uint8)
    strict = rules.lookup(conditions, late=True)
    if rules.extended:
        mild = rules.lookup(conditions, late=False)
        open_ = np.flatnonzero(mild != strict)
        if len(open_):
            outside = market_session(times[open_], "SPY") != "regular"
            strict[open_[outside]] = mild[open_[outside]]
    return strict


class Marker:
    """Mark the trades of a feed by the rules of their markets.

    Parameters
    ----------
    table : SymbolTable
        Names the symbols of the trades.

    Examples
    --------
    >>> from workbench.records import empty
    >>> from workbench.symbols import SymbolTable
    >>> trades = empty("trade", 2)
    >>> trades["symbol"], trades["conditions"] = [0, 1], 37  # an odd lot on a stock exchange
    >>> Marker(SymbolTable(["AAPL", "BTC-USD"]))(Batch("trade", trades)).rows["flags"].tolist()
    [6, 0]
    """

    def __init__(self, table: SymbolTable) -> None:
        self._table = table
        self._rules: dict[int, TapeRules] = {}

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch, with marks where it is of trades and conditions restrict some."""
        if batch.kind != "trade" or not batch.rows["conditions"].any():
            return batch
        rows = batch.rows
        for rules in {self._of(int(number)) for number in np.unique(rows["symbol"])}:
            if not rules.codes:
                continue
            own = np.array([self._of(int(number)) is rules for number in rows["symbol"]])
            made = marked(rows if own.all() else rows[own], rules)
            if own.all():
                rows = made
            elif made["flags"].any():
                rows = rows.copy()
                rows[own] = made
        return batch if rows is batch.rows else Batch("trade", rows)

    def _of(self, number: int) -> TapeRules:
        if number not in self._rules:
            self._rules[number] = rules_for(self._table.name(number))
        return self._rules[number]


def marked(trades: Rows, rules: TapeRules) -> Rows:
    """Return trades whose flags tell what they may not set.

    Parameters
    ----------
    trades : array of TRADE
    rules : TapeRules

    Returns
    -------
    array of TRADE
        The same array where nothing is restricted, else a copy. Bits NO_LAST, NO_HIGHLOW and
        NO_VOLUME of `flags` are set, the others left as they are. A trade that may not set
        high and low may not set open and close either: a bar's would contradict each other.
    """
    allowed = eligibility(trades, rules)
    if (allowed == ALL).all() and not (trades["flags"] & RESTRICTED).any():
        return trades
    allowed[(allowed & HIGHLOW) == 0] &= VOLUME
    made = trades.copy()
    made["flags"] = (trades["flags"] & ~np.uint8(RESTRICTED)) | ((~allowed & ALL) << 1)
    return made
