"""Bars of any kind on a running feed: switched at any time, they are those of the start."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

import workbench as wb
from workbench.bars.build import build_bars
from workbench.errors import ConfigError
from workbench.feeds import connect
from workbench.flow.feed import Feed
from workbench.flow.livesignals import LiveSignals
from workbench.records import CLOSED, Rows
from workbench.rules import Signal
from workbench.sim.run import start_simulator

Poll = Callable[..., None]
#: Trades in order: one that is later than the lateness is in no bar of such a kind. That has to
#: be more than a machine that stops for a while makes of the delay.
LATENESS = 6.0
MARKET = {"head_start": 60.0, "rate": 20.0, "late": 0.0}
SECOND = 10**9
KINDS = ("trades:20", "dollar:100000", "imbalance-trades:10", "heikin-ashi@1s", "kagi:5@1s")


def closed(feed: Feed, kind: str) -> Rows:
    """Return the finished bars of a kind made of all trades that a feed has."""
    bars = build_bars(feed._call(lambda: feed._core.recent("trade", "BTC-USD", None)), kind)
    return bars[bars["state"] == CLOSED]


def test_a_kind_chosen_while_data_streams_is_that_of_the_start(poll_for: Poll) -> None:
    with (
        start_simulator(port=0, symbols=("BTC-USD",), **MARKET) as simulator,
        connect("sim", simulator=simulator, lateness_seconds=LATENESS) as feed,
    ):
        feed.subscribe("BTC-USD", "1s", channels=["trade"])
        feed.wait("BTC-USD", count=500, timeout=120)
        windows = [feed.watch("BTC-USD", KINDS[0], [wb.ema(3)])]
        feed.wait("BTC-USD", count=900, timeout=120)
        windows += [feed.watch("BTC-USD", kind, [wb.ema(3)]) for kind in KINDS[1:]]
        feed.wait("BTC-USD", count=1100, timeout=120)
        # What is fetched for a hole belongs before what came live: all kinds begin anew.
        it, at = feed._core.mending.continuity, simulator.position
        feed._call(lambda: it.doubted(it.series(), at - 30 * SECOND, at - 20 * SECOND, "a test"))
        feed.wait("BTC-USD", timeout=120, whole=True)
        assert any(event.kind == "filled" for event in feed.events(50))
        simulator.close()
        poll_for(lambda: feed.health.state == "reconnecting")
        feed._call(feed._core.pipeline.finish)
        whole = {kind: closed(feed, kind) for kind in KINDS}
        # The clock releases the last trades only when they have waited for later ones.
        poll_for(
            lambda: all(
                len(window.closed()) >= len(whole[kind]) - 1
                for window, kind in zip(windows, KINDS, strict=True)
            )
        )
        for window, kind in zip(windows, KINDS, strict=True):
            held, values = feed._call(lambda w=window: (w.closed(), w.values()))
            assert len(held) > 3
            same = min(len(held), len(whole[kind]))
            assert held[:same].tobytes() == whole[kind][:same].tobytes(), kind
            assert values.tobytes() == wb.ema(3).values(held["close"]).tobytes()
        frame = feed.bars("BTC-USD", "trades:20")
        assert isinstance(frame, pd.DataFrame)
        assert frame["count"].iloc[:-1].eq(20).all()
        before = len(feed._core.kinds)
        for window in windows:
            feed.unwatch(window)
        assert (before, len(feed._core.kinds)) == (len(KINDS), 0)


def test_signals_live_are_those_of_history(poll_for: Poll) -> None:
    rule = wb.ema_cross(2, 3, 4)
    heard: list[Signal] = []
    with (
        start_simulator(port=0, symbols=("BTC-USD",), **MARKET) as simulator,
        connect("sim", simulator=simulator, lateness_seconds=0.2) as feed,
    ):
        feed.subscribe("BTC-USD", "1s", channels=["trade"])
        feed.wait("BTC-USD", count=600, timeout=120)
        live = wb.signals(feed, rule, "BTC-USD", "1s", on_signal=heard.append)
        assert isinstance(live, LiveSignals)
        already = len(live.signals)
        poll_for(lambda: len(live.signals) >= already + 2)
        assert "ema_cross" in repr(live)
        assert "EMA 2 crossed" in live._repr_html_()
        feed.wait("BTC-USD", timeout=120, whole=True)

        def same() -> bool:
            # Late trades and filled holes may change a bar between two looks.
            told = live.book.standing()
            bars = feed.bars("BTC-USD", "1s", forming=False)
            table = wb.signals(bars, rule, "BTC-USD", "1s")
            assert isinstance(table, pd.DataFrame)
            last = max(signal.bar for signal in told)
            table = table[table["bar"] <= pd.Timestamp(last, tz="UTC")]
            return [(s.bar, s.reason, s.confidence) for s in told] == list(
                zip(table["bar"].astype("int64"), table["reason"], table["confidence"], strict=True)
            )

        poll_for(same)
        live.close()
        assert len(heard) >= 2
        assert heard == live.signals[-len(heard) :]
        with pytest.raises(ConfigError, match="needs symbol and timeframe"):
            wb.signals(feed, rule)
