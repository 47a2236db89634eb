"""The score by hand, its order, and alerts told once."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.quality.alerts import Alert, Alerts
from workbench.quality.score import (
    WEIGHTS,
    Quality,
    SeriesQuality,
    completeness_of,
    quality_of,
    shown,
)

SECOND = 10**9


def test_a_score_by_hand() -> None:
    one = quality_of(
        "AAPL 1m", completeness=0.9, accepted=900, refused=100, late=90, silence=240.0,
        stale_after=60.0, bars=100, revised=10, differing=9,
    )  # fmt: skip
    assert (one.validity, one.consistency) == (0.9, 0.81)
    assert one.timeliness == 0.9 * 0.25
    assert one.score == pytest.approx(100 * 0.9 * 0.9 * math.sqrt(0.225) * 0.9, rel=1e-15)


def test_nothing_known_is_nothing_wrong_and_nothing_right_is_0() -> None:
    assert quality_of("A").score == 100.0
    assert quality_of("A", refused=3).score == 0.0
    assert quality_of("A", silence=1e9, open_market=False).score == 100.0
    assert completeness_of({"closed": 1.0}) == 1.0
    assert completeness_of({"unknown": 0.25, "received": 0.25, "backfilled": 0.5}) == 0.75
    assert completeness_of({"doubt": 1.0}) == 0.0


@pytest.mark.parametrize("field", ["accepted", "refused", "late", "bars", "revised", "differing"])
def test_counts_are_counts(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        quality_of("A", **{field: -1})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="completeness"):
        quality_of("A", completeness=1.1)
    with pytest.raises(ValueError, match="stale_after"):
        quality_of("A", stale_after=0)


shares = st.floats(0.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(st.tuples(shares, shares, shares, shares), st.integers(0, 3), shares)
def test_a_better_factor_never_lowers_a_score_and_only_the_perfect_is_100(
    factors: tuple[float, float, float, float], which: int, other: float
) -> None:
    a, b, c, d = (other if at == which else factor for at, factor in enumerate(factors))
    low, high = sorted([factors, (a, b, c, d)])
    scores = [SeriesQuality("A", *one).score for one in (low, high)]
    assert 0.0 <= scores[0] <= scores[1] <= 100.0
    for one, score in zip((low, high), scores, strict=True):
        assert (score == 100.0) == (set(one) == {1.0})
    whole = Quality([SeriesQuality("A", *low), SeriesQuality("B", *high)]).score
    assert scores[0] - 1e-12 <= whole <= scores[1]


def test_the_whole_drills_down() -> None:
    quality = Quality([quality_of("<A>", completeness=0.5), quality_of("B", accepted=1)])
    assert (quality.score, quality.worst) == (75.0, quality.series[0])
    table = quality.table()
    assert table.columns.tolist()[:5] == ["score", *WEIGHTS]
    assert table.index.tolist() == ["<A>", "B"]
    page = quality._repr_html_()
    assert "&lt;A&gt;" in page
    assert "linear-gradient" in page
    assert Quality([]).score == 100.0
    assert repr(Quality([])) == "Quality(100.0 of 100)"
    assert [shown(x) for x in (0.0, 30.0, 99.95, math.nextafter(100, 0), 100.0)] == [
        "0.0", "30.0", "99.9", "99.9", "100.0"
    ]  # fmt: skip


def told(found: list[Alert]) -> list[tuple[str, bool, float]]:
    return [(alert.kind, alert.over, alert.duration) for alert in found]


def test_alerts_are_told_once_and_once_when_over() -> None:
    alerts, seen = Alerts(), []
    for at, (complete, silence, missing) in enumerate(
        [(1.0, 0.0, 0.0), (0.94, 0.0, 0.0), (0.89, 61.0, 5.0), (0.94, 70.0, 9.0),
         (0.89, 80.0, 4.0), (0.95, 0.0, 0.5), (1.0, 0.0, 0.0)]
    ):  # fmt: skip
        one = SeriesQuality("A", complete, silence=silence, missing_seconds=missing)
        seen.append(told(alerts.look([one], at * SECOND)))
    assert seen == [
        [], [], [("quality", False, 0.0), ("stale", False, 61.0), ("gap", False, 5.0)], [], [],
        [("quality", True, 3.0), ("stale", True, 80.0)], [("gap", True, 9.0)],
    ]  # fmt: skip
    assert alerts.open == []


def test_what_is_no_longer_watched_is_over() -> None:
    alerts = Alerts(stale_seconds=0.0)
    first = alerts.look([SeriesQuality("A", 0.5, silence=1e6, missing_seconds=3.0)], 0)
    assert [alert.alert_type for alert in first] == ["DATA_QUALITY_ALERT", "DATA_GAP"]
    assert first[0].description == "A: quality 50.0 of 100, completeness 50.0 %"
    assert told(alerts.look([], SECOND)) == [("quality", True, 1.0), ("gap", True, 3.0)]
    assert alerts.look([], SECOND) == []


def test_a_closed_market_is_not_stale() -> None:
    alerts = Alerts()
    closed = SeriesQuality("A", silence=1e6, open_market=False)
    assert alerts.look([closed], 0) == []
    alerts.look([SeriesQuality("A", silence=100.0)], 0)
    assert alerts.look([closed], 1)[0].description == "A: the market is closed"


@pytest.mark.parametrize(
    "options", [{"below": 96.0}, {"above": 101.0}, {"stale_seconds": -1.0}, {"gap_seconds": 0.0}]
)
def test_limits_of_alerts_are_checked(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must|hold"):
        Alerts(**options)
