"""The contract of a store, and the one way to open one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

from workbench.errors import StoreError
from workbench.records import Batch, Kind, Rows
from workbench.symbols import SymbolTable
from workbench.timeframes import Timeframe

if TYPE_CHECKING:
    import pandas as pd

    from workbench.store.coverage import Change, Interval, Series
    from workbench.store.frames import When

__all__ = ["Durability", "Mode", "Store", "open_store"]

Mode = Literal["rw", "ro"]
Durability = Literal["full", "normal"]


@runtime_checkable
class Store(Protocol):
    """Keep trades, quotes and closed bars, each once, and give them back in time order.

    Any thread may read; reads see what is committed. One process writes. What a row said before
    it was replaced is kept: reads `as_of=` a moment give what was known then.
    """

    def append(self, batch: Batch, table: SymbolTable) -> int:
        """Store the rows of a batch, all or none.

        A trade or quote that is already stored is left as it is; see :meth:`amend_trades`. A bar
        overwrites the one of the same symbol, timeframe, origin and time unless its revision is
        lower. What that one said is kept, with the time when it became known, and reads
        `as_of=` a moment before find it. The same content told again changes nothing.

        Parameters
        ----------
        batch : Batch
        table : SymbolTable
            Names of the symbols in the rows.

        Returns
        -------
        int
            Rows that were new or changed something.

        Raises
        ------
        ValueError
            If a row cannot be stored at all: a forming bar, a number without a symbol, NaN
            where a price must be.
        StoreFullError, StoreError
            If the store cannot write now; nothing of the batch was stored.
        """
        ...

    def append_many(self, batches: Iterable[Batch], table: SymbolTable) -> int:
        """Store several batches in one transaction; see :meth:`append`."""
        ...

    def amend_trades(self, rows: Rows, table: SymbolTable, known: int = 0) -> int:
        """Replace what stored trades say, all or none: corrections and cancels.

        Price, size, conditions and flags of a trade become those of the row with the same
        symbol, time, sequence, exchange and id. What they were is kept, and reads `as_of=` a
        moment before find it. A trade that is not stored yet is stored as the row says, received
        when that became known; its first report, should it still come, does not undo that.

        Parameters
        ----------
        rows : array of TRADE
            Whole trades as they stand now. One that was cancelled has the bit
            `workbench.records.CANCELLED` in its flags.
        table : SymbolTable
            Names of the symbols in the rows.
        known : int
            When this became known, ns UTC; 0 is now.

        Returns
        -------
        int
            Trades that say something else now, or are new.

        Raises
        ------
        TypeError
            If the rows are not of that dtype.
        ValueError, StoreFullError, StoreError
            As :meth:`append` does.
        """
        ...

    def rows(
        self,
        kind: Kind,
        symbol: str,
        *,
        timeframe: str | int | Timeframe | None = None,
        start: When | None = None,
        end: When | None = None,
        last: int | None = None,
        origin: int | None = None,
        table: SymbolTable | None = None,
        as_of: When | None = None,
        cancelled: bool = False,
    ) -> Rows:
        """Return what is stored of one series as records, in time order.

        Parameters
        ----------
        kind : "trade", "quote" or "bar"
        symbol : str
            In any spelling. One that is not stored has no rows.
        timeframe : str, int, Timeframe or None
            Of bars, which need one; None for the rest.
        start, end : When or None
            Half-open range [start, end) of event time, naive times being UTC; None is open.
        last : int or None
            Only the newest so many of the range; None is all.
        origin : 0, 1 or None
            Of bars: built here from trades, or sent by the provider. None prefers our own and
            takes the provider's for a series of which there is none of our own.
        table : SymbolTable or None
            Gives the number that the rows carry for the symbol; None gives 0.
        as_of : When or None
            Only what was known at that moment, as it was known then: trades and quotes received
            by it, of each bar and of each amended trade what it said last by it. None is what is
            known now. What was stored before stores noted it counts as known ever since.
        cancelled : bool
            Whether trades that were cancelled are among them, marked in their flags.

        Raises
        ------
        UnknownSymbolError, UnknownTimeframeError
            If one is not spelled as such.
        ValueError
            If a time is none, or `last` is negative.
        StoreError
            If the store cannot be read.
        """
        ...

    def trades(
        self,
        symbol: str,
        *,
        start: When | None = None,
        end: When | None = None,
        last: int | None = None,
        as_of: When | None = None,
        cancelled: bool = False,
    ) -> pd.DataFrame:
        """Return trades indexed by UTC time; see :meth:`rows`."""
        from workbench.store.frames import dataframe

        rows = self.rows(
            "trade", symbol, start=start, end=end, last=last, as_of=as_of, cancelled=cancelled
        )
        return dataframe("trade", rows)

    def quotes(
        self,
        symbol: str,
        *,
        start: When | None = None,
        end: When | None = None,
        last: int | None = None,
        as_of: When | None = None,
    ) -> pd.DataFrame:
        """Return quotes indexed by UTC time; see :meth:`rows`."""
        from workbench.store.frames import dataframe

        rows = self.rows("quote", symbol, start=start, end=end, last=last, as_of=as_of)
        return dataframe("quote", rows)

    def bars(
        self,
        symbol: str,
        timeframe: str | int | Timeframe,
        *,
        start: When | None = None,
        end: When | None = None,
        last: int | None = None,
        origin: int | None = None,
        as_of: When | None = None,
    ) -> pd.DataFrame:
        """Return bars indexed by the UTC time of their start; see :meth:`rows`."""
        from workbench.store.frames import dataframe

        rows = self.rows(
            "bar",
            symbol,
            timeframe=timeframe,
            start=start,
            end=end,
            last=last,
            origin=origin,
            as_of=as_of,
        )
        return dataframe("bar", rows)

    def revisions(
        self,
        symbol: str,
        timeframe: str | int | Timeframe,
        time: When,
        *,
        origin: int | None = None,
    ) -> pd.DataFrame:
        """Return all that a bar ever said, with the times when it became known.

        Parameters
        ----------
        symbol : str
        timeframe : str, int or Timeframe
        time : When
            Start of the bar. One that is not stored has no lines.
        origin : 0, 1 or None
            As in :meth:`rows`.

        Returns
        -------
        pandas.DataFrame
            A line for each content, in the order in which they were taken; the last one is what
            the bar says now. Columns known (UTC; NaT: before stores noted it), until (UTC, when
            another one was in force; NaT: it still is), time and the columns of a bar.
        """
        ...

    def symbols(self) -> pd.DataFrame:
        """Return what is stored of each symbol: class, rows per kind, timeframes, first, last."""
        ...

    def coverage(self, symbol: str | None = None, *, intervals: bool = False) -> pd.DataFrame:
        """Return first and last time and rows of each series, or what is known of it when.

        Parameters
        ----------
        symbol : str or None
            None is all of them. Rows are counted one by one, so large stores take seconds.
        intervals : bool
            Whether to return the intervals of the ledger instead: source, symbol, kind,
            timeframe, start, end (NaT where it goes on), state, learned and at.
        """
        ...

    def put_intervals(self, changes: Iterable[Change]) -> None:
        """Write changes of a ledger, all or none; they are kept for good when it returns.

        Parameters
        ----------
        changes : iterable of Change
            Applied in their order.

        Raises
        ------
        ValueError
            If an interval is empty or has no such state.
        StoreFullError, StoreError
            If the store cannot write now; nothing was changed.
        """
        ...

    def intervals(
        self, symbol: str | None = None, source: str | None = None
    ) -> list[tuple[Series, Interval]]:
        """Return the intervals of a ledger, series by series and in order of time.

        Parameters
        ----------
        symbol, source : str or None
            Only those of it; None is all.
        """
        ...

    def info(self) -> dict[str, Any]:
        """Return the store's place, sizes in bytes, versions, rows and revisions of each kind."""
        ...

    @property
    def wal_bytes(self) -> int:
        """Bytes committed but not yet folded into the main file; 0 where there is no log."""
        ...

    def close(self) -> None:
        """Let go of the store; a second call does nothing."""
        ...

    def __enter__(self) -> Self:
        """Return the store itself."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        ...


def open_store(target: str | Path, *, mode: Mode = "rw", durability: Durability = "full") -> Store:
    """Open a store, making it where it does not exist yet.

    Parameters
    ----------
    target : str or Path
        A file, or "sqlite:///" and a file.
    mode : "rw" or "ro"
        "rw" takes the store for writing, which one process at a time can; "ro" reads while
        another process writes, and never makes a store.
    durability : "full" or "normal"
        "full": what is committed survives a loss of power. "normal": only the end of the
        process; commits are cheaper.

    Returns
    -------
    Store

    Raises
    ------
    StoreBusyError
        If another process, or this one, has it open for writing.
    StoreSchemaError
        If a newer version of Workbench wrote it.
    StoreError
        If it is missing (with "ro"), corrupt, or not a store.
    ValueError
        If `mode` or `durability` is none of the above.

    Examples
    --------
    >>> import tempfile
    >>> from workbench.records import Batch, empty
    >>> from workbench.symbols import SymbolTable
    >>> rows = empty("trade", 2)
    >>> rows["time"], rows["id"], rows["price"] = [1, 2], [7, 8], 10.5
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_store(f"{folder}/market.db") as store:
    ...         batch = Batch("trade", rows)
    ...         table = SymbolTable(["AAPL"])
    ...         print(store.append(batch, table), store.append(batch, table))
    ...         print(store.trades("AAPL", last=1)["price"].item())
    2 0
    10.5
    """
    if mode not in ("rw", "ro"):
        raise ValueError(f'mode is "rw" or "ro", not {mode!r}')
    if durability not in ("full", "normal"):
        raise ValueError(f'durability is "full" or "normal", not {durability!r}')
    # SQLite and pandas are loaded by those who open one, not by those who name the contract.
    from workbench.store.sqlite import SqliteStore

    return SqliteStore(_path(target), mode=mode, durability=durability)


def _path(target: str | Path) -> Path:
    text = str(target)
    scheme, separator, rest = text.partition("://")
    if separator:
        if scheme != "sqlite" or not rest.startswith("/"):
            # What follows the scheme may hold a password.
            raise StoreError(
                f"no store speaks {scheme[:20]!r}: give a file, or sqlite:/// and a file"
            )
        text = rest[1:]
    if not text or text == ":memory:":
        raise StoreError("a store needs a file: processes and threads share it by its name")
    return Path(text).expanduser()
