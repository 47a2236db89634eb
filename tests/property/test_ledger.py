"""Whatever is told in whatever order, the ledger equals an array of one state a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.history.coverage import KNOWN, completeness
from workbench.history.ledger import Ledger
from workbench.store.coverage import OPEN, Change, Interval, Series

SECOND = 10**9
#: 2025-11-03 19:59:45 in New York: the exchange closes for the night 15 seconds later.
BASE = 1_762_217_985 * SECOND
CLOSES = 15
N = 40  # cells; one more stands for all that comes after them
BAR = 5
SERIES = (Series("sim", "AAPL", "trade"), Series("sim", "AAPL", "bar", BAR))
Cell = tuple[str, str, int, int] | None  # state, learned, ready, at


def ns(cell: int) -> int:
    return BASE + cell * SECOND


class Model:
    """One series, told second by second."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self.cells: list[Cell] = [None] * (N + 1)
        self.live: tuple[int, str] | None = None
        self.open: int | None = None

    def begin(self, at: int) -> int:
        if self.live is not None:
            at = max(at, self.live[0])
        if self.open is None:
            return at
        run: list[tuple[str, str, int, int]] = []
        for cell in self.cells[self.open :]:
            if cell is not None and cell[2] == OPEN and (not run or run[0][:3] == cell[:3]):
                run.append(cell)
            elif run:
                break
        return max(at, self.open, max((one[3] for one in run), default=at))

    def each(self, start: int, end: int, rule: Callable[[int, Cell], Cell]) -> None:
        for place in range(start, end):
            self.cells[place] = rule(place, self.cells[place])

    def tell_live(self, at: int, name: str) -> None:
        begin = self.begin(at)
        tail = ("doubt", f"live {name}", OPEN, begin)

        def rule(place: int, old: Cell) -> Cell:
            if old is not None and old[2] != OPEN:
                return old
            if place >= begin:
                return tail
            return None if old is None else (*old[:2], begin, old[3])

        self.each(0, N + 1, rule)
        self.live, self.open = (begin, f"live {name}"), begin

    def tell_heard(self, until: int) -> None:
        if self.live is None or self.live[0] >= until:
            return
        position, learned = self.live

        def rule(_: int, old: Cell) -> Cell:
            doubted = old is not None and old[0] == "doubt" and old[2] != OPEN
            if old is not None and (doubted or old[0] == "backfilled"):
                return old
            return ("received", learned, 0, until)

        self.each(position, until, rule)
        self.live, self.open = (until, learned), until

    def tell_lost(self, since: int, at: int, why: str) -> None:
        if self.live is None:
            return
        assert self.open is not None
        begin = min(since, self.open)
        new = ("doubt", why, OPEN, max(at, begin))
        over = (None, "received", "doubt")
        self.each(begin, N + 1, lambda _, old: new if (old and old[0]) in over else old)
        self.live, self.open = None, begin

    def tell_stopped(self, at: int) -> None:
        if self.open is None:
            return
        end = self.begin(at)

        def rule(place: int, old: Cell) -> Cell:
            if old is None or old[2] != OPEN:
                return old
            return (*old[:2], end, old[3]) if place < end else None

        self.each(0, N + 1, rule)
        self.live = self.open = None

    def tell_doubted(self, start: int, end: int, at: int, why: str) -> None:
        def rule(_: int, old: Cell) -> Cell:
            if old is not None and old[0] not in ("received", "closed", "doubt"):
                return old
            ready = 0 if old is None else old[2]
            if ready == OPEN and self.live is not None:
                ready = 0
            return ("doubt", why, max(ready, at), at)

        self.each(start, end, rule)

    def tell_fetched(self, start: int, end: int, rows: int | list[int], begun: int) -> None:
        def some(place: int) -> bool:
            if isinstance(rows, int):
                return rows > 0
            if not self.series.timeframe:
                return bool(rows)
            return any(bar <= place < bar + self.series.timeframe for bar in rows)

        def rule(place: int, old: Cell) -> Cell:
            if old is not None:
                if old[0] == "received" or old[2] > begun:
                    return old
                if not some(place) and old[0] in ("backfilled", "closed"):
                    return old
            return ("backfilled" if some(place) else "no-trade", "fetch f", 0, begun)

        self.each(start, end, rule)

    def tell_missing(self, start: int, end: int, at: int) -> None:
        def rule(_: int, old: Cell) -> Cell:
            if old is None or (old[0] in ("doubt", "missing") and old[2] != OPEN):
                return ("missing", "declared after 2 tries", 0, at)
            return old

        self.each(start, end, rule)

    def tell_closed(self, start: int, end: int, at: int) -> None:
        step = max(1, self.series.timeframe)
        first = -(-max(start, CLOSES) // step) * step
        last = end // step * step
        over = (None, "missing", "no-trade")
        new = ("closed", "calendar", 0, at)
        self.each(first, last, lambda _, old: new if (old and old[0]) in over else old)

    def tell_crash(self) -> None:
        self.live = None
        opened = [n for n, cell in enumerate(self.cells) if cell is not None and cell[2] == OPEN]
        self.open = opened[0] if opened else None


cell = st.integers(0, N)
span = st.tuples(cell, cell).filter(lambda pair: pair[0] < pair[1])
which = st.sampled_from([None, (0,), (1,), (0, 1)])
name = st.sampled_from(["1", "2"])
hearing = st.tuples(st.just("heard"), which, cell)
operation = st.one_of(
    st.tuples(st.just("live"), which, cell, name),
    hearing,
    hearing,
    st.tuples(st.just("lost"), which, cell, cell, name),
    st.tuples(st.just("stopped"), which, cell),
    st.tuples(st.just("doubted"), which, span, cell),
    st.tuples(
        st.just("fetched"), st.integers(0, 1), span,
        st.one_of(st.integers(0, 1), st.lists(st.sampled_from(range(0, N, BAR)), max_size=6)), cell,
    ),
    st.tuples(st.just("missing"), st.integers(0, 1), span, cell),
    st.tuples(st.just("closed"), which, span, cell),
    st.tuples(st.just("crash")),
    st.tuples(st.just("flush")),
)  # fmt: skip
# Most of what can go wrong needs something live to begin with.
operations = st.lists(operation, min_size=3, max_size=25).map(
    lambda ops: [("live", None, 2, "1"), ("heard", None, 8), *ops]
)


class Disk:
    """What `persist` wrote, as a table would hold it."""

    def __init__(self) -> None:
        self.rows: dict[Series, dict[int, Interval]] = {}
        self.ledger: Ledger | None = None
        self.seen: list[tuple[Series, Interval]] = []

    def write(self, changes: Sequence[Change]) -> None:
        # The ledger itself has not changed yet.
        assert self.ledger is not None
        assert self.ledger.rows() == self.seen
        for series, removed, added in changes:
            held = self.rows.setdefault(series, {})
            for start in removed:
                held.pop(start, None)
            held.update({one.start: one for one in added})

    def load(self) -> list[tuple[Series, Interval]]:
        return [
            (series, self.rows[series][start])
            for series in sorted(self.rows)
            for start in sorted(self.rows[series])
        ]


def tell(ledger: Ledger, models: list[Model], op: tuple) -> None:  # type: ignore[type-arg]
    kind, rest = op[0], op[1:]
    chosen = range(2) if not rest or rest[0] is None else rest[0]
    chosen = [chosen] if isinstance(chosen, int) else list(chosen)
    some = [SERIES[n] for n in chosen]
    several = None if rest and rest[0] is None else some
    if kind == "live":
        ledger.live(some, ns(rest[1]), connection=rest[2])
        tell_all(models, chosen, lambda model: model.tell_live(rest[1], rest[2]))
    elif kind == "heard":
        ledger.heard("sim", ns(rest[1]), several)
        tell_all(models, chosen, lambda model: model.tell_heard(rest[1]))
    elif kind == "lost":
        chosen = [n for n in chosen if models[n].live is not None]
        ledger.lost("sim", ns(rest[1]), ns(rest[2]), [SERIES[n] for n in chosen], why=rest[3])
        tell_all(models, chosen, lambda model: model.tell_lost(rest[1], rest[2], rest[3]))
    elif kind == "stopped":
        ledger.stopped("sim", ns(rest[1]), several)
        tell_all(models, chosen, lambda model: model.tell_stopped(rest[1]))
    elif kind == "doubted":
        ledger.doubted(some, ns(rest[1][0]), ns(rest[1][1]), ns(rest[2]), why="bad frame")
        tell_all(models, chosen, lambda model: model.tell_doubted(*rest[1], rest[2], "bad frame"))
    elif kind == "fetched":
        rows = rest[2] if isinstance(rest[2], int) else np.array([*map(ns, rest[2])], np.int64)
        start, end = rest[1]
        ledger.fetched(some[0], ns(start), ns(end), rows, begun=ns(rest[3]), fetch="f")
        models[chosen[0]].tell_fetched(start, end, rest[2], rest[3])
    elif kind == "missing":
        ledger.declare_missing(some[0], ns(rest[1][0]), ns(rest[1][1]), tries=2, at=ns(rest[2]))
        models[chosen[0]].tell_missing(*rest[1], rest[2])
    elif kind == "closed":
        ledger.closed(some, ns(rest[1][0]), ns(rest[1][1]), at=ns(rest[2]))
        tell_all(models, chosen, lambda model: model.tell_closed(*rest[1], rest[2]))
    else:
        ledger.flush()


def tell_all(models: list[Model], chosen: list[int], what: Callable[[Model], None]) -> None:
    for number in chosen:
        what(models[number])


def cells(intervals: list[Interval]) -> list[tuple[str, str, int] | None]:
    found: list[tuple[str, str, int] | None] = [None] * (N + 1)
    for one in intervals:
        first, last = (one.start - BASE) // SECOND, (min(one.end, ns(N + 1)) - BASE) // SECOND
        found[first:last] = [(one.state, one.learned, one.ready)] * (last - first)
    return found


def times(model: Model) -> list[tuple[str, str, int] | None]:
    """Return the model's cells with the times of readiness as the ledger's ns."""
    return [
        None
        if one is None
        else (one[0], one[1], one[2] if one[2] == OPEN or one[0] != "doubt" else ns(one[2]))
        for one in model.cells
    ]


def check(ledger: Ledger, models: list[Model]) -> None:
    for model in models:
        held = ledger.intervals(model.series)
        assert all(one.start < one.end for one in held)
        for one, other in pairwise(held):
            assert one.end <= other.start
            alike = (one.state, one.learned, one.ready) == (other.state, other.learned, other.ready)
            assert one.end < other.start or not alike, "not merged"
        assert cells(held) == times(model)
        wanted = [
            one is None
            or one[0] == "missing"
            or (one[0] == "doubt" and not (model.live is not None and one[2] == OPEN))
            for one in model.cells[:N]
        ]
        gaps = ledger.missing(model.series, ns(0), ns(N))
        assert all(one[1] < other[0] for one, other in pairwise(gaps))
        found = [False] * N
        for start, end in gaps:
            first, last = (start - BASE) // SECOND, (end - BASE) // SECOND
            found[first:last] = [True] * (last - first)
        assert found == wanted
        known = sum(one is not None and one[0] in KNOWN for one in model.cells[:N])
        assert completeness(held, ns(0), ns(N)) == known / N


@settings(max_examples=60, deadline=None)
@given(operations)
def test_any_sequence_of_operations_gives_the_states_of_a_naive_model(ops: list[tuple]) -> None:  # type: ignore[type-arg]
    disk, models = Disk(), [Model(one) for one in SERIES]
    ledger = disk.ledger = Ledger(persist=disk.write)
    for op in ops:
        disk.seen = ledger.rows()
        if op[0] == "crash":
            ledger.flush()
            # What is loaded is what was there; only what was live is not any more.
            ledger = disk.ledger = Ledger(disk.load(), persist=disk.write)
            assert ledger.rows() == disk.seen
            for model in models:
                model.tell_crash()
        else:
            tell(ledger, models, op)
        check(ledger, models)


@settings(max_examples=60, deadline=None)
@given(operations)
def test_the_disk_never_claims_more_than_the_ledger_knows(ops: list[tuple]) -> None:  # type: ignore[type-arg]
    """At whatever moment a process dies, what was in doubt is in doubt after it."""
    disk, models = Disk(), [Model(one) for one in SERIES]
    ledger = disk.ledger = Ledger(persist=disk.write)
    for op in ops:
        if op[0] == "crash":
            continue
        disk.seen = ledger.rows()
        before = {one: cells(ledger.intervals(one)) for one in SERIES}
        tell(ledger, models, op)
        loaded = Ledger(disk.load())
        for one in SERIES:
            now, then = cells(ledger.intervals(one)), cells(loaded.intervals(one))
            for old, memory, stored in zip(before[one], now, then, strict=True):
                if stored is not None and stored[0] in KNOWN:
                    assert memory is not None
                    assert memory[0] in KNOWN
                if old is not None and old[0] == "doubt" and old[2] != OPEN:
                    # A doubt ends by a fetch, or by giving up, and by nothing else.
                    assert memory is not None
                    settled = {"fetched": ("backfilled", "no-trade"), "missing": ("missing",)}
                    assert memory[0] in ("doubt", *settled.get(op[0], ()))
                if memory is not None and memory[0] == "doubt":
                    assert stored is not None
                    assert stored[0] == "doubt"
    disk.seen = ledger.rows()
    ledger.flush()
    assert disk.load() == ledger.rows()
