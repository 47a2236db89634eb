"""What a reconciliation found: differences with their reasons, and what to do about them."""

from __future__ import annotations

import html
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pandas as pd

from workbench.reconciliation.tape import Pairing
from workbench.records import Rows
from workbench.sessions import timezone
from workbench.symbols import SymbolTable
from workbench.timeframes import Timeframe

__all__ = ["Reconciliation"]

#: Lines of the table that a notebook's cell shows.
_LINES = 20


@dataclass(frozen=True, eq=False, repr=False)
class Reconciliation:
    """Our bars of a day beside the provider's.

    Attributes
    ----------
    symbol, source : str
    timeframe : Timeframe
    start, end : int
        The range that was compared, ns UTC, half-open.
    table : DataFrame
        A line for each difference, indexed by the UTC time of the bar: field, own, provider,
        difference (own less provider), reason and detail. Where only one side has the bar the
        field is "bar", and the numbers are volumes.
    bars : int
        Bars that either side has.
    agreed : int
        Of those, bars that are equal but for rounding.
    corrections : DataFrame
        Trades that the provider cancelled, replaced or has and we do not; see
        :func:`~workbench.reconciliation.tape.corrections`. Empty if it was not asked for any.
    trades : array of TRADE
        Ours.
    own_bars : array of BAR
        What they make.
    pairing : Pairing or None
        How they pair with the provider's; None if those were not asked for.
    """

    symbol: str
    source: str
    timeframe: Timeframe
    start: int
    end: int
    table: pd.DataFrame
    bars: int
    agreed: int
    corrections: pd.DataFrame
    trades: Rows
    own_bars: Rows
    pairing: Pairing | None
    numbers: SymbolTable

    @property
    def differences(self) -> int:
        """The number of bars that differ by more than rounding."""
        return self.bars - self.agreed

    @property
    def reasons(self) -> pd.Series[int]:
        """The number of differences by reason, the most frequent first."""
        return self.table["reason"].value_counts()

    @property
    def by_bar(self) -> pd.Series[int]:
        """The number of bars by single reason; a bar that has several counts for each."""
        held = self.table.reset_index()[["time", "reason"]]
        held = held.assign(reason=held["reason"].str.split(" + ", regex=False)).explode("reason")
        return held.drop_duplicates()["reason"].value_counts()

    @property
    def summary(self) -> str:
        """Say in one line how many bars agree, and why the others do not."""
        day = pd.Timestamp(self.start, unit="ns", tz=timezone(self.symbol))
        text = f"{self.symbol} {day:%Y-%m-%d} {self.timeframe}: "
        text += f"{self.agreed} of {self.bars} bars agree"
        if self.differences:
            counts = self.by_bar.drop("rounding", errors="ignore")
            text += f"; {self.differences} differ: "
            text += ", ".join(f"{count} {reason}" for reason, count in counts.items())
        if len(self.corrections):
            changes = self.corrections["change"].value_counts()
            text += "; trades " + ", ".join(f"{n} {change}" for change, n in changes.items())
        return text

    def plot(self, *, dark: bool = False) -> Any:
        """Return a strip of where bars differ and why, as a HoloViews element.

        Parameters
        ----------
        dark : bool
            Whether it stands on a dark page.
        """
        # What draws lies above what is drawn, and is loaded by those only who look.
        return import_module("workbench.plots.reconciliation").reconciliation_plot(self, dark=dark)

    def __repr__(self) -> str:
        return f"Reconciliation({self.summary})"

    def _repr_html_(self) -> str:
        shown: str = self.table.head(_LINES).to_html(border=0)
        more = len(self.table) - _LINES
        tail = f"<p>and {more} more differences in .table</p>" if more > 0 else ""
        return f"<p>{html.escape(self.summary)}</p>{shown if len(self.table) else ''}{tail}"
