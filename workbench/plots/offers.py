"""What a monitor offers at first: timeframes, other kinds of bars, indicators."""

from __future__ import annotations

from workbench.analytics.catalogue import find
from workbench.analytics.configured import Indicator
from workbench.bars.kinds import FAMILIES, BarKind, bar_kind
from workbench.timeframes import Timeframe

__all__ = ["kinds", "overlays_offered", "timeframes"]

_FRAMES = ("1s", "5s", "15s", "1m", "5m", "15m", "1h", "4h", "1d")
_KINDS = (
    *("heikin-ashi@1m", "line-break:3@1m", "renko:atr14@1m", "trades:100", "dollar:1e6"),
    *("imbalance-trades", "run-volume", "session:day", "mid@1m"),
)
_OVERLAYS: tuple[tuple[str, dict[str, float]], ...] = (
    ("ema", {"length": 20}), ("ema", {"length": 50}), ("sma", {"length": 50}), ("vwap", {}),
    ("vwap_bands", {}), ("bollinger", {}), ("keltner", {}), ("donchian", {}), ("supertrend", {}),
    ("ichimoku", {}), ("psar", {}), ("rsi", {}), ("macd", {}), ("stochastic", {}), ("adx", {}),
    ("atr", {}), ("obv", {}), ("mfi", {}),
)  # fmt: skip


def timeframes(shown: str) -> list[str]:
    """Return the timeframes that are offered beside the one that is shown, if it is one.

    >>> timeframes("3m")[2:6], "volume:25" in timeframes("volume:25")
    (['15s', '1m', '3m', '5m'], False)
    """
    read = {bar_kind(name) for name in (*_FRAMES, shown)}
    return [one.name for one in sorted(one for one in read if isinstance(one, Timeframe))]


def kinds() -> list[list[str]]:
    """Return name and title of the other kinds of bars.

    >>> kinds()[0]
    ['heikin-ashi@1m', 'Heikin-Ashi']
    """
    read = map(bar_kind, _KINDS)
    return [[one.name, FAMILIES[one.family].title] for one in read if isinstance(one, BarKind)]


def overlays_offered() -> dict[str, Indicator]:
    """Return the indicators that are used most, by label.

    >>> list(overlays_offered())[:2]
    ['EMA 20', 'EMA 50']
    """
    made = [Indicator(find(name), given) for name, given in _OVERLAYS]
    return {one.label: one for one in made}
