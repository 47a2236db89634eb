"""Proof on a recording: what verify says of a good one, and of a rule that cheats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import workbench as wb
from workbench.bars.families import FAMILIES
from workbench.cli import app
from workbench.digest import digest
from workbench.errors import TapeError
from workbench.rules import enter, rule
from workbench.verification import KINDS

TAPE = Path(__file__).resolve().parents[2] / "data" / "sample.tape"


def test_the_sample_comes_out_the_same_in_every_way() -> None:
    steps: list[tuple[str, int, int]] = []
    found = wb.verify(TAPE, on_progress=lambda *step: steps.append(step))
    assert found.equal
    assert list(found.hashes) == ["live", "replay", "replay at once", "batch"]
    assert found.counts["bars"] > 500
    assert found.counts["values"] > 50_000
    assert found.counts["signals"] > 10
    assert found.overdue == 0
    assert {way for way, _, _ in steps} == {"live", "replay", "replay at once"}
    assert all(steps[-1][1] == total for _, _, total in steps)
    assert found.table().shape == (4, 4)
    assert "the same bits" in repr(found)


#: A kind of each family whose size suits the prices of the sample.
EVERY = (
    "trades:7", "volume:3", "dollar:1e5", "range:5", "renko:5", "renko:atr5@15s",
    "imbalance-trades", "imbalance-volume", "imbalance-dollar", "run-trades", "run-volume",
    "run-dollar", "heikin-ashi@15s", "line-break:3@1s", "kagi:5@1s", "point-figure:5x3@1s",
    "session:regular", "mid@1s", "bid@5s", "ask@1m",
)  # fmt: skip


@pytest.mark.parametrize("kind", EVERY)
def test_every_kind_of_bars_comes_out_the_same_in_every_way(kind: str) -> None:
    found = wb.verify(TAPE, timeframes=["1m"], kinds=[kind], indicators=[], rules=[])
    assert found.equal
    alone = wb.verify(TAPE, timeframes=["1m"], kinds=[], indicators=[], rules=[])
    assert found.hashes["batch"]["bars of other kinds"] != digest({})
    assert found.hashes["batch"]["time bars"] == alone.hashes["batch"]["time bars"]


def test_the_sample_has_a_kind_of_every_family() -> None:
    assert {getattr(wb.bar_kind(kind), "family", "") for kind in EVERY} == set(FAMILIES)


def test_bars_that_do_not_wait_long_enough_are_told_apart() -> None:
    found = wb.verify(TAPE, kinds=["trades:50"], indicators=[], rules=[], lateness=0.0)
    assert found.overdue > 0
    assert not found.equal
    assert "NOT" in repr(found)


def test_a_rule_that_remembers_is_found_out() -> None:
    calls = []

    @rule(mean=wb.sma(3))
    def cheat(now: Any, before: Any) -> Any:
        calls.append(now)
        sides = ("long", "short")
        return enter(sides[len(calls) // 7 % 2], confidence=0.5, reason="every seventh call")

    found = wb.verify(TAPE, timeframes=["1s"], kinds=[], indicators=[wb.sma(3)], rules=[cheat])
    assert not found.equal
    ways = found.hashes.values()
    same = [len({way[what] for way in ways}) == 1 for what in found.hashes["batch"]]
    assert same == [True, True, True, False]


def test_the_command_prints_the_hashes(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["verify", str(TAPE), "--timeframe", "1m", "--kind", KINDS[0]])
    assert ran.exit_code == 0, ran.output
    assert "the same, bit for bit" in ran.output
    assert ran.output.count("sha256") == 4
    late = CliRunner().invoke(app, ["verify", str(TAPE), "--lateness", "0", "--timeframe", "1s"])
    assert late.exit_code == 1
    assert "NOT the same" in late.output
    with pytest.raises(TapeError):
        CliRunner().invoke(app, ["verify", str(tmp_path / "none")], catch_exceptions=False)
