"""One truth: live over a socket, replayed and in batch, the same to the last bit."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.analytics import ema, rsi, sma, vwap
from workbench.bars.batchbars import time_bars
from workbench.digest import digest
from workbench.feeds import connect
from workbench.flow.feed import Feed
from workbench.records import Rows
from workbench.sim.run import RunningSimulator, start_simulator
from workbench.sources.massive import MassiveSource
from workbench.store.store import Store, open_store

TIMEFRAMES = ("1s", "15s", "1m", "5m")
INDICATORS = (ema(20), sma(10), rsi(14), vwap())
Poll = Callable[..., None]
#: What was stopped for a while has not gone: all is to come over one connection.
PATIENT: dict[str, Any] = {"heartbeat_seconds": 3600.0, "silence_seconds": 3600.0}
UNHURRIED: dict[str, Any] = {"ping_seconds": None, "auth_timeout": 600.0}


def fingerprint(feed: Feed) -> str:
    """Close every bar and hash what the feed holds: all bars, and four indicators on them."""
    feed._call(feed._core.pipeline.finish)
    bars: dict[str, Rows] = {}
    values = {}
    for symbol in feed.symbols():
        for name in TIMEFRAMES:
            window = feed.watch(symbol, name, INDICATORS)
            bars[f"{symbol} {name}"] = window.closed()
            values[f"{symbol} {name}"] = window.values()
            feed.unwatch(window)
    return digest(bars, values)


def batch(store: Store, symbols: tuple[str, ...]) -> str:
    """Hash the same, computed from stored trades in one go."""
    bars: dict[str, Rows] = {}
    values = {}
    for symbol in symbols:
        trades = store.rows("trade", symbol)
        for name in TIMEFRAMES:
            rows = time_bars(trades, name)
            columns = [i.start(symbol).add(rows) for i in INDICATORS]
            bars[f"{symbol} {name}"] = rows
            values[f"{symbol} {name}"] = np.hstack(columns)
    return digest(bars, values)


def record(
    simulator: RunningSimulator, folder: Path, poll_for: Poll, symbols: tuple[str, ...]
) -> tuple[str, Feed]:
    """Play a simulator's recording to its end; return the live fingerprint and closed feed."""
    feed = connect(
        "sim", simulator=simulator, store=folder / "live.db", tape=folder / "live.tape",
        window_bars=20_000, **PATIENT,
    )  # fmt: skip
    with feed:
        feed.subscribe(symbols, TIMEFRAMES, timeout=300)
        poll_for(lambda: simulator.finished, 300)
        wanted = sum(n for topic, n in simulator.sent().items() if topic.startswith(("T.", "XT.")))
        poll_for(lambda: feed.health.numbers()["trades_received"] == wanted, 300)
        live = fingerprint(feed)
        assert feed.health.conserved()
    return live, feed


def play(tape: Path, speed: float, **options: float) -> str:
    """Return the fingerprint of a replay."""
    feed = Feed(lambda market, table: MassiveSource(market, table=table), **_config(**options))
    with feed:
        feed.play(tape, speed=speed, timeframes=TIMEFRAMES).result(600)
        return fingerprint(feed)


def _config(**options: float) -> dict[str, object]:
    from workbench.config import settings

    return {"config": settings(window_bars=20_000, **options)}


def test_live_replay_at_any_speed_and_batch_are_equal(
    shared_data: Path, tmp_path: Path, poll_for: Poll
) -> None:
    folder = shared_data / "replay_massive_form"
    files = tuple(folder.glob("crypto_*.jsonl.gz"))
    assert len(files) == 2
    with start_simulator(port=0, trades=files, speed="max", wait_for=1, **UNHURRIED) as simulator:
        live, feed = record(simulator, tmp_path, poll_for, simulator.symbols)
    tape = tmp_path / "live.tape"
    assert play(tape, math.inf) == live
    assert play(tape, 60.0) == live
    assert play(tape, math.inf, lateness_seconds=0.0) == live
    with open_store(tmp_path / "live.db", mode="ro") as store:
        assert batch(store, feed.symbols()) == live


def test_an_invented_market_with_late_trades_is_equal_too(tmp_path: Path, poll_for: Poll) -> None:
    options = {"head_start": 240.0, "rate": 20.0, "late": 0.01, "wait_for": 2, **UNHURRIED}
    symbols = ("BTC-USD", "AAPL")
    with (
        start_simulator(port=0, symbols=symbols, **options) as simulator,
        connect(
            "sim", simulator=simulator, store=tmp_path / "live.db", tape=tmp_path / "live.tape",
            window_bars=20_000, lateness_seconds=100.0, **PATIENT,
        ) as feed,
    ):  # fmt: skip
        feed.subscribe(symbols, TIMEFRAMES, timeout=300)
        feed.wait(timeout=240, count=6_000, whole=True)
        simulator.close()
        # One of them may go before the other has been read to its end.
        streams = [feed._core.uplink.stream(market) for market in ("crypto", "stocks")]
        poll_for(lambda: all(one is not None and one.state == "reconnecting" for one in streams))
        live = fingerprint(feed)
        names = feed.symbols()
        assert feed.health.conserved()
    tape = tmp_path / "live.tape"
    assert play(tape, math.inf, lateness_seconds=100.0) == live
    with open_store(tmp_path / "live.db", mode="ro") as store:
        assert batch(store, names) == live


def plain_bars(trades: pd.DataFrame, seconds: int) -> pd.DataFrame:
    """Compute bars as anyone would with pandas: plain sums of floats."""
    trades = trades.sort_values("time", kind="stable")
    start = trades["time"] // (seconds * 10**9) * (seconds * 10**9)
    groups = trades.assign(notional=trades["price"] * trades["size"]).groupby(start)
    bars = groups["price"].agg(open="first", high="max", low="min", close="last")
    bars["volume"] = groups["size"].sum()
    bars["vwap"] = groups["notional"].sum() / bars["volume"]
    bars["count"] = groups.size()
    return bars


def spy_trades(path: Path) -> pd.DataFrame:
    """Read the recorded day of SPY without any of our code."""
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        frame = pd.read_csv(
            file, header=None,
            names=["ms", "price", "size", "exchange", "conditions", "suspicious"],
        )  # fmt: skip
    midnight = pd.Timestamp("2013-10-07", tz="America/New_York").value
    return pd.DataFrame(
        {
            "time": midnight + frame["ms"].astype("int64") * 1_000_000,
            "price": frame["price"] / 10_000,
            "size": frame["size"].astype(float),
        }
    )


def test_a_real_day_of_spy_ends_in_the_store_as_pandas_computes_it(
    shared_data: Path, tmp_path: Path, poll_for: Poll
) -> None:
    path = shared_data / "equity" / "tick" / "spy" / "20131007_trade.zip"
    truth = spy_trades(path)
    with (
        start_simulator(
            port=0, trades=(path,), speed="max", wait_for=1, **UNHURRIED
        ) as simulator,
        connect(
            "sim", simulator=simulator, store=tmp_path / "spy.db", tape_rules=False, **PATIENT
        ) as feed,
    ):  # fmt: skip
        feed.subscribe("SPY", ["1m", "5m"], channels=["trade"], timeout=300)
        poll_for(lambda: feed.health.numbers()["trades_received"] == len(truth), 300)
        feed._call(feed._core.pipeline.finish)
        assert feed.health.numbers()["trades_accepted"] == len(truth)
    with open_store(tmp_path / "spy.db", mode="ro") as store:
        assert len(store.trades("SPY")) == len(truth)
        for seconds in (60, 300):
            bars, plain = store.bars("SPY", seconds, origin=0), plain_bars(truth, seconds)
            assert bars.index.asi8.tolist() == plain.index.tolist()
            for column in ("open", "high", "low", "close", "count"):
                assert bars[column].tolist() == plain[column].tolist(), (seconds, column)
            for column in ("volume", "vwap"):
                np.testing.assert_allclose(bars[column], plain[column], rtol=1e-12)
            assert bars["volume"].sum() == truth["size"].sum()
