"""A fingerprint of bars and indicators, to tell whether two runs came out bit for bit alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from workbench.records import Rows

__all__ = ["digest", "newest"]

#: What a bar is; how it came about (revision, state) may differ between live and batch.
_FIELDS = (
    *("time", "open", "high", "low", "close", "volume", "vwap", "count"),
    *("volume_rest", "notional", "notional_rest", "timeframe"),
)


def newest(bars: Rows) -> Rows:
    """Return the last revision of each bar, by symbol, timeframe and time.

    Parameters
    ----------
    bars : array of BAR
        As emitted: a bar may come several times, with growing revisions.
    """
    order = np.lexsort((bars["revision"], bars["time"], bars["timeframe"], bars["symbol"]))
    bars = bars[order]
    if not len(bars):
        return bars
    keys = bars[["symbol", "timeframe", "time"]]
    last = np.append(keys[1:] != keys[:-1], True)
    kept: Rows = bars[last]
    return kept


def digest(
    bars: Mapping[str, Rows], values: Mapping[str, npt.NDArray[np.float64]] | None = None
) -> str:
    """Return a SHA-256 over bars, and indicator values beside them.

    Parameters
    ----------
    bars : mapping of str to array of BAR
        By any name, such as "BTC-USD 1m"; the symbols' numbers do not count.
    values : mapping of str to float64 array, or None
        By any name.

    Returns
    -------
    str
        Hexadecimal. Equal if and only if every bit is; all NaN are taken as one.

    Examples
    --------
    >>> from workbench.records import BAR
    >>> digest({"A": np.zeros(1, BAR)})[:8] == digest({"A": np.zeros(2, BAR)})[:8]
    False
    """
    sha = hashlib.sha256()
    for name in sorted(bars):
        sha.update(name.encode())
        for column in _FIELDS:
            sha.update(np.ascontiguousarray(bars[name][column]).tobytes())
    for name in sorted(values or {}):
        numbers = np.array((values or {})[name], np.float64)
        numbers[np.isnan(numbers)] = np.nan
        sha.update(name.encode())
        sha.update(numbers.tobytes())
    return sha.hexdigest()
