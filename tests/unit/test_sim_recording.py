"""Files of trades, and their replay."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.errors import ConfigError, TapeError
from workbench.sim.aggregates import MINUTE
from workbench.sim.readers import read_trades
from workbench.sim.recording import RecordedMarket

NONE: frozenset[int] = frozenset()


def test_massive_form(shared_data: Path) -> None:
    path = shared_data / "replay_massive_form" / "crypto_btcusdt_20240808.jsonl.gz"
    (reading,) = read_trades(path)
    assert reading.symbol == "BTC-USD"
    assert (len(reading.trades), len(reading.quotes), len(reading.messages)) == (9757, 28040, 37797)
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    first = next(line for line in lines if line["msg"]["ev"] == "XT")
    row = reading.trades[0]
    assert row["time"] == first["msg"]["t"] * 10**6
    assert row["received"] == first["at_ns"]
    assert (row["price"], row["size"]) == (first["msg"]["p"], first["msg"]["s"])
    assert row["id"] == first["msg"]["i"]
    assert row["side"] == -1


def test_binance_frames_tell_the_same_trades(shared_data: Path) -> None:
    raw = shared_data / "crypto" / "binance_raw_ws" / "btcusdt_20240808.gz"
    shaped = shared_data / "replay_massive_form" / "crypto_btcusdt_20240808.jsonl.gz"
    (one,), (other,) = read_trades(raw), read_trades(shaped)
    assert one.symbol == other.symbol == "BTC-USD"
    for name in ("time", "price", "size", "id", "side", "conditions"):
        assert np.array_equal(one.trades[name], other.trades[name]), name
    for name in ("bid", "bid_size", "ask", "ask_size"):
        assert np.array_equal(one.quotes[name], other.quotes[name]), name


def test_lean_zip(shared_data: Path) -> None:
    path = shared_data / "equity" / "tick" / "spy" / "20131007_trade.zip"
    (reading,) = read_trades(path)
    with zipfile.ZipFile(path) as archive:
        table = pd.read_csv(archive.open(archive.namelist()[0]), header=None)
    assert reading.symbol == "SPY"
    assert len(reading.trades) == len(table) == 250_601
    assert reading.trades["time"][0] == 1_381_118_400_000_000_000 + 14_400_464 * 10**6
    assert np.array_equal(reading.trades["price"], table[1] / 10_000)
    assert np.array_equal(reading.trades["size"], table[2])


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_tables(tmp_path: Path, suffix: str) -> None:
    table = pd.DataFrame(
        {
            "time": ["2024-08-08T13:30:00.000000001Z", "2024-08-08T09:30:01-04:00"],
            "symbol": ["BTC-USD", "SPY"],
            "price": [60_000.5, 530.25],
            "size": [0.1, 100.0],
            "exchange": ["1", "P"],
            "id": ["17", "x9"],
            "conditions": ["2", "14 37"],
        }
    )
    path = tmp_path / f"trades.{suffix}"
    table.to_parquet(path) if suffix == "parquet" else table.to_csv(path, index=False)
    crypto, stock = read_trades(path)
    assert (crypto.symbol, stock.symbol) == ("BTC-USD", "SPY")
    assert crypto.trades["time"][0] == 1_723_123_800_000_000_001
    assert stock.trades["time"][0] == 1_723_123_801_000_000_000
    assert crypto.trades["id"][0] == 17
    assert stock.trades["exchange"][0] == 11
    assert stock.trades["conditions"][0] == 14 | 37 << 8


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"time,price\n1,2\n"),
        ("a.csv", b"time,symbol,price,size\nsoon,SPY,1,1\n"),
        ("a.csv", b"time,symbol,price,size\n1,<script>,1,1\n"),
        ("a.jsonl", b'{"at_ns":"x","msg":{}}\n'),
        ("a.jsonl", b'{"at_ns":1,"msg":{"ev":"T"}}\n'),
        ("a.jsonl.gz", b"\x1f\x8bgarbage"),
        ("20131007_trade.zip", b"not a zip"),
        ("a.parquet", b"not parquet"),
        ("a.jsonl", b""),
    ],
)
def test_unreadable_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TapeError):
        RecordedMarket([path])


def made(folder: Path, n: int = 20) -> Path:
    path = folder / "t.csv"
    lines = [f"{(100 + i) * 10**9},SPY,{10 + i % 3},{1 + i}" for i in range(n)]
    path.write_text("time,symbol,price,size\n" + "\n".join(lines))
    return path


def test_pace(tmp_path: Path) -> None:
    market = RecordedMarket([made(tmp_path)], speed=2.0)
    position = market.begin(5_000)
    assert position == 100 * 10**9
    assert market.reach(position, 5_000 + 10**9, 1) == 102 * 10**9
    hurried = RecordedMarket([made(tmp_path)], speed="max")
    at = hurried.begin(0)
    seen = 0
    for _ in range(10):
        until = hurried.reach(at, 0, 7)
        seen += len(hurried.chunk(at, until, NONE))
        at = until
    assert seen == len(hurried) == 20
    assert hurried.ended(at)


def test_history_is_what_was_sent_unless_revealed(tmp_path: Path) -> None:
    path = made(tmp_path)
    market = RecordedMarket([path])
    market.begin(0)
    assert market.known(105 * 10**9) == 105 * 10**9
    assert len(market.trades("SPY", 0, 1 << 62, market.known(105 * 10**9))) == 5
    open_book = RecordedMarket([path], reveal=True)
    assert len(open_book.trades("SPY", 0, 1 << 62, open_book.known(0))) == 20
    assert open_book.minutes("SPY", 0, 1 << 62, open_book.known(0))["count"].sum() == 20
    with pytest.raises(ConfigError):
        RecordedMarket([path], reveal=True, loop=True)
    with pytest.raises(ConfigError):
        RecordedMarket([path], speed=0)


def test_loop_goes_on_with_later_times_and_new_ids(tmp_path: Path) -> None:
    market = RecordedMarket([made(tmp_path)], speed="max", loop=True)
    at, events = market.begin(0), []
    while len(events) < 60:
        until = market.reach(at, 0, 15)
        events += [json.loads(event) for event in market.chunk(at, until, NONE).events()]
        at = until
    assert not market.ended(at)
    times = [event["t"] for event in events]
    assert times == sorted(times)
    assert (times[20] - times[0]) % (MINUTE // 10**6) == 0
    assert len({event["i"] for event in events}) == len(events)
    rows = market.trades("SPY", 0, at, at)
    assert [str(i) for i in rows["id"]][:60] == [event["i"] for event in events][:60]
    assert len(market.sent("SPY", 0, at)) == len(rows)


def test_two_files_are_played_together(tmp_path: Path) -> None:
    other = tmp_path / "u.csv"
    other.write_text("time,symbol,price,size\n100500000000,QQQ,1,1\n")
    market = RecordedMarket([made(tmp_path), other])
    events = [json.loads(event)["sym"] for event in market.chunk(0, 103 * 10**9, NONE).events()]
    assert events == ["SPY", "QQQ", "SPY", "SPY"]
