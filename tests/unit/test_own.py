"""Indicators by name, with other columns, and of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.analytics.catalogue import BUILT_IN, CATALOGUE
from workbench.errors import ConfigError, UnknownIndicatorError
from workbench.testing.market import invented_bars


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    """Take out of the catalogue what a test put into it."""
    yield
    for name in set(CATALOGUE) - BUILT_IN:
        del CATALOGUE[name]


def make() -> Any:
    @wb.indicator(
        outputs=["mid", "upper", "lower"],
        params={"length": 20, "width": 2.0},
        state=[("mean", "f8"), ("count", "i8")],
        inputs=["close", "high", "low"],
        pane="price",
    )
    def channel(p: Any, s: Any, bars: Any, out: Any) -> None:
        """A mean that forgets, and ranges around it."""
        mean = s[0]["mean"]
        count = s[0]["count"]
        for i in range(len(bars.close)):
            weight = 1.0 if count == 0 else 2.0 / (p["length"] + 1.0)
            mean += weight * (bars.close[i] - mean)
            count += 1
            reach = p["width"] * (bars.high[i] - bars.low[i])
            out[i, 0] = mean
            out[i, 1] = mean + reach
            out[i, 2] = mean - reach
        s[0]["mean"] = mean
        s[0]["count"] = count

    return channel


def test_an_indicator_of_ones_own_is_like_any_other() -> None:
    channel = make()
    bars = invented_bars(200)
    table = channel(length=50).over(bars)
    assert list(table.columns) == ["mid", "upper", "lower"]
    assert channel(50).keys == ("channel_50_2_mid", "channel_50_2_upper", "channel_50_2_lower")
    assert wb.indicator("channel", width=3.0) == channel(width=3.0)
    assert wb.indicators().loc["channel", "title"] == "Channel"
    assert "A mean that forgets" in channel.__doc__
    wb.testing.check_indicator(channel)
    closes = bars["close"]
    mean = closes[0]
    for i in range(1, 200):
        mean += 2.0 / 51.0 * (closes[i] - mean)
    assert table["mid"].iloc[-1] == mean


def test_a_cell_that_runs_again_replaces_it_but_never_a_built_in_one() -> None:
    first, again = make(), make()
    assert CATALOGUE["channel"] is again.spec is not first.spec
    with pytest.raises(ConfigError, match="there is an indicator 'ema' already"):

        @wb.indicator(outputs=["x"])
        def ema(p: Any, s: Any, bars: Any, out: Any) -> None: ...


def test_plain_python_runs_for_debugging() -> None:
    seen = []

    @wb.indicator(outputs=["x"], inputs=["close"], jit=False)
    def last(p: Any, s: Any, bars: Any, out: Any) -> None:
        seen.append(len(bars.close))
        out[:, 0] = bars.close

    assert last().values([1.0, 2.0])[:, 0].tolist() == [1.0, 2.0]
    assert seen == [2]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: wb.indicator("emaa"), UnknownIndicatorError, "did you mean"),
        (lambda: wb.indicator("ema", lenght=3), ConfigError, "did you mean 'length'"),
        (lambda: wb.ema(0), ConfigError, "length must be a whole number from 1 to"),
        (lambda: wb.ema(2.5), ConfigError, "whole number"),
        (lambda: wb.ema(1, 2, 3), ConfigError, "takes"),
        (lambda: wb.ema(3, length=3), ConfigError, "given twice"),
        (lambda: wb.macd(fast=30, slow=20), ConfigError, "macd"),
        (lambda: wb.ema(3, of=("open", "close")), ConfigError, "reads 1 columns"),
        (lambda: wb.indicators("nothing"), ConfigError, "there are"),
        (lambda: wb.indicator(), ConfigError, "give the name"),
        (lambda: wb.indicator(outputs="x"), ConfigError, "list of names"),
        (lambda: wb.indicator(outputs=["x"], pane="top"), ConfigError, "pane"),
        (lambda: wb.indicator(outputs=["x"], slots="n"), ConfigError, "no parameter 'n'"),
        (lambda: wb.indicator(outputs=["x"], params={"n": "a"}), ConfigError, "must be a number"),
        (lambda: wb.vwap_anchored(anchor="soon"), ConfigError, "must be a date and time"),
        (lambda: wb.sma(3).over(invented_bars(2)), ConfigError, "needs at least 3 bars"),
        (lambda: wb.sma(3).over(invented_bars(9)[::-1]), ConfigError, "is earlier than row 0"),
        (lambda: wb.sma(3).values([1.0], [2.0]), ConfigError, "takes 1 columns"),
        (lambda: wb.atr(3).values([1.0], [2.0, 3.0], [1.0]), ConfigError, "have shapes"),
        (lambda: wb.sma(1).values([1.0], out=np.empty(1)), ConfigError, "out must be"),
        (lambda: wb.sma(1).over(pd.DataFrame({"close": ["a"]})), ConfigError, "not numbers"),
    ],
)
def test_bad_input_is_told_what_was_wrong(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_duplicate_times_and_several_symbols_are_refused() -> None:
    bars = invented_bars(30)
    twice = np.concatenate([bars[:10], bars[9:]])
    with pytest.raises(ConfigError, match=r"row 10 .* has the time of row 9"):
        wb.sma(3).over(twice)
    mixed = bars.copy()
    mixed["symbol"][5:] = 1
    with pytest.raises(ConfigError, match="several symbols"):
        wb.sma(3).over(mixed)


def test_any_column_can_be_read() -> None:
    frame = pd.DataFrame({"close": [1.0, 2.0, 3.0], "mood": [5.0, 7.0, 9.0]})
    assert wb.sma(2, of="mood").over(frame).iloc[-1] == 8.0
    bars = invented_bars(50)
    typical = (bars["high"] + bars["low"] + bars["close"]) / 3
    assert wb.sma(2, of="hlc3").over(bars).iloc[-1] == pytest.approx(typical[-2:].mean())
    assert wb.correlation(10, of=("open", "close")).over(bars).iloc[-1] <= 1.0


def test_public_names_are_those_of_the_catalogue() -> None:
    assert BUILT_IN == wb._INDICATORS
    for name in BUILT_IN:
        assert getattr(wb, name).spec.name == name
        assert name in dir(wb)
    assert not BUILT_IN & set(wb.__all__), "an indicator hides another public name"


def test_every_indicator_tells_what_it_is() -> None:
    for name, spec in CATALOGUE.items():
        assert spec.title, name
        assert spec.source, name
        assert spec.text.endswith("."), name
        assert spec.pane in ("price", "own")
        assert len(set(spec.outputs)) == len(spec.outputs)
        assert getattr(wb, name).__doc__.startswith(spec.title)
