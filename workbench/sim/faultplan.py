"""The faults of a simulator: switched on and off while it runs, counted, repeatable."""

from __future__ import annotations

import itertools
import threading
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.clock import Clock, SystemClock
from workbench.sim.faulteffect import Moment, tally
from workbench.sim.faultlist import kind, parse
from workbench.sim.faultparameter import Value
from workbench.sim.faults import Abort, Action, Close, Raw, Send
from workbench.sim.faultswitch import Switch
from workbench.sim.rest import Answer

__all__ = ["FaultPlan", "Strike"]

#: Strikes kept to look at; all are counted.
_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that struck.

    Attributes
    ----------
    time : int
        Wall time, ns UTC.
    number : int
        Of the switch, see :meth:`FaultPlan.on`.
    name : str
    connection : int
        Counted from 1 since the start; 0 for a request or a connection that was refused.
    detail : str
        The path of a request; what "wrong" and "random" chose.
    """

    time: int
    number: int
    name: str
    connection: int = 0
    detail: str = ""


class FaultPlan:
    """Strike with the faults that are switched on, and let everything else pass untouched.

    Faults are switched on and off from any thread. They act in the order in which they were
    switched on, each on what the ones before have left. With the same seeds and the same
    frames the same chances are taken.

    Parameters
    ----------
    faults : iterable of str
        Switched on from the start, as :func:`~workbench.sim.faultlist.parse` reads them.
    clock : Clock or None
        None is the machine's.

    Raises
    ------
    ConfigError
        If one cannot be read.

    Examples
    --------
    >>> plan = FaultPlan(["drop:code=1008,every=2"])
    >>> frame = b'[{"ev":"T","sym":"SPY"}]'
    >>> plan.on_frame(1, frame)
    [Send(data=b'[{"ev":"T","sym":"SPY"}]', text=True, final=False)]
    >>> plan.on_frame(1, frame)
    [Close(code=1008, reason='')]
    >>> plan.counts(), plan.off("drop")
    ({'drop': 1}, 1)
    """

    def __init__(self, faults: Iterable[str] = (), *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._switches: tuple[Switch, ...] = ()
        self._log: deque[Strike] = deque(maxlen=_KEPT)
        self._counts: Counter[str] = Counter()
        self._ledger: Counter[str] = Counter()
        self._over: set[int] = set()
        for text in faults:
            name, given = parse(text)
            self.on(name, **given)

    def __repr__(self) -> str:
        return f"FaultPlan({', '.join(map(repr, self._switches)) or 'nothing on'})"

    # -- for those who switch ----------------------------------------------------------

    def on(self, name: str, /, **parameters: Value) -> int:
        """Switch a fault on and return its number.

        Parameters
        ----------
        name : str
            See :data:`~workbench.sim.faultlist.CATALOGUE`.
        **parameters
            Its own, and those of every fault: `every`, `rate`, `after`, `count`, `duration`,
            `interval`, `seed`.

        Raises
        ------
        ConfigError
            If there is no such fault or parameter, or a value is not allowed.
        """
        with self._lock:
            number = next(self._numbers)
            switch = Switch(number, name, parameters, self._clock.monotonic())
            self._switches = (*self._switches, switch)
            return number

    def off(self, which: str | int) -> int:
        """Switch a fault off, by number or all of a name, and return how many that were.

        What it has held back is sent.

        Raises
        ------
        ConfigError
            If there is no fault of that name.
        """
        if isinstance(which, str):
            kind(which)
        with self._lock:
            count = 0
            # Those that are off already may still hold something back.
            for switch in self._switches:
                if which in (switch.number, switch.name):
                    count += switch.lasts(self._clock.monotonic())
                    switch.on = False
                    switch.effect.let_go()
            self._prune()
            return count

    def clear(self) -> int:
        """Switch everything off and return how many faults were on."""
        with self._lock:
            return sum(self.off(switch.number) for switch in self._switches)

    def switches(self) -> list[Switch]:
        """Return the faults that are on, in the order in which they were switched on."""
        with self._lock:
            now = self._clock.monotonic()
            return [switch for switch in self._switches if switch.lasts(now)]

    @property
    def log(self) -> list[Strike]:
        """The strikes so far, oldest first; the last 100,000 of them."""
        with self._lock:
            return list(self._log)

    def counts(self) -> dict[str, int]:
        """Return how often each fault struck."""
        with self._lock:
            return dict(self._counts)

    def ledger(self) -> dict[str, int]:
        """Return what became of the events that came by while faults were on.

        Returns
        -------
        dict
            Events (and under "..._trades" the trades among them) that were "offered" by the
            market, "suppressed", "spoiled" (sent, but nobody can take them for what they
            were), "altered" (sent with other values), "repeated" (sent once more) and
            "added" (never in the market). What is in none of these was sent as it was.
        """
        with self._lock:
            return {fate: n for fate, n in sorted(self._ledger.items()) if n}

    def state(self, limit: int = 100) -> dict[str, Any]:
        """Return what is on, what struck and what became of events, for the control."""
        with self._lock:
            now = self._clock.monotonic()
            return {
                "on": [
                    {
                        "number": switch.number,
                        "name": switch.name,
                        "parameters": dict(switch.values),
                        "chances": switch.chances,
                        "strikes": switch.strikes,
                        "seconds_left": switch.left(now),
                    }
                    for switch in self.switches()
                ],
                "counts": self.counts(),
                "events": self.ledger(),
                "log": [
                    {
                        "time": strike.time,
                        "number": strike.number,
                        "name": strike.name,
                        "connection": strike.connection,
                        "detail": strike.detail,
                    }
                    for strike in (self.log[-limit:] if limit else [])
                ],
            }

    # -- for the simulator -------------------------------------------------------------

    def on_frame(self, connection: int, frame: bytes) -> Sequence[Action]:
        """Return what to do instead of sending a frame."""
        if not self._switches and not self._over:
            return (Send(frame),)
        with self._lock:
            # The last fault may have been switched off while we waited for the lock.
            if not self._switches and not self._over:
                return (Send(frame),)
            tally(self._ledger, "offered", frame)
            if connection in self._over:
                tally(self._ledger, "suppressed", frame)
                return ()
            actions: list[Action] = [Send(frame)]
            actions = list(self._release(connection)) + self._treated(actions, connection)
            self._prune()
            return self._ended(actions, connection)

    def due(self, connection: int) -> float | None:
        """Return the seconds until something held back is to be sent; None if nothing is."""
        with self._lock:
            now = self._clock.monotonic()
            found = [switch.effect.due(connection, now) for switch in self._switches]
            return min((seconds for seconds in found if seconds is not None), default=None)

    def release(self, connection: int) -> Sequence[Action]:
        """Return what to do about what was held back and is due."""
        with self._lock:
            actions = self._ended(self._release(connection), connection)
            self._prune()
            return actions

    def on_end(self, connection: int) -> None:
        """Take note that a connection has ended."""
        with self._lock:
            self._over.discard(connection)
            for switch in self._switches:
                switch.effect.forget(connection, self._ledger)
            self._prune()

    async def on_request(self, target: str, answer: Answer) -> Answer:
        """Return what to answer to a REST request; may take its time."""
        if not self._switches:
            return answer
        late = 0.0
        with self._lock:
            for switch in self._switches:
                more, answer = switch.effect.answer(target, answer, self._moment(switch, 0))
                late += more
        if late:
            await self._clock.sleep(late)
        return answer

    async def on_connect(self, cluster: str) -> Answer | None:
        """Return a refusal of a websocket connection, or None to accept it."""
        with self._lock:
            for switch in self._switches:
                refusal = switch.effect.refuse(self._moment(switch, 0))
                if refusal is not None:
                    return refusal
        return None

    # -- inside ------------------------------------------------------------------------

    def _moment(self, switch: Switch, connection: int) -> Moment:
        now = self._clock.monotonic()

        def chance(detail: str) -> bool:
            if not switch.take(now):
                return False
            strike = Strike(self._clock.now(), switch.number, switch.name, connection, detail)
            self._log.append(strike)
            self._counts[switch.name] += 1
            return True

        return Moment(connection, now, switch.dice, chance, self._ledger)

    def _treated(self, actions: list[Action], connection: int, since: int = 0) -> list[Action]:
        """Return actions as the faults leave them, from one of them on."""
        for switch in self._switches[since:]:
            moment = self._moment(switch, connection)
            treated: list[Action] = []
            for action in actions:
                if isinstance(action, Send) and not action.final:
                    treated += switch.effect.treat(action, moment)
                else:
                    treated.append(action)
            actions = treated
        return actions

    def _release(self, connection: int) -> list[Action]:
        """Return what is due; the faults behind the one that held it have their chance too."""
        actions: list[Action] = []
        for place, switch in enumerate(self._switches):
            if switch.effect.due(connection, self._clock.monotonic()) == 0.0:
                released = list(switch.effect.release(self._moment(switch, connection)))
                actions += self._treated(released, connection, place + 1)
        return actions

    def _ended(self, actions: Sequence[Action], connection: int) -> list[Action]:
        """Return actions up to the one that ends the connection; nothing follows it."""
        done: list[Action] = []
        for action in actions:
            if connection in self._over:
                if isinstance(action, Send) and not action.final:
                    tally(self._ledger, "suppressed", action.data)
                continue
            done.append(action)
            if isinstance(action, Close | Abort) or (isinstance(action, Raw) and action.end):
                self._over.add(connection)
        return done

    def _prune(self) -> None:
        """Forget faults that are off and have nothing left to do."""
        now = self._clock.monotonic()
        for switch in self._switches:
            if switch.left(now) == 0.0:
                switch.effect.let_go()
        keep = [s for s in self._switches if s.lasts(now) or s.effect.holds(now)]
        if len(keep) < len(self._switches):
            self._switches = tuple(keep)
