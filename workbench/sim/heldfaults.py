"""Faults of order: what is held back and sent later, or sent twice."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Sequence

from workbench.sim.faulteffect import Effect, Moment, is_data, is_trade, joined, split, tally
from workbench.sim.faults import Action, Send

__all__ = ["Burst", "Duplicate", "Late", "Reorder"]

#: Seconds after which what waits for a further frame is sent without one.
_PATIENCE = 0.25


class Burst(Effect):
    """Hold frames back and send them together."""

    def __init__(self, factor: int = 10) -> None:
        self._factor = factor
        self._held: dict[int, list[Send]] = {}
        self._since: dict[int, float] = {}

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return nothing, or all frames once there are enough."""
        held = self._held.get(at.connection)
        if held is None:
            if not is_data(send.data) or not at.chance(""):
                return (send,)
            held = self._held[at.connection] = []
            self._since[at.connection] = at.now
        held.append(send)
        if len(held) < self._factor:
            return ()
        return self._all(at.connection)

    def due(self, connection: int, now: float) -> float | None:
        """Return the seconds until a hold is given up."""
        since = self._since.get(connection)
        return None if since is None else max(0.0, since + 4 * _PATIENCE - now)

    def release(self, at: Moment) -> Sequence[Action]:
        """Return what was held for too long."""
        if self.due(at.connection, at.now) != 0.0:
            return ()
        return self._all(at.connection)

    def _all(self, connection: int) -> Sequence[Action]:
        del self._since[connection]
        return self._held.pop(connection)

    def forget(self, connection: int, ledger: Counter[str]) -> None:
        """Count what a connection that ended never got."""
        self._since.pop(connection, None)
        for send in self._held.pop(connection, []):
            tally(ledger, "suppressed", send.data)

    def let_go(self) -> None:
        """Make everything due."""
        self._since = dict.fromkeys(self._since, -math.inf)

    def holds(self, now: float) -> bool:
        """Return whether frames wait."""
        return bool(self._held)


class Duplicate(Effect):
    """Send trades twice, at once or some frames later."""

    def __init__(self, how: str = "frame", distance: int = 3) -> None:
        self._distance = 0 if how == "frame" else distance
        self._waiting: dict[int, list[tuple[int, bytes]]] = {}
        self._count: Counter[int] = Counter()
        self._touched: dict[int, float] = {}

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the frame, and what is to be repeated with it."""
        if not is_data(send.data):
            return (send,)
        if not self._distance:
            if not at.chance(""):
                return (send,)
            tally(at.ledger, "repeated", send.data)
            return (send, send)
        self._count[at.connection] += 1
        again = self._ripe(at)
        trades = [event for event in split(send.data) if is_trade(event)]
        if trades and at.chance(""):
            place = self._count[at.connection] + self._distance
            waiting = self._waiting.setdefault(at.connection, [])
            waiting.extend((place, trade) for trade in trades)
            self._touched[at.connection] = at.now
        return (joined([*split(send.data), *again]),) if again else (send,)

    def _ripe(self, at: Moment, *, everything: bool = False) -> list[bytes]:
        waiting = self._waiting.get(at.connection, [])
        limit = math.inf if everything else self._count[at.connection]
        ripe = [event for place, event in waiting if place <= limit]
        left = [item for item in waiting if item[0] > limit]
        if left:
            self._waiting[at.connection] = left
        elif waiting:
            del self._waiting[at.connection], self._touched[at.connection]
        for event in ripe:
            tally(at.ledger, "repeated", event)
        return ripe

    def due(self, connection: int, now: float) -> float | None:
        """Return the seconds until repeats come without a further frame."""
        touched = self._touched.get(connection)
        return None if touched is None else max(0.0, touched + _PATIENCE - now)

    def release(self, at: Moment) -> Sequence[Action]:
        """Return repeats for which no frame came."""
        if self.due(at.connection, at.now) != 0.0:
            return ()
        return (joined(self._ripe(at, everything=True)),)

    def forget(self, connection: int, ledger: Counter[str]) -> None:
        """Forget the repeats of a connection."""
        for state in (self._waiting, self._count, self._touched):
            state.pop(connection, None)

    def let_go(self) -> None:
        """Make everything due."""
        self._touched = dict.fromkeys(self._touched, -math.inf)

    def holds(self, now: float) -> bool:
        """Return whether repeats wait."""
        return bool(self._waiting)


class Reorder(Effect):
    """Send trades in another order, some of them with the next frame."""

    def __init__(self, window: int = 10) -> None:
        self._window = window
        self._pool: dict[int, list[bytes]] = {}
        self._since: dict[int, float] = {}

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the frame with its trades in another order."""
        if not is_data(send.data):
            return (send,)
        events = split(send.data)
        trades = [event for event in events if is_trade(event)]
        pool = self._pool.pop(at.connection, [])
        self._since.pop(at.connection, None)
        struck = bool(trades) and at.chance("")
        if not struck and not pool:
            return (send,)
        out = [*pool, *trades]
        if struck:
            for start in range(0, len(out), self._window):
                part = out[start : start + self._window]
                at.dice.shuffle(part)
                out[start : start + self._window] = part
            keep = min(self._window // 2, len(out) - 1)
            self._hold(at, out[len(out) - keep :])
            out = out[: len(out) - keep]
        others = [event for event in events if not is_trade(event)]
        return (joined([*others, *out]),)

    def _hold(self, at: Moment, trades: list[bytes]) -> None:
        if trades:
            self._pool[at.connection] = trades
            self._since[at.connection] = at.now

    def due(self, connection: int, now: float) -> float | None:
        """Return the seconds until trades come without a further frame."""
        since = self._since.get(connection)
        return None if since is None else max(0.0, since + _PATIENCE - now)

    def release(self, at: Moment) -> Sequence[Action]:
        """Return trades for which no frame came."""
        if self.due(at.connection, at.now) != 0.0:
            return ()
        del self._since[at.connection]
        return (joined(self._pool.pop(at.connection)),)

    def forget(self, connection: int, ledger: Counter[str]) -> None:
        """Count what a connection that ended never got."""
        self._since.pop(connection, None)
        for event in self._pool.pop(connection, []):
            tally(ledger, "suppressed", event)

    def let_go(self) -> None:
        """Make everything due."""
        self._since = dict.fromkeys(self._since, -math.inf)

    def holds(self, now: float) -> bool:
        """Return whether trades wait."""
        return bool(self._pool)


class Late(Effect):
    """Hold trades back for a time; others pass them."""

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._held: dict[int, list[tuple[float, int, bytes]]] = {}
        self._number = 0

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the frame without the trades that will be late."""
        if not is_data(send.data):
            return (send,)
        stay = []
        struck = False
        for event in split(send.data):
            if is_trade(event) and at.chance(""):
                struck = True
                self._number += 1
                held = self._held.setdefault(at.connection, [])
                heapq.heappush(held, (at.now + self._seconds, self._number, event))
            else:
                stay.append(event)
        if not struck:
            return (send,)
        return (joined(stay),) if stay else ()

    def due(self, connection: int, now: float) -> float | None:
        """Return the seconds until the first trade is late enough."""
        held = self._held.get(connection)
        return max(0.0, held[0][0] - now) if held else None

    def release(self, at: Moment) -> Sequence[Action]:
        """Return the trades that are late enough."""
        held = self._held.get(at.connection, [])
        ready = []
        while held and held[0][0] <= at.now:
            ready.append(heapq.heappop(held)[2])
        if not held:
            self._held.pop(at.connection, None)
        return (joined(ready),) if ready else ()

    def forget(self, connection: int, ledger: Counter[str]) -> None:
        """Count what a connection that ended never got."""
        for _, _, event in self._held.pop(connection, []):
            tally(ledger, "suppressed", event)

    def let_go(self) -> None:
        """Make everything due."""
        for held in self._held.values():
            # In the order in which they were held, so it still is a heap.
            held[:] = [(-math.inf, number, event) for _, number, event in sorted(held)]

    def holds(self, now: float) -> bool:
        """Return whether trades wait."""
        return bool(self._held)
