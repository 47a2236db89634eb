"""Compiling what builds a kind of bars, whichever kind that is."""

from __future__ import annotations

import pytest

from workbench.bars.families import FAMILIES
from workbench.bars.prepared import prepared
from workbench.errors import UnknownTimeframeError
from workbench.timeframes import timeframe

EXAMPLES = [family.example for family in FAMILIES.values()]


@pytest.mark.parametrize(
    "kind",
    [
        *EXAMPLES,
        *(f"{name}@{base}" for name in ("kagi:5", "heikin-ashi") for base in ("1s", "7m", "1d")),
        "renko:1e-9@1w", "line-break:1@1w", "point-figure:1e6x9@1M", "session:week", "range:1e9",
        "session:month", "volume:1e-6", "renko:atr9@1d", "dollar:1e15", "run-volume:2x1x2",
    ],
)  # fmt: skip
def test_every_kind_can_be_prepared(kind: str) -> None:
    assert prepared(kind) == prepared(str(prepared(kind)))


def test_timeframes_are_read_and_other_words_refused() -> None:
    assert prepared("5m") == timeframe("5m")
    with pytest.raises(UnknownTimeframeError, match="did you mean"):
        prepared("renk:1")
