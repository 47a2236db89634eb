"""Repairing a store by what a reconciliation found: trades first, then the bars they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from workbench.bars.conditions import eligibility, rules_for
from workbench.clock import Clock, SystemClock
from workbench.reconciliation.grid import built
from workbench.reconciliation.result import Reconciliation
from workbench.records import CANCELLED, REVISED, Batch, Rows
from workbench.store.store import Store
from workbench.symbols import SymbolTable

__all__ = ["Amending", "Repair", "apply"]

_KEY = ("time", "sequence", "exchange", "id")
#: What of a bar is its own, whatever its revision.
_FIELDS = ("open", "high", "low", "close", "volume", "volume_rest", "notional", "count")


class Amending(Protocol):
    """A store that can say of a trade it holds that it is different now."""

    def amend_trades(self, rows: Rows, table: SymbolTable, known: int = 0) -> int:
        """Replace what is stored of trades, keeping the old for reads of the past."""
        ...


@dataclass(frozen=True, slots=True)
class Repair:
    """What was changed in a store.

    Attributes
    ----------
    added, replaced, cancelled : int
        Trades.
    revised : int
        Bars that are different now.
    emptied : int
        Bars of which no trade is left. They stay as they were: nothing else is known of them.
    """

    added: int = 0
    replaced: int = 0
    cancelled: int = 0
    revised: int = 0
    emptied: int = 0

    def __str__(self) -> str:
        """Say in one line what was changed.

        >>> print(Repair(added=2, revised=1))
        trades 2 added, 0 replaced, 0 cancelled; 1 bar revised
        """
        bars = "1 bar" if self.revised == 1 else f"{self.revised} bars"
        return (
            f"trades {self.added} added, {self.replaced} replaced, {self.cancelled} cancelled; "
            f"{bars} revised"
        )


def apply(found: Reconciliation, store: Store, *, clock: Clock | None = None) -> Repair:
    """Take over what the provider knows better, and build the bars it touches again.

    Trades that we lack are added, those that the provider took back are marked as cancelled,
    those it corrected say what it says now. What they said before, and the bars that were
    made of it, is kept for reads with `as_of`. Doing it twice changes nothing.

    Parameters
    ----------
    found : Reconciliation
        With the provider's trades; what the provider does not tell at all is left as it is.
    store : Store
        The one whose trades were reconciled, open for writing.
    clock : Clock or None
        Tells when this became known; None is the machine's.

    Returns
    -------
    Repair

    Raises
    ------
    ValueError
        If the reconciliation was made without the provider's trades.
    StoreFullError, StoreError
        If the store cannot write now. Trades are written before bars: do it again then.
    """
    if found.pairing is None:
        raise ValueError('reconcile with evidence="day" or "bars": there is nothing to apply')
    pairing, own, known = found.pairing, found.trades, (clock or SystemClock()).now()
    number = found.numbers.id(found.symbol)
    old, new = own[pairing.replaced], pairing.replacing
    same = np.ones(len(new), np.bool_)
    for name in _KEY:
        same &= old[name] == new[name]
    # A correction under another key is a new trade, and the end of the old one.
    void = np.concatenate([own[pairing.cancelled], old[~same]])
    void["flags"] |= CANCELLED
    fresh = np.concatenate([pairing.added, new[~same]])
    amended = np.concatenate([void, new[same]])
    for rows in (fresh, amended):
        rows["symbol"] = number
    if len(fresh):
        store.append(Batch("trade", fresh), found.numbers)
    if len(amended):
        _amend(store, amended, found.numbers, known)
    times = np.concatenate([fresh["time"], amended["time"]])
    revised, emptied = _rebuild(found, store, times, known)
    return Repair(
        added=len(pairing.added),
        replaced=len(new),
        cancelled=len(pairing.cancelled),
        revised=revised,
        emptied=emptied,
    )


def _amend(store: Amending, rows: Rows, numbers: SymbolTable, known: int) -> None:
    store.amend_trades(rows, numbers, known)


def _rebuild(
    found: Reconciliation, store: Store, times: npt.NDArray[np.int64], known: int
) -> tuple[int, int]:
    """Build the bars of some times from the stored trades; return how many changed or ended."""
    tf = found.timeframe
    starts = np.unique(times - (times - tf.origin) % tf.ns)
    if not len(starts):
        return 0, 0
    span = {"start": int(starts[0]), "end": int(starts[-1]) + tf.ns}
    trades = store.rows("trade", found.symbol, start=span["start"], end=span["end"])
    trades = trades[np.isin(trades["time"] - (trades["time"] - tf.origin) % tf.ns, starts)]
    bars = built(trades, eligibility(trades, rules_for(found.symbol)), tf)
    held = store.rows(
        "bar", found.symbol, timeframe=tf, origin=0, start=span["start"], end=span["end"]
    )
    before = {int(row["time"]): row for row in held}
    changed = []
    for place, bar in enumerate(bars):
        last = before.get(int(bar["time"]))
        if last is None:
            changed.append(place)
        elif any(last[name] != bar[name] for name in _FIELDS):
            bar["revision"], bar["state"] = last["revision"] + 1, REVISED
            changed.append(place)
    rows = bars[changed]
    rows["symbol"] = found.numbers.id(found.symbol)
    if len(rows):
        store.append(Batch("bar", rows, tf, known), found.numbers)
    left = np.isin(list(before), starts) & ~np.isin(list(before), bars["time"])
    return len(rows), int(left.sum())
