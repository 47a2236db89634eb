"""Which trading day a time belongs to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from workbench.symbols import asset_class

__all__ = ["NEW_YORK", "day_numbers", "timezone"]

NEW_YORK = "America/New_York"
_DAY = 86_400_000_000_000


def timezone(symbol: str) -> str:
    """Return the time zone of the market a symbol of ours trades in.

    >>> timezone("AAPL"), timezone("BTC-USD")
    ('America/New_York', 'UTC')
    """
    return "UTC" if asset_class(symbol) in ("crypto", "forex") else NEW_YORK


def day_numbers(times: npt.NDArray[np.int64], zone: str) -> npt.NDArray[np.int64]:
    """Return the number of the civil day of each time, counted from 1970-01-01 = 1.

    Parameters
    ----------
    times : int64 array
        ns UTC, from 1970 on.
    zone : str
        IANA name; its changes of summer time move the midnights.

    Examples
    --------
    >>> day_numbers(np.array([0, 86_400 * 10**9]), "UTC").tolist()
    [1, 2]
    """
    if zone == "UTC":
        return times // _DAY + 1
    if not len(times):
        return np.zeros(0, np.int64)
    starts = _midnights(zone)
    # Among the few days there are, rather than among all of a century, for each time.
    low, high = np.searchsorted(starts, [times.min(), times.max()], side="right")
    found = np.searchsorted(starts[low:high], times, side="right")
    return np.asarray(found + low, np.int64)


@lru_cache(maxsize=8)
def _midnights(zone: str) -> npt.NDArray[np.int64]:
    info = ZoneInfo(zone)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    first = datetime(1970, 1, 1)  # noqa: DTZ001 - civil days, given their zone below
    return np.array(
        [
            round(((first + timedelta(days=n)).replace(tzinfo=info) - epoch).total_seconds())
            for n in range(37_000)
        ],
        np.int64,
    ) * np.int64(1_000_000_000)
