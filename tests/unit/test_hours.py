"""Silence by the calendar: what is a fault, and what is a closed market."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pandas as pd

from workbench.clock import ManualClock
from workbench.config import settings
from workbench.flow.core import Core
from workbench.flow.hours import Hours
from workbench.records import Batch, empty
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Frame
from workbench.symbols import SymbolTable


def at(text: str) -> int:
    return pd.Timestamp(text, tz="UTC").value


def trades(table: SymbolTable, name: str) -> Batch:
    rows = empty("trade", 1)
    rows["symbol"] = table.id(name)
    return Batch("trade", rows)


def test_a_closed_market_is_told_once_with_its_next_open_and_again_when_data_may_come() -> None:
    told: list[tuple[str, str]] = []
    clock, table = ManualClock(at("2025-11-29 12:00")), SymbolTable()  # a Saturday
    hours = Hours(clock, table, lambda kind, text: told.append((kind, text)))
    names = ["AAPL", "SPY"]
    for _ in range(3):
        assert hours.state("connected", names) == "closed"
        clock.advance(2)
    assert hours.next_open == at("2025-12-01 14:30")
    assert told == [("closed", "stocks: closed, opens 2025-12-01 14:30 UTC")]
    assert hours.state("reconnecting", names) == "reconnecting"
    clock.advance((at("2025-12-01 09:00") - clock.now()) / 1e9)  # before the open, 4:00 there
    assert hours.state("connected", names) == "connected"
    assert hours.next_open is None


def test_data_out_of_hours_let_more_be_expected_for_five_minutes() -> None:
    told: list[str] = []
    clock, table = ManualClock(at("2025-11-29 12:00")), SymbolTable()
    hours = Hours(clock, table, lambda kind, text: told.append(kind))
    assert not hours.expected(["AAPL"])
    hours.came(trades(table, "AAPL"))
    assert hours.expected(["AAPL"])
    assert hours.state("connected", ["AAPL"]) == "connected"
    clock.advance(301)
    assert not hours.expected(["AAPL"])
    assert hours.state("connected", ["AAPL"]) == "closed"
    hours.came(trades(table, "AAPL"))
    clock.advance(2)
    assert hours.state("connected", ["AAPL"]) == "connected"
    assert told == ["closed", "open"]


def test_a_market_round_the_clock_keeps_a_feed_open() -> None:
    clock = ManualClock(at("2025-11-29 12:00"))
    hours = Hours(clock, SymbolTable(), lambda kind, text: None)
    assert hours.state("connected", ["AAPL", "BTC-USD"]) == "connected"
    assert hours.expected(["BTC-USD"])
    assert hours.state("connected", []) == "connected"


def test_words_of_the_provider_are_no_data_so_a_closed_market_is_not_reconnected_to() -> None:
    class Still(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(0.01)

    async def refuse(url: str, **options: object) -> object:
        raise ConnectionRefusedError("not today")

    async def main() -> None:
        clock = Still(at("2025-11-29 12:00"))
        make = lambda market, table: MassiveSource(market, table=table)  # noqa: E731
        core = Core(make, settings(), None, None, clock, random.Random(1), refuse)
        try:
            core.subscribe(["AAPL"], [], ("trade",))
            source = MassiveSource("stocks", table=core.table)
            word = b'[{"ev":"status","status":"auth_success","message":"authenticated"}]'
            core.deliver(source, [Frame(clock.now(), word)])
            assert not core._expected("stocks")
            trade = (
                '[{"ev":"T","sym":"AAPL","x":4,"i":"1","z":3,"p":100.0,"s":5,"c":[],"t":%d,"q":1}]'
            )
            core.deliver(source, [Frame(clock.now(), (trade % (clock.now() // 10**6)).encode())])
            assert core._expected("stocks")
            assert np.isfinite(core.prices()["price"].to_numpy()[0])
        finally:
            await core.close()

    asyncio.run(main())
