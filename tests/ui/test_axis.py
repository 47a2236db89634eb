"""The ticks of the price axis, as the page computes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import workbench.plots

pytestmark = pytest.mark.browser
_CODE = (Path(workbench.plots.__path__[0]) / "axis.js").read_text(encoding="utf-8")
_TICKS = "([code, ...given]) => new Function(code + '; return priceTicks')()(...given)"


@pytest.mark.parametrize(
    ("low", "high", "height", "decimals"),
    [
        (257.42, 257.76, 760, 2),
        (74_000.0, 74_200.0, 700, 2),
        (0.00010012, 0.00012034, 700, 7),
        (1.0, 1_000_000.0, 300, 2),
    ],
)
def test_a_price_tick_is_what_its_label_says(
    chromium: Any, low: float, high: float, height: int, decimals: int
) -> None:
    page = chromium.new_page()
    try:
        ticks = page.evaluate(_TICKS, [_CODE, low, high, height, 52, decimals])
    finally:
        page.close()
    assert 3 <= len(ticks) <= height / 40
    assert all(low < tick < high for tick in ticks)
    assert ticks == pytest.approx([round(tick, decimals) for tick in ticks], rel=1e-12)
