"""Channels around prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.analytics.parameters import Choice, Parameter, Taken
from workbench.analytics.spec import Spec, per_length
from workbench.kernels import bands, channels

__all__ = ["SPECS"]

_FAMILY = "Channels"
_BOLLINGER: dict[str, Taken] = {
    "length": Parameter(20, 1, 100_000, "bars in the window"),
    "width": Parameter(2.0, 0.0, 1000.0, "population standard deviations from middle to band"),
}
_BOOK = "Bollinger 2001, Bollinger on Bollinger Bands"


def _one_more(parameters: Mapping[str, Any]) -> int:
    """Return the slots of a ring of blocks."""
    return int(parameters["length"]) + 1


def _keltner_slots(parameters: Mapping[str, Any]) -> int:
    return 1 if parameters["centre"] == "ema" else _one_more(parameters)


def _keltner_warmup(parameters: Mapping[str, Any]) -> int:
    first: bool = parameters["start"] == "first"
    centre = 0 if first and parameters["centre"] == "ema" else int(parameters["length"]) - 1
    return max(centre, int(parameters["atr"]) - first)


def _donchian_warmup(parameters: Mapping[str, Any]) -> int:
    own: bool = parameters["current"] == "with"
    return int(parameters["length"]) - own


SPECS: tuple[Spec, ...] = (
    Spec(
        name="bollinger",
        title="Bollinger bands",
        family=_FAMILY,
        kernel=bands.bollinger,
        inputs=("close",),
        outputs=("upper", "middle", "lower"),
        parameters=_BOLLINGER,
        state=bands.WINDOW,
        slots=per_length,
        warmup=lambda p: p["length"] - 1,
        pane="price",
        text="The mean of the last closes, and as many standard deviations above and below.",
        source=_BOOK,
    ),
    Spec(
        name="bollinger_b",
        title="Bollinger %b",
        family=_FAMILY,
        kernel=bands.bollinger_b,
        inputs=("close",),
        outputs=("bollinger_b",),
        parameters=_BOLLINGER,
        state=bands.WINDOW,
        slots=per_length,
        warmup=lambda p: p["length"] - 1,
        pane="own",
        text="Where the close is between the Bollinger bands: 0 at the lower, 1 at the upper; "
        "0.5 where they are one.",
        source=_BOOK,
        levels=(0.0, 0.5, 1.0),
    ),
    Spec(
        name="bollinger_width",
        title="Bollinger bandwidth",
        family=_FAMILY,
        kernel=bands.bollinger_width,
        inputs=("close",),
        outputs=("bollinger_width",),
        parameters=_BOLLINGER,
        state=bands.WINDOW,
        slots=per_length,
        warmup=lambda p: p["length"] - 1,
        pane="own",
        text="How far the Bollinger bands are apart, in percent of the middle; 0 if that is 0.",
        source=_BOOK,
    ),
    Spec(
        name="keltner",
        title="Keltner channel",
        family=_FAMILY,
        kernel=channels.keltner,
        inputs=("high", "low", "close"),
        outputs=("upper", "middle", "lower"),
        parameters={
            "length": Parameter(20, 1, 100_000, "bars of the middle"),
            "width": Parameter(2.0, 0.0, 1000.0, "average true ranges from middle to band"),
            "atr": Parameter(10, 1, 100_000, "bars of the average true range, Wilder's"),
            "centre": Choice(
                "ema",
                ("ema", "sma"),
                "the middle: exponential mean of closes, or plain mean of typical prices",
            ),
            "start": Choice(
                "second",
                ("second", "first"),
                "second: true ranges from the second bar, the exponential mean seeded by a plain "
                "one, as in TA-Lib; first: both begin with the first bar alone",
            ),
        },
        state=channels.KELTNER,
        slots=_keltner_slots,
        warmup=_keltner_warmup,
        pane="price",
        text="A mean of prices, and a multiple of the average true range above and below.",
        source="Keltner 1960, How to Make Money in Commodities; with true ranges after Raschke",
    ),
    Spec(
        name="donchian",
        title="Donchian channel",
        family=_FAMILY,
        kernel=channels.donchian,
        inputs=("high", "low"),
        outputs=("upper", "middle", "lower"),
        parameters={
            "length": Parameter(20, 1, 100_000, "bars in the window"),
            "current": Choice(
                "with",
                ("with", "without"),
                "whether the window holds the bar itself, or ends before it, to see it break out",
            ),
        },
        state=channels.DONCHIAN,
        slots=_one_more,
        warmup=_donchian_warmup,
        pane="price",
        text="The highest high and the lowest low of the last bars, and the middle of the two.",
        source="Donchian 1960, High Finance in Copper, Financial Analysts Journal",
    ),
    Spec(
        name="chandelier",
        title="Chandelier exit",
        family=_FAMILY,
        kernel=channels.chandelier,
        inputs=("high", "low", "close"),
        outputs=("long", "short"),
        parameters={
            "length": Parameter(22, 1, 100_000, "bars of extremes and of the average true range"),
            "width": Parameter(3.0, 0.0, 1000.0, "average true ranges from extreme to stop"),
        },
        state=channels.CHANDELIER,
        slots=_one_more,
        warmup=lambda p: p["length"],
        pane="price",
        text="Stops that hang from the highest high for a long position, and stand on the lowest "
        "low for a short one, by a multiple of Wilder's average true range.",
        source="LeBeau; Elder 2002, Come Into My Trading Room",
    ),
)
