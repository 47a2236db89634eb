"""The volume profile itself: of bars, spread over their ranges, or of trades, price by price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analytics.parameters import Value, read
from workbench.errors import ConfigError
from workbench.kernels import profile as kernel
from workbench.records import TRADE, Rows
from workbench.study.bars import BarReader, Bars
from workbench.study.profile import PROFILE

__all__ = ["Profile", "profile_of"]

Values = npt.NDArray[np.float64]
_NODES = pd.CategoricalDtype(["", "HVN", "LVN"])


@dataclass(frozen=True)
class Profile:
    """Volume by price.

    Attributes
    ----------
    table : DataFrame
        From the lowest price up: low and high of the bin, price (its middle; of trades at
        exact prices all three are the price), volume, and node ("HVN", "LVN" or empty).
    poc : float
        Point of control: the price with most volume. NaN without volume.
    low, high : float
        Ends of the value area, outer edges of its bins. NaN without volume.
    """

    table: pd.DataFrame
    poc: float
    low: float
    high: float


def profile_of(
    rows: Bars,
    *,
    bins: int | None = None,
    tick: float = 0.0,
    value_area: float = 0.7,
    quantile: float = 0.7,
    smooth: int = 2,
) -> Profile:
    """Return the volume profile of some bars or trades.

    Parameters
    ----------
    rows : DataFrame, or array of BAR or TRADE
        A DataFrame with a column "price" (and "size") is taken as trades.
    bins : int or None
        Most bins, 8 to 2000. None is 100 for bars; for trades it means the prices themselves,
        unless there is a tick.
    tick, value_area, quantile, smooth
        As for `workbench.study.profile.profile`.

    Returns
    -------
    Profile

    Raises
    ------
    ConfigError
        If a parameter is out of range or a column is missing.
    ValueError
        If a row is not finite, naming it.

    Examples
    --------
    >>> trades = pd.DataFrame({"price": [10.0, 10.0, 10.5, 11.0], "size": [3.0, 2.0, 1.0, 1.0]})
    >>> found = profile_of(trades)
    >>> found.poc, found.low, found.high
    (10.0, 10.0, 10.0)
    >>> found.table["volume"].tolist()
    [5.0, 1.0, 1.0]
    """
    given: dict[str, Any] = {
        "tick": tick, "value_area": value_area, "quantile": quantile, "smooth": smooth,
    }  # fmt: skip
    if bins is not None:
        given["bins"] = bins
    values = read("profile_of", PROFILE.parameters, given)
    columns = getattr(rows, "columns", None)
    trades = "price" in columns if columns is not None else rows.dtype == TRADE
    if not trades:
        checked = BarReader("profile_of", True, None, "1m").read(rows)
        low, high, volume = (np.ascontiguousarray(checked[n]) for n in ("low", "high", "volume"))
        return _binned(low, high, volume, values)
    price, size = _trades(rows)
    if bins is None and tick == 0.0:
        return _exact(price, size, values)
    return _binned(price, price, size, values)


def _trades(rows: pd.DataFrame | Rows) -> tuple[Values, Values]:
    """Return prices and sizes; ValueError if one is not finite."""
    if isinstance(rows, pd.DataFrame) and "size" not in rows.columns:
        raise ConfigError(f"profile_of needs a column 'size'; there is {list(rows.columns)}")
    price = np.asarray(rows["price"], np.float64)
    size = np.asarray(rows["size"], np.float64)
    bad = ~(np.isfinite(price) & np.isfinite(size) & (size >= 0.0))
    if bad.any():
        at = int(bad.argmax())
        raise ValueError(
            f"profile_of: row {at} is no trade: price {price[at]:g}, size {size[at]:g}"
        )
    return price, size


def _binned(low: Values, high: Values, volume: Values, values: dict[str, Value]) -> Profile:
    if not len(low):
        return _made(np.empty(0), np.empty(0), np.empty(0), values)
    step, rate, bottom, top = kernel.grid(
        float(low.min()), float(high.max()), float(values["tick"]), int(values["bins"])
    )
    out = np.zeros(int(top) - int(bottom) + 1)
    kernel.spread_all(low, high, volume, step, rate, int(bottom), out)
    edges = (np.arange(len(out) + 1) + int(bottom)) * step
    return _made(edges[:-1], edges[1:], out, values)


def _exact(price: Values, size: Values, values: dict[str, Value]) -> Profile:
    prices, place = np.unique(price, return_inverse=True)
    return _made(prices, prices, np.bincount(place, size, len(prices)).astype(np.float64), values)


def _made(low: Values, high: Values, volume: Values, values: dict[str, Value]) -> Profile:
    n = len(volume)
    node = np.zeros(n, np.int64)
    poc = bottom = top = np.nan
    middle = low if low is high else (low + high) * 0.5
    if n and volume.sum() > 0.0:
        place, first, last = kernel.value_area(volume, n, float(values["value_area"]))
        poc, bottom, top = middle[place], low[first], high[last]
        flat = np.empty(n)
        kernel.smoothed(volume, n, int(values["smooth"]), flat)
        runs = np.zeros((n + 1, 4), np.int64)
        for kind, a, b, _ in runs[: kernel.nodes(flat, n, float(values["quantile"]), runs)]:
            node[a : b + 1] = kind
    table = pd.DataFrame(
        {
            "low": low,
            "high": high,
            "price": middle,
            "volume": volume,
            "node": pd.Categorical.from_codes(node.tolist(), dtype=_NODES),
        }
    )
    return Profile(table, float(poc), float(bottom), float(top))
