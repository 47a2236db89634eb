"""One series of two: each interval once, in order, and of each the bar that knows more."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.flow.seam import both, newer, outward, prevails, seam
from workbench.records import Rows, empty
from workbench.timeframes import timeframe

#: Start of a bar: trades that ours has, whether it is whole, trades the provider counts.
Line = tuple[int | None, bool, int | None]
LINES = st.dictionaries(
    st.integers(0, 40),
    st.tuples(st.none() | st.integers(1, 5), st.booleans(), st.none() | st.integers(0, 5)),
    max_size=20,
)
SPANS = st.lists(st.integers(0, 60), unique=True, max_size=12).map(
    lambda edges: list(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)


def bars(counts: dict[int, int], origin: int) -> Rows:
    rows = empty("bar", len(counts))
    rows["time"], rows["count"] = sorted(counts), [counts[time] for time in sorted(counts)]
    rows["origin"] = origin
    return rows


@settings(max_examples=60)
@given(LINES)
def test_each_interval_comes_once_and_ours_where_it_counts(lines: dict[int, Line]) -> None:
    own = bars({t: n for t, (n, _, _) in lines.items() if n is not None}, 0)
    provider = bars({t: n for t, (_, _, n) in lines.items() if n is not None}, 1)
    whole = np.array([lines[t][1] for t in own["time"].tolist()], np.bool_)
    joined = seam(own, whole, provider)
    assert joined["time"].tolist() == sorted({*own["time"].tolist(), *provider["time"].tolist()})
    counts, beside = prevails(own, whole, provider)
    for time, origin in joined[["time", "origin"]].tolist():
        ours, sure, theirs = lines[time]
        if ours is None or theirs is None:
            assert origin == (ours is None)
        else:
            assert origin == (not (sure or (theirs > 0 and ours >= theirs)))
            at = own["time"].tolist().index(time)
            assert (bool(counts[at]), bool(beside[at])) == (not origin, True)


@settings(max_examples=40)
@given(SPANS, SPANS)
def test_what_two_lists_of_spans_share(some: list[tuple[int, int]], others: list) -> None:  # type: ignore[type-arg]
    def cells(spans: list[tuple[int, int]]) -> set[int]:
        return {i for low, high in spans for i in range(low, high)}

    assert cells(both(some, others)) == cells(some) & cells(others)
    minute = timeframe("1m")
    wide = outward(some, minute)
    assert all(low % minute.ns == 0 and high % minute.ns == 0 for low, high in wide)
    assert all(any(a <= low and high <= b for a, b in wide) for low, high in some)


def test_the_newer_of_two_stands() -> None:
    old, new = bars({1: 1, 2: 1}, 0), bars({2: 9, 3: 9}, 0)
    assert newer(old, new)["count"].tolist() == [1, 9, 9]
    assert newer(old[:0], new) is new
    assert newer(old, new[:0]) is old
