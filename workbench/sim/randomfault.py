"""A fault that is another one each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from workbench.sim.faulteffect import Effect, Moment, is_data
from workbench.sim.faults import Action, Send

__all__ = ["Random"]


class Random(Effect):
    """Strike with one of several effects, drawn anew each time.

    Parameters
    ----------
    effects : mapping of str to Effect
        At least one.
    """

    def __init__(self, effects: Mapping[str, Effect]) -> None:
        self._effects = dict(effects)
        self._names = sorted(effects)

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return what the effect that was drawn makes of the frame."""
        chosen = at.dice.choice(self._names) if is_data(send.data) else ""
        struck = [chosen] if chosen and at.chance(chosen) else []
        actions: list[Action] = [send]
        # All are asked: those that hold something back look at every frame.
        for name, effect in self._effects.items():

            def chance(detail: str, name: str = name) -> bool:
                return bool(struck) and struck[0] == name and bool(struck.pop())

            moment = replace(at, chance=chance)
            treated: list[Action] = []
            for action in actions:
                if isinstance(action, Send) and not action.final:
                    treated += effect.treat(action, moment)
                else:
                    treated.append(action)
            actions = treated
        return actions

    def due(self, connection: int, now: float) -> float | None:
        """Return the seconds until the first of them has something to send."""
        found = [effect.due(connection, now) for effect in self._effects.values()]
        return min((seconds for seconds in found if seconds is not None), default=None)

    def release(self, at: Moment) -> Sequence[Action]:
        """Return what all of them have to send."""
        return [action for effect in self._effects.values() for action in effect.release(at)]

    def forget(self, connection: int, ledger: Counter[str]) -> None:
        """Tell all of them."""
        for effect in self._effects.values():
            effect.forget(connection, ledger)

    def let_go(self) -> None:
        """Tell all of them."""
        for effect in self._effects.values():
            effect.let_go()

    def holds(self, now: float) -> bool:
        """Return whether one of them still has an effect."""
        return any(effect.holds(now) for effect in self._effects.values())
