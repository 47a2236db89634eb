"""What the rules refused: counted, kept to look at, explained."""

from __future__ import annotations

import html
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.quality.rules import RULES, Limits, Rules
from workbench.records import Rows
from workbench.sources.source import Reject
from workbench.symbols import SymbolTable

__all__ = ["Outcome", "Quarantine", "Refused"]

Outcome = Literal["refused", "released", "duplicate"]
_COLUMNS = ["number", "received", "rule", "kind", "symbol", "detail", "content", "outcome"]


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
        When its frame came, which is where a tape has it; ns UTC, 0 if not known.
    content : str
        The row or the raw event, for a person.
    number : int
        Of the refusal, from 0.
    row : array of one record, or None
        The row itself.
    serial : int
        Number of the row among all of its kind that came; -1 if not known.
    reference : float or None
        The level, or typical size, that it was judged by.
    limits : Limits or None
        What was allowed then.
    source : str or None
        Where it came from.
    outcome : "refused", "released" or "duplicate"
        What became of it: released rows were accepted later.
    """

    rule: str
    detail: str
    kind: str
    symbol: str | None
    received: int
    content: str
    number: int = 0
    row: Rows | None = None
    serial: int = -1
    reference: float | None = None
    limits: Limits | None = None
    source: str | None = None
    outcome: Outcome = "refused"


class Quarantine:
    """Refused rows: all counted by rule and symbol, the newest kept to look at.

    Parameters
    ----------
    keep : int
        How many are kept.

    Attributes
    ----------
    counts : Counter of str
        Rows that are refused, by rule; those released are not among them.
    released : Counter of str
        Rows accepted later, by the rule that had refused them.
    """

    def __init__(self, keep: int = 1000) -> None:
        self.counts: Counter[str] = Counter()
        self.released: Counter[str] = Counter()
        self._by_symbol: Counter[tuple[str, str]] = Counter()
        self._kept: OrderedDict[int, Refused] = OrderedDict()
        self._places: dict[tuple[str, int], int] = {}
        self._keep = keep
        self._came = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many are refused in all."""
        return self.counts.total()

    def __repr__(self) -> str:
        rules = ", ".join(f"{rule} {n}" for rule, n in self.counts.most_common() if n)
        return f"Quarantine({len(self)} refused{': ' + rules if rules else ''})"

    def _repr_html_(self) -> str:
        head = html.escape(repr(self))
        shown: str = self.table().to_html(index=False)
        return f"<p>{head}</p>{shown}"

    def rejects(self, rejects: Sequence[Reject], source: str | None = None) -> None:
        """Take what a source could not decode."""
        with self._lock:
            for reject in rejects:
                self.counts[reject.rule] += 1
                content = reject.raw.decode("utf-8", "replace")
                self._put(
                    Refused(
                        reject.rule, reject.detail, "event", None, reject.received, content,
                        source=source,
                    )
                )  # fmt: skip

    def rows(
        self,
        kind: str,
        rule: str,
        rows: Rows,
        table: SymbolTable,
        *,
        serials: npt.NDArray[np.int64] | None = None,
        against: npt.NDArray[np.float64] | None = None,
        rules: Rules | None = None,
        source: str | None = None,
    ) -> None:
        """Take rows that a rule refused.

        Parameters
        ----------
        kind, rule : str
        rows : structured array
        table : SymbolTable
            Names for their symbols.
        serials : int64 array or None
            Their numbers among all that came.
        against : float64 array or None
            What each was judged by.
        rules : Rules or None
            In force at the time.
        source : str or None
            Where they came from.
        """
        with self._lock:
            self.counts[rule] += len(rows)
            for number, count in zip(*np.unique(rows["symbol"], return_counts=True), strict=True):
                self._by_symbol[rule, table.name(int(number))] += int(count)
            skipped = max(0, len(rows) - self._keep)
            self._came += skipped
            for i in range(skipped, len(rows)):
                row = rows[i : i + 1].copy()
                row.flags.writeable = False
                symbol = table.name(int(row["symbol"][0]))
                self._put(
                    Refused(
                        rule, RULES[rule].says, kind, symbol, _received(row), _content(row),
                        row=row,
                        serial=-1 if serials is None else int(serials[i]),
                        reference=None if against is None else float(against[i]),
                        limits=None if rules is None else rules.of(symbol),
                        source=source,
                    )
                )  # fmt: skip

    def settle(
        self,
        kind: str,
        rule: str,
        symbol: str,
        serials: Iterable[int],
        outcome: Outcome = "released",
    ) -> None:
        """Count rows that a rule had refused as accepted after all, or as repeats.

        Parameters
        ----------
        kind, rule, symbol : str
        serials : iterable of int
            Numbers of the rows among all of their kind that came.
        outcome : "released" or "duplicate"
        """
        with self._lock:
            for serial in serials:
                self.counts[rule] -= 1
                self._by_symbol[rule, symbol] -= 1
                self.released[rule] += outcome == "released"
                number = self._places.get((kind, serial))
                if number is not None:
                    self._kept[number] = replace(self._kept[number], outcome=outcome)

    def newest(self, count: int) -> list[Refused]:
        """Return the newest refusals, at most so many, oldest first."""
        with self._lock:
            kept = len(self._kept)
            return list(islice(self._kept.values(), max(0, kept - count), kept))

    def entries(self, rule: str | None = None, symbol: str | None = None) -> list[Refused]:
        """Return what is kept, oldest first.

        Parameters
        ----------
        rule, symbol : str or None
            Only of this rule, of this symbol; None is all.
        """
        with self._lock:
            kept = list(self._kept.values())
        return [
            one
            for one in kept
            if (rule is None or one.rule == rule) and (symbol is None or one.symbol == symbol)
        ]

    def table(
        self, limit: int = 10, rule: str | None = None, symbol: str | None = None
    ) -> pd.DataFrame:
        """Return the newest refusals, newest first.

        Parameters
        ----------
        limit : int
            How many at most.
        rule, symbol : str or None
            Only of this rule, of this symbol; None is all.

        Returns
        -------
        pandas.DataFrame
            Columns number (for :meth:`explain`), received (UTC), rule, kind, symbol, detail,
            content, outcome.
        """
        newest = self.entries(rule, symbol)[::-1][:limit]
        frame = pd.DataFrame(
            [[getattr(one, name) for name in _COLUMNS] for one in newest], columns=_COLUMNS
        )
        frame["received"] = pd.to_datetime(frame["received"], utc=True)
        return frame

    def summary(self) -> pd.DataFrame:
        """Return how many are refused, by symbol and rule.

        Returns
        -------
        pandas.DataFrame
            A line for each symbol and a column for each rule that has refused something.
        """
        with self._lock:
            counts = {key: n for key, n in self._by_symbol.items() if n}
        rules = sorted({rule for rule, _ in counts})
        names = sorted({symbol for _, symbol in counts})
        return pd.DataFrame(
            [[counts.get((rule, name), 0) for rule in rules] for name in names],
            index=pd.Index(names, name="symbol", dtype=object),
            columns=rules,
        )

    def explain(self, number: int) -> str:
        """Return why a row was refused, for a person.

        Parameters
        ----------
        number : int
            From the table.

        Raises
        ------
        KeyError
            If it is not among those kept.
        """
        with self._lock:
            one = self._kept.get(number)
            if one is None:
                kept = (
                    f"{next(iter(self._kept))} to {next(reversed(self._kept))}"
                    if self._kept
                    else "none"
                )
                raise KeyError(f"refusal {number} is not kept; there is {kept}")
        came = pd.Timestamp(one.received, tz="UTC").isoformat() if one.received else "unknown"
        origin = f" from {one.source}" if one.source else ""
        lines = [
            f"Refusal {one.number}: a {one.kind}{' of ' + one.symbol if one.symbol else ''}, "
            f"received {came}{origin}",
            f"  rule     {one.rule}: {one.detail}",
        ]
        lines += [f"  judged   {line}" for line in _judgement(one)]
        lines.append(f"  content  {one.content}")
        if one.outcome != "refused":
            after = {"released": "accepted later", "duplicate": "found to be a repeat later"}
            lines.append(f"  since    {after[one.outcome]}")
        return "\n".join(lines)

    def _put(self, one: Refused) -> None:
        number, self._came = self._came, self._came + 1
        if self._keep <= 0:
            return
        self._kept[number] = replace(one, number=number)
        if one.serial >= 0:
            self._places[one.kind, one.serial] = number
        if len(self._kept) > self._keep:
            _, old = self._kept.popitem(last=False)
            self._places.pop((old.kind, old.serial), None)


def _received(row: Rows) -> int:
    return int(row["received"][0]) if "received" in (row.dtype.names or ()) else 0


def _content(row: Rows) -> str:
    values = zip(row.dtype.names or (), row[0].item(), strict=True)
    return ", ".join(f"{name}={value!r}" for name, value in values if name != "padding")


def _judgement(one: Refused) -> list[str]:
    """Return what a row was compared with, and what would have been allowed."""
    if one.row is None or one.limits is None:
        return []
    limits, row = one.limits, one.row[0]
    if one.rule == "deviation" and one.reference is not None:
        reach = max(one.reference * limits.max_price_deviation, limits.min_price_move)
        off = 100 * (float(row["price"]) / one.reference - 1)
        return [
            f"price {float(row['price']):g} against the level {one.reference:g}: {off:+.2f} %",
            f"allowed was {one.reference - reach:g} to {one.reference + reach:g}, "
            f"or {limits.confirmations} trades that agree",
        ]
    if one.rule == "outsize" and one.reference is not None:
        return [
            f"size {float(row['size']):g} against the typical {one.reference:g}",
            f"allowed was up to {one.reference * limits.absurd_size:g}",
        ]
    if one.rule == "time" and one.received:
        ahead = (int(row["time"]) - one.received) / 1e9
        return [
            f"its time is {ahead:+.3f} s from its receipt",
            f"allowed was up to {limits.max_future_seconds or 86_400.0:g} s ahead, and after 1999",
        ]
    return []
