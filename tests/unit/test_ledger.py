"""The ledger's rules one by one, as a feed, a fetch and a calendar tell it things."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from workbench.calendar import edges
from workbench.errors import StoreFullError
from workbench.history.coverage import Coverage, completeness
from workbench.history.ledger import Ledger
from workbench.store.coverage import OPEN, STATES, Change, Interval, Series

S = 10**9
TRADES = Series("sim", "BTC-USD", "trade")
OTHER = Series("sim", "ETH-USD", "trade")
MINUTES = Series("sim", "BTC-USD", "bar", 60)
STOCK = Series("sim", "AAPL", "trade")


def told(ledger: Ledger, series: Series = TRADES) -> list[tuple[float, float, str, str]]:
    return [
        (one.start / S, float("inf") if one.end == OPEN else one.end / S, one.state, one.learned)
        for one in ledger.intervals(series)
    ]


def lost_once() -> Ledger:
    """Return what is told by a loss from 50 on, noticed at 55, live again at 60."""
    ledger = Ledger()
    ledger.live([TRADES], 10 * S, connection="1")
    ledger.heard("sim", 52 * S)
    ledger.lost("sim", 50 * S, 55 * S, why="reset")
    ledger.live([TRADES], 60 * S, connection="2")
    ledger.heard("sim", 70 * S)
    return ledger


def test_a_live_series_is_in_doubt_until_it_is_heard() -> None:
    ledger = Ledger()
    ledger.live([TRADES], 10 * S, connection="1")
    assert told(ledger) == [(10, float("inf"), "doubt", "live 1")]
    assert ledger.missing(TRADES, 0, 100 * S) == [(0, 10 * S)]
    assert ledger.heard("sim", 20 * S) == 1
    assert told(ledger)[0] == (10, 20, "received", "live 1")
    assert ledger.heard("sim", 20 * S) == ledger.heard("sim", 15 * S) == 0
    assert ledger.heard("other", 30 * S) == 0
    assert ledger.heard("sim", 30 * S, [OTHER]) == 0


def test_a_loss_puts_all_since_the_last_good_frame_in_doubt() -> None:
    ledger = lost_once()
    assert told(ledger) == [
        (10, 50, "received", "live 1"),
        (50, 60, "doubt", "reset"),
        (60, 70, "received", "live 2"),
        (70, float("inf"), "doubt", "live 2"),
    ]
    assert ledger.missing(TRADES, 10 * S, 70 * S) == [(50 * S, 60 * S)]


def test_what_was_not_proven_when_it_was_lost_is_in_doubt_too() -> None:
    ledger = Ledger()
    ledger.live([TRADES], 10 * S, connection="1")
    ledger.heard("sim", 20 * S)
    ledger.lost("sim", 40 * S, 45 * S)
    ledger.live([TRADES], 50 * S, connection="2")
    assert ledger.missing(TRADES, 10 * S, 50 * S) == [(20 * S, 50 * S)]


def test_a_fetch_begun_before_the_feed_was_live_again_settles_nothing() -> None:
    ledger = lost_once()
    ledger.fetched(TRADES, 50 * S, 60 * S, 5, begun=59 * S, fetch="a")
    assert ledger.missing(TRADES, 10 * S, 70 * S) == [(50 * S, 60 * S)]
    ledger.fetched(TRADES, 50 * S, 60 * S, 5, begun=60 * S, fetch="b")
    assert ledger.missing(TRADES, 10 * S, 70 * S) == []
    assert (50, 60, "backfilled", "fetch b") in told(ledger)


def test_a_fetch_that_ends_in_the_next_outage_does_not_settle_that() -> None:
    ledger = lost_once()
    ledger.lost("sim", 58 * S, 75 * S, why="reset again")
    ledger.fetched(TRADES, 50 * S, 65 * S, 5, begun=61 * S, fetch="a")
    # The first loss was over when it began; what the second one put in doubt was not.
    assert ledger.missing(TRADES, 50 * S, 80 * S) == [(58 * S, 80 * S)]
    ledger.live([TRADES], 80 * S, connection="3")
    ledger.fetched(TRADES, 58 * S, 80 * S, 5, begun=81 * S, fetch="b")
    assert ledger.missing(TRADES, 10 * S, 80 * S) == []


def test_a_broken_fetch_goes_on_at_its_last_good_page() -> None:
    ledger = lost_once()
    ledger.fetched(TRADES, 50 * S, 53 * S, 100, begun=61 * S, fetch="a")
    assert ledger.missing(TRADES, 10 * S, 70 * S) == [(53 * S, 60 * S)]
    ledger.fetched(TRADES, 53 * S, 60 * S, 0, begun=62 * S, fetch="a")
    assert told(ledger)[1:3] == [
        (50, 53, "backfilled", "fetch a"),
        (53, 60, "no-trade", "fetch a"),
    ]


def test_bars_that_are_not_there_had_no_trade() -> None:
    ledger = Ledger()
    starts = np.array([0, 60, 240], np.int64) * S
    ledger.fetched(MINUTES, 0, 360 * S, starts, begun=400 * S, fetch="a")
    assert [(a, b, state) for a, b, state, _ in told(ledger, MINUTES)] == [
        (0, 120, "backfilled"),
        (120, 240, "no-trade"),
        (240, 300, "backfilled"),
        (300, 360, "no-trade"),
    ]
    # Asked again, a bar came late; one that is not served any more stays known.
    ledger.fetched(MINUTES, 0, 360 * S, starts[2:] - 60 * S, begun=500 * S, fetch="b")
    assert [state for *_, state, _ in told(ledger, MINUTES)] == [
        "backfilled", "no-trade", "backfilled", "backfilled", "no-trade",
    ]  # fmt: skip


def test_what_was_given_up_stays_missing_until_it_comes() -> None:
    ledger = lost_once()
    ledger.declare_missing(TRADES, 50 * S, 60 * S, tries=5, at=90 * S, why="HTTP 404")
    assert (50, 60, "missing", "declared after 5 tries: HTTP 404") in told(ledger)
    assert ledger.missing(TRADES, 10 * S, 70 * S) == [(50 * S, 60 * S)]
    ledger.fetched(TRADES, 50 * S, 60 * S, 1, begun=95 * S, fetch="a")
    assert ledger.missing(TRADES, 10 * S, 70 * S) == []


def test_an_outage_that_lasts_cannot_be_given_up() -> None:
    ledger = lost_once()
    ledger.lost("sim", 70 * S, 72 * S)
    ledger.declare_missing(TRADES, 70 * S, 71 * S, tries=5, at=90 * S)
    assert told(ledger)[-1] == (70, float("inf"), "doubt", "lost")


def test_a_bad_frame_puts_a_live_stretch_in_doubt_and_hearing_on_does_not_heal_it() -> None:
    ledger = Ledger()
    ledger.live([TRADES, OTHER], 10 * S, connection="1")
    ledger.heard("sim", 20 * S)
    ledger.doubted([TRADES], 18 * S, 22 * S, 22 * S, why="not JSON")
    ledger.heard("sim", 30 * S)
    assert ledger.missing(TRADES, 10 * S, 30 * S) == [(18 * S, 22 * S)]
    assert ledger.missing(OTHER, 10 * S, 30 * S) == []
    ledger.fetched(TRADES, 18 * S, 22 * S, 3, begun=23 * S, fetch="a")
    assert ledger.missing(TRADES, 10 * S, 30 * S) == []


def test_unsubscribing_leaves_what_is_not_proven_in_doubt_and_the_rest_unknown() -> None:
    ledger = Ledger()
    ledger.live([TRADES, OTHER], 10 * S, connection="1")
    ledger.heard("sim", 20 * S)
    assert ledger.stopped("sim", 25 * S, [TRADES]) == 1
    assert told(ledger)[-1] == (20, 25, "doubt", "live 1")
    assert ledger.stopped("sim", 25 * S) == 1
    assert ledger.heard("sim", 40 * S) == 0


def test_a_clock_that_steps_back_does_not_end_a_doubt_before_it_began() -> None:
    ledger = Ledger()
    ledger.live([TRADES], 10 * S, connection="1")
    ledger.heard("sim", 50 * S)
    ledger.lost("sim", 45 * S, 55 * S)
    ledger.live([TRADES], 30 * S, connection="2")
    assert ledger.missing(TRADES, 10 * S, 100 * S) == [(45 * S, 55 * S)]


def test_the_night_and_the_holiday_are_closed_where_nothing_was_heard() -> None:
    days = edges("AAPL", "extended", 2025)
    # Thanksgiving is between; the Friday after it ends early.
    wednesday = int(np.searchsorted(days.labels, np.datetime64("2025-11-26")))
    shut, opens = int(days.closes[wednesday]), int(days.opens[wednesday + 1])
    assert opens - shut == 32 * 3600 * S
    ledger = Ledger()
    ledger.live([STOCK], shut - 3600 * S, connection="1")
    ledger.heard("sim", shut + 60 * S)
    ledger.stopped("sim", shut + 60 * S)
    ledger.closed([STOCK, TRADES], shut - 7200 * S, opens + 60 * S, at=opens)
    assert told(ledger) == []
    assert [(a * S - shut, b * S - shut, state) for a, b, state, _ in told(ledger, STOCK)] == [
        (-3600 * S, 60 * S, "received"),
        (60 * S, 32 * 3600 * S, "closed"),
    ]
    assert ledger.missing(STOCK, shut - 7200 * S, opens + 60 * S) == [
        (shut - 7200 * S, shut - 3600 * S),
        (opens, opens + 60 * S),
    ]
    # A fetch that brings something there knows better.
    ledger.fetched(STOCK, shut + 60 * S, opens, 0, begun=opens, fetch="a")
    assert told(ledger, STOCK)[1][2] == "closed"
    ledger.fetched(STOCK, shut + 60 * S, shut + 120 * S, 2, begun=opens, fetch="a")
    assert told(ledger, STOCK)[1][2] == "backfilled"


def test_a_doubt_is_not_closed_away() -> None:
    days = edges("AAPL", "extended", 2025)
    shut = int(days.closes[0])
    ledger = Ledger()
    ledger.doubted([STOCK], shut + 60 * S, shut + 120 * S, shut + 120 * S, why="bad frame")
    ledger.closed([STOCK], shut, shut + 3600 * S, at=shut)
    assert ledger.missing(STOCK, shut, shut + 3600 * S) == [(shut + 60 * S, shut + 120 * S)]


def test_what_goes_on_is_one_interval() -> None:
    ledger = Ledger()
    ledger.live([TRADES], 0, connection="1")
    for second in range(1, 20):
        ledger.heard("sim", second * S)
    assert told(ledger) == [
        (0, 19, "received", "live 1"),
        (19, float("inf"), "doubt", "live 1"),
    ]


def test_only_whole_bars_are_closed() -> None:
    days = edges("AAPL", "extended", 2025)
    shut, opens = int(days.closes[0]), int(days.opens[1])
    daily = Series("sim", "AAPL", "bar", 86_400)
    ledger = Ledger()
    ledger.closed([daily], shut, opens, at=opens)
    assert told(ledger, daily) == []
    friday, monday = int(days.closes[1]), int(days.opens[2])
    ledger.closed([daily], friday, monday, at=monday)
    # The late session of Friday ends on Saturday, UTC.
    assert told(ledger, daily) == [(1_736_035_200, 1_736_121_600, "closed", "calendar")]


def test_nothing_changes_if_it_cannot_be_written_down() -> None:
    def full(changes: Sequence[Change]) -> None:
        raise StoreFullError("no space left")

    ledger = Ledger(lost_once().rows(), persist=full)
    before = ledger.rows()
    for what in (
        lambda: ledger.live([TRADES], 90 * S, connection="3"),
        lambda: ledger.doubted([TRADES], 1, 2, 3, why="bad frame"),
        lambda: ledger.fetched(TRADES, 50 * S, 60 * S, 1, begun=90 * S, fetch="a"),
        lambda: ledger.recover(90 * S),
    ):
        with pytest.raises(StoreFullError):
            what()
        assert ledger.rows() == before
    assert ledger.heard("sim", 95 * S) == 0


def test_a_loss_is_written_down_before_the_ledger_tells_of_it() -> None:
    written: list[Change] = []
    known: list[int] = []

    def persist(changes: Sequence[Change]) -> None:
        written.extend(changes)
        known.append(len(ledger.missing(TRADES, 10 * S, 40 * S)))

    ledger = Ledger(persist=persist)
    ledger.live([TRADES], 10 * S, connection="1")
    ledger.heard("sim", 40 * S)
    assert [len(written), written[0].added[0].ready] == [1, OPEN]  # hearing was not worth a write
    ledger.lost("sim", 30 * S, 45 * S)
    assert known == [1, 0]
    assert ledger.missing(TRADES, 10 * S, 40 * S) == [(30 * S, 40 * S)]
    # What was heard comes along with it.
    assert [one.state for one in written[1].added] == ["received", "doubt"]
    ledger.flush()
    assert len(written) == 2


def test_what_waits_to_be_written_does_not_grow_with_time() -> None:
    written: list[Change] = []
    ledger = Ledger(persist=written.extend)
    ledger.live([TRADES], 0, connection="1")
    for second in range(1, 1000):
        ledger.heard("sim", second * S)
    ledger.flush()
    assert written[-1].removed == ()
    assert [(one.start, one.end) for one in written[-1].added] == [
        (0, 999 * S),
        (999 * S, OPEN),
    ]


def test_after_a_crash_all_since_the_last_word_is_in_doubt() -> None:
    ledger = Ledger([(TRADES, Interval(10 * S, OPEN, "doubt", "live 1", 10 * S, OPEN))])
    assert ledger.missing(TRADES, 0, 90 * S) == [(0, 90 * S)]
    ledger.fetched(TRADES, 0, 90 * S, 1, begun=90 * S, fetch="a")
    assert ledger.missing(TRADES, 0, 90 * S) == [(10 * S, 90 * S)]
    assert ledger.recover(100 * S) == 1
    ledger.fetched(TRADES, 10 * S, 100 * S, 1, begun=101 * S, fetch="b")
    assert ledger.missing(TRADES, 0, 100 * S) == []
    assert ledger.recover(200 * S) == 0


def test_what_makes_no_sense_is_refused() -> None:
    ledger = Ledger()
    with pytest.raises(ValueError, match="begins before it ends"):
        ledger.doubted([TRADES], 5, 5, 0, why="")
    with pytest.raises(ValueError, match="has an end"):
        ledger.fetched(TRADES, 5, OPEN, 1, begun=0, fetch="a")
    one = Interval(0, 10, "received", "live 1", 10)
    with pytest.raises(ValueError, match="overlap"):
        Ledger([(TRADES, one), (TRADES, one._replace(start=9, end=12))])


def test_threads_may_tell_it_things_at_once() -> None:
    ledger = Ledger()
    several = [Series("sim", f"S{number}", "trade") for number in range(4)]
    ledger.live(several, 0, connection="1")

    def work(series: Series) -> None:
        for step in range(100):
            ledger.heard("sim", (step + 1) * S, [series])
            ledger.missing(series, 0, step * S)
            ledger.doubted([series], step * S, step * S + 1, step * S, why="bad frame")

    threads = [threading.Thread(target=work, args=(one,)) for one in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in several:
        assert ledger.missing(one, 0, 100 * S) == [(n * S, n * S + 1) for n in range(100)]


def test_coverage_tells_each_interval_and_each_share() -> None:
    coverage = Coverage(lost_once().rows(), start=0, end=100 * S)
    table = coverage.table()
    assert list(table.columns) == [
        "source", "symbol", "kind", "timeframe", "start", "end", "state", "learned", "at",
    ]  # fmt: skip
    assert table["state"].tolist() == ["unknown", "received", "doubt", "received", "doubt"]
    assert table["end"].iloc[-1] == pd.Timestamp(100, unit="s", tz="UTC")
    assert pd.isna(table["at"].iloc[0])
    shares = coverage.shares()
    assert shares.index.tolist() == ["sim BTC-USD trade"]
    assert shares.iloc[0].to_dict() == dict.fromkeys(STATES, 0.0) | {
        "received": 0.5, "doubt": 0.4, "unknown": 0.1, "complete": 0.5,
    }  # fmt: skip
    open_ended = Coverage(lost_once().rows()).table()
    assert pd.isna(open_ended["end"].iloc[-1])
    assert len(open_ended) == 4
    assert repr(coverage) == "Coverage(1 series, 4 intervals)"


def test_coverage_of_nothing_is_empty() -> None:
    coverage = Coverage([])
    assert coverage.table().empty
    assert coverage.shares().empty
    assert coverage.series == ()
    assert completeness([], 0, 10) == 0.0
    assert completeness([], 10, 10) == 1.0


def test_who_hears_waits_for_no_writer() -> None:
    writing, written = threading.Event(), threading.Event()

    def slow(changes: Sequence[Change]) -> None:
        writing.set()
        assert written.wait(500)

    ledger = Ledger()
    ledger.live([TRADES], 10 * S, connection="1")
    ledger.heard("sim", 12 * S)
    with ThreadPoolExecutor(1) as pool:
        fetch = pool.submit(
            ledger.fetched, TRADES, 0, 10 * S, 3, begun=13 * S, fetch="a", persist=slow
        )
        assert writing.wait(500)
        assert ledger.heard("sim", 14 * S) == 0
        assert ledger.heard("sim", 15 * S, iter([TRADES])) == 0
        written.set()
        fetch.result()
    assert ledger.lost("sim", 16 * S, 17 * S, why="reset") == 1
    assert [(a, b, state) for a, b, state, _ in told(ledger)] == [
        (0, 10, "backfilled"), (10, 15, "received"), (15, float("inf"), "doubt"),
    ]  # fmt: skip


def test_what_is_fetched_anew_is_put_in_doubt_but_for_what_was_given_up() -> None:
    ledger = Ledger()
    for low, high, rows in ((0, 10, 5), (10, 20, 0)):
        ledger.fetched(TRADES, low * S, high * S, rows, begun=50 * S, fetch="a")
    ledger.declare_missing(TRADES, 20 * S, 30 * S, tries=1, at=50 * S)
    ledger.doubted([TRADES], 5 * S, 40 * S, 60 * S, why="anew")
    assert [state for _, _, state, _ in told(ledger)] == [
        "backfilled", "no-trade", "missing", "doubt",
    ]  # fmt: skip
    ledger.doubted([TRADES], 5 * S, 40 * S, 60 * S, why="anew", whole=True)
    assert [(a, b, state) for a, b, state, _ in told(ledger)] == [
        (0, 5, "backfilled"), (5, 20, "doubt"), (20, 30, "missing"), (30, 40, "doubt"),
    ]  # fmt: skip


def test_a_fetch_may_be_written_down_along_with_its_rows() -> None:
    own: list[Change] = []
    ledger = Ledger(persist=own.extend)
    written: list[list[Change]] = []
    for _ in range(2):
        ledger.fetched(
            TRADES, 0, 10 * S, 3, begun=S, fetch="a", at=S, persist=lambda c: written.append([*c])
        )
    assert [len(changes) for changes in written] == [1, 0]  # called though nothing changes
    assert own == []

    def full(changes: Sequence[Change]) -> None:
        raise StoreFullError("no space left")

    with pytest.raises(StoreFullError):
        ledger.fetched(TRADES, 10 * S, 20 * S, 3, begun=S, fetch="a", persist=full)
    assert ledger.missing(TRADES, 0, 20 * S) == [(10 * S, 20 * S)]
