"""History, then live: the provider's bars in front of our own, without seam or duplicate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from workbench.bars.kinds import BarKind
from workbench.calendar import market_session
from workbench.clock import Clock
from workbench.config import Settings
from workbench.errors import AuthError, ConfigError, UnknownTimeframeError
from workbench.flow.board import Board
from workbench.flow.graph import Pipeline
from workbench.flow.joint import Joined, Joint
from workbench.flow.kindbars import base_of
from workbench.flow.mending import MakeArchive, Mending
from workbench.flow.pastloader import Brought, PastLoader, Wanted
from workbench.flow.seam import newer, prevails, seam
from workbench.flow.warming import Warming
from workbench.flow.window import Window
from workbench.flow.wishes import PAST, Wishes
from workbench.history.archive import Archive
from workbench.history.coordinator import Coordinator
from workbench.history.settlement import Settlement
from workbench.records import REVISED, Batch, Rows, empty
from workbench.store.sqlite import SqliteStore
from workbench.store.store import Store
from workbench.timeframes import Timeframe

__all__ = ["Past"]

#: Seconds between looks, between looks at one series, and between refreshes while closed.
_LOOK, _AGAIN, _REFRESH = 0.5, 60.0, 300.0
_LONGEST = 600.0


class Past:
    """Put the provider's closed bars in front of series, and our own in their place when whole.

    Made and used in the feed's thread; what it fetches is fetched in others.

    Parameters
    ----------
    pipeline : Pipeline
    board : Board
    mending : Mending
        Knows which bars of ours are whole.
    wishes : Wishes
    store : Store or None
    config : Settings
    clock : Clock
    make_archive : callable or None
        Opens the provider's history when it is first needed; None has none.
    ensure : callable
        ``ensure(symbol, timeframe)`` has the bars of a series built if they are not yet.

    Attributes
    ----------
    default : int
        Bars of history for every series that is watched; 0 for none.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        board: Board,
        mending: Mending,
        wishes: Wishes,
        store: Store | None,
        config: Settings,
        clock: Clock,
        make_archive: MakeArchive | None,
        ensure: Callable[[str, Timeframe], None],
    ) -> None:
        self.default = 0
        self._pipeline = pipeline
        self._board = board
        self._mending = mending
        self._wishes = wishes
        wishes.whole = mending.whole
        self._store = store
        self._config = config
        self._clock = clock
        self._ensure = ensure
        self._loop = asyncio.get_running_loop()
        self._warming = Warming(pipeline, store, clock, self._later, make_archive)
        self._loader: PastLoader | None = None
        self._joints: dict[tuple[int, int], Joint] = {}
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="workbench-past")
        self._looked = self._refreshed = clock.monotonic()
        self._closed = False

    def _later(self, function: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(function)

    @property
    def warmups(self) -> Coordinator | None:
        """What runs the named warm-ups, made at the first look; from any thread."""
        return self._warming.coordinator

    @property
    def busy(self) -> int:
        """Series whose history is being fetched."""
        return sum(joint.job is not None for joint in self._joints.values())

    # -- what is wanted ----------------------------------------------------------------

    def watched(self, window: Window) -> None:
        """Take note that a series is watched: by default it gets history in front.

        So do the time bars that a series of another kind is made from.
        """
        shown = window.timeframe
        length = base_of(shown) if isinstance(shown, BarKind) else shown
        if self.default and self._wishes.live and length is not None:
            self.want(window.symbol, length, self.default)

    def ask(self, name: str, length: Timeframe, bars: int) -> Future[Joined]:
        """Begin a series if it is not there, and have at least so many closed bars in it."""
        self._ensure(name, length)
        return self.want(name, length, bars)

    def want(self, name: str, length: Timeframe, bars: int) -> Future[Joined]:
        """Have at least so many closed bars in a series; the answer comes when they are in.

        Parameters
        ----------
        name : str
        length : Timeframe
        bars : int
            Ours among them.
        """
        answer: Future[Joined] = Future()
        if self._closed or not self._warming.possible or not self._wishes.live:
            answer.set_result(Joined(name, length.name, why="this feed has no provider's past"))
            return answer
        number = self._pipeline.table.id(name)
        joint = self._joints.setdefault((number, length.seconds), Joint(name, length, number, bars))
        joint.bars = max(bars, joint.bars)
        known = joint.asked >= joint.bars and self._clock.monotonic() < joint.due
        if known and joint.job is None:
            answer.set_result(self._told(joint, Brought(joint.rows)))
            return answer
        joint.waiting.append(answer)
        if joint.job is None:
            self._fetch(joint)
        return answer

    def _fetch(self, joint: Joint, since: float | None = None) -> None:
        wanted = self._wishes.subscriptions.get(joint.name)
        beside = () if wanted is None else tuple(sorted(wanted.timeframes - {joint.length}))
        joint.asked, asked = joint.bars, joint.asked >= joint.bars
        order = Wanted(joint.name, joint.length, joint.bars, self._own(joint), beside, asked, since)
        job = joint.job = self._pool.submit(self._bring, order)
        job.add_done_callback(lambda _: self._ended(joint))

    def _ended(self, joint: Joint) -> None:
        if not self._closed:  # the loop may be gone
            self._later(lambda: self._came(joint))

    def _bring(self, wanted: Wanted) -> Brought:
        """Run in a thread of the pool."""
        made = self._warming.made()
        if made is None:
            raise CancelledError
        if self._loader is None:
            self._loader = self._make_loader(*made)
        return self._loader.bring(wanted)

    def _make_loader(self, archive: Archive, coordinator: Coordinator) -> PastLoader:
        ledger, settlement, store = self._mending.ledger, None, None
        if isinstance(self._store, SqliteStore):
            store = self._store
            settlement = Settlement(ledger, store, fetch="history", clock=self._clock)
        return PastLoader(
            archive,
            coordinator,
            ledger,
            self._pipeline.table,
            self._clock,
            store=store,
            settlement=settlement,
            settle=self._config.overlap_seconds,
        )

    # -- what came ---------------------------------------------------------------------

    def _came(self, joint: Joint) -> None:
        """Join what a job brought, in the feed's thread."""
        job, joint.job = joint.job, None
        if self._closed or job is None or job.cancelled():
            return
        error, brought = job.exception(), Brought(joint.rows)
        if error is None:
            brought = job.result()
        elif isinstance(error, CancelledError):
            return
        elif isinstance(error, Exception):
            self._pipeline.health.failed("history", error)
        self._plan(joint, brought, failed=error is not None)
        joint.rows = newer(joint.rows, brought.rows)
        told = self._told(joint, brought, error)
        if self._board.base(joint.number, joint.length) is not None:
            self._join(joint)
            told = self._told(joint, brought, error)
        if brought.fetched or told.why:
            self._pipeline.health.tell("history", str(told))
        waiting, joint.waiting = joint.waiting, []
        for answer in waiting:
            # Who asked may have given up, or the feed is being closed in another thread.
            if answer.set_running_or_notify_cancel():
                answer.set_result(told)

    def _plan(self, joint: Joint, brought: Brought, *, failed: bool) -> None:
        """Settle when a series is looked at again."""
        now, wait = self._clock.monotonic(), _AGAIN
        failed = failed or brought.error is not None
        joint.tries = joint.tries + 1 if failed else 0
        if failed:
            joint.asked = 0
            wait = min(5.0 * 2 ** min(joint.tries, 10), _LONGEST)
            if isinstance(brought.error, AuthError | ConfigError | UnknownTimeframeError):
                wait = 1e9  # the same question gets the same answer; it may be asked anew
        elif brought.left:
            # What is too young to be final is fetched once more when it is not.
            age = (self._clock.now() - brought.left[-1][1]) / 1e9
            wait = max(_AGAIN, self._config.overlap_seconds - age + 1.0)
        joint.due = now + wait

    def _told(self, joint: Joint, brought: Brought, error: BaseException | None = None) -> Joined:
        base = self._board.base(joint.number, joint.length)
        closed = empty("bar") if base is None else base.window.closed()
        own = int(np.count_nonzero(closed["origin"] == 0))
        why = "" if brought.error is None else brought.error.message
        if error is not None:
            why = f"{type(error).__name__}: {error}"
        return Joined(joint.name, joint.length.name, len(closed) - own, own, brought.fetched, why)

    def _own(self, joint: Joint) -> Rows:
        """Return our own closed bars of a series, those that do not count among them."""
        base = self._board.base(joint.number, joint.length)
        closed = empty("bar") if base is None else base.window.closed()
        return newer(joint.held, closed[closed["origin"] == 0])

    def _join(self, joint: Joint) -> None:
        """Put both together in every open series, and run the indicators over all."""
        base = self._board.base(joint.number, joint.length)
        assert base is not None
        closed, own = base.window.closed(), self._own(joint)
        whole = self._mending.whole(joint.name, own["time"], joint.length.ns)
        joined = seam(own, whole, joint.rows)
        joint.held = own[~prevails(own, whole, joint.rows)[0]]
        if np.array_equal(joined[-len(closed) :] if len(closed) else joined, closed) and (
            len(joined) == len(closed) or len(closed) >= base.window.capacity
        ):
            return
        if self._store is not None and len(closed) >= base.window.capacity:
            # The window is full: what indicators ran over before it lies in the store.
            older = self._wishes.stored(joint.name, joint.length)
            joined = newer(older[older["time"] < joined["time"][0]], joined)
        self._board.restart(joined[-PAST * base.window.capacity :])

    # -- bars of our own ---------------------------------------------------------------

    def add(self, batch: Batch) -> None:
        """Pass closed and revised bars to the board, but not in place of better ones."""
        rows = batch.rows
        if self._joints:
            keys = zip(rows["symbol"].tolist(), rows["timeframe"].tolist(), strict=True)
            for key in set(keys):
                joint = self._joints.get(key)
                if joint is not None and len(joint.rows):
                    rows = self._screened(joint, rows)
        if len(rows):
            self._board.add(batch if rows is batch.rows else Batch("bar", rows))

    def _screened(self, joint: Joint, rows: Rows) -> Rows:
        """Hold back bars of ours that do not count beside the provider's."""
        mine = (rows["symbol"] == joint.number) & (rows["timeframe"] == joint.length.seconds)
        mine &= rows["time"] <= joint.rows["time"][-1]
        if not mine.any():
            return rows
        some = rows[mine]
        whole = self._mending.whole(joint.name, some["time"], joint.length.ns)
        counts, beside = prevails(some, whole, joint.rows)
        joint.held = joint.held[~np.isin(joint.held["time"], some["time"])]
        back = some[~counts][::-1]  # the newest of each time, which comes last
        back = back[np.unique(back["time"], return_index=True)[1]]
        joint.held = newer(joint.held, back)
        kept = np.ones(len(rows), np.bool_)
        kept[np.flatnonzero(mine)[~counts]] = False
        rows = rows.copy()
        replaced = np.flatnonzero(mine)[counts & beside]
        self._revise(rows, replaced)
        passed: Rows = rows[kept]
        return passed

    @staticmethod
    def _revise(rows: Rows, which: npt.NDArray[np.int64]) -> None:
        """Mark bars as revisions: what stood in their place was told before."""
        rows["state"][which] = REVISED
        rows["revision"][which] = np.maximum(rows["revision"][which], 1)

    def _release(self, joint: Joint) -> None:
        """Show bars of ours whose trades have all come by now."""
        whole = self._mending.whole(joint.name, joint.held["time"], joint.length.ns)
        if whole.any():
            rows = joint.held[whole].copy()
            joint.held = joint.held[~whole]
            self._revise(rows, np.arange(len(rows)))
            self._board.add(Batch("bar", rows))

    # -- as time goes by ---------------------------------------------------------------

    def tick(self) -> None:
        """Look at what has become whole, and fetch again what is due."""
        now = self._clock.monotonic()
        if now - self._looked < _LOOK or self._closed:
            return
        self._looked = now
        refresh = now - self._refreshed >= _REFRESH
        if refresh:
            self._refreshed = now
            self._warming.refresh()  # before the series here, which then share what it fetches
        live = {(one.symbol, one.kind) for one in self._mending.continuity.series()}
        for key, joint in list(self._joints.items()):
            if self._board.base(joint.number, joint.length) is None:
                if joint.job is None:
                    del self._joints[key]
                continue
            if len(joint.held):
                self._release(joint)
            if joint.job is not None or not self._board.needed(joint.number, joint.length):
                continue
            if refresh and market_session(self._clock.now(), joint.name) == "closed":
                self._fetch(joint, since=now)
            elif now >= joint.due and (joint.name, "trade") in live:
                self._fetch(joint)

    def close(self) -> None:
        """Give up what is on its way, and end the threads; in another thread than the feed's."""
        self._closed = True
        for joint in list(self._joints.values()):
            for answer in joint.waiting:
                answer.cancel()
        self._warming.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
