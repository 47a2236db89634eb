"""Tables as people have them, read as rows: kind, times, symbols, values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import ConfigError
from workbench.records import BAR, KINDS, Kind, Rows
from workbench.symbols import SymbolTable

__all__ = ["NEEDED", "frame_of", "kind_of", "names_of", "rows_of", "times_of"]

#: Columns that a table of a kind must have.
NEEDED: dict[Kind, tuple[str, ...]] = {
    "bar": ("open", "high", "low", "close"),
    "quote": ("bid", "ask"),
    "trade": ("price", "size"),
}


def kind_of(frame: pd.DataFrame) -> Kind:
    """Return what a table holds, by its columns; ConfigError if it is none of the kinds."""
    for kind, needed in NEEDED.items():
        if set(needed) <= set(frame.columns):
            return kind
    raise ConfigError(
        "a table has the columns open, high, low, close, or bid, ask, or price, size; "
        f"here are {', '.join(map(str, frame.columns))}"
    )


def names_of(frame: pd.DataFrame, symbol: str | None) -> npt.NDArray[np.object_]:
    """Return the symbol of each row: of a column, or the one given, or ""."""
    if "symbol" in frame.columns:
        return frame["symbol"].astype(str).to_numpy(dtype=object)
    return np.full(len(frame), symbol or "", dtype=object)


def times_of(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return the time of each row, ns UTC; what names no zone is UTC."""
    if isinstance(frame.index, pd.DatetimeIndex):
        index = frame.index
    elif "time" in frame.columns:
        index = pd.DatetimeIndex(pd.to_datetime(frame["time"], utc=True))
    else:
        raise ConfigError("a table is indexed by time, or has a column time")
    times: npt.NDArray[np.int64] = np.asarray(index.as_unit("ns").asi8, np.int64)
    return times


def rows_of(frame: pd.DataFrame, kind: Kind, times: npt.NDArray[np.int64]) -> Rows:
    """Return a table as rows of a kind; what is no number becomes NaN, or 0 in whole numbers."""
    rows = np.zeros(len(frame), KINDS[kind])
    for name in rows.dtype.names or ():
        if name in frame.columns and name not in ("symbol", "received", "time"):
            values = pd.to_numeric(frame[name], errors="coerce").to_numpy()
            if rows.dtype[name].kind != "f":
                values = np.nan_to_num(values, nan=0.0) if values.dtype.kind == "f" else values
            rows[name] = values
    rows["time"] = times
    if kind != "bar" and "received" in frame.columns:
        received = pd.to_datetime(frame["received"], utc=True)
        came = np.asarray(pd.DatetimeIndex(received).as_unit("ns").asi8)
        rows["received"] = np.where(came > 0, came, 0)  # NaT is below 0
    return rows


def frame_of(rows: Rows, table: SymbolTable | None) -> pd.DataFrame:
    """Return rows as a table indexed by time."""
    kind = next((kind for kind, dtype in KINDS.items() if dtype == rows.dtype), None)
    if kind is None:
        raise ConfigError("rows must be of dtype TRADE, QUOTE or BAR")
    names = [n for n in rows.dtype.names or () if n not in ("padding", "symbol", "time")]
    frame = pd.DataFrame({name: np.ascontiguousarray(rows[name]) for name in names})
    frame.index = pd.to_datetime(np.ascontiguousarray(rows["time"]), utc=True)
    if table is not None:
        frame["symbol"] = [table.name(int(number)) for number in rows["symbol"]]
    elif rows.dtype == BAR or len(np.unique(rows["symbol"])) > 1:
        frame["symbol"] = [f"S{number}" for number in rows["symbol"]]
    return frame
