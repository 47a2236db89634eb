"""Rows that were fetched and put among those of a stream, as frames: so a tape has them too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from workbench.records import KINDS, Batch
from workbench.sources.source import Decoded, Frame, Reject, Status, Topic
from workbench.symbols import SymbolTable
from workbench.timeframes import timeframe

__all__ = ["SPLICED", "SplicedSource"]

#: The name of the source.
SPLICED = "spliced"
_RAW = 1000


class SplicedSource:
    """Write rows of a provider's history as frames, and read them back.

    A feed delivers what it fetched to fill a hole through this, and writes the frames on its
    tape: a replay then has what the live feed had, at the same place.

    Parameters
    ----------
    table : SymbolTable or None
        Numbers for symbols; None makes a table of its own.

    Examples
    --------
    >>> from workbench.records import empty
    >>> source = SplicedSource(SymbolTable(["BTC-USD"]))
    >>> frame = Frame(7, source.encode(Batch("trade", empty("trade", 2))))
    >>> batch = source.decode([frame]).batches[0]
    >>> batch.kind, len(batch), source.table.name(batch.rows["symbol"][0])
    ('trade', 2, 'BTC-USD')
    """

    name = SPLICED
    market = "history"
    url = "spliced://history"

    def __init__(self, table: SymbolTable | None = None) -> None:
        self.table = SymbolTable() if table is None else table

    def encode(self, batch: Batch) -> bytes:
        """Return the rows of one symbol as a frame's payload.

        Raises
        ------
        ValueError
            If there are none, or of more than one symbol.
        """
        numbers = np.unique(batch.rows["symbol"])
        if len(numbers) != 1:
            raise ValueError(f"rows of one symbol make a frame, not of {len(numbers)}")
        head = {
            "kind": batch.kind,
            "symbol": self.table.name(int(numbers[0])),
            "timeframe": None if batch.timeframe is None else batch.timeframe.seconds,
            "fields": batch.rows.dtype.descr,
        }
        return json.dumps(head).encode() + b"\n" + batch.rows.tobytes()

    def decode(self, frames: Sequence[Frame]) -> Decoded:
        """Turn frames into rows in order of receipt."""
        decoded = Decoded()
        for frame in frames:
            try:
                batch = self._batch(frame.data)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                detail = f"not rows of history: {error}"[:200]
                raw = bytes(frame.data[:_RAW])
                decoded.rejects.append(Reject("malformed", detail, raw, frame.received))
                continue
            decoded.batches.append(batch)
        return decoded

    def _batch(self, data: bytes) -> Batch:
        line, _, body = bytes(data).partition(b"\n")
        head = json.loads(line)
        kind = head["kind"]
        fields = np.dtype([tuple(field) for field in head["fields"]])
        if fields != KINDS[kind]:
            raise ValueError(f"{kind} rows of another layout")
        rows = np.frombuffer(body, fields).copy()
        rows["symbol"] = self.table.id(head["symbol"])
        tf = None if head["timeframe"] is None else timeframe(head["timeframe"])
        return Batch(kind, rows, tf)

    def hello(self) -> list[str]:
        """Return nothing: nobody is at the other end."""
        return []

    def replies(self, statuses: Sequence[Status]) -> list[str]:
        """Return nothing."""
        return []

    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        """Return nothing."""
        return []

    def unsubscribe(self, topics: Iterable[Topic]) -> list[str]:
        """Return nothing."""
        return []
