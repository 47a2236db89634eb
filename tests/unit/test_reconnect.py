"""Reconnect policies: their figures, and that nothing makes them storm."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from workbench.config import Settings
from workbench.errors import ConfigError
from workbench.net.reconnect import (
    CRYPTO,
    FIXED,
    GENTLE,
    PATIENT,
    PRESETS,
    Backoff,
    Reconnect,
)

LONG = 3600.0


def backoff(policy: Reconnect, seed: int = 1) -> Backoff:
    return Backoff(policy, random.Random(seed))


def delay(state: Backoff, lived: float = 0.0, displaced: bool = False) -> float:
    seconds = state.failed(lived, displaced)
    assert seconds is not None
    return seconds


@pytest.mark.parametrize(
    ("policy", "ceilings"),
    [
        (PATIENT, [1, 2, 4, 8, 16, 30, 30]),
        (CRYPTO, [5, 10, 20, 40, 60, 60]),
        (GENTLE, [5, 7.5, 11.25, 16.875, 25.3125, 30]),
        (FIXED, [30, 30, 30]),
    ],
)
def test_the_presets_grow_as_told(policy: Reconnect, ceilings: list[float]) -> None:
    assert [policy.ceiling(n + 1) for n in range(len(ceilings))] == ceilings
    state = backoff(policy)
    for ceiling in ceilings:
        assert ceiling * (1 - policy.jitter) <= delay(state) <= ceiling


def test_the_setting_names_the_presets() -> None:
    assert set(get_args(Settings.model_fields["reconnect"].annotation)) == set(PRESETS)
    assert [PRESETS[name].attempts for name in PRESETS] == [10, None, 10, None]


@pytest.mark.parametrize("policy", [PATIENT, GENTLE])
def test_the_attempts_are_used_up(policy: Reconnect) -> None:
    state = backoff(policy)
    assert all(state.failed(0.0) is not None for _ in range(10))
    assert state.failed(0.0) is None
    assert state.attempts == 10


@pytest.mark.parametrize("policy", PRESETS.values(), ids=PRESETS)
def test_after_a_settled_connection_the_first_attempt_is_quick(policy: Reconnect) -> None:
    state = backoff(policy)
    for _ in range(8):
        state.failed(0.0)
    assert delay(state, LONG) < 1.0
    assert state.attempts == 1
    assert delay(state) <= policy.first


def test_a_connection_that_lived_shortly_keeps_the_delay_growing() -> None:
    state = backoff(PATIENT)
    delays = [delay(state, lived=PATIENT.settled - 0.1) for _ in range(6)]
    assert delays[5] >= 15.0


def test_displacement_waits_a_minute_and_is_no_success() -> None:
    state = backoff(PATIENT)
    for _ in range(3):
        assert 60.0 <= delay(state, LONG, displaced=True) <= 66.0
    assert delay(state, LONG, displaced=True) >= 120.0
    assert state.attempts == 4
    assert delay(state, LONG) < 1.0
    assert 60.0 <= delay(state, LONG, displaced=True) <= 66.0


def test_two_programs_do_not_fight_for_ever() -> None:
    state = backoff(PATIENT)
    assert all(state.failed(LONG, displaced=True) for _ in range(10))
    assert state.failed(LONG, displaced=True) is None
    endless = backoff(CRYPTO)
    waits = [delay(endless, LONG, displaced=True) for _ in range(50)]
    assert max(waits) <= 60 * 16 * 1.1


def test_what_the_server_asks_for_is_honoured() -> None:
    assert backoff(PATIENT).failed(0.0, at_least=45.0) == 45.0


def test_the_same_seed_gives_the_same_delays() -> None:
    first, second, other = backoff(CRYPTO, 3), backoff(CRYPTO, 3), backoff(CRYPTO, 4)
    runs = [[delay(state) for _ in range(9)] for state in (first, second, other)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    "fields",
    [
        {"first": 0.0},
        {"first": 40.0},
        {"factor": 0.5},
        {"jitter": 0.0},
        {"jitter": 1.5},
        {"attempts": 0},
        {"quick": 0.0},
        {"settled": 0.0},
        {"displaced": -1.0},
    ],
)
def test_policies_that_make_no_sense_are_refused(fields: dict[str, float]) -> None:
    good = {"first": 1.0, "factor": 2.0, "longest": 30.0}
    with pytest.raises(ConfigError, match="reconnect policy"):
        Reconnect(**{**good, **fields})  # type: ignore[arg-type]


OUTCOMES = st.lists(
    st.tuples(st.floats(0, 20) | st.sampled_from([0.0, 9.9, 10.0]), st.booleans()), max_size=200
)


#: The fastest there is: connections that settle only just, each after three that fail at once.
FASTEST = [(0.0, False), (0.0, False), (0.0, False), (10.0, False)] * 5


class Least(random.Random):
    """Draws that make every delay the shortest it can be."""

    def random(self) -> float:
        return math.nextafter(1.0, 0.0)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example("patient", FASTEST, None)
@given(st.sampled_from(sorted(PRESETS)), OUTCOMES, st.none() | st.integers(0, 1000))
def test_no_sequence_of_outcomes_makes_a_storm(
    name: str, outcomes: list[tuple[float, bool]], seed: int | None
) -> None:
    policy = PRESETS[name]
    state = Backoff(policy, Least() if seed is None else random.Random(seed))
    now, starts = 0.0, [0.0]
    for lived, displaced in outcomes:
        wait = state.failed(lived, displaced)
        if wait is None:
            break
        assert wait > 0
        assert displaced or wait <= policy.longest
        now += lived + wait
        starts.append(now)
    for index in range(len(starts)):
        # Two gaps in a row below a second need a settled connection before them.
        if index + 2 < len(starts):
            assert starts[index + 2] - starts[index] >= min(policy.first / 2, 5.0)
        minute = [start for start in starts[index:] if start < starts[index] + 60.0]
        assert len(minute) <= 20


def test_a_minute_sees_twenty_attempts_at_the_most() -> None:
    def starts(policy: Reconnect, failures: int, end: float) -> int:
        """Count the starts from one on that follows some failures, all being as fast as can be."""
        further = 0
        for lived in (0.0, policy.settled):
            state = Backoff(policy, Least())
            for _ in range(failures):
                state.failed(0.0)
            left = end - lived - delay(state, lived)
            if left > 0:
                further = max(further, starts(policy, 0 if lived else failures + 1, left))
        return 1 + further

    endless = {name: replace(policy, attempts=None) for name, policy in PRESETS.items()}
    assert {name: starts(policy, 0, 60.0) for name, policy in endless.items()} == {
        "patient": 20,
        "crypto": 11,
        "gentle": 12,
        "fixed": 6,
    }
