"""Health: counts, delays, events."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from workbench.clock import ManualClock
from workbench.flow.health import Health
from workbench.gate import Gate, Quarantine
from workbench.records import TRADE, Batch
from workbench.symbols import SymbolTable

NOW = 1_723_161_255 * 10**9


def a_health() -> tuple[Health, Gate, ManualClock]:
    clock = ManualClock(NOW)
    gate = Gate(SymbolTable(["A"]), Quarantine())
    return Health(gate, clock), gate, clock


def test_figures_follow_the_gate() -> None:
    health, gate, clock = a_health()
    rows = np.zeros(3, TRADE)
    rows["time"], rows["received"] = NOW - 2 * 10**9, NOW
    rows["id"], rows["price"], rows["size"] = [1, 1, 2], [1.0, 1.0, -1.0], 1.0
    health.batch_came(gate.accept(Batch("trade", rows)))
    health.frames_came(2, 300, NOW)
    clock.advance(4)
    figures = health.numbers()
    counts = [figures[f"trades_{n}"] for n in ("received", "accepted", "duplicate", "refused")]
    assert counts == [3, 1, 1, 1]
    assert (figures["frames"], figures["bytes"], figures["messages"]) == (2, 300, 3)
    assert figures["messages_per_second"] == pytest.approx(0.8, abs=0.06)
    assert (figures["delay_seconds"], figures["silence_seconds"]) == (2.0, 4.0)
    assert (figures["quarantined"], figures["uptime_seconds"]) == (1, 4.0)
    assert health.conserved()
    gate.received["trade"] += 1
    assert not health.conserved()
    assert health.table().loc["frames", "value"] == 2
    assert "delay 2.0 s" in repr(health)


def test_before_anything_came() -> None:
    health, _, clock = a_health()
    clock.advance(1)
    assert health.silence is None
    assert health.numbers()["delay_seconds"] is None
    assert "no data yet" in repr(health)
    assert health.conserved()
    assert health.events() == []


def told(caplog: pytest.LogCaptureFixture) -> int:
    """Count what health has logged: others log too what tests before have left to be collected."""
    return sum(record.name == "workbench.flow.health" for record in caplog.records)


def test_errors_are_counted_each_and_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    health, _, clock = a_health()
    with caplog.at_level(logging.ERROR, "workbench"):
        for _ in range(100):
            health.failed("branch", ValueError("no"))
        assert told(caplog) == 1
        health.failed("other", ValueError("no"))
        assert told(caplog) == 2
        clock.advance(61)
        health.failed("branch", ValueError("no"))
    assert told(caplog) == 3
    assert health.errors == {"branch": 101, "other": 1}
    assert health.numbers()["errors"] == 102
    assert [e.text for e in health.events(1)] == ["branch: ValueError: no"]


def test_events_are_bounded_and_newest_first() -> None:
    health, _, clock = a_health()
    for n in range(3000):
        clock.advance(0.001)
        health.tell("info", str(n))
    assert [e.text for e in health.events(3)] == ["2999", "2998", "2997"]
    assert len(health.events(10_000)) == 1000
    assert health.events(1)[0].time == clock.now()


def test_html_is_escaped() -> None:
    health, _, _ = a_health()
    health.state = "<b>x</b>"
    assert "<b>x</b>" not in health._repr_html_()
    assert "&lt;b&gt;x" in health._repr_html_()
