"""Volume, and on which side it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.analytics.parameters import Choice, Parameter
from workbench.analytics.spec import Spec, length, one
from workbench.kernels import volume as kernels

__all__ = ["SPECS"]

_FAMILY = "Volume"
_BARS = ("high", "low", "close", "volume")


def _one_more(parameters: Mapping[str, Any]) -> int:
    """Return the slots of a ring of blocks."""
    return int(parameters["length"]) + 1


def _fast_before_slow(parameters: Mapping[str, Any]) -> str | None:
    if parameters["fast"] < parameters["slow"]:
        return None
    return f"fast ({parameters['fast']}) must be less than slow ({parameters['slow']})"


SPECS: tuple[Spec, ...] = (
    Spec(
        name="obv",
        title="On-balance volume",
        family=_FAMILY,
        kernel=kernels.obv,
        inputs=("close", "volume"),
        outputs=("obv",),
        parameters={
            "start": Choice(
                "volume", ("volume", "zero"), "first value: the first volume, as in TA-Lib, or 0"
            )
        },
        state=kernels.OBV,
        slots=one,
        warmup=lambda p: 0,
        pane="own",
        text="The sum of volumes, added where the close rose and taken away where it fell.",
        source="Granville 1963, New Key to Stock Market Profits",
    ),
    Spec(
        name="ad",
        title="Accumulation/distribution line",
        family=_FAMILY,
        kernel=kernels.ad,
        inputs=_BARS,
        outputs=("ad",),
        parameters={},
        state=kernels.AD,
        slots=one,
        warmup=lambda p: 0,
        pane="own",
        text="The sum of volumes, each weighted by where the bar closed: 1 at its high, -1 at its "
        "low. A bar without a range adds nothing.",
        source="Chaikin; Achelis 1995, Technical Analysis from A to Z",
    ),
    Spec(
        name="adosc",
        title="Chaikin oscillator",
        family=_FAMILY,
        kernel=kernels.adosc,
        inputs=_BARS,
        outputs=("adosc",),
        parameters={
            "fast": Parameter(3, 1, 100_000, "bars of the fast mean"),
            "slow": Parameter(10, 2, 100_000, "bars of the slow mean; more than the fast"),
        },
        state=kernels.ADOSC,
        slots=one,
        warmup=lambda p: p["slow"] - 1,
        pane="own",
        text="Whether accumulation gathers pace: the fast less the slow exponential mean of the "
        "accumulation/distribution line, both begun with its first value as in TA-Lib.",
        source="Chaikin; Achelis 1995, Technical Analysis from A to Z",
        levels=(0.0,),
        check=_fast_before_slow,
    ),
    Spec(
        name="cmf",
        title="Chaikin money flow",
        family=_FAMILY,
        kernel=kernels.cmf,
        inputs=_BARS,
        outputs=("cmf",),
        parameters=length(20, "bars in the window"),
        state=kernels.CMF,
        slots=_one_more,
        warmup=lambda p: p["length"] - 1,
        pane="own",
        text="Where bars closed between low (-1) and high (1), weighted by volume; 0 without any.",
        source="Chaikin; Achelis 1995, Technical Analysis from A to Z",
        bounds=(-1.0, 1.0),
        levels=(0.0,),
    ),
    Spec(
        name="force",
        title="Force index",
        family=_FAMILY,
        kernel=kernels.force,
        inputs=("close", "volume"),
        outputs=("force",),
        parameters=length(13, "bars of the exponential mean; 1 for the plain force"),
        state=kernels.FORCE,
        slots=one,
        warmup=lambda p: p["length"],
        pane="own",
        text="Change of the close times volume, as an exponential mean seeded by the plain mean "
        "of its first values.",
        source="Elder 1993, Trading for a Living",
        levels=(0.0,),
    ),
    Spec(
        name="eom",
        title="Ease of movement",
        family=_FAMILY,
        kernel=kernels.eom,
        inputs=("high", "low", "volume"),
        outputs=("eom",),
        parameters={
            "length": Parameter(14, 1, 100_000, "bars averaged"),
            "divisor": Parameter(1e8, 1e-12, 1e18, "what volumes are divided by, for the scale"),
        },
        state=kernels.EOM,
        slots=_one_more,
        warmup=lambda p: p["length"],
        pane="own",
        text="How far the middle of the bar moves for the volume it takes, as a plain mean; a bar "
        "without volume counts as 0.",
        source="Arms 1996, Trading Without Fear",
        levels=(0.0,),
    ),
)
