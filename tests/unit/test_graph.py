"""The pipeline: from frames to rows, bars and listeners, without a socket."""

from __future__ import annotations

import gc
import json
import weakref
from typing import Any

import numpy as np
import pytest

from workbench.bars.batchbars import time_bars
from workbench.clock import ManualClock
from workbench.flow.graph import Pipeline
from workbench.records import Batch
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame
from workbench.symbols import SymbolTable
from workbench.timeframes import timeframe

MS = 1_723_420_800_000


def frame(*events: dict[str, Any], at: float = 0.0) -> Frame:
    return Frame((MS + round(at * 1000)) * 10**6, json.dumps(events).encode())


def trade(at: float, price: float, i: int, pair: str = "BTC-USD", **more: Any) -> dict[str, Any]:
    t = MS + round(at * 1000)
    return {"ev": "XT", "pair": pair, "p": price, "s": 1.0, "t": t, "i": i, **more}


class Line:
    """A pipeline with its source, and all bars it emitted."""

    def __init__(self, *timeframes: str, lateness: float = 1.0) -> None:
        self.table = SymbolTable()
        self.clock = ManualClock(MS * 10**6)
        self.pipeline = Pipeline(self.table, lateness=lateness, clock=self.clock)
        self.source = MassiveSource("crypto", table=self.table)
        for name in timeframes:
            self.pipeline.builder.add_timeframe(name)
        self.bars: list[Any] = []
        self.sinks = [self.pipeline.branch("bar", "test").sink(self.bars.append)]

    def deliver(self, *frames: Frame) -> Any:
        return self.pipeline.deliver(self.source, list(frames))

    def rows(self) -> Any:
        parts = [batch.rows for batch in self.bars]
        return np.concatenate(parts) if parts else np.zeros(0)

    def close(self) -> None:
        for sink in self.sinks:
            sink.destroy()
        self.pipeline.close()


@pytest.fixture
def line() -> Any:
    made = Line("1m")
    yield made
    made.close()


def test_frames_become_bars(line: Line) -> None:
    said = line.deliver(
        frame({"ev": "status", "status": "success", "message": "subscribed to: XT.BTC-USD"}),
        frame(trade(1, 10, 1), trade(2, 12, 2), at=2),
        frame(trade(62, 11, 3), at=62),
    )
    assert [s.topic for s in said] == ["XT.BTC-USD"]
    bar = line.rows()[0]
    assert (bar["open"], bar["close"], bar["count"], bar["volume"]) == (10, 12, 2, 2.0)
    health = line.pipeline.health
    assert health.conserved()
    assert (health.frames, health.bars["closed"]) == (3, 1)
    assert line.deliver() == []


def test_the_clock_of_the_frames_closes_bars_between_them(line: Line) -> None:
    line.deliver(frame(trade(1, 10, 1), at=1))
    line.deliver(frame(trade(30, 10, 2), at=30), frame(at=61), frame(trade(59, 99, 3), at=62))
    assert line.rows()["revision"].tolist() == [0, 1], "what came after the closing revises"
    assert line.rows()["high"].tolist() == [10.0, 99.0]
    assert line.pipeline.health.bars == {"closed": 1, "revised": 1, "overdue": 0}


def test_everything_refused_is_counted_and_kept(line: Line) -> None:
    line.deliver(
        frame(trade(1, 10, 1), trade(1, 10, 1), trade(1, -1, 2), trade(1, 10, 3, pair="A B")),
        Frame(1, b"rubbish"),
    )
    gate = line.pipeline.gate
    assert (gate.received["trade"], gate.accepted["trade"]) == (3, 1)
    assert (gate.duplicates["trade"], gate.refused["trade"], gate.refused["event"]) == (1, 1, 2)
    assert line.pipeline.quarantine.counts == {"price": 1, "symbol": 1, "malformed": 1}
    assert line.pipeline.health.conserved()


def test_listeners_that_raise_disturb_nobody(line: Line) -> None:
    seen: list[int] = []

    def bad(batch: Batch) -> None:
        raise RuntimeError("user code")

    line.sinks.append(line.pipeline.branch("trade", "bad").sink(bad))
    line.sinks.append(line.pipeline.branch("trade", "good").sink(lambda b: seen.append(len(b))))
    line.deliver(frame(trade(1, 10, 1), at=1))
    line.deliver(frame(trade(90, 10, 2), at=90))
    assert seen == [1, 1]
    assert len(line.rows()) == 1
    assert line.pipeline.health.errors == {"bad": 2}


def test_each_kind_has_its_stream(line: Line) -> None:
    seen: dict[str, list[Any]] = {kind: [] for kind in line.pipeline.streams}
    for kind, some in seen.items():
        line.sinks.append(line.pipeline.branch(kind, kind).sink(some.append))
    quote = {"ev": "XQ", "pair": "BTC-USD", "bp": 1, "ap": 2, "bs": 1, "as": 1, "t": MS}
    bar = {"ev": "XA", "pair": "BTC-USD", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "s": MS}
    status = {"ev": "status", "status": "error", "message": "not authorized"}
    line.deliver(frame(quote, bar, status, trade(1, 10, 1)))
    line.deliver(frame(trade(99, 10, 2), at=99))
    kinds = {kind: [getattr(x, "kind", None) for x in some] for kind, some in seen.items()}
    assert kinds == {
        "trade": ["trade", "trade"],
        "quote": ["quote"],
        "provider_bar": ["bar"],
        "bar": ["bar"],
        "status": ["refused"],
    }
    assert line.pipeline.health.delay == 0.0


def test_trades_out_of_reach_are_counted_and_not_hoarded() -> None:
    line = Line("1s")
    line.deliver(frame(trade(1000, 10, 1), at=1000), frame(trade(1, 10, 2), at=1000))
    assert line.pipeline.health.numbers()["trades_overdue"] == 1
    assert line.pipeline.builder.overdue == []
    line.close()


def test_a_timeframe_joins_with_the_past(line: Line) -> None:
    trades: list[Any] = []
    line.sinks.append(line.pipeline.branch("trade", "keep").sink(trades.append))
    for k in range(20):
        line.deliver(frame(trade(k * 7, 10 + k, k + 1), at=k * 7))
    past = np.concatenate([batch.rows for batch in trades])
    line.pipeline.add_timeframes("BTC-USD", [timeframe("30s")], past)
    line.pipeline.finish()
    rows = line.rows()
    own = rows[rows["timeframe"] == 30]
    assert own.tobytes() == time_bars(past, "30s").tobytes()


def test_how_frames_gather_does_not_change_the_bars() -> None:
    rng = np.random.default_rng(2)
    frames, at = [], 0.0
    for k in range(120):
        at += float(rng.exponential(3))
        event = trade(max(0.0, at - float(rng.random())), 10 + k % 7, k + 1)
        frames.append(frame(event, at=at))
    results = []
    for width in (1, 7, 120):
        line = Line("5s", "1m", lateness=2.0)
        for start in range(0, len(frames), width):
            line.deliver(*frames[start : start + width])
        line.pipeline.finish()
        results.append(np.sort(line.rows(), order=["timeframe", "time", "revision"]).tobytes())
        line.close()
    assert results[0] == results[1] == results[2]


def test_nothing_stays_in_memory_after_closing() -> None:
    line = Line("1m")
    line.deliver(frame(trade(1, 10, 1), at=1))
    gone = weakref.ref(line.pipeline)
    line.close()
    del line
    gc.collect()
    assert gone() is None
