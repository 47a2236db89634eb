"""One fault that is switched on: its effect, and when it strikes."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from workbench.errors import ConfigError
from workbench.sim import contentfaults, heldfaults, linefaults, restfaults
from workbench.sim.faulteffect import Effect
from workbench.sim.faultlist import checked, kind
from workbench.sim.faultparameter import Value
from workbench.sim.randomfault import Random

__all__ = ["EFFECTS", "RECOVERED", "Switch", "effect"]

#: What makes the effect of a fault, by its name.
EFFECTS: Mapping[str, Callable[..., Effect]] = MappingProxyType(
    {
        "drop": linefaults.Drop,
        "half-open": linefaults.HalfOpen,
        "stall": linefaults.Stall,
        "outage": linefaults.Outage,
        "kick": linefaults.Kick,
        "burst": heldfaults.Burst,
        "framing": linefaults.Framing,
        "big": linefaults.Big,
        "garble": contentfaults.Garble,
        "truncate": contentfaults.Truncate,
        "nonsense": contentfaults.Nonsense,
        "unknown": contentfaults.Unknown,
        "wrong": contentfaults.Wrong,
        "skew": contentfaults.Skew,
        "units": contentfaults.Units,
        "crossed": contentfaults.Crossed,
        "duplicate": heldfaults.Duplicate,
        "reorder": heldfaults.Reorder,
        "late": heldfaults.Late,
        "hello": linefaults.Hello,
        "login": linefaults.Login,
        "refuse": linefaults.Refuse,
        "rest-throttle": restfaults.RestThrottle,
        "rest-error": restfaults.RestError,
        "rest-slow": restfaults.RestSlow,
        "rest-cut": restfaults.RestCut,
        "rest-garble": restfaults.RestGarble,
        "rest-pages": restfaults.RestPages,
        "rest-correction": restfaults.RestCorrection,
    }
)
#: What the fault "random" draws from unless told: all that a client recovers from alone.
RECOVERED = (
    "drop", "half-open", "stall", "kick", "burst", "framing", "big", "garble", "truncate",
    "nonsense", "unknown", "wrong", "duplicate", "reorder", "late",
)  # fmt: skip


def effect(name: str, values: Mapping[str, Value]) -> Effect:
    """Return the effect of a fault.

    Parameters
    ----------
    name : str
    values : mapping
        All its parameters, as :func:`~workbench.sim.faultlist.checked` returns them.

    Raises
    ------
    ConfigError
        If "random" is to draw from what it cannot.
    """
    if name == "random":
        return Random({word: effect(word, checked(word, {})) for word in _among(values["among"])})
    own: dict[str, Any] = {item.name: values[item.name] for item in kind(name).parameters}
    if name == "rest-correction":
        own["seed"] = values["seed"]
    return EFFECTS[name](**own)


def _among(text: Value) -> tuple[str, ...]:
    names = tuple(str(text).split("+")) if text else RECOVERED
    for name in names:
        if kind(name).chance not in ("frame", "trade") or name == "random":
            raise ConfigError(f"fault random draws from faults of frames, and {name} is not one")
    return names


class Switch:
    """Count the chances of a fault and tell which of them it takes.

    Parameters
    ----------
    number : int
        Tells it from other faults of the same name.
    name : str
    given : mapping
        Parameters; see :data:`~workbench.sim.faultlist.CATALOGUE`.
    now : float
        Monotonic time, seconds.

    Attributes
    ----------
    values : mapping
        All parameters.
    on : bool
        Whether it may still strike.
    chances, strikes : int
        So far.

    Raises
    ------
    ConfigError
        If there is no such fault or parameter, or a value is not allowed.

    Examples
    --------
    >>> switch = Switch(1, "drop", {"every": 3, "count": 1}, now=0.0)
    >>> [switch.take(0.0) for _ in range(7)]
    [False, False, True, False, False, False, False]
    """

    def __init__(self, number: int, name: str, given: Mapping[str, Value], now: float) -> None:
        self.number = number
        self.name = name
        self.values: Mapping[str, Any] = MappingProxyType(checked(name, given))
        self.effect = effect(name, self.values)
        self.dice = random.Random(f"{self.values['seed']} {name}")
        self.on = True
        self.chances = 0
        self.strikes = 0
        self.given = {word: self.values[word] for word in given}
        self._began = now
        self._last: float | None = None

    def __repr__(self) -> str:
        state = "on" if self.on else "off"
        given = "".join(f", {word}={value!r}" for word, value in self.given.items())
        return f"Switch({self.number} {self.name}{given}, {state}, {self.strikes} strikes)"

    def take(self, now: float) -> bool:
        """Count a chance and return whether to strike."""
        if not self.lasts(now):
            return False
        values = self.values
        self.chances += 1
        nth = self.chances - values["after"]
        if nth < 1 or nth % values["every"]:
            return False
        # The dice are thrown even when the time is not ripe: luck does not depend on the clock.
        taken = self.dice.random() < values["rate"]
        if not taken or (self._last is not None and now - self._last < values["interval"]):
            return False
        self._last = now
        self.strikes += 1
        if values["count"] is not None and self.strikes >= values["count"]:
            self.on = False
        return True

    def lasts(self, now: float) -> bool:
        """Return whether it is on, switching it off when its time is up."""
        duration = self.values["duration"]
        if duration is not None and now - self._began >= duration:
            self.on = False
        return self.on

    def left(self, now: float) -> float | None:
        """Return the seconds until it switches itself off; None if it does not."""
        duration = self.values["duration"]
        return None if duration is None else max(0.0, self._began + duration - now)
