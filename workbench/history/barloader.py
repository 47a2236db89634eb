"""Get the series that warm-ups need: from what is at hand, the provider, or the store."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.bars.folding import bar_rows, fold_bars
from workbench.errors import (
    AuthError,
    ConnectError,
    DecodeError,
    ProviderError,
    StoreError,
    WorkbenchError,
)
from workbench.history.archive import Archive
from workbench.history.fetch import fetch_bars
from workbench.history.sharedbars import Held, SharedBars
from workbench.history.warmups import Call, Series
from workbench.records import BAR, CLOSED, Rows
from workbench.store.store import Store
from workbench.timeframes import Timeframe, timeframe

__all__ = ["BarLoader", "Loaded", "Origin", "folded"]

log = logging.getLogger("workbench.history.barloader")

#: Where bars came from; stale ones were fetched too long ago, and there are no newer ones.
Origin = Literal["provider", "cache", "stale", "store", "nowhere"]
#: What may be different the next time: busy files of request limits too.
_PASSING = (ProviderError, ConnectError, DecodeError, StoreError)
_MINUTE = timeframe("1m")


@dataclass(frozen=True, slots=True)
class Loaded:
    """One series as it was got.

    Attributes
    ----------
    rows : array of BAR or None
        Closed bars, oldest first; None if there is nothing at all.
    origin : "provider", "cache", "stale", "store" or "nowhere"
    fetched : int
        When they were asked for, ns UTC; of bars from the store, when the last one ended.
    error : WorkbenchError or None
        Why the provider gave none.
    """

    rows: Rows | None
    origin: Origin
    fetched: int = 0
    error: WorkbenchError | None = None


class BarLoader:
    """Get bars, each call tried several times; safe to use from several threads.

    Parameters
    ----------
    archive : Archive
    shared : SharedBars
        What is fetched is put there.
    store : Store or None
        Read when the provider gives nothing.
    tries : int
        How often a call is tried, at least 1. Each try is paced, and tried again in itself,
        as the archive does.
    pause : float
        Seconds before the second try; twice as long before the third, and so on.
    """

    def __init__(
        self,
        archive: Archive,
        shared: SharedBars,
        *,
        store: Store | None = None,
        tries: int = 3,
        pause: float = 0.5,
    ) -> None:
        if tries < 1 or pause < 0:
            raise ValueError(f"at least one try, and no pause below 0 s: not {tries} and {pause}")
        self._archive = archive
        self._shared = shared
        self._store = store
        self._tries = tries
        self._pause = pause

    def load(
        self,
        symbol: str,
        call: Call,
        *,
        since: float | None = None,
        stop: threading.Event | None = None,
    ) -> dict[str, Loaded]:
        """Return the series of a call by timeframe; one that cannot be got says why.

        Parameters
        ----------
        symbol : str
            In our spelling.
        call : Call
        since : float or None
            Take nothing that was asked for before this moment of the clock that never steps.
        stop : threading.Event or None
            Ends the tries when set.

        Raises
        ------
        concurrent.futures.CancelledError
            If it was stopped, or the archive cancelled.
        """
        stop = stop or threading.Event()
        with self._shared.turn(symbol, [one.timeframe for one in call.covers]):
            found = [self._shared.fresh(symbol, *one, since) for one in call.covers]
            held = [one for one in found if one is not None]
            if len(held) == len(call.covers):
                return _told(call.covers, held, "cache")
            try:
                fetched = self._tried(symbol, call, stop)
            except WorkbenchError as error:
                log.warning("%s bars of %s were not fetched: %s", call.timeframe, symbol, error)
                return {one.timeframe: self._older(symbol, one, error) for one in call.covers}
        return _told(call.covers, fetched, "provider")

    def _tried(self, symbol: str, call: Call, stop: threading.Event) -> list[Held]:
        for number in range(1, self._tries + 1):
            if stop.is_set():
                raise CancelledError
            try:
                return self._fetched(symbol, call)
            except AuthError:
                raise  # the answer to the same key will be the same
            except _PASSING as error:
                if number == self._tries:
                    raise
                log.info("try %d for %s of %s: %s", number, call.timeframe, symbol, error)
            if stop.wait(self._pause * number):
                raise CancelledError
        raise AssertionError

    def _fetched(self, symbol: str, call: Call) -> list[Held]:
        clock = self._archive.clock
        begun = clock.now()
        moment = (begun, self._shared.moment())
        frame = fetch_bars(symbol, call.timeframe, limit=call.bars, source=self._archive)
        rows = bar_rows(frame, call.timeframe)
        rows["state"] = CLOSED
        held = []
        for one in call.covers:
            length = timeframe(one.timeframe)
            if one.timeframe == call.timeframe:
                made = rows
            else:
                try:
                    made = folded(rows, length, begun)[-one.bars :]
                except ValueError as error:
                    raise DecodeError(
                        f"{self._archive.name} gave bars of {symbol} that do not fold: {error}",
                        symbol=symbol,
                        source=self._archive.name,
                    ) from error
            asked = max(one.bars, call.bars) if made is rows else one.bars
            held.append(self._shared.put(symbol, one.timeframe, made, asked, moment))
        return held

    def _older(self, symbol: str, one: Series, error: WorkbenchError) -> Loaded:
        """Return what was fetched or stored before, whichever is newer."""
        held = self._shared.held(symbol, one.timeframe)
        stored = self._stored(symbol, one)
        if held is not None and len(held.rows):
            last = stored["time"][-1] if len(stored) else -1
            if held.rows["time"][-1] >= last:
                return Loaded(held.rows, "stale", held.fetched, error)
        if len(stored):
            end = int(stored["time"][-1]) + timeframe(one.timeframe).ns
            return Loaded(stored, "store", end, error)
        return Loaded(None, "nowhere", 0, error)

    def _stored(self, symbol: str, one: Series) -> Rows:
        length = timeframe(one.timeframe)
        if self._store is None:
            return np.zeros(0, BAR)
        try:
            rows = self._store.rows("bar", symbol, timeframe=length, last=one.bars)
            if len(rows) or length == _MINUTE or length.seconds % _MINUTE.seconds:
                return rows
            most = (one.bars + 2) * (length.seconds // _MINUTE.seconds)
            minutes = self._store.rows("bar", symbol, timeframe=_MINUTE, last=most)
            if not len(minutes):
                return minutes
            return folded(minutes, length, int(minutes["time"][-1]) + _MINUTE.ns)[-one.bars :]
        except StoreError as error:
            log.warning("the store does not help with %s: %s", symbol, error)
            return np.zeros(0, BAR)


def _told(covers: tuple[Series, ...], held: list[Held], origin: Origin) -> dict[str, Loaded]:
    return {
        one.timeframe: Loaded(each.rows, origin, each.fetched)
        for one, each in zip(covers, held, strict=True)
    }


def folded(rows: Rows, length: Timeframe, until: int) -> Rows:
    """Return the longer bars that are over, and of which no part was cut off in front.

    Parameters
    ----------
    rows : array of BAR
        All closed bars from the first one on, of one series.
    length : Timeframe
        A multiple of theirs.
    until : int
        When the rows were asked for, ns UTC: bars that end later are left out.
    """
    made = fold_bars(rows, length)
    if len(made) and made["time"][0] != rows["time"][0]:
        made = made[1:]
    kept: Rows = made[made["time"] + length.ns <= until]
    return kept
