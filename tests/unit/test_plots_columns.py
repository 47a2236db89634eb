"""The shared source follows its window by patches and appended rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from bokeh.document import Document
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.flow.window import Window
from workbench.plots.columns import ColumnFeed, columns, decimals
from workbench.records import BAR, CLOSED, FORMING, Rows
from workbench.timeframes import timeframe

MINUTE = 60_000_000_000


def bars(times: list[int], closes: list[float], state: int = CLOSED) -> Rows:
    rows = np.zeros(len(times), BAR)
    rows["time"] = np.array(times) * MINUTE
    for name in ("open", "high", "low", "close"):
        rows[name] = closes
    rows["volume"] = 1.0
    rows["state"] = state
    return rows


def values(rows: Rows) -> npt.NDArray[np.float64]:
    return np.array(rows["close"], dtype=np.float64).reshape(-1, 1) + 0.5


class Listened:
    """A column feed in a document, and the kinds of events it caused."""

    def __init__(self, count: int = 10, capacity: int = 50) -> None:
        self.window = Window("BTC-USD", timeframe("1m"), capacity, ["ema_20"])
        if count:
            first = bars(list(range(count)), [100.0 + k for k in range(count)])
            self.window.close(first, values(first))
        self.feed = ColumnFeed(self.window)
        self.events: list[str] = []
        document = Document()
        document.add_root(self.feed.source)
        document.on_change(self._note)

    def _note(self, event: Any) -> None:
        streamed = event.kind in ("ColumnsStreamed", "ColumnsPatched")
        self.events.append(event.kind if streamed else event.attr)

    def form(self, times: list[int], closes: list[float]) -> None:
        rows = bars(times, closes, FORMING)
        self.window.form(rows, values(rows))

    def close(self, times: list[int], closes: list[float]) -> None:
        rows = bars(times, closes)
        self.window.close(rows, values(rows))

    def same(self) -> bool:
        change = self.window.since(0, 0)
        assert change is not None
        want = columns(change.bars, change.values, change.first, self.window.outputs)
        n = len(change.bars)
        return all(
            np.array_equal(np.asarray(self.feed.source.data[name])[-n:], column, equal_nan=True)
            for name, column in want.items()
        )


@pytest.fixture
def chart() -> Listened:
    return Listened()


def test_a_moving_bar_is_patched_and_a_new_one_appended(chart: Listened) -> None:
    chart.form([10], [111.0])
    assert chart.feed.pull()
    assert chart.events == ["ColumnsStreamed"]
    chart.form([10], [112.0])
    chart.feed.pull()
    assert chart.events == ["ColumnsStreamed", "ColumnsPatched"]
    assert len(chart.feed) == 11
    assert chart.same()


def test_nothing_is_sent_when_nothing_changed(chart: Listened) -> None:
    assert not chart.feed.behind
    assert not chart.feed.pull()
    chart.form([10], [111.0])
    chart.feed.pull()
    chart.form([10], [111.0])  # told again, but the same
    assert chart.feed.behind
    assert not chart.feed.pull()
    assert chart.events == ["ColumnsStreamed"]


def test_only_changed_cells_travel(chart: Listened) -> None:
    chart.form([10], [111.0])
    chart.feed.pull()
    sent: list[dict[str, Any]] = []
    chart.feed.source.document.on_change(lambda event: sent.append(event.patches))
    rows = bars([10], [111.0], FORMING)
    rows["close"] = 110.5
    chart.window.form(rows, np.array([[111.5]]))
    chart.feed.pull()
    assert sent == [{"close": [(10, 110.5)], "up": [(10, 0.0)]}]


def test_forming_bars_may_become_more_and_fewer(chart: Listened) -> None:
    chart.form([10], [111.0])
    chart.feed.pull()
    chart.form([10, 11], [111.5, 112.0])
    chart.feed.pull()
    assert len(chart.feed) == 12
    assert chart.same()
    chart.form([10, 11, 12], [111.5, 112.5, 113.0])
    chart.feed.pull()
    assert len(chart.feed) == 13
    assert chart.same()
    # The oldest closes; the others stay forming.
    chart.close([10], [111.75])
    chart.form([11, 12], [112.5, 113.25])
    chart.feed.pull()
    assert len(chart.feed) == 13
    assert chart.same()
    assert "data" not in chart.events


def test_a_close_seen_before_the_next_forming_bars_sends_no_reload(chart: Listened) -> None:
    chart.form([10, 11], [111.0, 112.0])
    chart.feed.pull()
    chart.close([10], [111.0])  # for a moment bar 11 is gone
    assert not chart.feed.pull()
    assert chart.feed.behind
    chart.form([11], [112.5])
    chart.feed.pull()
    assert chart.same()
    assert "data" not in chart.events


def test_a_bar_that_stays_away_is_taken_off(chart: Listened) -> None:
    chart.form([10, 11], [111.0, 112.0])
    chart.feed.pull()
    chart.form([10], [111.0])
    assert not chart.feed.pull()
    assert chart.feed.pull()
    assert len(chart.feed) == 11
    assert chart.same()
    assert not chart.feed.behind


def test_a_revised_bar_is_patched(chart: Listened) -> None:
    rows = bars([4, 5], [50.0, 60.0])
    chart.window.revise(4, rows, values(rows))
    chart.feed.pull()
    assert chart.events == ["ColumnsPatched"]
    assert chart.feed.source.data["close"][4] == 50.0
    assert chart.same()


def test_renumbered_bars_replace_everything(chart: Listened) -> None:
    rows = bars([1, 2, 3], [1.0, 2.0, 3.0])
    loads = chart.feed.source.tags[0]["loads"]
    chart.window.replace(rows, values(rows))
    chart.feed.pull()
    assert "data" in chart.events
    assert len(chart.feed) == 3
    assert chart.feed.source.tags[0]["loads"] == loads + 1
    assert chart.same()


def test_old_bars_roll_off() -> None:
    chart = Listened(count=50, capacity=50)
    for k in range(50, 140):
        chart.close([k], [100.0 + k])
        chart.form([k + 1], [100.5 + k])
        chart.feed.pull()
        assert chart.same()
    assert len(chart.feed) == 51
    assert "data" not in chart.events


def test_the_first_bar_of_a_silent_symbol_is_shown() -> None:
    chart = Listened(count=0)
    assert len(chart.feed) == 0
    chart.form([0], [100.0])
    chart.feed.pull()
    assert len(chart.feed) == 1
    assert chart.same()


def test_another_series_replaces_the_columns(chart: Listened) -> None:
    other = Window("ETH-USD", timeframe("5m"), 50, ["ema_20"])
    rows = bars([0, 5], [3000.0, 3001.0])
    other.close(rows, values(rows))
    chart.feed.watch(other, "UTC")
    assert chart.feed.source.tags[0]["symbol"] == "ETH-USD"
    assert chart.feed.source.tags[0]["seconds"] == 300
    assert list(chart.feed.source.data["close"]) == [3000.0, 3001.0]


def test_wall_times_follow_the_zone() -> None:
    rows = bars([0], [1.0])
    rows["time"] = 1_763_650_800_000_000_000  # 15:00 UTC, 10:00 in New York
    data = columns(rows, np.empty((1, 0)), 0, (), "America/New_York")
    assert data["utc"][0] - data["wall"][0] == 5 * 3_600_000


@pytest.mark.parametrize(
    ("prices", "want"),
    [
        ([64000.5, 64000.25], 2),
        ([1.08345], 5),
        ([0.0001234], 7),
        ([1e-12], 12),
        ([np.nan, np.inf], 2),
        ([0.0], 2),
        ([100.0 / 3], 5),
    ],
)
def test_decimals_suit_the_price(prices: list[float], want: int) -> None:
    assert decimals(np.array(prices)) == want


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("cfrpRl"), st.integers(0, 3)), max_size=40))
def test_any_course_of_events_ends_equal_to_the_window(course: list[tuple[str, int]]) -> None:
    """c close, f form, r revise, R renumber, p pull, l a burst that is longer than a patch."""
    chart = Listened(count=6, capacity=12)
    time, price = 6, 100.0
    for what, count in course:
        price += 0.5
        if what == "c" and count:
            chart.close(list(range(time, time + count)), [price] * count)
            time += count
        elif what == "f":
            chart.form(list(range(time, time + count)), [price + k for k in range(count)])
        elif what == "r":
            held = chart.window.closed()
            rows = held[count : count + 2].copy()
            rows["close"] = price
            chart.window.revise(count, rows, values(rows))
        elif what == "R":
            held = chart.window.closed()[count:].copy()
            chart.window.replace(held, values(held))
        elif what == "l":
            chart.close(list(range(time, time + 30)), [price] * 30)
            time += 30
        else:
            chart.feed.pull()
    while chart.feed.behind:
        chart.feed.pull()
    assert chart.same()
    assert np.all(np.diff(np.asarray(chart.feed.source.data["x"])) == 1)
