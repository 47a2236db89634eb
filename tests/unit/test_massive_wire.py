"""Fields of the wire as numbers."""

from __future__ import annotations

import math

import numpy as np

from workbench.sources.massive_wire import decimal, id_number, pack, sequences, shorts, times_ns


def test_times_in_the_wrong_unit_become_none_that_the_gate_accepts() -> None:
    ms = 1_723_161_255_342
    right, seconds, micros, nanos = times_ns([ms, ms // 1000, ms * 1000, ms * 10**6]).tolist()
    assert right == ms * 1_000_000
    assert seconds == ms // 1000 * 1_000_000  # 1970: before all markets
    assert (micros, nanos) == (0, 0)


def test_times_that_no_integer_holds_cost_only_themselves() -> None:
    assert times_ns([1 << 80, 5, -(1 << 80), -1]).tolist() == [0, 5_000_000, 0, 0]
    assert times_ns([]).dtype == np.int64


def test_ids_that_are_not_numbers_are_told_apart() -> None:
    ids = ["", "a", "b", "-1", "12x", str(1 << 64), "9" * 6000]
    numbers = [id_number(i) for i in ids]
    assert len(set(numbers)) == len(ids)
    assert id_number(-1) == id_number("-1")
    assert id_number((1 << 64) - 1) == (1 << 64) - 1
    assert id_number("52983525029461") == 52983525029461


def test_conditions_are_packed_a_byte_each() -> None:
    assert pack((12, 37)) == 12 | 37 << 8
    assert pack((1, 2, 3, 4, 5)) == 0x04030201
    assert pack(()) == 0


def test_decimal_sizes() -> None:
    assert decimal("0.25") == 0.25
    assert math.isnan(decimal("many"))


def test_columns_of_small_integers() -> None:
    assert sequences([0, (1 << 64) - 1, 1 << 64, -1]).tolist() == [0, (1 << 64) - 1, 0, 0]
    assert shorts([0, 32767, 32768, -1]).tolist() == [0, 32767, 0, 0]
