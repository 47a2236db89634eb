"""Names and numbers of kinds of bars."""

from __future__ import annotations

import subprocess
import sys

import pytest

from workbench.bars.kinds import FAMILIES, BarKind, bar_kind, kind_of
from workbench.errors import UnknownTimeframeError
from workbench.timeframes import Timeframe, timeframe


def kind(text: str) -> BarKind:
    found = bar_kind(text)
    assert isinstance(found, BarKind)
    return found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("trades:100", "trades:100"),
        (" Tick:100 ", "trades:100"),
        ("volume:1000.0", "volume:1000"),
        ("dollar:1e6", "dollar:1000000"),
        ("dollar:.5", "dollar:0.5"),
        ("range:1e-8", "range:1e-08"),
        ("renko:10", "renko:10"),
        ("renko:10@60s", "renko:10@1m"),
        ("renko:ATR14@1min", "renko:atr14@1m"),
        ("imbalance-volume", "imbalance-volume"),
        ("imbalance-volume:100x20x10", "imbalance-volume"),
        ("run-trades:50,20", "run-trades:50"),
        ("run-dollar:100x5", "run-dollar:100x5"),
        ("heikin-ashi@5m", "heikin-ashi@5m"),
        ("line-break@1m", "line-break:3@1m"),
        ("kagi:10@1m", "kagi:10@1m"),
        ("point-figure:1@1m", "point-figure:1x3@1m"),
        ("session:week", "session:week"),
    ],
)
def test_spellings_of_a_kind_have_one_name(text: str, name: str) -> None:
    found = kind(text)
    assert found.name == str(found) == name
    assert bar_kind(name) == found == bar_kind(found)
    assert kind_of(found.code) == found


def test_what_a_timeframe_reads_is_a_timeframe() -> None:
    assert bar_kind("60m") == bar_kind(3600) == bar_kind(timeframe("1h")) == kind_of(3600)
    assert isinstance(bar_kind("day"), Timeframe)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("volum:1000", "did you mean 'volume:1000'"),
        ("nothing", "renko:atr14@1m"),
        ("1M", "unknown timeframe '1M'"),
        ("volume", "lacks its volume"),
        ("volume:", "lacks its volume"),
        ("volume:0", "between 1e-12 and 1e\\+15"),
        ("trades:1.5", "whole number"),
        ("trades:10x20", "takes 1 numbers, not 2"),
        ("renko:big", "'big' is not a list of numbers"),
        ("renko:atr14", "needs the timeframe of its base"),
        ("renko-atr:14@1m", "renko:atr14@1m"),
        ("trades:100@1m", "take no base"),
        ("renko:10@", "unknown timeframe ''"),
        ("session:night", "session:regular, session:after"),
        ("session", "session:pre"),
        ("heikin-ashi:1@1m", "takes 0 numbers"),
    ],
)
def test_what_is_no_kind_is_told_and_what_is_allowed(text: str, words: str) -> None:
    with pytest.raises(UnknownTimeframeError, match=words):
        bar_kind(text)


def test_codes_are_below_zero_and_the_same_everywhere() -> None:
    names = [family.example for family in FAMILIES.values()]
    codes = [kind(name).code for name in names]
    assert len(set(codes)) == len(codes)
    assert all(-(2**31) < code < 0 for code in codes)
    script = (
        "from workbench.bars.kinds import bar_kind;"
        f"print(*[bar_kind(name).code for name in {names!r}])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert [int(word) for word in run.stdout.split()] == codes


def test_a_code_that_was_not_seen_is_unknown() -> None:
    with pytest.raises(UnknownTimeframeError, match="-5"):
        kind_of(-5)
    with pytest.raises(UnknownTimeframeError):
        kind_of(0)


def test_every_family_has_an_example_of_its_own() -> None:
    for name, family in FAMILIES.items():
        found = kind(family.example)
        assert (found.family, family.name) == (name, name)
        assert len(found.parameters) == len(family.parameters)
        assert (found.base is not None) == (family.base == "must")
        assert found.choice in (*family.choices, "")
    assert kind("session:day").choice == "day"
