"""Bars that are kept for a while."""

from __future__ import annotations

import threading

import pytest

from workbench.clock import ManualClock
from workbench.history.sharedbars import SharedBars
from workbench.records import empty


def test_bars_are_fresh_for_a_while_and_held_for_longer() -> None:
    clock = ManualClock(10**18)
    shared = SharedBars(clock, validity=300)
    held = shared.put("AAPL", "1m", empty("bar", 150), 200, (clock.now(), shared.moment()))
    assert (len(held.rows), held.asked, held.fetched) == (150, 200, 10**18)
    assert not held.rows.flags.writeable
    clock.advance(300)
    assert shared.fresh("AAPL", "1m", 200) is held  # a market may have fewer than were wanted
    assert shared.fresh("AAPL", "1m", 201) is None
    assert shared.fresh("AAPL", "5m", 1) is None
    assert shared.fresh("MSFT", "1m", 1) is None
    clock.advance(0.001)
    assert shared.fresh("AAPL", "1m", 1) is None
    assert shared.held("AAPL", "1m") is held
    shared.clear()
    assert shared.held("AAPL", "1m") is None


def test_a_moment_tells_fetches_before_it_from_those_after() -> None:
    clock = ManualClock()
    shared = SharedBars(clock)
    shared.put("AAPL", "1m", empty("bar", 1), 1, (0, shared.moment()))
    since = shared.moment()
    assert shared.fresh("AAPL", "1m", 1, since) is None
    clock.advance(1)
    shared.put("AAPL", "1m", empty("bar", 1), 1, (0, shared.moment()))
    assert shared.fresh("AAPL", "1m", 1, since) is not None


def test_the_series_put_first_goes_when_there_are_too_many() -> None:
    shared = SharedBars(ManualClock(), most=2)
    for name in ("A", "B", "A", "C"):
        shared.put(name, "1m", empty("bar", 1), 1, (0, 0.0))
    assert [shared.held(name, "1m") is not None for name in "ABC"] == [True, False, True]
    assert repr(shared) == "SharedBars(2 series, fresh for 300 s)"


def test_each_series_is_fetched_by_one_at_a_time() -> None:
    shared = SharedBars(ManualClock())
    entered = threading.Event()

    def enter(symbol: str, *timeframes: str) -> threading.Thread:
        def work() -> None:
            with shared.turn(symbol, timeframes):
                entered.set()

        entered.clear()
        thread = threading.Thread(target=work)
        thread.start()
        return thread

    with shared.turn("A", ["1m", "5m"]):
        for symbol, name in (("A", "15m"), ("B", "1m")):
            other = enter(symbol, name)
            assert entered.wait(300)
            other.join()
        other = enter("A", "15m", "5m")
        assert not entered.wait(0.03)
    assert entered.wait(300)
    other.join()


def test_turns_in_any_order_do_not_wait_for_each_other() -> None:
    shared = SharedBars(ManualClock())
    names = ["1m", "5m", "15m"]

    def work(order: list[str]) -> None:
        for _ in range(200):
            with shared.turn("A", order):
                pass

    threads = [threading.Thread(target=work, args=(order,)) for order in (names, names[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive()


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="validity"):
        SharedBars(validity=-1)
