"""Building closed bars again that trades came too late for, or whose trades were corrected."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from workbench.bars.batchbars import time_bars
from workbench.bars.conditions import marked, rules_for
from workbench.bars.news import news
from workbench.config import Settings
from workbench.errors import ConfigError, StoreError
from workbench.flow.board import Board
from workbench.flow.graph import Pipeline
from workbench.flow.keeper import Keeper
from workbench.flow.recent import Recent
from workbench.flow.renewal import among, newest_of, renewed
from workbench.records import CANCELLED, Rows, empty
from workbench.store.store import Store
from workbench.timeframes import Timeframe

__all__ = ["Amender"]

_log = logging.getLogger("workbench.flow.amend")

_Key = tuple[int, Timeframe]
#: Looks to let pass before a store that did not answer is asked again.
_PAUSE = 40


@dataclass(slots=True)
class _Range:
    """A stretch of a symbol's time that is built anew."""

    start: int
    end: int
    lows: dict[Timeframe, int] = field(default_factory=dict)  # oldest bar that is not closed
    job: Future[tuple[Rows, dict[Timeframe, Rows]]] | None = None


class Amender:
    """Build bars again of all their trades, of the store or of those at hand.

    Its work is done in a thread beside the feed's, which begins it and takes what was built.
    Bars that are new or differ from what was told go to the pipeline.

    Parameters
    ----------
    pipeline : Pipeline
    store : Store or None
    keeper : Keeper or None
        What writes into it.
    trades : Recent
        The trades at hand.
    board : Board
        Knows what was told.
    config : Settings
        Whether trades are stored, and whether conditions decide what they set in a bar.
    now : callable
        Returns when what is told becomes known, ns UTC; 0 is when data came last.

    Attributes
    ----------
    left : int
        Bars that could not be built again: their trades are not at hand.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        store: Store | None,
        keeper: Keeper | None,
        trades: Recent,
        board: Board,
        config: Settings,
        now: Callable[[], int],
    ) -> None:
        self.left = 0
        self._pipeline = pipeline
        self._table = pipeline.table
        self._store = store if config.store_trades else None
        self._keeper = keeper
        self._trades = trades
        self._board = board
        self._now = now
        self._tape_rules = config.tape_rules
        self._jobs: dict[_Key, tuple[list[int], Future[Rows]]] = {}
        self._ranges: dict[int, _Range] = {}
        self._pause = 0
        self._trouble = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="workbench-amend")

    @property
    def busy(self) -> int:
        """Series that are being built again, or are to be."""
        return len(self._jobs) + len(self._ranges)

    def look(self, overdue: dict[_Key, set[int]]) -> None:
        """Take what was built, and begin what is overdue; in the feed's thread.

        Parameters
        ----------
        overdue : dict of (int, Timeframe) to set of int
            Starts of bars; what is begun is taken out, what failed is put back.
        """
        if not (overdue or self._jobs or self._ranges):
            return
        for key, (starts, job) in list(self._jobs.items()):
            if job.done():
                del self._jobs[key]
                if self._good(job.exception(), key[0]):
                    self._pipeline.amended(job.result(), self._now())
                else:
                    overdue.setdefault(key, set()).update(starts)
        for number, one in list(self._ranges.items()):
            if one.job is not None and one.job.done():
                done, one.job = one.job, None
                if self._good(done.exception(), number):
                    del self._ranges[number]
                    self._take(number, one, *done.result())
        self._pause -= self._pause > 0
        if not self._pause:
            self._begin(overdue)

    def _good(self, error: BaseException | None, number: int) -> bool:
        """Tell whether a job has done what it should; one that has not is begun again later."""
        if error is not None:
            self._pause = _PAUSE
            if not self._trouble:
                _log.error("bars of %s are amended later", self._table.name(number), exc_info=error)
        self._trouble = error is not None
        return error is None

    def _begin(self, overdue: dict[_Key, set[int]]) -> None:
        for number, one in self._ranges.items():
            if one.job is None and not any(key[0] == number for key in self._jobs):
                one.lows = self._lows(number)
                one.job = self._pool.submit(self._read, number, one.start, one.end, one.lows)
        for key in list(overdue):
            if key in self._jobs or key[0] in self._ranges:
                continue
            starts = sorted(overdue.pop(key))
            base = self._board.base(*key)
            if base is None:  # day bars that nobody asked for
                continue
            trades, known = empty("trade"), empty("bar")
            if self._store is None:
                whole = [start for start in starts if start > self._trades.fallen]
                self.left += len(starts) - len(whole)
                starts, span = whole, (min(starts), max(starts) + key[1].ns)
                trades = self._trades.within(key[0], *span)
                known = base.window.tail(base.window.find(span[0]), base.window.find(span[1]))
                known = known[known["origin"] == 0]
            self._jobs[key] = (
                starts,
                self._pool.submit(self._again, key, starts, trades, known),
            )

    def _again(self, key: _Key, starts: list[int], trades: Rows, known: Rows) -> Rows:
        """Return what differs of the bars with these starts from what was told of them."""
        number, tf = key
        name = self._table.name(number)
        self._settle()  # the trades that came late are among those to be read
        parts = [empty("bar")]
        for low, high in _runs(starts, tf.ns):
            if self._store is not None:
                trades = self._store.rows("trade", name, start=low, end=high, table=self._table)
                known = self._known(name, tf, low, high)
            some = trades[(trades["time"] >= low) & (trades["time"] < high)]
            bars = time_bars(some, tf)
            bars = bars[np.isin(bars["time"], starts)]
            bars["symbol"] = number
            self.left += sum(low <= at < high for at in starts) - len(bars)
            parts.append(news(bars, known, shrink=False))
        return np.concatenate(parts)

    def _known(self, name: str, tf: Timeframe, low: int, high: int) -> Rows:
        assert self._store is not None
        return self._store.rows(
            "bar", name, timeframe=tf, start=low, end=high, origin=0, table=self._table
        )

    def _settle(self) -> None:
        """Wait until what came so far is stored; raise StoreError if it is not."""
        if self._keeper is not None:
            mark = self._keeper.mark()
            self._keeper.settle()
            if not self._keeper.settled(mark):
                raise StoreError(f"the store does not take rows now: it is {self._keeper.state}")

    # -- a stretch whose trades say something else now ---------------------------------

    def anew(self, symbol: str, start: int, end: int) -> None:
        """Have all bars of a stretch built anew of what the store says now; told by `look`.

        Bars follow in which trades were corrected, cancelled or added in the store by others
        than the feed. A bar of which no trade is left stays as it was told.

        Parameters
        ----------
        symbol : str
        start, end : int
            Half-open range of event time, ns UTC.

        Raises
        ------
        ConfigError
            If there is no store, which alone knows of corrections.
        ValueError
            If the range is empty.
        """
        if self._store is None:
            raise ConfigError("trades are corrected in a store; this feed has none")
        if not start < end:
            raise ValueError(f"a stretch ends after its start, not {end} after {start}")
        number = self._table.id(symbol)
        wider = self._ranges.get(number)
        if wider is not None:  # what is being read may be older than this correction
            start, end = min(start, wider.start), max(end, wider.end)
        self._ranges[number] = _Range(start, end)

    def _lows(self, number: int) -> dict[Timeframe, int]:
        """Return the timeframes of a symbol, and where the bars begin that are not closed."""
        builder = self._pipeline.builder
        last = builder.last(number)
        lows = {}
        for tf in builder.timeframes:
            if builder.builds(number, tf):
                forming = builder.forming(number, tf)["time"]
                newest = 1 << 62 if last is None else tf.start(last[0])
                lows[tf] = min(newest, int(forming.min(initial=1 << 62)))
        return lows

    def _read(
        self, number: int, start: int, end: int, lows: dict[Timeframe, int]
    ) -> tuple[Rows, dict[Timeframe, Rows]]:
        """Return the trades of a stretch, and those of bars at hand, and what bars are stored."""
        assert self._store is not None
        self._settle()
        name = self._table.name(number)
        low = min((tf.start(start) for tf in lows), default=start)
        high: int | None = max((tf.start(end - 1) + tf.ns for tf in lows), default=end)
        kept = self._pipeline.builder.kept
        if any(end > at - kept(tf) * tf.ns for tf, at in lows.items()):
            low, high = min(low, *lows.values()), None
        trades = self._store.rows(
            "trade", name, start=low, end=high, table=self._table, cancelled=True
        )
        known = {
            tf: self._known(name, tf, tf.start(start), tf.start(end - 1) + tf.ns) for tf in lows
        }
        return trades, known

    def _take(self, number: int, one: _Range, trades: Rows, known: dict[Timeframe, Rows]) -> None:
        """Build a stretch anew, with what came since it was read, and tell what differs."""
        live = self._trades.within(number, 0, 1 << 62)
        trades = np.concatenate([trades, live[~among(live, trades)]])
        trades = trades[(trades["flags"] & CANCELLED) == 0]
        if self._tape_rules:
            trades = marked(trades, rules_for(self._table.name(number)))
        trades = trades[np.lexsort((trades["sequence"], trades["time"]))]
        self._trades.replace(number, one.start, one.end, trades)
        builder = self._pipeline.builder
        lows = self._lows(number)
        parts = []
        for tf, stored in known.items():
            low = lows.get(tf)
            if low is None:  # not wanted any more
                continue
            first, end = tf.start(one.start), tf.start(one.end - 1) + tf.ns
            stop = min(low, end)
            bars = time_bars(trades[(trades["time"] >= first) & (trades["time"] < stop)], tf)
            bars["symbol"] = number
            touched = end > low - builder.kept(tf) * tf.ns
            if touched:  # the bars at hand begin again: they have summed up what was corrected
                until = low if len(builder.forming(number, tf)) else low + tf.ns
                rest = trades[trades["time"] >= low]
                again = builder.adopt(number, tf, rest, until=until, anew=True)
                bars = np.concatenate([bars, again])
            base = self._board.base(number, tf)
            if base is not None:
                told = base.window.tail(base.window.find(min(first, low)))
                told = told[told["origin"] == 0]
                fresh = renewed(bars, stored, told, base.window.first_time)
                parts.append(fresh)
                bars = newest_of(newest_of(stored, told), fresh)
            if touched:
                builder.renumber(number, tf, bars)
        if parts and any(map(len, parts)):
            self._pipeline.amended(np.concatenate(parts), self._now())

    # -- the end -------------------------------------------------------------------------

    async def drain(self, overdue: dict[_Key, set[int]], patience: float = 5.0) -> None:
        """Finish what is overdue, unless a store does not answer within so many seconds."""
        left = round(patience / 0.01)
        while (overdue or self.busy) and left:
            self.look(overdue)
            await asyncio.sleep(0.01)
            left -= 1

    def close(self) -> None:
        """End the thread; what is being built is let go."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _runs(starts: Iterable[int], step: int) -> list[tuple[int, int]]:
    """Return stretches of bars that follow each other.

    >>> _runs([0, 60, 240], 60)
    [(0, 120), (240, 300)]
    """
    runs: list[tuple[int, int]] = []
    for start in starts:
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], start + step)
        else:
            runs.append((start, start + step))
    return runs
