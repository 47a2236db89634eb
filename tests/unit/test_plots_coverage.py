"""Strips of what is known, as a plot and as a piece of HTML."""

from __future__ import annotations

from html.parser import HTMLParser

import holoviews as hv
import numpy as np
import pytest

from workbench.history.coverage import Coverage
from workbench.plots.coverage import COLORS, strip_html
from workbench.store.coverage import OPEN, STATES, Interval, Series

S = 10**9
NOON = 1_762_189_200 * S  # 2025-11-03 17:00 UTC
TRADES = Series("sim", "BTC-USD", "trade")
MINUTES = Series("sim", "BTC-USD", "bar", 60)


def coverage() -> Coverage:
    rows = [
        (TRADES, Interval(NOON, NOON + 60 * S, "received", "live 1", NOON)),
        (TRADES, Interval(NOON + 60 * S, NOON + 90 * S, "missing", "declared after 3 tries", NOON)),
        (MINUTES, Interval(NOON, NOON + 120 * S, "backfilled", "fetch <b>", NOON)),
        (MINUTES, Interval(NOON + 180 * S, OPEN, "doubt", "live 1", NOON, OPEN)),
    ]
    return Coverage(rows, start=NOON, end=NOON + 240 * S)


def test_every_state_has_a_colour_of_its_own() -> None:
    assert set(COLORS) == set(STATES)
    assert len(set(COLORS.values())) == len(STATES)


@pytest.mark.parametrize("dark", [False, True])
def test_the_plot_has_a_row_for_each_series_and_a_layer_for_each_state(dark: bool) -> None:
    overlay = coverage().plot(dark=dark)
    assert [layer.label for layer in overlay] == list(COLORS)
    by_state = {layer.label: layer.dframe() for layer in overlay}
    assert {state: len(table) for state, table in by_state.items() if len(table)} == {
        "received": 1, "backfilled": 1, "missing": 1, "doubt": 1,
    }  # fmt: skip
    doubt = by_state["doubt"].iloc[0]
    assert doubt["start"] == np.datetime64(NOON + 180 * S, "ns")
    assert doubt["end"] == np.datetime64(NOON + 240 * S, "ns")
    # The first series is on top.
    assert by_state["received"]["low"].iloc[0] > by_state["backfilled"]["high"].iloc[0]
    figure = hv.render(overlay, backend="bokeh")
    labels = figure.yaxis[0].major_label_overrides
    assert list(labels.values()) == ["sim BTC-USD 1m", "sim BTC-USD trade"]
    assert type(figure.xaxis[0]).__name__ == "DatetimeAxis"


def test_a_plot_of_nothing_is_drawn_too() -> None:
    hv.render(Coverage([]).plot(), backend="bokeh")


class Page(HTMLParser):
    """Collect tags, and how many are open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.titles: list[str] = []
        self.depth = 0
        self.feed(text)
        assert self.depth == 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.depth += 1
        self.titles += [value or "" for name, value in attrs if name == "title"]

    def handle_endtag(self, tag: str) -> None:
        self.depth -= 1


def test_the_strip_of_a_notebook_tells_state_and_reason() -> None:
    shown = coverage()._repr_html_()
    page = Page(shown)
    assert page.titles == [
        "received: live 1", "missing: declared after 3 tries", "backfilled: fetch <b>",
        "doubt: live 1",
    ]  # fmt: skip
    assert "2025-11-03 17:00:00 to 2025-11-03 17:04:00 UTC" in shown
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert "left:25.000%;width:12.500%" in shown


def test_words_of_others_stay_words() -> None:
    evil = Interval(0, 10 * S, "doubt", '"><script>alert(1)</script>', 0)
    page = Page(Coverage([(Series("<b>x</b>", "<i>", "trade"), evil)])._repr_html_())
    assert {"script", "b", "i"}.isdisjoint(page.tags)


def test_a_strip_of_very_many_parts_is_drawn_coarser_and_hides_no_hole() -> None:
    rows = []
    for n in range(2000):
        state = "missing" if n == 1001 else ("backfilled", "no-trade")[n % 2]
        rows.append((MINUTES, Interval(n * S, (n + 1) * S, state, "fetch a", 0)))  # type: ignore[arg-type]
    page = Page(Coverage(rows)._repr_html_())
    assert len(page.titles) < 600
    assert [title for title in page.titles if title.startswith("missing")] == ["missing: fetch a"]


def test_very_many_series_are_counted() -> None:
    one = Interval(0, S, "received", "live 1", 0)
    rows = [(Series("sim", f"S{n}", "trade"), one) for n in range(50)]
    assert "and 10 more" in Coverage(rows)._repr_html_()
    assert "Nothing is known" in strip_html([])
