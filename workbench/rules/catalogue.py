"""Rules that come with Workbench: starting points for one's own."""

from __future__ import annotations

import math
from typing import Any

from workbench.analytics.catalogue import find
from workbench.analytics.configured import Indicator
from workbench.errors import ConfigError
from workbench.rules.definition import Decision, Rule, enter, leave
from workbench.study.profile import profile
from workbench.study.structure import structure
from workbench.study.study import Study

__all__ = ["ema_cross", "structure_change", "vwap_reversion", "zone_breakout"]


def _indicator(name: str, **parameters: float) -> Indicator:
    return Indicator(find(name), parameters)


def _measure(distance: float, scale: float) -> float:
    """Return a confidence of 0.5 to 1: how far something went, in units of a usual range."""
    return 0.5 + 0.5 * min(1.0, abs(distance) / scale) if scale > 0.0 else 0.5


def ema_cross(fast: int = 9, slow: int = 21, trend: int = 50) -> Rule:
    """Enter when a fast mean crosses a slow one on the trend's side; leave on the way back.

    Parameters
    ----------
    fast, slow : int
        Bars of the two exponential means.
    trend : int
        Bars of a third: longs are entered only on closes above it, shorts only below.

    Returns
    -------
    Rule
        Confidence is 0.5 and up to 0.5 more with the distance of the close from the third
        mean, all of it from two average true ranges on.

    Raises
    ------
    ConfigError
        If fast is not below slow.

    Examples
    --------
    >>> ema_cross(9, 21).name
    'ema_cross(9, 21, 50)'
    """
    if fast >= slow:
        raise ConfigError(f"ema_cross: fast ({fast}) must be below slow ({slow})")

    def decide(now: Any, before: Any) -> Decision | list[Decision] | None:
        if before is None or math.isnan(now.trend) or math.isnan(before.slow):
            return None
        up = before.fast <= before.slow and now.fast > now.slow
        down = before.fast >= before.slow and now.fast < now.slow
        if not up and not down:
            return None
        side, other = ("long", "short") if up else ("short", "long")
        words = f"EMA {fast} crossed {'above' if up else 'below'} EMA {slow}"
        calls = [leave(other, reason=words)]
        if now.close > now.trend if up else now.close < now.trend:
            reason = f"{words} with the close {'above' if up else 'below'} EMA {trend}"
            how_sure = _measure(now.close - now.trend, 2.0 * now.atr)
            calls.append(enter(side, confidence=how_sure, reason=reason))
        return calls

    uses = {
        "fast": _indicator("ema", length=fast),
        "slow": _indicator("ema", length=slow),
        "trend": _indicator("ema", length=trend),
        "atr": _indicator("atr", length=14),
    }
    return Rule(f"ema_cross({fast}, {slow}, {trend})", uses, decide, "EMA cross with the trend")


def zone_breakout(length: int = 200, volume: float = 1.5) -> Rule:
    """Enter when a close leaves a high volume node with more volume than usual.

    Parameters
    ----------
    length : int
        Bars of the volume profile.
    volume : float
        Least volume of the bar, in means of the last 20.

    Returns
    -------
    Rule
        It leaves on a close back beyond the other edge of the node it broke out of last, or
        on the opposite breakout. Confidence grows with the volume.
    """

    def decide(now: Any, before: Any) -> Decision | list[Decision] | None:
        if before is None or not now.usual > 0.0:
            return None
        nodes = [zone for zone in now.nodes.zones if zone.kind == "HVN"]
        if now.position == "long" and any(before.close >= z.low > now.close for z in nodes):
            return leave("long", reason="closed below a high volume node")
        if now.position == "short" and any(before.close <= z.high < now.close for z in nodes):
            return leave("short", reason="closed above a high volume node")
        if now.volume < volume * now.usual:
            return None
        for zone in nodes:
            up = zone.low <= before.close <= zone.high < now.close
            down = zone.low <= before.close <= zone.high and now.close < zone.low
            if up or down:
                side, other = ("long", "short") if up else ("short", "long")
                ratio = now.volume / now.usual
                reason = (
                    f"close left the volume node {zone.low:g} to {zone.high:g} "
                    f"{'upwards' if up else 'downwards'} with {ratio:.1f} times the usual volume"
                )
                how_sure = _measure(ratio - volume, volume)
                entry = enter(side, confidence=how_sure, reason=reason, first=zone.first)
                return [leave(other, reason=reason), entry]
        return None

    uses: dict[str, Indicator | Study] = {
        "nodes": profile(length=length),
        "usual": Indicator(find("sma"), {"length": 20}, of="volume"),
    }
    text = "Breakout of a high volume node with volume"
    return Rule(f"zone_breakout({length}, {volume:g})", uses, decide, text)


def vwap_reversion(multiplier: float = 2.0) -> Rule:
    """Enter when a close comes back inside the bands around the session's VWAP.

    Parameters
    ----------
    multiplier : float
        Width of the bands in standard deviations.

    Returns
    -------
    Rule
        It leaves when a close reaches the VWAP. Confidence grows with the way left to it.
    """

    def decide(now: Any, before: Any) -> Decision | None:
        band = now.band
        if now.position == "long" and now.close >= band.vwap:
            return leave("long", reason=f"the close reached the VWAP at {band.vwap:g}")
        if now.position == "short" and now.close <= band.vwap:
            return leave("short", reason=f"the close reached the VWAP at {band.vwap:g}")
        if before is None or not now.atr > 0.0:
            return None
        how_sure = _measure(band.vwap - now.close, 4.0 * now.atr)
        if before.close < before.band.lower and band.lower <= now.close < band.vwap:
            words = f"the close came back above the lower band at {band.lower:g}"
            return enter("long", confidence=how_sure, reason=words)
        if before.close > before.band.upper and band.vwap < now.close <= band.upper:
            words = f"the close came back below the upper band at {band.upper:g}"
            return enter("short", confidence=how_sure, reason=words)
        return None

    uses = {
        "band": _indicator("vwap_bands", multiplier=multiplier),
        "atr": _indicator("atr", length=14),
    }
    return Rule(f"vwap_reversion({multiplier:g})", uses, decide, "Return from a band to the VWAP")


def structure_change(left: int = 3, right: int = 3) -> Rule:
    """Enter with each change of character of the market's structure; leave with the next.

    Parameters
    ----------
    left, right : int
        Bars to either side of a swing.

    Returns
    -------
    Rule
        Confidence grows with how far the close went beyond the swing, in average true ranges.
    """

    def decide(now: Any, before: Any) -> list[Decision] | None:
        for event in now.structure.events:
            if event.kind == "break" and event.label == "CHoCH" and event.born:
                up = event.side == "up"
                side, other = ("long", "short") if up else ("short", "long")
                words = (
                    f"closed beyond the swing at {event.price:g}: the structure turned {event.side}"
                )
                beyond = event.strength if event.strength == event.strength else 0.0
                entry = enter(side, confidence=_measure(beyond, 1.0), reason=words)
                return [leave(other, reason=words), entry]
        return None

    uses = {"structure": structure(left=left, right=right)}
    return Rule(f"structure_change({left}, {right})", uses, decide, "Change of character")
