"""The quality of a running feed, and releasing what it refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.clock import SystemClock
from workbench.config import settings
from workbench.feeds import connect
from workbench.flow.feed import Feed
from workbench.flow.release import release
from workbench.history.backfill import backfill
from workbench.quality.rules import Rules
from workbench.sim.run import start_simulator
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame, Topic
from workbench.store.store import open_store

Poll = Callable[..., None]
#: Seconds after which a machine does not merely stand still.
PATIENCE = 300.0


@pytest.mark.timeout(1200)
def test_a_feed_tells_gaps_once_and_loses_points_for_them(poll_for: Poll) -> None:
    with (
        start_simulator(port=0, symbols=("BTC-USD",), rate=50.0, late=0.0) as simulator,
        connect("sim", simulator=simulator, reconnect="crypto", fill_gaps=False) as feed,
    ):
        feed.subscribe("BTC-USD", "1s", channels=("trade",), timeout=PATIENCE)
        feed.wait("BTC-USD", timeout=PATIENCE, count=100)
        # On a busy machine the first trades may be read late, which is a gap too.
        (before,) = feed.quality.series
        assert before.validity == 1.0
        simulator.faults.on("outage", seconds=1.0, count=1)
        poll_for(lambda: any(e.kind == "reconnected" for e in feed.events(1000)), PATIENCE)
        poll_for(lambda: feed.quality.series[0].missing_seconds > before.missing_seconds, PATIENCE)
        poll_for(lambda: any("are missing" in e.text for e in feed.events(1000)), PATIENCE)
        told = [e for e in feed.events(1000) if e.kind == "gap" and "BTC-USD" in e.text]
        assert len(told) == 1
        (line,) = feed.quality.series
        assert line.completeness < 1.0
        assert line.score < replace(line, completeness=1.0).score
        assert feed.quality.score < 100.0


class Standing(SystemClock):
    """The wall stands still; timeouts go on."""

    def now(self) -> int:
        return 1_723_420_800 * 10**9


async def never(url: str, **options: Any) -> Any:
    await asyncio.Event().wait()


def test_what_comes_whole_and_in_time_loses_no_points() -> None:
    def frame(second: int, price: float = 9.0) -> Frame:
        at = 1_723_420_700_000 + second * 1000
        event = {"ev": "XT", "pair": "BTC-USD", "p": price, "s": 1, "t": at, "i": str(second)}
        return Frame((at + 5) * 10**6, json.dumps([event]).encode())

    with Feed(
        lambda market, table: MassiveSource(market, table=table),
        config=settings(max_future_seconds=0.0),
        clock=Standing(),
        connect=never,
    ) as feed:
        feed.subscribe("BTC-USD", "1s", channels=("trade",), timeout=None)
        source = MassiveSource("crypto", table=feed.table)
        feed._call(lambda: feed._core._subscribed(source, [Topic("BTC-USD", "trade")]))
        for second in range(100):
            feed._call(lambda n=second: feed._core.deliver(source, [frame(n)]))
        (line,) = feed.quality.series
        assert (line.completeness, line.validity, line.timeliness) == (1.0, 1.0, 1.0)
        assert line.consistency == 1.0
        assert feed.quality.score == 100.0
        feed._call(lambda: feed._core.deliver(source, [frame(100, price=99.0)]))
        assert feed.quality.series[0].validity < 1.0


@pytest.mark.timeout(1200)
def test_what_a_store_has_of_old_makes_no_symbol_stale(tmp_path: Path) -> None:
    with (
        start_simulator(port=0, symbols=("BTC-USD",), rate=2.0, late=0.0) as simulator,
        open_store(tmp_path / "market.db") as store,
    ):
        hour = pd.Timestamp.now("UTC").floor("h")
        wish = {"kind": "trade", "start": hour - pd.Timedelta("3h"), "progress": False}
        end = hour - pd.Timedelta("2h")
        backfill("BTC-USD", **wish, end=end, source=simulator.rest_url, store=store)
        # Nothing new is told, so what is known is what was stored two hours ago.
        simulator.faults.on("outage", seconds=60.0, count=1)
        # Stale is what is silent for twice as long: less than since those were told, but more
        # than a test may take that stands still for a while.
        options = {"fill_gaps": False, "silence_seconds": 1800.0}
        with connect("sim", simulator=simulator, store=store, **options) as feed:
            feed.subscribe("BTC-USD", "1m", channels=("trade",), timeout=PATIENCE)
            assert feed.bars("BTC-USD", "1m")["close"].notna().any(), "the store was read"
            (line,) = feed.quality.series
            assert line.silence is not None
            assert 0.0 <= line.silence < 3600.0
            assert not [event for event in feed.events(1000) if event.kind == "stale"]


def test_refused_trades_are_released_under_other_rules() -> None:
    time = 1_723_420_800_000

    def frame(price: float, second: int) -> Frame:
        at = time + second * 1000
        event = {"ev": "XT", "pair": "BTC-USD", "p": price, "s": 1, "t": at, "i": str(second)}
        return Frame(at * 10**6, json.dumps([event]).encode())

    with Feed(
        lambda market, table: MassiveSource(market, table=table),
        config=settings(lateness_seconds=0.0),
    ) as feed:
        source = MassiveSource("crypto", table=feed.table)
        feed._call(
            lambda: [
                feed._core.pipeline.deliver(source, [frame(100.0 + n / 100, n)]) for n in range(20)
            ]
        )
        feed._call(lambda: feed._core.pipeline.deliver(source, [frame(120.0, 20)]))
        assert len(feed.quarantine.table()) == 1
        wide = Rules.everywhere(max_price_deviation=0.5)
        assert len(release(feed, wide, dry=True).passed) == 1
        before = feed.health.numbers()["trades_accepted"]
        assert len(release(feed, wide).passed) == 1
        assert feed.health.numbers()["trades_accepted"] == before + 1
        assert feed._call(lambda: feed._core.recent("trade", "BTC-USD", 1))["price"][0] == 120.0
        release(feed, wide)
        assert feed.health.numbers()["trades_accepted"] == before + 1, "each is released once"
        assert feed.health.conserved()


@pytest.mark.timeout(1200)
def test_the_command_tells_the_quality() -> None:
    ran = CliRunner().invoke(
        app,
        ["quality", "BTC-USD", "--provider", "sim", "--duration", "2", "--below", "0"],
    )
    assert ran.exit_code == 0, ran.output
    assert "of 100" in ran.output
