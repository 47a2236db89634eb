"""Indicators over many symbols at once, on all cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from workbench.analytics.configured import Indicator
from workbench.analytics.inputs import check_order, columns
from workbench.analytics.ready import Values, cleaned
from workbench.errors import ConfigError
from workbench.records import Rows
from workbench.sessions import timezone

__all__ = ["panel"]

#: Symbols that a worker takes at once: to hand over single ones costs as much as a kernel.
_PART = 16


def panel(
    bars: Mapping[str, pd.DataFrame | Rows],
    indicators: Sequence[Indicator],
    *,
    workers: int | None = None,
    progress: bool | None = None,
) -> dict[str, pd.DataFrame]:
    """Compute indicators over the bars of many symbols.

    Kernels let go of the interpreter, so that symbols are computed side by side.

    Parameters
    ----------
    bars : mapping of symbol to DataFrame or array of BAR
        Closed bars of each symbol, in order of time.
    indicators : sequence of Indicator
    workers : int or None
        Threads; None for one per core.
    progress : bool or None
        Whether a progress bar is shown; None shows it from 200 symbols on.

    Returns
    -------
    dict of symbol to DataFrame
        A column per output, named as :attr:`Indicator.keys`; the same bits as
        :meth:`Indicator.over` gives. Too few bars give NaN.

    Raises
    ------
    ConfigError
        If a column is missing, times repeat or go back, or workers is not above zero.

    Examples
    --------
    >>> from workbench.analytics import ema, sma
    >>> frame = pd.DataFrame({"close": [1.0, 2.0, 4.0]})
    >>> panel({"A": frame, "B": frame * 2}, [sma(2), ema(2)])["B"]["sma_2"].tolist()
    [nan, 3.0, 6.0]
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"workers must be above zero, not {workers}")
    for indicator in indicators:
        indicator.prepare()
    count = min(workers or os.cpu_count() or 1, max(1, len(bars)))
    quiet = len(bars) < 200 if progress is None else not progress
    plan = _Plan(indicators)
    symbols = list(bars)
    size = max(1, min(_PART, len(symbols) // (4 * count)))
    parts = [symbols[at : at + size] for at in range(0, len(symbols), size)]
    tables: dict[str, pd.DataFrame] = {}
    with (
        tqdm(total=len(symbols), unit="symbol", disable=quiet) as shown,
        ThreadPoolExecutor(count, thread_name_prefix="workbench-panel") as pool,
    ):
        for made in pool.map(lambda part: plan.tables(part, bars), parts):
            tables |= made
            shown.update(len(made))
    return tables


class _Plan(threading.local):
    """What is the same for every symbol, and memory to compute in, made once for each thread.

    Fresh memory, names and records for each call cost more than the sums themselves.
    """

    def __init__(self, indicators: Sequence[Indicator]) -> None:
        self._ready = [indicator.ready for indicator in indicators]
        self._names = list(dict.fromkeys(name for i in indicators for name in i.inputs))
        self._reads = [[self._names.index(n) for n in i.inputs] for i in indicators]
        self._keys = pd.Index([key for i in indicators for key in i.keys])
        self._flat = np.empty(0)

    def tables(
        self, symbols: Sequence[str], bars: Mapping[str, pd.DataFrame | Rows]
    ) -> dict[str, pd.DataFrame]:
        """Return the values over the bars of some symbols."""
        return {symbol: self._table(symbol, bars[symbol]) for symbol in symbols}

    def _table(self, symbol: str, bars: pd.DataFrame | Rows) -> pd.DataFrame:
        check_order(bars, symbol)
        n = len(bars)
        read, finite = cleaned(columns(bars, self._names, timezone(symbol), symbol))
        # Column by column, so that the table needs no copy.
        table = np.empty((len(self._keys), n))
        at = 0
        for ready, reads in zip(self._ready, self._reads, strict=True):
            given = [read[place] for place in reads]
            if ready.width == 1:
                ready.fill(given, table[at].reshape(n, 1), finite=finite)
            else:
                out = self._room(n, ready.width)
                ready.fill(given, out, finite=finite)
                table[at : at + ready.width] = out.T
            at += ready.width
        index = bars.index if isinstance(bars, pd.DataFrame) else _times(bars)
        return pd.DataFrame(table.T, index=index, columns=self._keys, copy=False)

    def _room(self, rows: int, width: int) -> Values:
        if len(self._flat) < rows * width:
            self._flat = np.empty(rows * width)
        return self._flat[: rows * width].reshape(rows, width)


def _times(bars: Rows) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(bars["time"].view("M8[ns]"), tz="UTC", name="time")
