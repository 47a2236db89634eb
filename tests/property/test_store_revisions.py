"""Whatever was appended and amended when, a read as of a moment equals a list of all that came."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from workbench.records import CANCELLED, CLOSED, REVISED, Batch, Rows, empty
from workbench.store.sqlite import SqliteStore
from workbench.symbols import SymbolTable

NAMES = ("BTC-USD", "AAPL")
TABLE = SymbolTable(NAMES)
MINUTE = 60 * 10**9

moments = st.integers(1, 9)
bar = st.tuples(
    st.integers(0, 1), st.integers(0, 3), st.integers(0, 1), st.integers(0, 2),
    st.sampled_from([1.0, 2.0, 3.0]),
)  # fmt: skip
told = st.lists(st.tuples(moments, st.lists(bar, min_size=1, max_size=6)), max_size=12)
trade = st.tuples(
    st.booleans(), st.integers(0, 1), st.integers(0, 3), st.integers(0, 2),
    st.sampled_from([1.0, 2.0]), st.sampled_from([0, 6, CANCELLED]), moments,
)  # fmt: skip
reads = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 10)), st.one_of(st.none(), st.integers(0, 4)),
        st.one_of(st.none(), st.integers(0, 4)), st.one_of(st.none(), st.integers(0, 4)),
        st.booleans(),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@contextmanager
def fresh() -> Iterator[SqliteStore]:
    with (
        tempfile.TemporaryDirectory() as folder,
        SqliteStore(Path(folder) / "m.db", durability="normal") as store,
    ):
        yield store


def within(
    rows: list[np.void], start: int | None, end: int | None, last: int | None
) -> list[np.void]:
    """Do what a range does, to rows in the order of their key."""
    kept = [
        row
        for row in rows
        if (start is None or row["time"] >= start) and (end is None or row["time"] < end)
    ]
    return kept if last is None else kept[max(0, len(kept) - last) :]


class Contents:
    """What each key said, in the order in which it was taken."""

    def __init__(self) -> None:
        self.said: dict[tuple[int, ...], list[tuple[int, np.void]]] = {}

    def at(self, as_of: int | None) -> dict[tuple[int, ...], np.void]:
        found = {}
        for key in sorted(self.said):
            known = [row for known, row in self.said[key] if as_of is None or known <= as_of]
            if known:
                found[key] = known[-1]
        return found


def bar_rows(items: list[tuple[int, int, int, int, float]]) -> Rows:
    rows = empty("bar", len(items))
    for place, item in enumerate(items):
        for name, value in zip(
            ("symbol", "time", "origin", "revision", "close"), item, strict=True
        ):
            rows[name][place] = value
    rows["timeframe"] = 60
    rows["state"] = np.where(rows["revision"] > 0, REVISED, CLOSED)
    return rows


@settings(max_examples=60, deadline=None)
@given(told, reads)
def test_bars_as_of_any_moment(
    batches: list[tuple[int, list[tuple[int, int, int, int, float]]]],
    wanted: list[tuple[int | None, int | None, int | None, int | None, bool]],
) -> None:
    model, changed, counted = Contents(), 0, 0
    with fresh() as store:
        for known, items in batches:
            rows = bar_rows(items)
            counted += store.append(Batch("bar", rows, known=known), TABLE)
            for row in rows:
                key = (int(row["symbol"]), int(row["origin"]), int(row["time"]))
                said = model.said.setdefault(key, [])
                if not said or (
                    row["revision"] >= said[-1][1]["revision"]
                    and row.tobytes() != said[-1][1].tobytes()
                ):
                    said.append((known, row.copy()))
                    changed += 1
        assert counted == changed
        assert store.info()["revisions"]["bars"] == changed - len(model.said)
        for as_of, start, end, last, chosen in wanted:
            at = model.at(as_of)
            for number, name in enumerate(NAMES):
                origin = 1 if chosen else min((k[1] for k in at if k[0] == number), default=0)
                rows = store.rows(
                    "bar", name, timeframe="1m", start=start, end=end, last=last,
                    origin=1 if chosen else None, table=TABLE, as_of=as_of,
                )  # fmt: skip
                expected = [row for key, row in at.items() if key[:2] == (number, origin)]
                expected = within(expected, start, end, last)
                assert rows.tobytes() == b"".join(row.tobytes() for row in expected)
        for (number, origin, time), said in model.said.items():
            table = store.revisions(NAMES[number], "1m", time, origin=origin)
            assert table["close"].tolist() == [row["close"] for _, row in said]
            assert [stamp.value for stamp in table["known"]] == [known for known, _ in said]


@settings(max_examples=60, deadline=None)
@given(st.lists(trade, max_size=30), reads)
def test_trades_as_of_any_moment(
    items: list[tuple[bool, int, int, int, float, int, int]],
    wanted: list[tuple[int | None, int | None, int | None, int | None, bool]],
) -> None:
    model = Contents()
    with fresh() as store:
        for amends, symbol, time, number, price, flags, known in items:
            row = empty("trade", 1)
            row["symbol"], row["time"], row["id"], row["price"] = symbol, time, number, price
            row["flags"], row["received"] = flags, known
            said = model.said.setdefault((symbol, time, number), [])
            if amends and said:
                row["received"] = said[0][1]["received"]
            news = not said or (amends and row[0].tobytes() != said[-1][1].tobytes())
            if news:
                said.append((known, row[0].copy()))
            if amends:
                assert store.amend_trades(row, TABLE, known) == news
            else:
                assert store.append(Batch("trade", row), TABLE) == news
        for as_of, start, end, last, cancelled in wanted:
            # A trade is known from its receipt on, though what amends it were dated before.
            at = {
                key: row
                for key, row in model.at(as_of).items()
                if as_of is None or row["received"] <= as_of
            }
            for number, name in enumerate(NAMES):
                rows = store.rows(
                    "trade", name, start=start, end=end, last=last, table=TABLE, as_of=as_of,
                    cancelled=cancelled,
                )  # fmt: skip
                expected = [
                    row
                    for key, row in at.items()
                    if key[0] == number and (cancelled or not row["flags"] & CANCELLED)
                ]
                expected = within(expected, start, end, last)
                assert rows.tobytes() == b"".join(row.tobytes() for row in expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_features_logged_live_are_the_same_when_recomputed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    feature = wb.ema(3)
    logged: list[tuple[int, bytes]] = []
    with fresh() as store:
        now, minute, revision = 1_000, 0, 0
        for _ in range(40):
            now += int(rng.integers(0, 3))
            if minute and rng.random() < 0.4:  # a late trade revises one of the last bars
                revision += 1
                row = bar_rows([(0, int(rng.integers(max(0, minute - 8), minute)), 0, revision, 0)])
            else:
                row = bar_rows([(0, minute, 0, 0, 0)])
                minute += 1
            row["time"] *= MINUTE
            row["close"] = rng.integers(90, 110)
            store.append(Batch("bar", row, known=now), TABLE)
            if minute > 3 and rng.random() < 0.5:
                now += 1  # what was logged knew all of a moment that is over
                frame = store.bars("BTC-USD", "1m", last=20)
                logged.append((now - 1, feature.over(frame).to_numpy().tobytes()))
        for moment, seen in logged:
            frame = store.bars("BTC-USD", "1m", last=20, as_of=moment)
            assert feature.over(frame).to_numpy().tobytes() == seen
