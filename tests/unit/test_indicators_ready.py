"""Indicators made ready once: what stays of one series never reaches the next."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from workbench.analytics import CATALOGUE, Indicator, ema, indicator, sma
from workbench.errors import ConfigError

WALK = 100.0 + np.cumsum(np.random.default_rng(5).normal(0.0, 0.1, 4_000))


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_a_series_leaves_nothing_to_the_next(name: str) -> None:
    chosen = indicator(name)
    given = [WALK.astype(np.int64) if n in ("time", "session") else WALK for n in chosen.inputs]
    whole = chosen.values(*given)
    chosen.values(*[column[:1_234] * 2 for column in given])
    assert chosen.values(*given).tobytes() == whole.tobytes()
    assert Indicator(chosen.spec).values(*given).tobytes() == whole.tobytes()


def test_threads_share_one_indicator() -> None:
    chosen = indicator("rsi")
    parts = [WALK[:n] for n in range(200, 4_000, 50)]
    want = [chosen.values(part).tobytes() for part in parts]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            came = pool.map(lambda part: chosen.values(part, finite=True).tobytes(), parts)
            assert list(came) == want


def test_a_used_indicator_is_copied_and_pickled_as_a_new_one() -> None:
    chosen = ema(5)
    want = chosen.values(WALK).tobytes()
    for same in (copy.copy(chosen), copy.deepcopy(chosen), pickle.loads(pickle.dumps(chosen))):
        assert same == chosen
        assert hash(same) == hash(chosen)
        assert same.values(WALK).tobytes() == want


def misaligned() -> Any:
    room = np.zeros(8 * len(WALK) + 1, np.uint8)
    column = room[1:].view(np.float64)
    column[:] = WALK
    assert not column.flags.aligned
    return column


@pytest.mark.parametrize(
    "given",
    [
        WALK.tolist(),
        np.repeat(WALK, 2)[::2],
        WALK.astype(">f8"),
        misaligned(),
        WALK.copy(),
    ],
    ids=["list", "strided", "swapped", "misaligned", "writable"],
)
def test_any_column_of_numbers_is_taken(given: Any) -> None:
    chosen = sma(7)
    want = chosen.values(WALK)
    assert chosen.values(given).tobytes() == want.tobytes()
    assert chosen.values(given, finite=True).tobytes() == want.tobytes()


@pytest.mark.parametrize(
    "out",
    [
        np.empty((3, 1)),
        np.empty((4_000, 2)),
        np.empty((4_000, 1), np.float32),
        np.empty((8_000, 1))[::2],
        np.broadcast_to(np.zeros((1, 1)), (4_000, 1)),
        [[0.0]] * 4_000,
    ],
    ids=["short", "wide", "float32", "strided", "read-only", "list"],
)
def test_an_output_without_room_for_the_values_is_refused(out: Any) -> None:
    with pytest.raises(ConfigError, match=r"out must be a writable, C-ordered float64 array"):
        sma(7).values(WALK, out=out)


def test_columns_of_other_lengths_are_refused() -> None:
    atr = indicator("atr")
    with pytest.raises(ConfigError, match=r"the columns have shapes \(4000,\), \(3999,\)"):
        atr.values(WALK, WALK[1:], WALK)
    with pytest.raises(ConfigError, match="shapes"):
        sma(7).values(np.zeros((3, 2)))
