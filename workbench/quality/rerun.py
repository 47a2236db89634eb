"""Judge what was refused again, by other rules."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.quality.quarantine import Quarantine, Refused
from workbench.quality.rules import Rules
from workbench.records import Batch, Kind

__all__ = ["Rerun", "rerun"]


@dataclass(frozen=True)
class Rerun:
    """What other rules would accept of what is in quarantine.

    Attributes
    ----------
    entries : tuple of Refused
        What was judged again, by kind and in order of receipt.
    accepted : tuple of bool
        Which of them would be accepted.
    """

    entries: tuple[Refused, ...]
    accepted: tuple[bool, ...]

    @property
    def passed(self) -> tuple[Refused, ...]:
        """The entries that would be accepted."""
        return tuple(one for one, yes in zip(self.entries, self.accepted, strict=True) if yes)

    @property
    def batches(self) -> list[Batch]:
        """The rows that would be accepted, in order of receipt, a batch for each kind."""
        kinds: tuple[Kind, ...] = ("trade", "quote", "bar")
        parts = {k: [one.row for one in self.passed if one.kind == k] for k in kinds}
        return [
            Batch(kind, np.concatenate([row for row in rows if row is not None]))
            for kind, rows in parts.items()
            if rows
        ]

    def table(self) -> pd.DataFrame:
        """Return a line for each row: number, rule, kind, symbol, content, accepted."""
        names = ["number", "rule", "kind", "symbol", "content"]
        frame = pd.DataFrame(
            [[getattr(one, name) for name in names] for one in self.entries], columns=names
        )
        frame["accepted"] = np.array(self.accepted, np.bool_)
        return frame

    def __repr__(self) -> str:
        return f"Rerun({sum(self.accepted)} of {len(self.entries)} would be accepted)"

    def _repr_html_(self) -> str:
        shown: str = self.table().to_html(index=False)
        return f"<p>{html.escape(repr(self))}</p>{shown}"


def rerun(quarantine: Quarantine, rules: Rules, *, numbers: Iterable[int] | None = None) -> Rerun:
    """Judge the rows in quarantine again by other rules, and change nothing.

    Each is compared with what it was compared with then. What cannot be a row at all stays
    refused by any rules.

    Parameters
    ----------
    quarantine : Quarantine
    rules : Rules
    numbers : iterable of int or None
        Only these refusals; None is all that are kept.

    Examples
    --------
    >>> rerun(Quarantine(), Rules())
    Rerun(0 of 0 would be accepted)
    """
    wanted = None if numbers is None else set(numbers)
    chosen = [
        one
        for one in quarantine.entries()
        if one.row is not None
        and one.outcome == "refused"
        and (wanted is None or one.number in wanted)
    ]
    # Within a batch they were refused rule by rule.
    entries = tuple(sorted(chosen, key=lambda one: (one.kind, one.serial)))
    return Rerun(entries, tuple(_passes(one, rules) for one in entries))


def _passes(one: Refused, rules: Rules) -> bool:
    if one.row is None or one.symbol is None:
        return False
    limits, row = rules.of(one.symbol), one.row[0]
    if one.rule == "deviation" and one.reference is not None:
        if not limits.max_price_deviation:
            return True
        reach = max(one.reference * limits.max_price_deviation, limits.min_price_move)
        return one.reference - reach <= float(row["price"]) <= one.reference + reach
    if one.rule == "outsize" and one.reference is not None:
        return not limits.absurd_size or float(row["size"]) <= one.reference * limits.absurd_size
    if one.rule == "time" and one.received:
        ahead = int(row["time"]) - one.received
        # Before 2000, or with a unit of its own, it is no time under any rules.
        return 0 < ahead <= round((limits.max_future_seconds or 86_400.0) * 1e9)
    return False
