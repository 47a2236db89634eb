"""The one place that accepts rows: the rest is a duplicate or goes to quarantine."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.quality.judge import BarJudge, Judge, Verdicts
from workbench.quality.quarantine import Outcome, Quarantine, Refused
from workbench.quality.rerun import Rerun
from workbench.quality.rules import Rules
from workbench.records import Batch, Kind, Rows
from workbench.symbols import SymbolTable

__all__ = ["Gate", "Quarantine", "Refused"]

#: Marks of rows that were accepted: column of the levels, by kind.
_MARKS = {
    "late": "late",
    "disordered": "disordered",
    "large": "outsize",
    "off-market": "off_market",
    "crossed": "crossed",
    "locked": "locked",
}


class Gate:
    """Accept rows, tell repeats, refuse what cannot be true.

    Every row that comes in is counted once: received = accepted + duplicate + refused. Trades
    off the level of their symbol are refused until others confirm them; they are released
    then, ahead of the trade that confirmed them, and counted as accepted instead.

    Parameters
    ----------
    table : SymbolTable
        Names for the rows' symbols.
    quarantine : Quarantine
        Receives what is refused.
    remember : int
        Trades remembered at least to tell repeats; memory grows with use up to 200 bytes each.
    rules : Rules or None
        None refuses only what cannot be a row at all; `Rules()` are the usual ones.

    Attributes
    ----------
    received, accepted, duplicates, refused : Counter of str
        Rows by kind.
    released : Counter of str
        Rows by kind that were refused first and are among those accepted.

    Examples
    --------
    >>> from workbench.records import TRADE
    >>> rows = np.zeros(3, TRADE)
    >>> rows["time"], rows["id"] = 1_700_000_000 * 10**9, [1, 1, 2]
    >>> rows["price"], rows["size"] = [10.0, 10.0, -1.0], 1.0
    >>> gate = Gate(SymbolTable(["BTC-USD"]), Quarantine())
    >>> len(gate.accept(Batch("trade", rows)))
    1
    >>> gate.received["trade"], gate.accepted["trade"], gate.duplicates["trade"], gate.quarantine
    (3, 1, 1, Quarantine(1 refused: price 1))
    """

    def __init__(
        self,
        table: SymbolTable,
        quarantine: Quarantine,
        remember: int = 200_000,
        rules: Rules | None = None,
    ) -> None:
        self.quarantine = quarantine
        self.rules = rules or Rules.structural()
        self.received: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.duplicates: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.released: Counter[str] = Counter()
        self._table = table
        self._counting = threading.Lock()  # for those who look from other threads
        self._judge = Judge(table, self.rules, remember)
        self._bars = BarJudge()

    def accept(self, batch: Batch, *, fetched: bool = False, source: str | None = None) -> Batch:
        """Return the rows of a batch that are new and possible.

        Parameters
        ----------
        batch : Batch
        fetched : bool
            Whether they come from history rather than live: then trades are not judged by the
            level of today, do not set it, and are not late.
        source : str or None
            Where they come from, for the quarantine.

        Returns
        -------
        Batch
            With trades released by this batch before the trade that confirmed them, and bars
            numbered by revision.
        """
        kind, rows = batch.kind, batch.rows
        if kind == "trade":
            verdicts = self._judge.trades(rows, fetched)
        elif kind == "quote":
            verdicts = self._judge.quotes(rows)
        else:
            verdicts, rows = self._bars.bars(rows)
        with self._counting:
            self.received[kind] += len(rows)
            if not verdicts.codes.any() and not verdicts.confirmed:
                self.accepted[kind] += len(rows)
                return batch if rows is batch.rows else Batch(kind, rows, batch.timeframe)
            self._count(kind, rows, verdicts, source)
            kept = self._kept(kind, rows, verdicts)
            self.accepted[kind] += len(kept)
        return Batch(kind, kept, batch.timeframe)

    def conserved(self) -> bool:
        """Tell whether every row that came is accepted, a repeat or refused; from any thread."""
        with self._counting:
            return all(
                self.received[kind]
                == self.accepted[kind] + self.duplicates[kind] + self.refused[kind]
                for kind in ("trade", "quote", "bar")
            )

    def _count(self, kind: Kind, rows: Rows, verdicts: Verdicts, source: str | None) -> None:
        codes = verdicts.codes
        for code in np.unique(codes[codes > 0]):
            where = np.flatnonzero(codes == code)
            if code == 1:
                self.duplicates[kind] += len(where)
                continue
            self.refused[kind] += len(where)
            rule = verdicts.names[code]
            judged = verdicts.against[where] if rule in ("deviation", "outsize") else None
            self.quarantine.rows(
                kind, rule, rows[where], self._table,
                serials=where + verdicts.serial, against=judged, rules=self.rules, source=source,
            )  # fmt: skip

    def _kept(self, kind: Kind, rows: Rows, verdicts: Verdicts) -> Rows:
        """Return what is accepted, with what was confirmed in its place."""
        good = verdicts.codes == 0
        parts: list[Rows] = []
        start = 0
        for one in verdicts.confirmed:
            parts += [rows[start : one.at][good[start : one.at]], one.rows]
            start = one.at
            self.refused[kind] -= len(one.rows)
            self.released[kind] += len(one.rows)
            symbol = self._table.name(int(rows["symbol"][one.at]))
            self.quarantine.settle(kind, "deviation", symbol, one.serials.tolist())
        rest = rows[start:][good[start:]]
        return np.concatenate([*parts, rest]) if parts else rest

    def remember(self, rows: Rows) -> None:
        """Take note of trades that a process before this one accepted: they come as repeats.

        Parameters
        ----------
        rows : array of TRADE
        """
        if len(rows):
            self._judge.trades(rows, True)

    def release(self, again: Rerun) -> list[Batch]:
        """Accept what other rules let pass, and return it.

        Parameters
        ----------
        again : Rerun
            Of this gate's quarantine. What was released since is left out.

        Returns
        -------
        list of Batch
            To be taken as if it had just been accepted.
        """
        still = {one.number for one in self.quarantine.entries() if one.outcome == "refused"}
        parts: dict[Kind, list[Rows]] = {"trade": [], "quote": [], "bar": []}
        for one in again.passed:
            if one.number not in still or one.row is None or one.symbol is None:
                continue
            kind: Kind = one.kind  # type: ignore[assignment]  # what has a row is no event
            fresh = True
            if kind == "trade":
                fresh = bool(self._judge.admit(one.row, one.rule != "time")[0])
            with self._counting:
                self.refused[kind] -= 1
                (self.accepted if fresh else self.duplicates)[kind] += 1
            self.released[kind] += fresh
            outcome: Outcome = "released" if fresh else "duplicate"
            self.quarantine.settle(kind, one.rule, one.symbol, [one.serial], outcome)
            if fresh:
                parts[kind].append(one.row)
        return [Batch(kind, np.concatenate(rows)) for kind, rows in parts.items() if rows]

    def expect(self, symbol: str, price: float, time: int) -> None:
        """Set the level of a symbol before its first trade, as from a stored close.

        Parameters
        ----------
        symbol : str
        price : float
        time : int
            Of the price, ns UTC; without effect if there was a newer trade.
        """
        self._judge.expect(self._table.id(symbol), price, time)

    @property
    def marks(self) -> dict[str, int]:
        """Rows that were accepted with a mark, by mark."""
        levels = self._judge.levels
        found = {mark: int(levels[column].sum()) for mark, column in _MARKS.items()}
        return found | {"revised": self._bars.revised}

    def statistics(self) -> dict[str, float | int]:
        """Return validation in figures.

        Returns
        -------
        dict
            validated, errors_detected (refused and not released), corrections_made (released
            trades and revised bars), duplicates, and success_rate: the share accepted of what
            was no repeat, from 0 to 1.
        """
        refused, accepted = self.refused.total(), self.accepted.total()
        return {
            "validated": self.received.total(),
            "errors_detected": refused,
            "corrections_made": self.released.total() + self._bars.revised,
            "duplicates": self.duplicates.total(),
            "success_rate": accepted / (accepted + refused) if accepted + refused else 1.0,
        }

    def table(self) -> pd.DataFrame:
        """Return a line of counts for each symbol that had a trade or a quote.

        Returns
        -------
        pandas.DataFrame
            Index "symbol"; trades (accepted), refused, duplicate, late, disordered, large,
            off_market, quotes (received), quotes_refused, crossed, locked, and level, low,
            high: around which price which are allowed now.
        """
        levels = self._judge.levels.copy()
        levels = levels[: len(self._table)]
        columns: dict[str, npt.NDArray[np.generic]] = {
            "trades": levels["accepted"],
            "refused": levels["refused"],
            "duplicate": levels["duplicate"],
            "late": levels["late"],
            "disordered": levels["disordered"],
            "large": levels["outsize"],
        }
        names = ("off_market", "quotes", "quotes_refused", "crossed", "locked")
        columns |= {name: levels[name] for name in names}
        seen = levels["newest"] > 0
        columns["level"] = np.where(seen, levels["middle"], np.nan)
        columns |= {name: np.where(seen, levels[name], np.nan) for name in ("low", "high")}
        symbols = pd.Index(self._table.names()[: len(levels)], name="symbol", dtype=object)
        frame = pd.DataFrame(columns, index=symbols)
        came = frame[["trades", "refused", "duplicate", "quotes"]].sum(axis=1) > 0
        return frame[came]
