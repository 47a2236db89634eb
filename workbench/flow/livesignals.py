"""The signals of a rule over a live series."""

from __future__ import annotations

import threading
from collections.abc import Callable
from html import escape
from typing import Any

import pandas as pd
from streamz import Stream

from workbench.errors import ConfigError
from workbench.flow.feed import Feed
from workbench.flow.nodes import guard
from workbench.flow.series import Series
from workbench.records import Rows
from workbench.rules.book import SignalBook
from workbench.rules.definition import Rule
from workbench.rules.signal import Signal
from workbench.symbols import canonical
from workbench.timeframes import Timeframe
from workbench.timeframes import timeframe as read_timeframe

__all__ = ["LiveSignals", "signals"]


class LiveSignals:
    """Run a rule over the bars of a feed as they close.

    It begins with the bars the feed holds, so that the rule is warm; what those give is in
    the table like all that follows. A late trade takes the rule back to its bar: signals that
    then do not hold are withdrawn, not erased.

    Parameters
    ----------
    feed : Feed
    rule : Rule
    symbol : str
    timeframe : str or Timeframe
        Subscribed to if it is not yet.
    on_signal : callable or None
        Called with each new :class:`~workbench.rules.Signal`, in the feed's thread.

    Attributes
    ----------
    stream : streamz.Stream
        Of new signals.
    book : SignalBook
    """

    def __init__(
        self,
        feed: Feed,
        rule: Rule,
        symbol: str,
        timeframe: str | Timeframe,
        on_signal: Callable[[Signal], Any] | None = None,
    ) -> None:
        tf = read_timeframe(timeframe)
        self.symbol = canonical(symbol)
        self.book = SignalBook(rule, self.symbol, tf.name)
        self.stream = Stream()
        if on_signal is not None:
            self.stream.sink(on_signal)
        self._feed = feed
        self._series: Series | None = None
        self._lock = threading.Lock()
        self._waiting: list[tuple[Rows, bool]] | None = []
        for indicator in rule.indicators.values():
            indicator.prepare()  # in this thread, not in the feed's
        self._window = feed.watch(self.symbol, tf)
        self._begin(feed._call(self._follow))

    def _follow(self) -> Rows:
        """Return the bars that are shown by now, and be told what is shown from now on.

        Those are not all that the feed builds: where ours are not whole, the provider's stand
        for them.
        """
        core = self._feed._core
        branch, failed = f"signals {self.book.rule.name}", core.pipeline.health.failed
        self._told = Stream(asynchronous=True)
        self._sink = guard(self._told, branch, failed).sink(self._take)
        self._series = core.board.base(core.table.id(self.symbol), self._window.timeframe)
        assert self._series is not None  # it is watched
        self._series.followers.append(self._told.emit)
        return self._window.closed()

    def _begin(self, bars: Rows) -> None:
        """Run over the bars that are there, then over those that came meanwhile."""
        self.book.add(bars)
        while True:
            with self._lock:
                waiting, self._waiting = self._waiting, []
                if not waiting:
                    self._waiting = None
                    return
            for told in waiting:
                self._tell(told)

    def _take(self, told: tuple[Rows, bool]) -> None:
        told = told[0].copy(), told[1]
        with self._lock:
            if self._waiting is not None:
                self._waiting.append(told)
                return
        self._tell(told)

    def _tell(self, told: tuple[Rows, bool]) -> None:
        bars, anew = told
        for signal in self.book.restart(bars) if anew else self.book.add(bars):
            self.stream.emit(signal)

    @property
    def signals(self) -> list[Signal]:
        """All signals so far, withdrawals included."""
        return list(self.book.signals)

    def table(self) -> pd.DataFrame:
        """Return all signals so far as a table."""
        return self.book.table()

    def close(self) -> None:
        """Stop following the feed; the signals so far stay."""
        series, self._series = self._series, None
        if series is not None:
            # Another list: the feed may be going through this one.
            series.followers = [each for each in series.followers if each != self._told.emit]
            self._sink.destroy()
            self._feed.unwatch(self._window)

    def __enter__(self) -> LiveSignals:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        last = self.book.signals[-1] if self.book.signals else "none yet"
        return f"<{self.book.rule.name} on {self.symbol}: {len(self.book.signals)}, last {last}>"

    def _repr_html_(self) -> str:
        title = escape(f"{self.book.rule.name} on {self.symbol}")
        newest = self.table()[["action", "side", "price", "confidence", "reason", "status"]]
        return f"<b>{title}</b>{newest.tail(10).to_html()}"


def signals(
    of: Feed | pd.DataFrame | Rows,
    rule: Rule,
    symbol: str = "",
    timeframe: str | Timeframe | None = None,
    *,
    on_signal: Callable[[Signal], Any] | None = None,
) -> LiveSignals | pd.DataFrame:
    """Run a rule: over a feed as its bars close, or over finished bars as a table.

    Parameters
    ----------
    of : Feed, DataFrame or array of BAR
    rule : Rule
        Such as ``wb.ema_cross()``, or one of your own.
    symbol : str
    timeframe : str or Timeframe
        Needed for a feed; for bars, None takes what they tell.
    on_signal : callable or None
        For a feed: called with each new signal.

    Returns
    -------
    LiveSignals for a feed, else DataFrame

    Raises
    ------
    ConfigError
        If a feed is given without symbol or timeframe.
    """
    if not isinstance(rule, Rule):
        raise ConfigError(f"{rule!r} must be a rule, such as wb.ema_cross() or one of your own")
    if not isinstance(of, Feed):
        name = None if timeframe is None else read_timeframe(timeframe).name
        return rule.over(of, symbol, name)
    if not symbol or timeframe is None:
        raise ConfigError('a feed needs symbol and timeframe: signals(feed, rule, "AAPL", "1m")')
    return LiveSignals(of, rule, symbol, timeframe, on_signal)
