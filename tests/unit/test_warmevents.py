"""Events in their order, whoever sends them, and whatever receivers do."""

from __future__ import annotations

import logging
import threading

import pytest

from workbench.history.warmevents import (
    EmaDataReady,
    FetchError,
    HistoricalFetchProgress,
    Outbox,
    StructureDataReady,
    TrendDataReady,
    WarmupEvent,
    ZoneDataReady,
    ready,
)
from workbench.history.warmresults import Result
from workbench.history.warmups import WARMUPS


def test_events_have_the_names_that_were_agreed() -> None:
    kinds = (EmaDataReady, StructureDataReady, TrendDataReady, ZoneDataReady)
    assert [kind.event for kind in (*kinds, HistoricalFetchProgress, FetchError)] == [
        "ema_data_ready", "structure_data_ready", "trend_data_ready", "zone_data_ready",
        "historical_fetch_progress", "fetch_error",
    ]  # fmt: skip


def test_each_result_has_its_event() -> None:
    told: dict[str, list[str]] = {}
    for one in WARMUPS:
        event = ready(Result(one, "AAPL", "done"))
        assert not isinstance(event, HistoricalFetchProgress | FetchError)
        assert (event.symbol, event.result.warmup) == ("AAPL", one)
        told.setdefault(event.event, []).append(event.key)
    assert told == {
        "ema_data_ready": ["M1", "M5", "M15"],
        "structure_data_ready": ["M1", "M5", "M15"],
        "trend_data_ready": ["M1", "M5", "M15"],
        "zone_data_ready": ["HVN", "OrderBlocks"],
    }


def test_a_share_is_told_in_percent() -> None:
    assert HistoricalFetchProgress("A", 1, 8).percentage == 12.5
    assert HistoricalFetchProgress("A", 0, 0).percentage == 100.0


def test_what_a_receiver_starts_is_told_after_what_it_was_told() -> None:
    told: list[object] = []

    def receive(event: WarmupEvent) -> None:
        if not told:
            box.put(HistoricalFetchProgress("B", 2, 3), lambda: told.append("called"))
            box.send()
            assert not told
        told.append(event)

    box = Outbox(receive)
    first, second = (HistoricalFetchProgress("A", n, 3) for n in (0, 1))
    box.put(first, second)
    box.send()
    assert told == [first, second, HistoricalFetchProgress("B", 2, 3), "called"]


def test_a_receiver_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    told: list[WarmupEvent] = []

    def receive(event: WarmupEvent) -> None:
        told.append(event)
        raise ZeroDivisionError

    box = Outbox(receive)
    box.put(FetchError("A", "HVN", "no"), FetchError("A", "M1_EMA", "no"))
    with caplog.at_level(logging.ERROR):
        box.send()
    assert len(told) == 2
    assert "fetch_error" in caplog.text


def test_nothing_is_lost_or_told_twice_by_many_threads() -> None:
    told: list[WarmupEvent] = []
    box = Outbox(told.append)
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        for n in range(300):
            box.put(HistoricalFetchProgress(str(number), n, 300))
            box.send()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        own = [e.completed for e in told if e.symbol == str(number)]  # type: ignore[union-attr]
        assert own == list(range(300))
