"""The quality of a running feed, and releasing what it refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.config import settings
from workbench.errors import ConnectError
from workbench.feeds import connect
from workbench.flow.feed import Feed
from workbench.flow.release import release
from workbench.history.backfill import backfill
from workbench.quality.rules import Rules
from workbench.sim.run import start_simulator
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame
from workbench.store.store import open_store

Poll = Callable[..., None]


@pytest.mark.timeout(120)
def test_a_feed_tells_gaps_once_and_loses_points_for_them(poll_for: Poll) -> None:
    with (
        start_simulator(port=0, symbols=("BTC-USD",), rate=50.0, late=0.0) as simulator,
        connect("sim", simulator=simulator, reconnect="crypto", fill_gaps=False) as feed,
    ):
        feed.subscribe("BTC-USD", "1s", channels=("trade",))
        feed.wait("BTC-USD", timeout=60, count=100)
        # Consistency aside: on a busy machine a bar may end before its last trades are read.
        (before,) = feed.quality.series
        assert (before.completeness, before.validity, before.timeliness) == (1.0, 1.0, 1.0)
        simulator.faults.on("outage", seconds=1.0, count=1)
        poll_for(lambda: any(e.kind == "reconnected" for e in feed.events()), 60)
        poll_for(lambda: feed.quality.table()["missing_seconds"].iloc[0] > 0, 30)
        poll_for(lambda: any("are missing" in e.text for e in feed.events(200)), 30)
        told = [e for e in feed.events(200) if e.kind == "gap" and "BTC-USD" in e.text]
        assert len(told) == 1
        (line,) = feed.quality.series
        assert line.completeness < 1.0
        assert line.score < replace(line, completeness=1.0).score
        assert feed.quality.score < 100.0


@pytest.mark.timeout(120)
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
        with connect("sim", simulator=simulator, store=store, fill_gaps=False) as feed:
            with suppress(ConnectError):  # the login may fall into the outage
                feed.subscribe("BTC-USD", "1m", channels=("trade",), timeout=60.0)
            assert feed.bars("BTC-USD", "1m")["close"].notna().any(), "the store was read"
            (line,) = feed.quality.series
            assert line.silence is not None
            assert 0.0 <= line.silence < 3600.0
            assert not [event for event in feed.events(200) if event.kind == "stale"]


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


@pytest.mark.timeout(120)
def test_the_command_tells_the_quality() -> None:
    ran = CliRunner().invoke(
        app,
        ["quality", "BTC-USD", "--provider", "sim", "--duration", "2", "--below", "0"],
    )
    assert ran.exit_code == 0, ran.output
    assert "of 100" in ran.output
