"""A fake feed that knows what it received, how good that is, and warm-ups that a test moves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd

from workbench.clock import Clock, SystemClock
from workbench.history.coverage import Coverage
from workbench.history.ledger import Ledger
from workbench.history.warmresults import Result, Status
from workbench.history.warmups import WARMUPS
from workbench.quality.score import Quality, quality_of
from workbench.store.coverage import Series

SECOND = 10**9
MINUTE = 60 * SECOND


class Book:
    """A ledger of the trades of some symbols, and qualities, as a feed has them.

    Parameters
    ----------
    symbols : tuple of str
    start, now : int
        Since when they are received, and until when, ns UTC.
    """

    def __init__(self, symbols: tuple[str, ...], start: int, now: int) -> None:
        self.series = [Series("sim", name, "trade") for name in symbols]
        self.ledger = Ledger()
        self.quality = Quality([quality_of(name) for name in symbols])
        self.looks = self.scores = 0  # how often they were asked for
        self.ledger.live(self.series, at=start, connection="crypto 1")
        self.ledger.heard("sim", until=now)

    @property
    def coverage(self) -> Coverage:
        """What is known."""
        return Coverage(self.ledger.rows())

    def worsen(self, symbol: str, completeness: float) -> None:
        """Let a symbol lack some of its data."""
        self.quality = Quality(
            quality_of(one.series, completeness=completeness if one.series == symbol else 1.0)
            for one in self.quality.series
        )


class FakeWarmups:
    """Stand for a coordinator: a test tells when a warm-up is over.

    Parameters
    ----------
    clock : Clock or None
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.asked: list[tuple[str, bool]] = []
        self._status = Status()
        self._clock = clock or SystemClock()

    @property
    def status(self) -> Status:
        return self._status

    def fetch(self, symbol: str, *, force: bool = False) -> Any:
        results = {one.name: Result(one, symbol, "running") for one in WARMUPS}
        self._status = Status(symbol, True, results)
        self.asked.append((symbol, force))  # last: a test that sees it may end them
        return SimpleNamespace(symbol=symbol)

    def end(self, failing: tuple[str, ...] = ()) -> None:
        """End all warm-ups, some of them badly."""
        bars = pd.DataFrame({"close": range(35)})
        results = {
            one.name: Result(one, self._status.symbol, "failed", reason="429: too many requests")
            if one.name in failing
            else Result(
                one, self._status.symbol, "done", bars=bars, words="uptrend, +0.012 a bar",
                origin="provider", fetched=self._clock.now(),
            )
            for one in WARMUPS
        }  # fmt: skip
        self._status = Status(self._status.symbol, False, results)


def with_book(feed: Any, book: Book) -> Any:
    """Return a feed that also has a ledger and qualities."""

    class Known(type(feed)):  # type: ignore[misc]
        @property
        def coverage(self) -> Coverage:
            book.looks += 1
            return book.coverage

        @property
        def quality(self) -> Quality:
            book.scores += 1
            return book.quality

    feed.__class__ = Known
    feed.book = book
    return feed
