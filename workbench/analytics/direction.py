"""Direction and strength of a trend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.analytics.parameters import Choice, Parameter, Taken
from workbench.analytics.spec import Spec, length, one, per_length
from workbench.kernels import cloud
from workbench.kernels import direction as kernels

__all__ = ["SPECS"]

_WILDER = "Wilder 1978, New Concepts in Technical Trading Systems"


def _movement() -> dict[str, Taken]:
    return length(14, "bars of Wilder's smoothing") | {
        "start": Choice(
            "talib",
            ("talib", "wilder"),
            "the first sums: talib adds `length` - 1 changes and smooths the next, "
            "wilder adds `length`",
        )
    }


def _ordered(p: Mapping[str, Any]) -> str | None:
    if p["conversion"] <= p["base"] <= p["span"]:
        return None
    return (
        "conversion must be at most base, and base at most span, "
        f"not {p['conversion']}, {p['base']}, {p['span']}"
    )


_ADX = Spec(
    name="adx",
    title="Average directional index",
    family="Direction",
    kernel=kernels.adx,
    inputs=("high", "low", "close"),
    outputs=("adx", "plus", "minus"),
    parameters=_movement(),
    state=kernels.MOVEMENT,
    slots=one,
    warmup=lambda p: 2 * p["length"] - 1,
    pane="own",
    text="Strength of a trend whatever its direction, with the upward and downward directions "
    "it is made of. Where nothing moves the index stays as it was (0 at first) and both "
    "directions are 0.",
    source=_WILDER,
    bounds=(0.0, 100.0),
    levels=(20.0, 25.0),
)

_DMI = Spec(
    name="dmi",
    title="Directional movement",
    family="Direction",
    kernel=kernels.dmi,
    inputs=("high", "low", "close"),
    outputs=("plus", "minus"),
    parameters=_movement(),
    state=kernels.MOVEMENT,
    slots=one,
    warmup=lambda p: p["length"],
    pane="own",
    text="Smoothed rises of the high (+DI), and falls of the low (-DI), in per cent of smoothed "
    "true range. Both are 0 where nothing moves.",
    source=_WILDER,
    bounds=(0.0, 100.0),
)

_DX = Spec(
    name="dx",
    title="Directional index",
    family="Direction",
    kernel=kernels.dx,
    inputs=("high", "low", "close"),
    outputs=("dx",),
    parameters=_movement(),
    state=kernels.MOVEMENT,
    slots=one,
    warmup=lambda p: p["length"],
    pane="own",
    text="Difference of +DI and -DI in per cent of their sum. It stays as it was where nothing "
    "moves, 0 at first.",
    source=_WILDER,
    bounds=(0.0, 100.0),
)

_ADXR = Spec(
    name="adxr",
    title="Average directional index rating",
    family="Direction",
    kernel=kernels.adxr,
    inputs=("high", "low", "close"),
    outputs=("adxr",),
    parameters=_movement(),
    state=kernels.ADXR,
    slots=per_length,
    warmup=lambda p: 3 * p["length"] - 2,
    pane="own",
    text="Mean of the average directional index and of its value `length` - 1 bars before.",
    source=_WILDER,
    bounds=(0.0, 100.0),
    levels=(20.0, 25.0),
)

_VORTEX = Spec(
    name="vortex",
    title="Vortex",
    family="Direction",
    kernel=kernels.vortex,
    inputs=("high", "low", "close"),
    outputs=("plus", "minus"),
    parameters=length(14, "bars summed"),
    state=kernels.VORTEX,
    slots=lambda p: int(p["length"]) + 1,
    warmup=lambda p: p["length"],
    pane="own",
    text="Way from the last low to the high, and from the last high to the low, each over true "
    "range, summed over a window. Both are 0 where the range is 0.",
    source="Botes and Siepman 2010, The vortex indicator",
    levels=(1.0,),
)


def _ichimoku_warmup(p: Mapping[str, Any]) -> int:
    late = int(p["base"]) if p["shift"] == "plotted" else 0
    return int(p["span"]) - 1 + late


_ICHIMOKU = Spec(
    name="ichimoku",
    title="Ichimoku cloud",
    family="Direction",
    kernel=cloud.ichimoku,
    inputs=("high", "low", "close"),
    outputs=("conversion", "base", "span_a", "span_b", "lagging"),
    parameters={
        "conversion": Parameter(9, 1, 10_000, "bars of the conversion line (tenkan)"),
        "base": Parameter(26, 1, 10_000, "bars of the base line (kijun), and of the shift"),
        "span": Parameter(52, 1, 10_000, "bars of the slow span (senkou B)"),
        "shift": Choice(
            "known",
            ("known", "plotted"),
            "spans of a row: known, those it makes, drawn `base` bars ahead; plotted, those made "
            "`base` bars before, the cloud under its candle",
        ),
    },
    state=cloud.ICHIMOKU,
    slots=lambda p: int(p["span"]) + 1,
    warmup=_ichimoku_warmup,
    pane="price",
    text="Middles of the high-low range of three windows; two spans bound the cloud. The lagging "
    "line is this row's close, to be drawn `base` bars back: no row holds a later one.",
    source="Hosoda 1969, Ichimoku Kinko Hyo",
    check=_ordered,
)

SPECS: tuple[Spec, ...] = (_ADX, _ADXR, _DMI, _DX, _VORTEX, _ICHIMOKU)
