"""Exact sums against `fractions.Fraction`, compiled and not."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.kernels import exact

QUANTUM = Fraction(1, 2**74)
# Sixty of them stay below the reach of one sum, 2**51.
values = st.one_of(
    st.floats(1e-8, 1e12),
    st.floats(0, 1e-3),
    st.sampled_from([0.1, 0.3, 1e-8, 1e12, 2.0**-22, 2.0**45 - 1, 5e-324]),
)
signed = st.builds(math.copysign, values, st.sampled_from([1.0, -1.0]))


def held(value: float) -> Fraction:
    """What the sums keep of a float: the nearest multiple of 2**-74, ties to even."""
    return round(Fraction(value) / QUANTUM) * QUANTUM


def value_of(hi: Any, lo: Any) -> Fraction:
    return Fraction(int(hi), 2**12) + int(lo) * QUANTUM


@settings(max_examples=100, deadline=None)
@given(st.lists(signed, max_size=60), st.randoms(use_true_random=False))
def test_sums_equal_fractions_in_every_order(numbers: list[float], random: Any) -> None:
    expected = sum((held(x) for x in numbers), Fraction(0))
    seen = set()
    for _ in range(3):
        hi, lo = np.int64(0), np.int64(0)
        for x in numbers:
            hi, lo = exact.add(hi, lo, *exact.split(x))
        assert 0 <= lo < 1 << 62
        assert value_of(hi, lo) == expected
        seen.add((int(hi), int(lo)))
        random.shuffle(numbers)
    assert len(seen) == 1
    value, rest = exact.rounded(hi, lo)
    assert value == float(expected), "the nearest float, ties to even"
    assert rest == float(expected - Fraction(value))


@settings(max_examples=100, deadline=None)
@given(st.lists(signed, max_size=20), st.lists(signed, max_size=20))
def test_differences_of_totals_are_the_sums_between(
    before: list[float], between: list[float]
) -> None:
    """Also when the running total has wrapped around."""
    hi, lo = np.int64((1 << 63) - 5_000), np.int64(17)
    for x in before:
        hi, lo = exact.add(hi, lo, *exact.split(x))
    mark = hi, lo
    for x in between:
        hi, lo = exact.add(hi, lo, *exact.split(x))
    difference = exact.subtract(hi, lo, *mark)
    assert value_of(*difference) == sum((held(x) for x in between), Fraction(0))


@settings(max_examples=100, deadline=None)
@given(st.floats(2.0**-22, 2.0**49))
def test_every_float_from_2_to_the_minus_22_comes_back_unchanged(x: float) -> None:
    assert exact.rounded(*exact.split(x)) == (x, 0.0)
    assert exact.rounded(*exact.split(-x)) == (-x, 0.0)


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**63) + 2, 2**63 - 2048), st.integers(0, 2**62 - 1))
def test_rounding_is_to_the_nearest_for_any_held_value(hi: int, lo: int) -> None:
    held_value = value_of(hi, lo)
    value, rest = exact.rounded(np.int64(hi), np.int64(lo))
    if abs(value) < 2.0**51:  # the documented reach of one sum
        assert value == float(held_value)
        assert rest == float(held_value - Fraction(value))


@settings(max_examples=60, deadline=None)
@given(signed, signed)
def test_the_python_twins_agree_bit_for_bit(x: float, y: float) -> None:
    a, b = exact.split(x), exact.split(y)
    assert exact.split.py_func(x) == a
    for name in ("add", "subtract"):
        compiled = getattr(exact, name)
        ours = [np.int64(v) for v in (*a, *b)]
        result = compiled(*ours)
        assert compiled.py_func(*ours) == result
        value = exact.rounded(*result)
        twin = exact.rounded.py_func(*[np.int64(v) for v in result])
        assert np.array(twin).tobytes() == np.array(value).tobytes()


def test_a_plain_float_sum_would_not_do() -> None:
    numbers = [1e12, 1e-5, -1e12]
    assert reduce(add, numbers) != 1e-5  # sum() compensates since Python 3.12
    hi, lo = np.int64(0), np.int64(0)
    for x in numbers:
        hi, lo = exact.add(hi, lo, *exact.split(x))
    assert exact.rounded(hi, lo) == (1e-5, 0.0)
