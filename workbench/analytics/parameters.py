"""What an indicator can be told: numbers, choices and moments, each with what is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol

import numpy as np
import pandas as pd

from workbench.errors import ConfigError

__all__ = ["Choice", "Moment", "Parameter", "Taken", "Value", "read"]

Value = int | float | str


class Taken(Protocol):
    """What every kind of parameter can do."""

    @property
    def default(self) -> Value:
        """The value when none is given."""
        ...

    @property
    def text(self) -> str:
        """What it means."""
        ...

    @property
    def allowed(self) -> str:
        """What values are allowed, for people."""
        ...

    def check(self, owner: str, name: str, value: Any) -> Value:
        """Return the value as it is kept; ConfigError if it is not allowed."""
        ...

    def number(self, value: Value) -> int | float:
        """Return the number that stands for a kept value in a kernel's record."""
        ...


@dataclass(frozen=True, slots=True)
class Parameter:
    """A whole or real number and its range; whole if the default is an int."""

    default: int | float
    low: float
    high: float
    text: str

    @property
    def allowed(self) -> str:
        """The range: "1 to 100000"."""
        return f"{self.low:g} to {self.high:g}"

    def check(self, owner: str, name: str, value: Any) -> int | float:
        """Return the value; ConfigError if it is out of range or of the wrong kind."""
        whole = isinstance(self.default, int)
        kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
        good = isinstance(value, kinds) and not isinstance(value, bool)
        if not good or not self.low <= value <= self.high:
            kind = "whole number" if whole else "number"
            raise ConfigError(
                f"{owner}: {name} must be a {kind} from {self.low:g} to {self.high:g}, "
                f"not {value!r}"
            )
        return int(value) if whole else float(value)

    def number(self, value: Value) -> int | float:
        """Return the number itself."""
        assert not isinstance(value, str)
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words; a kernel gets its place among them, from 0."""

    default: str
    options: tuple[str, ...]
    text: str

    @property
    def allowed(self) -> str:
        """The words: "sma, ema"."""
        return ", ".join(self.options)

    def check(self, owner: str, name: str, value: Any) -> str:
        """Return the word; ConfigError, with the nearest, if it is none of them."""
        if isinstance(value, str) and value.lower() in self.options:
            return value.lower()
        near = get_close_matches(str(value).lower(), self.options, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{owner}: {name} must be one of {self.allowed}, not {value!r}{hint}")

    def number(self, value: Value) -> int:
        """Return the place of the word among the options."""
        return self.options.index(str(value))


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time; kept as ns UTC. A text or Timestamp without a zone is taken as UTC."""

    default: int
    text: str

    @property
    def allowed(self) -> str:
        """What can be given."""
        return "a date and time, or ns UTC"

    def check(self, owner: str, name: str, value: Any) -> int:
        """Return ns UTC; ConfigError if it is not a time."""
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            return int(value)
        time: Any = pd.NaT
        if not isinstance(value, float | bool):
            with suppress(ValueError, TypeError):
                time = pd.Timestamp(value)
        if pd.isna(time):
            raise ConfigError(
                f'{owner}: {name} must be a date and time such as "2025-11-03 14:30", not {value!r}'
            )
        zoned = time.tz_localize("UTC") if time.tzinfo is None else time
        return int(zoned.as_unit("ns").value)

    def number(self, value: Value) -> int:
        """Return ns UTC."""
        return int(value)


def read(owner: str, allowed: Mapping[str, Taken], given: Mapping[str, Any]) -> dict[str, Value]:
    """Return all parameters of an owner, checked; those not given take their default.

    Raises
    ------
    ConfigError
        If one is unknown, with the nearest name, or not allowed.

    Examples
    --------
    >>> read("sma", {"length": Parameter(20, 1, 1000, "bars")}, {})
    {'length': 20}
    """
    for name in given:
        if name not in allowed:
            near = get_close_matches(name, allowed, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            names = ", ".join(allowed) or "none"
            raise ConfigError(f"{owner} has no parameter {name!r}; it has {names}{hint}")
    return {name: p.check(owner, name, given.get(name, p.default)) for name, p in allowed.items()}


def shown(value: Value) -> str:
    """Return a kept value as labels and column names show it."""
    if isinstance(value, str):
        return value
    return f"{value:g}" if math.fabs(value) < 1e15 else str(pd.Timestamp(value, tz="UTC"))[:19]
