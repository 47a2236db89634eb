"""What a feed tells its ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest

from workbench.clock import ManualClock
from workbench.errors import StoreError, StoreFullError
from workbench.flow.continuity import Continuity, series_of
from workbench.history.ledger import Ledger
from workbench.records import BAR, QUOTE, TRADE, Batch
from workbench.sources.massive import MassiveSource
from workbench.sources.source import Reject, Topic
from workbench.store.coverage import OPEN, Change, Series
from workbench.symbols import SymbolTable

SECOND = 10**9
START = 1_700_000_000 * SECOND
TRADES = Series("massive", "BTC-USD", "trade")
TOPICS = [Topic("BTC-USD", "trade"), Topic("BTC-USD", "bar:1m"), Topic("BTC-USD", "quote")]


class Fixture:
    """A continuity of one market, whose store takes what it is told to."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.table = SymbolTable(["BTC-USD"])
        self.source = MassiveSource("crypto", table=self.table)
        self.full = False
        self.written: list[Change] = []
        self.stored = True
        self.failures: list[StoreError] = []
        self.begun: list[tuple[list[Series], int]] = []
        self.ledger = Ledger(persist=self._persist)
        self.it = Continuity(
            self.ledger,
            self.table,
            self.clock,
            lambda topic: topic.channel != "quote",
            lambda: 7,
            lambda mark: self.stored,
            self.failures.append,
            lambda series, at: self.begun.append((list(series), at)),
        )

    def _persist(self, changes: Sequence[Change]) -> None:
        if self.full:
            raise StoreFullError("no room")
        self.written += changes

    def data(self, delay: float = 0.0, kind: Literal["trade", "quote"] = "trade") -> None:
        """Let a trade or quote come whose time is some seconds ago."""
        now = self.clock.now()
        rows = np.zeros(1, TRADE if kind == "trade" else QUOTE)
        rows["time"], rows["received"] = now - round(delay * SECOND), now
        self.it.frames(self.source, now)
        self.it.came(Batch(kind, rows))

    def bar(self, delay: float) -> None:
        """Let a minute bar come that ended some seconds ago."""
        now = self.clock.now()
        rows = np.zeros(1, BAR)
        rows["time"], rows["timeframe"] = now - round((60 + delay) * SECOND), 60
        self.it.frames(self.source, now)
        self.it.came(Batch("bar", rows))

    def states(self, one: Series = TRADES) -> list[tuple[str, float, float]]:
        """Return what the ledger says, in seconds since the start."""
        told = []
        for part in self.ledger.intervals(one):
            end = float("inf") if part.end == OPEN else (part.end - START) / SECOND
            told.append((part.state, (part.start - START) / SECOND, end))
        return told


@pytest.fixture
def f() -> Fixture:
    return Fixture()


def test_a_topic_names_its_series() -> None:
    assert series_of("x", TOPICS[0]) == Series("x", "BTC-USD", "trade")
    assert series_of("x", TOPICS[1]) == Series("x", "BTC-USD", "bar", 60)


def test_a_series_is_received_from_the_first_data_on(f: Fixture) -> None:
    new = f.it.subscribed("massive", "crypto", TOPICS)
    assert {one.kind for one in new} == {"trade", "bar"}, "quotes are not kept"
    assert f.states() == []
    f.clock.advance(1)
    f.data(delay=0.25)
    assert f.states() == [("doubt", 0.75, float("inf"))]
    assert f.begun[0][1] == START + round(0.75 * SECOND)
    assert f.written, "the tail is written down before anything is proven"
    assert f.it.subscribed("massive", "crypto", TOPICS) == []


def test_first_data_that_were_reported_late_prove_nothing(f: Fixture) -> None:
    f.it.subscribed("massive", "crypto", TOPICS)
    f.clock.advance(100)
    f.data(delay=90)
    assert f.states() == [("doubt", 10, float("inf"))]
    f.clock.advance(10)
    f.data(delay=0.5)
    f.clock.advance(10)
    f.it.tick()
    f.it.tick()
    assert f.states() == [
        ("doubt", 10, 99.5),
        ("received", 99.5, 107.5),
        ("doubt", 107.5, float("inf")),
    ]
    assert next(part.ready for part in f.ledger.intervals(TRADES)) < OPEN, "it can be fetched"


def test_a_late_report_after_a_loss_does_not_shorten_it(f: Fixture) -> None:
    f.it.subscribed("massive", "crypto", TOPICS)
    f.data()
    f.clock.advance(50)
    f.data()
    f.it.tick()
    f.it.tick()
    f.clock.advance(1)
    f.it.lost("crypto", "cut")
    f.clock.advance(20)
    f.it.subscribed("massive", "crypto", TOPICS)
    f.data(delay=60)
    assert f.states() == [("received", 0, 48), ("doubt", 48, 71), ("doubt", 71, float("inf"))]


def test_a_quiet_market_is_received_after_some_seconds(f: Fixture) -> None:
    f.it.subscribed("massive", "crypto", TOPICS)
    f.clock.advance(2.9)
    f.it.tick()
    assert f.states() == []
    f.clock.advance(0.2)
    f.it.tick()
    assert [state for state, *_ in f.states()] == ["doubt"]


def test_a_delayed_market_that_was_quiet_at_first_is_received_from_its_own_time_on(
    f: Fixture,
) -> None:
    f.it.subscribed("massive", "crypto", TOPICS)
    f.clock.advance(4)
    f.it.frames(f.source, f.clock.now())  # something that tells no time
    f.it.tick()
    f.clock.advance(4)
    f.it.frames(f.source, f.clock.now())
    f.it.tick()
    f.it.tick()
    assert f.states() == [("doubt", 4, float("inf"))], "nothing is proven by a guess"
    f.data(delay=900)
    assert f.states() == [("doubt", -892, float("inf"))]
    assert [at for _, at in f.begun] == [START + 4 * SECOND, START - 892 * SECOND]
    f.clock.advance(10)
    f.data(delay=900)
    f.it.tick()
    f.it.tick()
    assert f.states() == [("received", -892, -884), ("doubt", -884, float("inf"))]
    f.it.lost("crypto", "cut")
    assert f.states()[1][:2] == ("doubt", -884), "what is lost is lost in the market's time"


def test_a_market_that_catches_up_after_a_quiet_start_is_never_in_doubt_ahead_of_itself(
    f: Fixture,
) -> None:
    f.it.subscribed("massive", "crypto", TOPICS)
    f.clock.advance(4)
    f.it.tick()
    for delay in (240, 180, 120, 60, 0):
        f.data(delay=delay)
        now = (f.it.now("crypto") - START) / SECOND
        assert max((end for state, _, end in f.states() if end < 1e9), default=now) <= now
        f.clock.advance(0.1)
    f.it.tick()
    f.it.tick()
    assert f.states()[-1][0] == "doubt"
    assert f.states()[-2][0] == "received"


def test_quotes_tell_the_time_of_a_market_without_trades(f: Fixture) -> None:
    f.it.subscribed("massive", "crypto", TOPICS)
    f.data(delay=900, kind="quote")
    assert f.it.now("crypto") == START - 900 * SECOND
    assert f.states() == [("doubt", -900, float("inf"))]


def test_bars_tell_the_time_only_where_nothing_else_comes(f: Fixture) -> None:
    bars = Series("massive", "BTC-USD", "bar", 60)
    f.it.subscribed("massive", "crypto", TOPICS[1:])
    f.clock.advance(4)
    f.it.tick()
    f.bar(delay=900)
    assert f.it.now("crypto") == f.clock.now() - 900 * SECOND
    f.clock.advance(300)
    f.bar(delay=900)
    f.it.tick()
    f.it.tick()
    assert f.it.lost("crypto", "cut") == 1
    # What the provider would have told in the next minutes was not received.
    (begin, end) = next((a, b) for state, a, b in f.states(bars) if state == "doubt")
    assert begin <= 304 - 900
    assert end > 304 - 900
    f = Fixture()
    f.it.subscribed("massive", "crypto", TOPICS)
    f.bar(delay=9)
    assert f.states() == [], "trades are to come, which tell it better"


def test_what_came_is_proven_once_it_is_stored(f: Fixture) -> None:
    f.it.subscribed("massive", "crypto", TOPICS)
    f.data()
    f.clock.advance(100)
    f.data()
    f.stored = False
    f.it.tick()
    f.it.tick()
    assert [state for state, *_ in f.states()] == ["doubt"]
    f.stored = True
    f.it.tick()
    assert f.states() == [("received", 0, 98), ("doubt", 98, float("inf"))]
    bars = Series("massive", "BTC-USD", "bar", 60)
    (first, *_) = f.states(bars)
    assert first[0] == "received"
    assert (START + round(first[2] * SECOND)) % (60 * SECOND) == 0, "bars are proven whole"


def test_a_delayed_feed_is_told_in_the_time_of_its_market(f: Fixture) -> None:
    f.it.subscribed("massive", "crypto", TOPICS)
    f.data(delay=900)
    assert f.states() == [("doubt", -900, float("inf"))]
    assert f.it.now("crypto") == START - 900 * SECOND
    f.clock.advance(10)
    f.data(delay=900)
    f.it.tick()
    f.it.tick()
    assert f.states()[0] == ("received", -900, -892)


def test_a_loss_puts_in_doubt_what_came_after_the_last_frame(f: Fixture) -> None:
    f.it.subscribed("massive", "crypto", TOPICS)
    f.data()
    f.clock.advance(50)
    f.data()
    f.it.tick()
    f.it.tick()
    f.clock.advance(30)  # silence, noticed late
    assert f.it.lost("crypto", "no frame for 30 s") == 2
    assert f.states() == [("received", 0, 48), ("doubt", 48, float("inf"))]
    assert f.it.lost("crypto", "again") == 0
    f.clock.advance(5)
    f.it.subscribed("massive", "crypto", TOPICS)
    f.data()
    assert f.states()[:2] == [("received", 0, 48), ("doubt", 48, 85)]


def test_bad_events_put_their_symbol_in_doubt_and_unknown_kinds_nothing(f: Fixture) -> None:
    f.table.id("ETH-USD")
    f.it.subscribed("massive", "crypto", [*TOPICS, Topic("ETH-USD", "trade")])
    f.data()
    f.clock.advance(100)
    f.data()
    f.it.tick()
    f.it.tick()
    f.it.rejects(f.source, [Reject("unknown-event", "", b"", f.clock.now())])
    eth = Series("massive", "ETH-USD", "trade")
    assert all(state != "doubt" or end == float("inf") for state, _, end in f.states())
    f.it.rejects(f.source, [Reject("malformed", "", b"", f.clock.now(), "BTC-USD")])
    assert ("doubt", 98, 102) in f.states() or any(
        state == "doubt" and end != float("inf") for state, _, end in f.states()
    )
    assert all(state != "doubt" or end == float("inf") for state, _, end in f.states(eth))
    f.it.rejects(f.source, [Reject("malformed", "", b"", f.clock.now())])
    assert any(state == "doubt" and end != float("inf") for state, _, end in f.states(eth))


@pytest.mark.parametrize("further", [0.0, 0.5, 8.0])
def test_what_was_spoiled_may_be_as_new_as_the_data_that_follow(f: Fixture, further: float) -> None:
    f.it.subscribed("massive", "crypto", TOPICS)
    f.data(10.0)
    for _ in range(2):
        f.clock.advance(100)
        f.it.rejects(f.source, [Reject("malformed", "", b"", f.clock.now(), "BTC-USD")])
    f.clock.advance(1)
    f.data(10.0 - further)  # the market goes faster than our clock, or data come sooner

    def doubts() -> list[tuple[float, float]]:
        f.it.tick()
        f.it.tick()
        # What began with the first data is another matter, and so is what is not stored yet.
        held = [(start, end) for state, start, end in f.states() if state == "doubt"]
        return [(start, end) for start, end in held if start > 50 and end < 250]

    seen = doubts()
    assert seen == (
        [(88.0, 92.0), (92.0, 200.0)] if further >= 1.0 else [(88.0, 92.0), (188.0, 192.0)]
    )
    f.clock.advance(1)
    f.data()
    assert doubts() == seen, "it is judged by the first data after it"


def test_what_the_store_dropped_is_in_doubt(f: Fixture) -> None:
    f.it.subscribed("massive", "crypto", TOPICS)
    f.data()
    f.clock.advance(100)
    f.data()
    f.it.tick()
    f.it.tick()
    f.it.dropped("trade", "BTC-USD", START + 10 * SECOND, START + 20 * SECOND)
    assert ("doubt", 10, 20 + 1e-9) in [(s, a, round(b, 9)) for s, a, b in f.states()]
    f.it.dropped("trade", "ETH-USD", START, START + SECOND)


def test_a_full_disk_does_not_stop_the_feed_and_nothing_is_forgotten(f: Fixture) -> None:
    f.it.subscribed("massive", "crypto", TOPICS)
    f.data()
    f.full = True
    f.clock.advance(50)
    assert f.it.lost("crypto", "cut") == 2
    f.it.subscribed("massive", "crypto", TOPICS)
    f.data()
    f.it.tick()
    assert f.failures
    assert f.states() == [("doubt", 0, float("inf"))]
    f.full = False
    f.it.tick()
    assert f.states()[0][:2] == ("doubt", -2), "the loss was said, then the new beginning"
    assert f.states()[0][2] == 50


def test_what_is_not_wanted_any_more_ends(f: Fixture) -> None:
    f.it.subscribed("massive", "crypto", TOPICS)
    f.data()
    f.clock.advance(60)
    f.data()
    f.it.tick()
    f.it.end()
    assert f.states()[0] == ("received", 0, 58)
    assert f.states()[-1][2] == 60
    assert f.it.series() == []
