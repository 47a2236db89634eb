"""Late trades and corrections on a running feed: bars, signals and the store follow."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workbench as wb
from workbench.bars.batchbars import time_bars
from workbench.bars.build import build_bars
from workbench.clock import SystemClock
from workbench.config import settings
from workbench.errors import ConfigError
from workbench.feeds import connect
from workbench.flow.correction import follow_corrections
from workbench.flow.feed import Feed
from workbench.flow.livesignals import LiveSignals
from workbench.history.archive import Archive
from workbench.net.rest import Rest
from workbench.reconciliation.day import fetch_tape
from workbench.records import CANCELLED, Rows
from workbench.sim.run import start_simulator
from workbench.sources.massive import MassiveSource
from workbench.sources.massive_rest import MassiveRest
from workbench.sources.source import Frame
from workbench.store.store import Store, open_store

Poll = Callable[..., None]
Eventually = Callable[[Callable[[], None]], None]
#: Seconds after which a machine does not merely stand still.
PATIENCE = 600.0
START = 1_723_420_800
SECOND = 10**9
MARKET = {"head_start": 60.0, "rate": 20.0, "late": 0.0}
#: More bars than a wild market and the quarter of an hour that is fetched make.
WINDOW = 50_000
KINDS = ("trades:20", "volume:2", "renko:5")
FIELDS = ["time", "open", "high", "low", "close", "volume", "count"]


async def nowhere(url: str, **options: Any) -> Any:
    raise ConnectionRefusedError("not today")


class Standing(SystemClock):
    """The wall stands still; timeouts go on."""

    def now(self) -> int:
        return START * SECOND


def feed_of(store: Store | None) -> Feed:
    """Return a feed whose connections never open, so that frames are handed to it."""
    return Feed(
        lambda market, table: MassiveSource(market, table=table),
        config=settings(lateness_seconds=0.0, max_price_deviation=0.0, max_future_seconds=0.0),
        store=store, clock=Standing(), rng=random.Random(1), connect=nowhere,
    )  # fmt: skip


def hear(feed: Feed, *events: dict[str, Any], later: int = 0) -> None:
    received = max(int(event.get("t", event.get("e", 0))) for event in events) * 10**6
    received += later * SECOND
    source = MassiveSource("crypto", table=feed.table)
    frame = Frame(received, json.dumps(events).encode())
    feed._call(lambda: feed._core.deliver(source, [frame]))


def trade(at: float, price: float, number: int) -> dict[str, Any]:
    ms = round((START + at) * 1000)
    return {"ev": "XT", "pair": "BTC-USD", "p": price, "s": 1, "t": ms, "i": number, "x": 1}


def idle(feed: Feed) -> bool:
    return not feed._call(lambda: feed._core.mending_now)


@pytest.mark.parametrize("kept", [True, False])
def test_signals_are_marked_and_not_erased_however_late_the_trade(
    tmp_path: Path, poll_for: Poll, kept: bool
) -> None:
    rule = wb.ema_cross(2, 4, 6)
    rng = random.Random(3)
    store = open_store(tmp_path / "late.db", durability="normal") if kept else None
    prices = [100 + 6 * np.sin(minute / 5) + rng.random() for minute in range(120)]
    with feed_of(store) as feed:
        feed.subscribe("BTC-USD", "1m", channels=["trade"], timeout=None)
        told: list[Any] = []
        with LiveSignals(feed, rule, "BTC-USD", "1m", told.append) as live:
            for minute, price in enumerate(prices):
                hear(feed, trade(minute * 60 + 1, round(price, 2), minute + 1))
            before = live.signals
            entries = [s for s in before if s.action == "entry"]
            assert len(entries) > 3
            ordinal = next(i for i, s in enumerate(before) if s is entries[1])
            # Closes of some minutes before turn over what the second entry rested on.
            first = (entries[1].bar // SECOND - START) // 60
            for i, minute in enumerate(range(first - 3, first + 1)):
                hear(feed, trade(minute * 60 + 50, 60.0 if i % 2 else 150.0, 1000 + i))
            poll_for(lambda: idle(feed) and len(live.signals) > len(before), PATIENCE)
            after = live.signals
            assert [s.id for s in after[: len(before)]] == [s.id for s in before]
            assert after[ordinal].status == before[ordinal].status, "what was told stays told"
            assert any(s.status == "withdrawn" for s in after[len(before) :])
            assert told == after, "and all of it was told"
            bars = feed.bars("BTC-USD", "1m", forming=False)
            clean = rule.over(feed._call(lambda: live._window.closed()), "BTC-USD", "1m")
            standing = [(s.bar, s.action, s.side) for s in live.book.standing()]
            wanted = clean.reset_index()
            assert len(standing) == len(wanted)
            assert [action for _, action, _ in standing] == wanted["action"].tolist()
            assert (bars["state"] == 3).sum() == 4
    if store is not None:
        store.close()


def test_minutes_sent_again_by_the_provider_agree_everywhere(
    tmp_path: Path, poll_for: Poll
) -> None:
    def minute(at: int, close: float, count: int) -> dict[str, Any]:
        start = (START + at) * 1000
        return {
            "ev": "XA", "pair": "BTC-USD", "o": 10.0, "h": 20.0, "l": 5.0, "c": close, "v": 3.0,
            "vw": 11.0, "s": start, "e": start + 60_000, "z": count,
        }  # fmt: skip

    with open_store(tmp_path / "late.db", durability="normal") as store, feed_of(store) as feed:
        told: list[Rows] = []
        feed.stream("provider_bar").sink(lambda batch: told.append(batch.rows))
        feed.subscribe("BTC-USD", "1m", channels=["bar:1m"], timeout=None)
        hear(feed, minute(0, 11.0, 5))
        hear(feed, minute(60, 12.0, 5))
        hear(feed, minute(0, 13.0, 6), minute(0, 13.0, 6), later=65)
        hear(feed, minute(120, 12.0, 5))
        hear(feed, minute(0, 14.0, 7), later=130)
        put = feed._call(lambda: feed._core._keeper.mark())  # type: ignore[union-attr]
        poll_for(lambda: feed._core._keeper.settled(put), PATIENCE)  # type: ignore[union-attr]
        rows = np.concatenate(told)
        first = rows[rows["time"] == START * SECOND]
        assert first["revision"].tolist() == [0, 1, 2]
        assert first["close"].tolist() == [11.0, 13.0, 14.0]
        stored = store.bars("BTC-USD", "1m", origin=1)
        assert stored["close"].tolist() == [14.0, 12.0, 12.0]
        assert stored["revision"].tolist() == [2, 0, 0]
        history = store.revisions("BTC-USD", "1m", START * SECOND, origin=1)
        assert history["close"].tolist() == [11.0, 13.0, 14.0]
        for known, close in zip(history["known"], history["close"], strict=True):
            then = store.bars("BTC-USD", "1m", origin=1, as_of=known)
            assert then["close"].iloc[0] == close


def test_a_running_feed_follows_trades_that_the_provider_took_back(
    tmp_path: Path, poll_for: Poll, eventually: Eventually
) -> None:
    # The same market, told by another provider that takes trades back: the feed's own must not,
    # whatever it is asked for meanwhile.
    corrected = {**MARKET, "head_start": 0.0, "faults": ["rest-correction:share=0.2,code=8"]}
    with (
        start_simulator(port=0, symbols=("BTC-USD",), **MARKET) as sim,
        start_simulator(port=0, symbols=("BTC-USD",), **corrected) as other,
        open_store(tmp_path / "late.db", durability="normal") as store,
        connect(
            "sim", simulator=sim, store=store, lateness_seconds=0.0, window_bars=WINDOW
        ) as feed,
        Archive("sim", Rest(other.rest_url, key="key"), MassiveRest(page_rows=500)) as archive,
    ):
        feed.subscribe("BTC-USD", ["1s", "5s"], channels=["trade"], timeout=PATIENCE)
        window = feed.watch("BTC-USD", "1s", [wb.ema(3)])
        kinds = [feed.watch("BTC-USD", kind, [wb.ema(3)]) for kind in KINDS]
        feed.wait("BTC-USD", count=400, timeout=PATIENCE)
        poll_for(lambda: len(store.trades("BTC-USD")) >= 400, PATIENCE)
        trades = store.rows("trade", "BTC-USD", table=feed.table)
        start, end = int(trades["time"][0]), int(trades["time"][-1]) + 1
        poll_for(lambda: other.position >= end, PATIENCE)
        void = fetch_tape(archive, "BTC-USD", start, end).void
        gone = trades[np.isin(trades["id"], void["id"]) & np.isin(trades["time"], void["time"])]
        assert len(gone) > 20
        gone["flags"] |= CANCELLED
        assert store.amend_trades(gone, feed.table) == len(gone)
        heard: list[Rows] = []
        feed.stream("bar").sink(lambda batch: heard.append(batch.rows))
        follow_corrections(feed, "BTC-USD", start, end)
        poll_for(lambda: idle(feed), PATIENCE)
        assert any((rows["revision"] > 0).any() for rows in heard)

        def followed() -> None:
            left = store.rows("trade", "BTC-USD", end=end, table=feed.table)
            assert not np.isin(left["id"], gone["id"]).any()
            for name in ("1s", "5s"):
                wanted = time_bars(left, name)[:-1]  # the last one goes on
                held = feed._call(
                    lambda name=name: feed._core.bars("BTC-USD", wb.timeframe(name), False)
                )
                stored = store.rows("bar", "BTC-USD", timeframe=name, origin=0, table=feed.table)
                for rows in (held, stored):
                    some = rows[np.isin(rows["time"], wanted["time"])]
                    assert some[FIELDS].tolist() == wanted[FIELDS].tolist()
            closed, values = feed._call(lambda: (window.closed(), window.values()))
            assert values.tobytes() == wb.ema(3).start("BTC-USD").add(closed).tobytes()
            for each in kinds:
                held, bars, values = feed._call(
                    lambda each=each: (
                        feed._core.recent("trade", "BTC-USD", None), each.closed(), each.values()
                    )
                )  # fmt: skip
                assert not np.isin(held["id"], gone["id"]).any()
                clean = build_bars(held, str(each.timeframe))
                assert len(bars) > 10
                assert bars["close"].tolist() == clean["close"][: len(bars)].tolist()
                assert bars["volume"].tolist() == clean["volume"][: len(bars)].tolist()
                assert values.tobytes() == wb.ema(3).values(bars["close"]).tobytes()

        eventually(followed)


def test_a_feed_without_a_store_has_nothing_to_follow() -> None:
    with feed_of(None) as feed:
        feed.subscribe("BTC-USD", "1m", channels=["trade"], timeout=None)
        hear(feed, trade(1, 10.0, 1))
        with pytest.raises(ConfigError, match="corrected in a store"):
            follow_corrections(feed, "BTC-USD", START * SECOND, (START + 60) * SECOND)
