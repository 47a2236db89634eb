"""Bars of any kind on a running feed: switched at any time, they are those of the start."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import workbench as wb
from workbench.bars.build import build_bars
from workbench.bars.kinds import BarKind
from workbench.clock import SystemClock
from workbench.config import settings
from workbench.errors import ConfigError
from workbench.feeds import connect
from workbench.flow.feed import Feed
from workbench.flow.livesignals import LiveSignals
from workbench.flow.window import Window
from workbench.records import CLOSED, FORMING, Rows
from workbench.rules import Signal
from workbench.sim.run import start_simulator
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame

Poll = Callable[..., None]
Eventually = Callable[[Callable[[], None]], None]
#: Seconds after which a machine does not merely stand still.
PATIENCE = 600.0
#: Trades in order: one that is later than the lateness is in no bar of such a kind. That has to
#: be more than a machine that stops for a while makes of the delay.
LATENESS = 6.0
MARKET = {"head_start": 60.0, "rate": 20.0, "late": 0.0}
#: More bars than a wild market and the quarter of an hour that is fetched make.
WINDOW = 50_000
KINDS = ("trades:20", "dollar:100000", "imbalance-trades:10", "heikin-ashi@1s", "kagi:5@1s")


START = 1_723_420_800
SECOND = 10**9


async def nowhere(url: str, **options: Any) -> Any:
    raise ConnectionRefusedError("not today")


class Standing(SystemClock):
    """The wall stands still, so that nothing is closed by it; timeouts go on."""

    def now(self) -> int:
        return START * SECOND


def feed_of(**options: Any) -> Feed:
    """Return a feed whose connections never open, so that frames are handed to it."""
    return Feed(
        lambda market, table: MassiveSource(market, table=table),
        config=settings(max_price_deviation=0.0, max_future_seconds=0.0, **options),
        clock=Standing(), rng=random.Random(1), connect=nowhere,
    )  # fmt: skip


def market(n: int) -> list[dict[str, Any]]:
    """Trades as they come on the wire, some of them in one ms."""
    rng = random.Random(5)
    price, events = 50_000.0, []
    for i in range(n):
        price = round(price + rng.gauss(0, 2), 2)
        event = {"ev": "XT", "pair": "BTC-USD", "p": price, "s": round(rng.random() + 0.01, 3)}
        events.append(event | {"t": START * 1000 + i // 3 * 120, "i": i + 1, "x": 1})
    return events


def hear(feed: Feed, events: list[dict[str, Any]]) -> None:
    """Hand frames of some events each to a feed, as of a line that takes 10 ms."""
    source = MassiveSource("crypto", table=feed.table)
    for at in range(0, len(events), 50):
        some = events[at : at + 50]
        frame = Frame((max(e["t"] for e in some) + 10) * 10**6, json.dumps(some).encode())
        feed._call(lambda frame=frame: feed._core.deliver(source, [frame]))


def fetch(feed: Feed, events: list[dict[str, Any]]) -> None:
    """Put trades of the provider's history into a feed."""
    source = MassiveSource("crypto", table=feed.table)
    batch = source.decode([Frame(START * SECOND, json.dumps(events).encode())]).batches[0]
    feed._call(lambda: feed._core.splice(batch))


def closed(feed: Feed, kind: str) -> Rows:
    """Return the finished bars of a kind made of all trades that a feed has."""
    bars = build_bars(feed._call(lambda: feed._core.recent("trade", "BTC-USD", None)), kind)
    return bars[bars["state"] == CLOSED]


def test_a_kind_chosen_while_data_streams_is_that_of_the_start(
    poll_for: Poll, eventually: Eventually, kept_port: int
) -> None:
    options = {"lateness_seconds": LATENESS, "window_bars": WINDOW}
    with (
        start_simulator(port=kept_port, symbols=("BTC-USD",), **MARKET) as simulator,
        connect("sim", simulator=simulator, **options) as feed,
    ):
        feed.subscribe("BTC-USD", "1s", channels=["trade"], timeout=PATIENCE)
        feed.wait("BTC-USD", count=500, timeout=PATIENCE)
        windows = [feed.watch("BTC-USD", KINDS[0], [wb.ema(3)])]
        feed.wait("BTC-USD", count=900, timeout=PATIENCE)
        windows += [feed.watch("BTC-USD", kind, [wb.ema(3)]) for kind in KINDS[1:]]
        feed.wait("BTC-USD", count=1100, timeout=PATIENCE)
        feed.wait("BTC-USD", timeout=PATIENCE, whole=True)
        simulator.close()
        poll_for(lambda: feed.health.state == "reconnecting", PATIENCE)
        feed._call(feed._core.pipeline.finish)

        def begun_alike() -> None:
            # What was fetched may still be on its way, and the clock releases the last trades
            # only when they have waited for later ones.
            trades, shown = feed._call(
                lambda: (
                    feed._core.recent("trade", "BTC-USD", None),
                    [(window.closed(), window.values()) for window in windows],
                )
            )
            for (held, values), kind in zip(shown, KINDS, strict=True):
                bars = build_bars(trades, kind)
                whole = bars[bars["state"] == CLOSED]
                assert len(held) > 3
                assert len(held) >= len(whole) - 1
                same = min(len(held), len(whole))
                assert held[:same].tobytes() == whole[:same].tobytes(), kind
                assert values.tobytes() == wb.ema(3).values(held["close"]).tobytes()

        eventually(begun_alike)
        frame = feed.bars("BTC-USD", "trades:20")
        assert isinstance(frame, pd.DataFrame)
        assert frame["count"].iloc[:-1].eq(20).all()
        before = len(feed._core.kinds)
        for window in windows:
            feed.unwatch(window)
        assert (before, len(feed._core.kinds)) == (len(KINDS), 0)


def test_a_kind_chosen_after_a_hole_was_filled_is_that_of_all_trades() -> None:
    events = market(3000)
    with feed_of() as feed:
        feed.subscribe("BTC-USD", "1s", channels=["trade"], timeout=None)
        hear(feed, events[1500:])
        fetch(feed, events[:1500])
        windows = [feed.watch("BTC-USD", kind, [wb.ema(3)]) for kind in KINDS]
        same(feed, windows)
        assert feed.health.numbers()["trades_overdue"] == 1500, "for the bars of 1 s alone"


def test_what_is_fetched_belongs_before_what_came_live() -> None:
    events = market(3000)
    with feed_of() as feed:
        feed.subscribe("BTC-USD", "1s", channels=["trade"], timeout=None)
        hear(feed, events[400:1000])
        windows = [feed.watch("BTC-USD", kind, [wb.ema(3)]) for kind in KINDS]
        hear(feed, events[1600:])
        fetch(feed, events[1000:1300])
        fetch(feed, events[1300:1600])
        same(feed, windows)
        fetch(feed, events[:400])
        same(feed, windows)


@pytest.mark.parametrize("lateness", [0.0, 1.0])
def test_trades_that_are_later_than_bars_wait_are_in_them_all_the_same(lateness: float) -> None:
    events = market(3000)
    late = [700, 701, 1400, 2900]
    with feed_of(lateness_seconds=lateness) as feed:
        feed.subscribe("BTC-USD", "1s", channels=["trade"], timeout=None)
        hear(feed, events[:500])
        windows = [feed.watch("BTC-USD", kind, [wb.ema(3)]) for kind in KINDS]
        hear(feed, [e for i, e in enumerate(events) if i >= 500 and i not in late])
        for i in late:
            hear(feed, [events[i]])
        same(feed, windows)
        assert feed.health.numbers()["trades_overdue"] > 0


def test_bars_of_quotes_are_those_of_all_quotes_live_too() -> None:
    rng = random.Random(4)
    quotes = [
        {"ev": "XQ", "pair": "BTC-USD", "bp": 100 - rng.random(), "bs": 1, "ap": 100 + rng.random(),
         "as": 1, "t": START * 1000 + 40 * i, "x": 1}
        for i in range(6000)
    ]  # fmt: skip
    kinds = ("mid@1s", "bid@15s", "ask@1m")
    with feed_of(lateness_seconds=0.0) as feed:
        feed.subscribe("BTC-USD", "1s", channels=["trade"], timeout=None)
        hear(feed, quotes[:500])
        windows = [feed.watch("BTC-USD", kind, [wb.sma(3)]) for kind in kinds]
        assert "quote" in feed._core.subscriptions["BTC-USD"].channels, "bars of quotes need them"
        late = [700, 5200]
        hear(feed, [q for i, q in enumerate(quotes) if i >= 2000 and i not in late])
        fetch(feed, [q for i, q in enumerate(quotes) if 500 <= i < 2000 and i not in late])
        hear(feed, [quotes[i] for i in late])
        feed.wait(count=0, timeout=PATIENCE, whole=True)
        rows = feed._call(lambda: feed._core.recent("quote", "BTC-USD", None))
        assert len(rows) == len(quotes)
        for window, kind in zip(windows, kinds, strict=True):
            whole = build_bars(rows, kind)
            # Nobody traded: what is not finished is shown by the quotes alone.
            feed._call(feed._core.board.refresh)
            shown = feed._call(lambda w=window: w.since(0, 0))
            for field in ("time", "open", "high", "low", "close", "count", "timeframe"):
                assert shown.bars[field].tolist() == whole[field].tolist(), (kind, field)
            assert shown.bars["state"][-1] == FORMING
            held, values = feed._call(lambda w=window: (w.closed(), w.values()))
            assert values.tobytes() == wb.sma(3).values(held["close"]).tobytes()
        hear(feed, [quotes[-1] | {"bp": 200.0, "ap": 202.0, "t": quotes[-1]["t"] + 1}])
        feed._call(feed._core.board.refresh)
        assert [w.latest()["close"][0] for w in windows] == [201.0, 200.0, 202.0]


def same(feed: Feed, windows: list[Window]) -> None:
    """Compare the bars of windows, and what indicators make of them, with those of all trades."""
    feed.wait(count=0, timeout=PATIENCE, whole=True)
    for window in windows:
        assert isinstance(window.timeframe, BarKind)
        whole = closed(feed, str(window.timeframe))
        held, values = feed._call(lambda w=window: (w.closed(), w.values()))
        assert len(held) > 3
        # The last trades still wait for later ones.
        assert len(held) >= len(whole) - 25, window.timeframe
        assert held.tobytes() == whole[: len(held)].tobytes(), window.timeframe
        # What is not finished is shown too.
        shown, rows = feed._call(lambda w=window: (w.since(0, 0), w.closed()))
        assert set(shown.bars["state"][len(rows) :]) <= {FORMING}
        trades = feed._call(lambda: feed._core.recent("trade", "BTC-USD", None))
        every = build_bars(trades, str(window.timeframe))
        asked = list(feed.bars("BTC-USD", str(window.timeframe))["close"])
        if window.timeframe.base is None:
            assert shown.bars["close"].tolist() == asked == every["close"].tolist()
        else:  # of a list of trades there is no line that goes on
            assert shown.bars["close"].tolist() == asked
            assert asked[: len(every)] == every["close"].tolist()
        assert len(asked) > len(rows)
        assert values.tobytes() == wb.ema(3).values(held["close"]).tobytes()


def test_signals_live_are_those_of_history(poll_for: Poll, eventually: Eventually) -> None:
    rule = wb.ema_cross(2, 3, 4)
    heard: list[Signal] = []
    options = {"lateness_seconds": 0.2, "window_bars": WINDOW}
    with (
        start_simulator(port=0, symbols=("BTC-USD",), **MARKET) as simulator,
        connect("sim", simulator=simulator, **options) as feed,
    ):
        feed.subscribe("BTC-USD", "1s", channels=["trade"], timeout=PATIENCE)
        feed.wait("BTC-USD", count=600, timeout=PATIENCE)
        live = wb.signals(feed, rule, "BTC-USD", "1s", on_signal=heard.append)
        assert isinstance(live, LiveSignals)
        already = len(live.signals)
        first = int(feed.bars("BTC-USD", "1s").index[0].value)
        poll_for(lambda: len(live.signals) >= already + 2, PATIENCE)
        assert "ema_cross" in repr(live)
        assert "EMA 2 crossed" in live._repr_html_()
        feed.wait("BTC-USD", timeout=PATIENCE, whole=True)

        def same() -> None:
            # Late trades and filled holes may change a bar between two looks.
            told = feed._call(live.book.standing)
            bars = feed.bars("BTC-USD", "1s", forming=False)
            table = wb.signals(bars, rule, "BTC-USD", "1s")
            assert isinstance(table, pd.DataFrame)
            last = max((signal.bar for signal in told), default=0)
            table = table[table["bar"] <= pd.Timestamp(last, tz="UTC")]
            assert len(told) > 0
            assert [(s.bar, s.reason, s.confidence) for s in told] == list(
                zip(table["bar"].astype("int64"), table["reason"], table["confidence"], strict=True)
            )

        eventually(same)
        held = len(feed.bars("BTC-USD", "1s", forming=False))
        assert feed.history("BTC-USD", "1s", bars=held + 200).result(PATIENCE).why == ""
        eventually(same)
        assert len(feed.bars("BTC-USD", "1s", forming=False)) >= held + 200
        assert live.book.standing()[0].bar < first, "the provider's bars before ours count too"
        live.close()
        assert len(heard) >= 2
        assert heard == live.signals[-len(heard) :]
        with pytest.raises(ConfigError, match="needs symbol and timeframe"):
            wb.signals(feed, rule)
