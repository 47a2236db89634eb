"""What warm-ups brought: a result for each name, the status of a run, and a table for people."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from workbench.clock import Clock, SystemClock
from workbench.history.barloader import Origin
from workbench.history.warmups import Warmup

__all__ = ["Result", "State", "Status", "summary"]

State = Literal["waiting", "running", "done", "cached", "failed", "cancelled"]

_OVER = ("done", "cached", "failed")


@dataclass(frozen=True, slots=True, eq=False)  # DataFrames do not compare to one answer
class Result:
    """What is known of one warm-up of a symbol.

    Attributes
    ----------
    warmup : Warmup
    symbol : str
    state : "waiting", "running", "done", "cached", "failed" or "cancelled"
        Cached: not fetched in this run.
    bars : DataFrame or None
        As :func:`~workbench.history.fetch.fetch_bars` gives them; None if there are none.
    value : DataFrame or None
        What is computed from them: averages, or the table of a study.
    words : str
        What that says.
    reason : str
        Why it failed, or why the bars are old.
    origin : "provider", "cache", "stale", "store" or "nowhere"
        Where the bars came from.
    seconds : float
        How long it took.
    fetched : int
        When the bars were asked for, ns UTC; 0 without bars. Of bars from the store, when the
        last of them ended.
    """

    warmup: Warmup
    symbol: str
    state: State = "waiting"
    bars: pd.DataFrame | None = field(default=None, repr=False)
    value: pd.DataFrame | None = field(default=None, repr=False)
    words: str = ""
    reason: str = ""
    origin: Origin = "nowhere"
    seconds: float = 0.0
    fetched: int = 0

    @property
    def name(self) -> str:
        """Name of the warm-up."""
        return self.warmup.name

    @property
    def stale(self) -> bool:
        """Whether the bars are older than wanted, because no newer ones could be had."""
        return self.origin in ("stale", "store")

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in _OVER

    @property
    def says(self) -> str:
        """What it says, or why it does not."""
        if self.state == "failed":
            return self.reason
        return f"{self.words} (old bars)" if self.stale else self.words

    def _repr_html_(self) -> str:
        head = html.escape(f"{self.symbol} {self.name} ({self.state}): {self.says}")
        table = "" if self.value is None else self.value.tail(10).to_html()
        return f"<p><b>{head}</b></p>{table}"


@dataclass(frozen=True, slots=True)
class Status:
    """How far the warm-ups of a symbol are.

    Attributes
    ----------
    symbol : str
        Empty before the first.
    in_progress : bool
    results : dict of str to Result
        By name, in the order they are run in.
    """

    symbol: str = ""
    in_progress: bool = False
    results: dict[str, Result] = field(default_factory=dict)

    @property
    def completed(self) -> int:
        """Warm-ups that are over, well or not."""
        return sum(one.over for one in self.results.values())

    @property
    def total(self) -> int:
        """Warm-ups wanted."""
        return len(self.results)

    @property
    def percentage(self) -> float:
        """Share of the warm-ups that are over, 0 to 100."""
        return 100.0 * self.completed / self.total if self.total else 100.0

    @property
    def errors(self) -> dict[str, str]:
        """What went wrong, by name; a name may have old bars all the same."""
        return {name: one.reason for name, one in self.results.items() if one.reason}

    @property
    def summary(self) -> str:
        """Say in one line how far it is and what went wrong.

        >>> from workbench.history.warmups import warmup
        >>> failed = Result(warmup("HVN"), "AAPL", "failed", reason="no")
        >>> Status("AAPL", False, {"HVN": failed}).summary
        'AAPL: 0 of 1 ready; HVN: no'
        """
        ready = sum(one.state in ("done", "cached") for one in self.results.values())
        words = [f"{name}: {reason}" for name, reason in self.errors.items()]
        return "; ".join([f"{self.symbol or 'nothing'}: {ready} of {self.total} ready", *words])

    def __str__(self) -> str:
        return self.summary

    def _repr_html_(self) -> str:
        table = summary(self.results).to_html(na_rep="")
        return f"<p>{html.escape(self.summary)}</p>{table}"


def summary(
    results: Mapping[str, Result] | Iterable[Result], *, clock: Clock | None = None
) -> pd.DataFrame:
    """Return a table of results for a panel.

    Parameters
    ----------
    results : mapping of str to Result, or iterable of Result
    clock : Clock or None
        Tells how old they are; None is the machine's.

    Returns
    -------
    pandas.DataFrame
        By name: timeframe, priority, state, bars, says, age (seconds since the bars were
        asked for, NaN without any).

    Examples
    --------
    >>> from workbench.history.warmups import warmup
    >>> table = summary([Result(warmup("M1_EMA"), "AAPL")])
    >>> table.loc["M1_EMA", ["timeframe", "state"]].tolist()
    ['1m', 'waiting']
    """
    now = (clock or SystemClock()).now()
    listed = results.values() if isinstance(results, Mapping) else results
    rows = [
        {
            "name": one.name,
            "timeframe": one.warmup.timeframe,
            "priority": one.warmup.priority,
            "state": one.state,
            "bars": 0 if one.bars is None else len(one.bars),
            "says": one.says,
            "age": max(0, now - one.fetched) / 1e9 if one.fetched else float("nan"),
        }
        for one in listed
    ]
    columns = ["name", "timeframe", "priority", "state", "bars", "says", "age"]
    return pd.DataFrame(rows, columns=columns).set_index("name")
