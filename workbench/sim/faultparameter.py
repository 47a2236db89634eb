"""A parameter of a fault: its range, and how it is read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from workbench.errors import ConfigError

__all__ = ["Parameter", "Value"]

Value = int | float | str | bool | None


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that can be chosen about a fault.

    Attributes
    ----------
    name : str
    default : int, float, str, bool or None
        Its type is that of the parameter; None stands for "no limit" of a number.
    what : str
        What it means, with its unit.
    low, high : float
        Range of a number, both included.
    choices : tuple of str
        Words that are allowed; empty for any.
    whole : bool
        Whether a number without a default has to be a whole one.
    """

    name: str
    default: Value
    what: str
    low: float = 0.0
    high: float = math.inf
    choices: tuple[str, ...] = ()
    whole: bool = False

    def read(self, value: Value) -> Value:
        """Return a value, or its text, as what the parameter holds.

        Raises
        ------
        ConfigError
            If it is not allowed; the error says what is.

        Examples
        --------
        >>> Parameter("rate", 1.0, "", 0.0, 1.0).read("0.25")
        0.25
        """
        if isinstance(self.default, bool):
            return self._flag(value)
        if isinstance(self.default, str):
            if isinstance(value, str) and (not self.choices or value in self.choices):
                return value
            raise self._wrong(value)
        if value is None or value == "none":
            if self.default is None:
                return None
            raise self._wrong(value)
        return self._number(value)

    def _flag(self, value: Value) -> bool:
        words = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
        found = words.get(str(value).lower())
        if found is None:
            raise self._wrong(value)
        return found

    def _number(self, value: Value) -> int | float:
        whole = self.whole or isinstance(self.default, int)
        try:
            number = float(value) if not isinstance(value, bool | None) else math.nan
        except ValueError:
            raise self._wrong(value) from None
        if not self.low <= number <= self.high or (whole and number != math.floor(number)):
            raise self._wrong(value)
        return int(number) if whole else number

    def _wrong(self, value: Value) -> ConfigError:
        return ConfigError(f"{self.name} is {str(value)[:40]!r}; allowed: {self.allowed}")

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.default, str):
            return ", ".join(self.choices) if self.choices else "any text"
        noun = "a whole number" if self.whole or isinstance(self.default, int) else "a number"
        span = f"{noun} from {self.low:g}"
        if math.isfinite(self.high):
            span += f" to {self.high:g}"
        return span + (", or none" if self.default is None else "")
