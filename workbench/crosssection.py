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
from workbench.analytics.run import Values, compute_columns
from workbench.errors import ConfigError
from workbench.kernels.dispatch import all_finite
from workbench.records import Rows
from workbench.sessions import timezone

__all__ = ["panel"]


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
    room = _Room()
    with ThreadPoolExecutor(count, thread_name_prefix="workbench-panel") as pool:
        work = pool.map(lambda symbol: _one(symbol, bars[symbol], indicators, room), bars)
        tables = list(tqdm(work, total=len(bars), unit="symbol", disable=quiet))
    return dict(zip(bars, tables, strict=True))


class _Room(threading.local):
    """Memory to compute in, a piece for each thread: fresh memory costs more than the sums."""

    def __init__(self) -> None:
        self._flat = np.empty(0)

    def of(self, rows: int, width: int) -> Values:
        if len(self._flat) < rows * width:
            self._flat = np.empty(rows * width)
        return self._flat[: rows * width].reshape(rows, width)


def _one(
    symbol: str, bars: pd.DataFrame | Rows, indicators: Sequence[Indicator], room: _Room
) -> pd.DataFrame:
    check_order(bars, symbol)
    zone = timezone(symbol)
    names = list(dict.fromkeys(name for i in indicators for name in i.inputs))
    read = dict(zip(names, columns(bars, names, zone, symbol), strict=True))
    finite = all(all_finite(column) for column in read.values() if column.dtype == np.float64)
    keys = [key for i in indicators for key in i.keys]
    # Column by column, so that the table needs no copy.
    table = np.empty((len(keys), len(bars)))
    at = 0
    for indicator in indicators:
        out = room.of(len(bars), len(indicator.keys))
        compute_columns(indicator, [read[n] for n in indicator.inputs], out, finite=finite)
        table[at : at + out.shape[1]] = out.T
        at += out.shape[1]
    index = bars.index if isinstance(bars, pd.DataFrame) else _times(bars)
    return pd.DataFrame(table.T, index=index, columns=keys, copy=False)


def _times(bars: Rows) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(bars["time"].view("M8[ns]"), tz="UTC", name="time")
