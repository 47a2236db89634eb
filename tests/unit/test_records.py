"""Records and batches."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.records import BAR, CANCELLED, KINDS, QUOTE, TRADE, Batch, empty


@pytest.mark.parametrize("kind", ["trade", "quote", "bar"])
def test_records_are_packed_in_whole_words(kind: str) -> None:
    dtype = KINDS[kind]
    assert dtype.itemsize % 8 == 0
    names = dtype.names or ()
    end = 0
    for name in names:
        field, offset = dtype.fields[name][:2]  # type: ignore[index]
        assert offset == end, "no hidden padding: rows are hashed and compared as bytes"
        end = offset + field.itemsize
    assert end == dtype.itemsize
    assert len(empty(kind, 3)) == 3  # type: ignore[arg-type]


def test_what_all_kinds_have() -> None:
    for dtype in (TRADE, QUOTE, BAR):
        assert dtype["time"] == np.int64
        assert dtype["symbol"] == np.int32
    assert TRADE["id"] == TRADE["sequence"] == np.uint64


def test_a_batch_is_read_only_and_of_one_kind() -> None:
    rows = np.zeros(2, TRADE)
    batch = Batch("trade", rows)
    with pytest.raises(ValueError, match="read-only"):
        batch.rows["price"][0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        batch.column("price")[0] = 1.0
    with pytest.raises(TypeError, match="QUOTE"):
        Batch("quote", rows)
    with pytest.raises(AttributeError):
        batch.kind = "bar"  # type: ignore[misc]


def test_a_batch_tells_when_its_rows_became_known() -> None:
    assert Batch("bar", np.zeros(1, BAR)).known == 0
    assert Batch("bar", np.zeros(1, BAR), known=5).known == 5
    with pytest.raises(ValueError, match="not -1"):
        Batch("bar", np.zeros(1, BAR), known=-1)


def test_the_mark_of_a_cancelled_trade_is_a_bit_of_its_own() -> None:
    from workbench.bars.conditions import RESTRICTED
    from workbench.sources.massive import NO_ID

    assert CANCELLED.bit_count() == 1
    assert not CANCELLED & (RESTRICTED | NO_ID)
