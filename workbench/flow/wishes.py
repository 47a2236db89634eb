"""What is wanted of a feed: symbols, their timeframes and channels, and how a series begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from workbench.bars.kinds import BarKind
from workbench.bars.quotebars import QUOTE_FAMILIES
from workbench.errors import WorkbenchError
from workbench.flow.board import Board
from workbench.flow.graph import Pipeline
from workbench.flow.keeper import Keeper
from workbench.flow.kindbars import base_of
from workbench.flow.prices import DAY
from workbench.flow.recent import Recent
from workbench.flow.seam import newer, seam
from workbench.records import CANCELLED, Rows, empty
from workbench.sources.source import Topic
from workbench.store.store import Store
from workbench.symbols import asset_class
from workbench.timeframes import Timeframe

__all__ = ["CHANNELS", "PAST", "Subscription", "Wishes", "check_channels"]

CHANNELS = ("trade", "quote", "bar:1s", "bar:1m")

#: Bars read from the store to begin a series with, as a multiple of its window: indicators
#: that never forget are then the same to the last bit as if run over everything.
PAST = 5
_HOUR = 3600 * 10**9


def check_channels(channels: Iterable[str]) -> None:
    """Raise ValueError if there is no such channel."""
    for channel in channels:
        if channel not in CHANNELS:
            raise ValueError(f"channel {channel!r} is not one of {', '.join(CHANNELS)}")


@dataclass
class Subscription:
    """What is wanted of a symbol."""

    timeframes: set[Timeframe] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)


class Wishes:
    """Keep what is wanted, and begin and end the series accordingly.

    Parameters
    ----------
    pipeline : Pipeline
    board : Board
    trades : Recent
        The trades at hand.
    store : Store or None
        Tells the past of a series that begins.
    keeper : Keeper or None
        What writes into it.
    want : callable
        ``want(market, topics)`` is told the whole set of topics of a market.

    Attributes
    ----------
    whole : callable
        ``whole(symbol, starts, length)`` tells which of our own bars have all of their trades.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        board: Board,
        trades: Recent,
        store: Store | None,
        keeper: Keeper | None,
        want: Callable[[str, set[Topic]], None],
    ) -> None:
        self.subscriptions: dict[str, Subscription] = {}
        self.live = True
        self.whole: Callable[[str, npt.NDArray[np.int64], int], npt.NDArray[np.bool_]] = (
            lambda name, starts, length: np.ones(len(starts), np.bool_)
        )
        self._pipeline = pipeline
        self._table = pipeline.table
        self._board = board
        self._trades = trades
        self._store = store
        self._keeper = keeper
        self._want = want

    def add(
        self, names: Sequence[str], tfs: Sequence[Timeframe], channels: Sequence[str]
    ) -> set[str]:
        """Add to what is wanted and return the markets concerned."""
        new = [name for name in names if name not in self.subscriptions]
        for name in names:
            wanted = self.subscriptions.setdefault(name, Subscription())
            wanted.channels |= set(channels)
            self._begin(name, [tf for tf in tfs if tf not in wanted.timeframes])
            wanted.timeframes |= set(tfs)
        try:
            return self._tell(names)
        except WorkbenchError:  # such as a market that the provider does not have
            for name in new:
                self._forget(name, self.subscriptions.pop(name).timeframes)
            raise

    def missing(
        self, name: str, tf: Timeframe | BarKind
    ) -> tuple[list[Timeframe], list[str]] | None:
        """Return timeframes and channels that a series needs and that are not wanted; or None."""
        base = base_of(tf) if isinstance(tf, BarKind) else tf
        wanted = self.subscriptions.get(name)
        if wanted is None:
            return [base] if base else [], ["trade", "quote"]
        quoted = isinstance(tf, BarKind) and tf.family in QUOTE_FAMILIES
        tfs = [base] if base and base not in wanted.timeframes else []
        channels = ["quote"] if quoted and "quote" not in wanted.channels else []
        return (tfs, channels) if tfs or channels else None

    def remove(self, names: Sequence[str], tfs: Sequence[Timeframe] | None) -> None:
        """Take away from what is wanted."""
        for name in names:
            wanted = self.subscriptions.get(name)
            if wanted is None:
                continue
            if tfs is None:
                self._forget(name, wanted.timeframes)
                self._pipeline.builder.remove_timeframe(DAY, symbols=[self._table.id(name)])
                del self.subscriptions[name]
            else:
                gone = wanted.timeframes & set(tfs)
                self._forget(name, gone)
                wanted.timeframes -= gone
        self._tell(names)

    def wants_days(self, name: str) -> bool:
        """Tell whether day bars of a symbol were asked for; they are built of all."""
        wanted = self.subscriptions.get(name)
        return wanted is not None and DAY in wanted.timeframes

    def begun(self, name: str, time: int) -> int:
        """Return the start of the longest bar of up to an hour that is forming at a time."""
        wanted = self.subscriptions.get(name)
        starts = [tf.start(time) for tf in wanted.timeframes if tf.ns <= _HOUR] if wanted else []
        return min(starts, default=time)

    def stored(self, name: str, tf: Timeframe) -> Rows:
        """Return the newest stored bars of a series, its past: ours, and where those are not
        whole, the provider's.
        """
        own, provider = self._stored(name, tf, 0), empty("bar")
        if self.live:
            provider = self._stored(name, tf, 1)
        if not len(provider):
            return own
        return seam(own, self.whole(name, own["time"], tf.ns), provider)

    def _stored(self, name: str, tf: Timeframe, origin: int) -> Rows:
        if self._store is None:
            return empty("bar")
        if self._keeper is not None:
            self._keeper.settle()
        last = PAST * self._board.capacity
        return self._store.rows(
            "bar", name, timeframe=tf, last=last, origin=origin, table=self._table
        )

    def _begin(self, name: str, tfs: Sequence[Timeframe]) -> None:
        number = self._table.id(name)
        builder = self._pipeline.builder
        for tf in tfs:
            self._board.open(number, tf, (), self.stored(name, tf))
        new = [tf for tf in (*tfs, DAY) if not builder.builds(number, tf)]
        if not new:
            return
        past = self._past(name, number, new)
        for tf in dict.fromkeys(new):
            trades = past[past["time"] >= self._whole(number, tf, past)]
            known = self._told(name, tf, trades, self._known(name, number, tf))
            self._pipeline.add_timeframes(name, [tf], trades, known)

    def _told(self, name: str, tf: Timeframe, trades: Rows, known: Rows | None) -> Rows | None:
        """Return known bars, and those of the store before them that are of these trades too."""
        if known is None or not len(known) or not len(trades) or self._store is None:
            return known
        start, end = tf.start(int(trades["time"].min())), int(known["time"][0])
        if end <= start:
            return known
        older = self._store.rows(
            "bar", name, timeframe=tf, start=start, end=end, origin=0, table=self._table
        )
        return np.concatenate([older, known])

    def _known(self, name: str, number: int, tf: Timeframe) -> Rows | None:
        """Return our own bars of a series that were told before; those of the provider are not."""
        base = self._board.base(number, tf)
        if base is None:
            return None
        shown = base.window.closed()
        own = shown[shown["origin"] == 0]
        # Of ours those are not shown that are not whole, where the provider's are.
        return own if len(own) == len(shown) else newer(self._stored(name, tf, 0), own)

    def _past(self, name: str, number: int, tfs: Sequence[Timeframe]) -> Rows:
        """Return the trades at hand; before the first of this process, those of the store.

        A process that goes on where another one ended, or was killed, builds its first bars of
        the trades of both.
        """
        trades = self._trades.of(number)
        if self._store is None or len(trades) or not self.live:
            return trades
        newest = self._store.rows("trade", name, last=1, table=self._table)
        if not len(newest):
            return trades
        # Bars that ended and still wait for late trades were not told.
        waiting = int(newest["time"][0]) - self._pipeline.builder.lateness
        start = min(tf.start(waiting) for tf in tfs)
        stored = self._store.rows("trade", name, start=start, table=self._table, cancelled=True)
        self._pipeline.gate.remember(stored)
        whole: Rows = stored[stored["flags"] & CANCELLED == 0]
        return whole

    def _whole(self, number: int, tf: Timeframe, past: Rows) -> int:
        """Return the start of the first bar that the trades at hand have whole."""
        if not len(past) or self._trades.complete:
            return -(1 << 62)
        return tf.start(int(past["time"].min())) + tf.ns

    def _forget(self, name: str, tfs: Iterable[Timeframe]) -> None:
        number = self._table.id(name)
        for tf in tfs:
            self._board.drop(number, tf)
            if tf != DAY:  # prices tell of the day so far
                self._pipeline.builder.remove_timeframe(tf, symbols=[number])

    def _tell(self, names: Sequence[str]) -> set[str]:
        markets = {asset_class(name) for name in names}
        if self.live:
            for market in markets:
                self._want(market, self.topics(market))
        return markets

    def topics(self, market: str) -> set[Topic]:
        """Return what a market's stream should be subscribed to."""
        return {
            Topic(name, channel)
            for name, wanted in self.subscriptions.items()
            if asset_class(name) == market
            for channel in wanted.channels
        }

    def meet(self, numbers: Iterable[int], kind: str, tfs: Sequence[Timeframe]) -> None:
        """Take note of symbols that came without having been asked for, as in a replay."""
        for number in np.unique(list(numbers)):
            name = self._table.name(int(number))
            if name not in self.subscriptions:
                self.subscriptions[name] = Subscription(set(tfs), {kind})
