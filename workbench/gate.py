"""The one place that accepts rows: the rest is a duplicate or goes to quarantine."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.kernels import gate as kernel
from workbench.kernels.exact import LIMIT
from workbench.records import Batch, Rows
from workbench.sources.source import Reject
from workbench.symbols import SymbolTable

__all__ = ["Gate", "Quarantine", "Refused"]

_RULES = ("", "duplicate", "price", "size", "time")
_WHY = {
    "price": "not a finite price above zero and below 5.6e14",
    "size": "not a finite size above zero whose value is below 5.6e14",
    "time": "before 2000 or more than a day after it was received: a wrong unit or clock",
    "ohlc": "open, high, low, close or volume contradict each other, are not finite or too large",
}


@dataclass(frozen=True, slots=True)
class Refused:
    """A row or event that was refused, as kept in quarantine.

    Attributes
    ----------
    rule, detail : str
        Which rule refused it, and what the rule says.
    kind : str
        "trade", "quote", "bar", or "event" for what never became a row.
    symbol : str or None
    received : int
        ns UTC, 0 if not known.
    content : str
        The row or the raw event, for a person.
    """

    rule: str
    detail: str
    kind: str
    symbol: str | None
    received: int
    content: str


class Quarantine:
    """Refused rows: all counted by rule, the newest kept to look at.

    Parameters
    ----------
    keep : int
        How many are kept.
    """

    def __init__(self, keep: int = 1000) -> None:
        self.counts: Counter[str] = Counter()
        self._kept: deque[Refused] = deque(maxlen=keep)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many were refused in all."""
        return self.counts.total()

    def __repr__(self) -> str:
        rules = ", ".join(f"{rule} {n}" for rule, n in self.counts.most_common())
        return f"Quarantine({len(self)} refused{': ' + rules if rules else ''})"

    def rejects(self, rejects: Sequence[Reject]) -> None:
        """Take what a source could not decode."""
        with self._lock:
            for reject in rejects:
                self.counts[reject.rule] += 1
                content = reject.raw.decode("utf-8", "replace")
                self._kept.append(
                    Refused(reject.rule, reject.detail, "event", None, reject.received, content)
                )

    def rows(self, kind: str, rule: str, rows: Rows, table: SymbolTable) -> None:
        """Take rows that a rule refused."""
        with self._lock:
            self.counts[rule] += len(rows)
            names = rows.dtype.names or ()
            for row in rows[-(self._kept.maxlen or 0) :]:
                values = zip(names, row.item(), strict=True)
                content = ", ".join(f"{n}={v!r}" for n, v in values if n != "padding")
                symbol = table.name(int(row["symbol"]))
                received = int(row["received"]) if "received" in names else 0
                self._kept.append(Refused(rule, _WHY[rule], kind, symbol, received, content))

    def table(self, limit: int = 10) -> pd.DataFrame:
        """Return the newest refusals, newest first.

        Parameters
        ----------
        limit : int
            How many at most.
        """
        with self._lock:
            newest = list(self._kept)[::-1][:limit]
        frame = pd.DataFrame(
            [(r.received, r.rule, r.kind, r.symbol, r.detail, r.content) for r in newest],
            columns=["received", "rule", "kind", "symbol", "detail", "content"],
        )
        frame["received"] = pd.to_datetime(frame["received"], utc=True)
        return frame


class Gate:
    """Accept rows, tell repeats, refuse what cannot be true.

    Every row that comes in is counted once: received = accepted + duplicate + refused.

    Parameters
    ----------
    table : SymbolTable
        Names for the rows' symbols.
    quarantine : Quarantine
        Receives what is refused.
    remember : int
        Trades remembered at least to tell repeats; memory grows with use up to 200 bytes each.

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

    def __init__(self, table: SymbolTable, quarantine: Quarantine, remember: int = 200_000) -> None:
        self.quarantine = quarantine
        self.received: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.duplicates: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._table = table
        # Two tables in turn: the old one is forgotten when the young one has its share.
        # A table holds half its length, so that one alone remembers what was promised.
        self._largest = 1 << (2 * max(remember, 512) - 1).bit_length()
        self._young = _keys(1024)
        self._old = _keys(1024)
        self._held = 0
        self._bars: dict[tuple[int, int], bytes] = {}

    def accept(self, batch: Batch) -> Batch:
        """Return the rows of a batch that are new and possible."""
        kind, rows = batch.kind, batch.rows
        verdicts = np.zeros(len(rows), np.uint8)
        if kind == "trade":
            self._judge_trades(rows, verdicts)
        elif kind == "quote":
            kernel.judge_quotes(rows, verdicts)
        else:
            return self._accept_bars(batch)
        self.received[kind] += len(rows)
        if not verdicts.any():
            self.accepted[kind] += len(rows)
            return batch
        for verdict in np.unique(verdicts[verdicts > 0]):
            some = rows[verdicts == verdict]
            if verdict == 1:
                self.duplicates[kind] += len(some)
            else:
                self.refused[kind] += len(some)
                self.quarantine.rows(kind, _RULES[verdict], some, self._table)
        kept = rows[verdicts == 0]
        self.accepted[kind] += len(kept)
        return Batch(kind, kept, batch.timeframe)

    def _judge_trades(self, rows: Rows, verdicts: npt.NDArray[np.uint8]) -> None:
        start = 0
        while True:
            start, self._held = kernel.judge_trades(
                rows, start, self._young, self._old, self._held, verdicts
            )
            if start == len(rows):
                return
            if len(self._young) < self._largest:
                larger = _keys(min(len(self._young) * 4, self._largest))
                kernel.copy_keys(self._young, larger)
                self._young = larger
            else:
                # In turn: what was old is emptied and used again, so memory stays where it is.
                spare = self._old if len(self._old) == len(self._young) else _keys(self._largest)
                spare["place"] = -1
                self._old, self._young = self._young, spare
                self._held = 0

    def _accept_bars(self, batch: Batch) -> Batch:
        rows = batch.rows
        self.received["bar"] += len(rows)
        prices = np.stack([rows[name] for name in ("open", "high", "low", "close")])
        good = (
            (prices > 0).all(axis=0)
            & (rows["high"] >= prices.max(axis=0))
            & (rows["low"] <= prices.min(axis=0))
            & (prices < LIMIT).all(axis=0)
            & (rows["volume"] >= 0)
            & (rows["volume"] < LIMIT)
            & np.isfinite(rows["vwap"])
            & np.isfinite(rows["notional"])
        )
        late = good & (rows["time"] < kernel.EARLIEST)
        for rule, bad in (("ohlc", ~good), ("time", late)):
            if bad.any():
                self.quarantine.rows("bar", rule, rows[bad], self._table)
                self.refused["bar"] += int(bad.sum())
        good &= ~late
        keep = np.flatnonzero(good)
        repeated = np.array([self._is_repeat(rows[i : i + 1]) for i in keep], bool)
        self.duplicates["bar"] += int(repeated.sum())
        kept = rows[keep[~repeated]] if len(keep) else rows[:0]
        self.accepted["bar"] += len(kept)
        return Batch("bar", kept, batch.timeframe)

    def _is_repeat(self, row: Rows) -> bool:
        """Tell whether this bar is the last one of its series over again, unchanged."""
        key = (int(row["symbol"][0]), int(row["timeframe"][0]))
        before, self._bars[key] = self._bars.get(key), row.tobytes()
        return before == self._bars[key]


def _keys(length: int) -> Rows:
    keys = np.zeros(length, kernel.KEY)
    keys["place"] = -1
    return keys
