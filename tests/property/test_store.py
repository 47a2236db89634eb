"""Whatever is delivered, in whatever pieces and however often, the store equals a dict."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.records import CLOSED, REVISED, Batch, Kind, Rows, empty
from workbench.store.sqlite import SqliteStore
from workbench.symbols import SymbolTable

NAMES = ("BTC-USD", "AAPL")
floats = st.floats(allow_nan=False).map(lambda value: value + 0.0)  # +0.0 is how zero is kept
small = st.integers(0, 3)
unsigned = st.sampled_from([0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])

bar = st.tuples(
    st.integers(0, 1), small, st.sampled_from([1, 60]), st.integers(0, 1), st.integers(0, 2),
    st.sampled_from([CLOSED, REVISED]), st.sampled_from([1.0, 2.0]),
)  # fmt: skip
trade = st.tuples(st.integers(0, 1), small, unsigned, unsigned, st.integers(0, 1), floats, floats)
quote = st.tuples(st.integers(0, 1), small, unsigned, st.sampled_from([1.0, 2.0]), floats)
pieces = 12


def stored(batches: list[Batch]) -> tuple[list[int], dict[tuple[str, int, int], bytes]]:
    """Store batches one by one; return the counts, and every series as bytes."""
    table = SymbolTable(NAMES)
    with tempfile.TemporaryDirectory() as folder:
        with SqliteStore(Path(folder) / "m.db", durability="normal") as store:
            counts = [store.append(batch, table) for batch in batches]
            kind: Kind = batches[0].kind if batches else "trade"
            series: dict[tuple[str, int, int], bytes] = {}
            for name in NAMES:
                frames = (1, 60) if kind == "bar" else (0,)
                for frame in frames:
                    for origin in (0, 1) if kind == "bar" else (0,):
                        rows = store.rows(
                            kind, name, timeframe=frame or None, origin=origin, table=table
                        )
                        series[name, frame, origin] = rows.tobytes()
        return counts, series


def grouped(rows: Rows, kind: Kind, cuts: list[int]) -> list[Batch]:
    return [Batch(kind, part.copy()) for part in np.split(rows, sorted(set(cuts)))]


@settings(max_examples=60, deadline=None)
@given(st.lists(bar, max_size=40), st.lists(st.integers(0, 40), max_size=pieces))
def test_bars_are_an_upsert_that_never_goes_back(items: list[tuple], cuts: list[int]) -> None:  # type: ignore[type-arg]
    rows = empty("bar", len(items))
    names = ("symbol", "time", "timeframe", "origin", "revision", "state", "close")
    for place, item in enumerate(items):
        for name, value in zip(names, item, strict=True):
            rows[name][place] = value
    model: dict[tuple[int, int, int, int], np.void] = {}
    changed = 0
    for row in rows:
        key = (int(row["symbol"]), int(row["timeframe"]), int(row["origin"]), int(row["time"]))
        old = model.get(key)
        if old is None or (row["revision"] >= old["revision"] and row.tobytes() != old.tobytes()):
            model[key] = row
            changed += 1
    counts, series = stored(grouped(rows, "bar", cuts))
    assert sum(counts) == changed
    for (name, frame, origin), found in series.items():
        head = (NAMES.index(name), frame, origin)
        assert found == b"".join(model[key].tobytes() for key in sorted(model) if key[:3] == head)


@settings(max_examples=60, deadline=None)
@given(st.lists(trade, max_size=40), st.lists(st.integers(0, 40), max_size=pieces))
def test_the_first_delivery_of_a_trade_stays(items: list[tuple], cuts: list[int]) -> None:  # type: ignore[type-arg]
    rows = empty("trade", len(items))
    names = ("symbol", "time", "sequence", "id", "exchange", "price", "size")
    for place, item in enumerate(items):
        for name, value in zip(names, item, strict=True):
            rows[name][place] = value
    model: dict[tuple[int, ...], np.void] = {}
    for row in rows:
        key = tuple(int(row[name]) for name in ("symbol", "time", "sequence", "exchange", "id"))
        model.setdefault(key, row)
    counts, series = stored(grouped(rows, "trade", cuts))
    assert sum(counts) == len(model)
    for (name, _, _), found in series.items():
        head = NAMES.index(name)
        assert found == b"".join(model[key].tobytes() for key in sorted(model) if key[0] == head)


@settings(max_examples=40, deadline=None)
@given(st.lists(quote, max_size=30), st.lists(st.integers(0, 30), max_size=pieces))
def test_quotes_differ_by_what_they_say(items: list[tuple], cuts: list[int]) -> None:  # type: ignore[type-arg]
    rows = empty("quote", len(items))
    for place, item in enumerate(items):
        for name, value in zip(("symbol", "time", "sequence", "bid", "ask"), item, strict=True):
            rows[name][place] = value
        rows["received"][place] = place
    model: dict[tuple[int | float, ...], np.void] = {}
    for row in rows:
        model.setdefault(tuple(row[n].item() for n in rows.dtype.names if n != "received"), row)
    counts, series = stored(grouped(rows, "quote", cuts))
    assert sum(counts) == len(model)
    kept = sorted(
        model.values(), key=lambda row: [row[n] for n in ("time", "sequence", "received")]
    )
    for (name, _, _), found in series.items():
        head = NAMES.index(name)
        assert found == b"".join(row.tobytes() for row in kept if row["symbol"] == head)
