"""A feed of 20 symbols under 30 random faults: nothing lost, nothing twice, nothing invented."""

from __future__ import annotations

import random
from pathlib import Path

from tests.soak.chaos import FAULTS, chaos
from tests.soak.killing import kill_a_recorder
from tests.soak.reconnects import reconnect_often
from workbench.sim.faultlist import CATALOGUE

#: Faults that no client can notice, or that rightly end a feed, or are chosen by their parts.
LEFT_OUT = {"random", "rest-correction"}


def test_under_random_faults_nothing_is_lost_doubled_or_invented(tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    verdict = chaos(seed, tmp_path, seconds=20.0)
    assert verdict.good, (verdict, verdict.notes)
    assert verdict.struck.total() >= 5, verdict


def test_every_kind_of_fault_is_among_those_that_are_drawn() -> None:
    drawn = {fault.partition(":")[0] for fault in FAULTS}
    assert set(CATALOGUE) - drawn == LEFT_OUT


def test_a_recorder_killed_at_random_ends_with_all_that_was_traded(tmp_path: Path) -> None:
    verdict = kill_a_recorder(7, tmp_path, kills=5)
    assert verdict.good, (verdict, verdict.notes)


def test_many_reconnects_leave_nothing_behind() -> None:
    grown = reconnect_often(100)
    assert grown.good, grown
