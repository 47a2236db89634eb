"""Kinds of bars, written "1m", "volume:1000", "renko:atr14@1m": their names and numbers.

A kind is spelled ``family[:parameters][@base]``. Several parameters are joined by "x"; the
base is the timeframe of the bars that a kind is made from, where it is not made from trades.
"""

from __future__ import annotations

import difflib
import re
import zlib
from dataclasses import dataclass
from functools import lru_cache

from workbench.bars.families import FAMILIES, Family, Parameter
from workbench.errors import ConfigError, UnknownTimeframeError
from workbench.timeframes import Timeframe, timeframe

__all__ = ["FAMILIES", "BarKind", "Family", "Parameter", "bar_kind", "kind_of"]

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?"
_NUMBERS = re.compile(rf"{_NUMBER}(?:[x,]{_NUMBER})*")
_ATR = re.compile(r"atr(\d+)")
_NAMES = {
    "tick": "trades",
    "ticks": "trades",
    "heikinashi": "heikin-ashi",
    "linebreak": "line-break",
    "imbalance": "imbalance-trades",
    "run": "run-trades",
}


@dataclass(frozen=True, slots=True)
class BarKind:
    """A kind of bars that is not a plain timeframe.

    Attributes
    ----------
    name : str
        The one spelling that stands for it everywhere.
    family : str
        Key of :data:`FAMILIES`. Renko with bricks of an average true range is "renko-atr".
    parameters : tuple of float
        All of the family's, defaults included.
    base : Timeframe or None
        Timeframe of the bars it is made from; None if it is made from trades.
    code : int
        Below zero: what the field `timeframe` of its bars holds, the same in every process.
    """

    name: str
    family: str
    parameters: tuple[float, ...]
    base: Timeframe | None
    code: int

    @property
    def choice(self) -> str:
        """The word in the place of parameters, such as "day" of "session:day", or ""."""
        return self.name.partition(":")[2] if FAMILIES[self.family].choices else ""

    def __str__(self) -> str:
        return self.name


_SEEN: dict[int, BarKind] = {}


def bar_kind(text: str | int | Timeframe | BarKind) -> Timeframe | BarKind:
    """Read a kind of bars as people write it.

    Parameters
    ----------
    text : str, int, Timeframe or BarKind
        ``family[:parameters][@base]`` with a family of :data:`FAMILIES`, such as
        "volume:1000", "renko:atr14@1m" or "imbalance-volume:100x20"; parameters that are left
        out have their defaults. Whatever :func:`~workbench.timeframes.timeframe` reads is a
        timeframe.

    Returns
    -------
    Timeframe or BarKind

    Raises
    ------
    UnknownTimeframeError
        If there is no such kind, or its parameters are not as they must be.

    Examples
    --------
    >>> bar_kind("dollar:1e6").name, bar_kind("imbalance-volume").parameters
    ('dollar:1000000', (100.0, 20.0, 10.0))
    >>> bar_kind("60m")
    Timeframe(seconds=3600, name='1h')
    """
    if isinstance(text, BarKind):
        return text
    if not isinstance(text, str):
        return timeframe(text)
    return _read(text)


def kind_of(code: int) -> Timeframe | BarKind:
    """Return the kind of bars whose field `timeframe` holds a number.

    Parameters
    ----------
    code : int
        Seconds of a timeframe, or the code of a kind that this process has read.

    Raises
    ------
    UnknownTimeframeError
        If no kind with that code was read.

    Examples
    --------
    >>> kind_of(60).name, kind_of(bar_kind("renko:10").code).name
    ('1m', 'renko:10')
    """
    if code > 0:
        return timeframe(int(code))
    if code not in _SEEN:
        raise UnknownTimeframeError(f"no kind of bars with the code {code} was used so far")
    return _SEEN[code]


@lru_cache(maxsize=512)
def _read(text: str) -> Timeframe | BarKind:
    written = text.strip().lower()
    head, at, base_text = written.partition("@")
    name, colon, given = (part.strip() for part in head.partition(":"))
    name = _NAMES.get(name, name)
    if name == "renko" and _ATR.fullmatch(given):
        name, given = "renko-atr", given.removeprefix("atr")
    elif name == "renko-atr":
        raise UnknownTimeframeError(f"{text!r}: write 'renko:atr14@1m' for such bricks")
    if name not in FAMILIES:
        if not at and not colon and name[:1].isdigit():
            return timeframe(text)
        return _other(text, name)
    family = FAMILIES[name]
    base = _base(text, family, base_text.strip() if at else None)
    if family.choices:
        if given not in family.choices:
            allowed = ", ".join(f"{name}:{choice}" for choice in family.choices)
            raise UnknownTimeframeError(f"{text!r} is not one of {allowed}")
        return _known(f"{name}:{given}", name, (), base)
    parameters = _parameters(text, family, given)
    return _known(_spelled(family, parameters, base), name, parameters, base)


def _other(text: str, name: str) -> Timeframe:
    try:
        return timeframe(text)
    except UnknownTimeframeError:
        near = difflib.get_close_matches(name, [*FAMILIES, *_NAMES], 1, 0.5)
    examples = ", ".join(family.example for family in FAMILIES.values())
    hint = f"did you mean {FAMILIES[_NAMES.get(near[0], near[0])].example!r}? " if near else ""
    raise UnknownTimeframeError(
        f"unknown kind of bars {text!r}: {hint}Write a timeframe such as '5m', or one like "
        f"{examples}"
    )


def _base(text: str, family: Family, given: str | None) -> Timeframe | None:
    if given is None:
        if family.base == "must":
            raise UnknownTimeframeError(
                f"{text!r} needs the timeframe of its base, such as {family.example!r}"
            )
        return None
    if family.base == "never":
        raise UnknownTimeframeError(f"{text!r}: {family.name} bars take no base after '@'")
    return timeframe(given)


def _parameters(text: str, family: Family, given: str) -> tuple[float, ...]:
    if given and not _NUMBERS.fullmatch(given):
        raise UnknownTimeframeError(
            f"{text!r}: {given!r} is not a list of numbers such as in {family.example!r}"
        )
    values = [float(word) for word in re.split("[x,]", given)] if given else []
    if len(values) > len(family.parameters):
        raise UnknownTimeframeError(
            f"{text!r}: {family.name} takes {len(family.parameters)} numbers, not {len(values)}"
        )
    for place, parameter in enumerate(family.parameters):
        if place == len(values):
            if parameter.default is None:
                raise UnknownTimeframeError(
                    f"{text!r} lacks its {parameter.name} ({parameter.meaning}): write it like "
                    f"{family.example!r}"
                )
            values.append(float(parameter.default))
        value = values[place]
        if not parameter.low <= value <= parameter.high or (
            parameter.whole and not value.is_integer()
        ):
            kind = "a whole number" if parameter.whole else "a number"
            raise UnknownTimeframeError(
                f"{text!r}: {parameter.name} must be {kind} between {parameter.low:g} and "
                f"{parameter.high:g} ({parameter.meaning}), not {value:g}"
            )
    return tuple(values)


def _spelled(family: Family, parameters: tuple[float, ...], base: Timeframe | None) -> str:
    """Return the one spelling: expectations that are the defaults are left out."""
    values = list(parameters)
    if family.base == "never" and all(p.default is not None for p in family.parameters):
        while values and values[-1] == family.parameters[len(values) - 1].default:
            values.pop()
    numbers = "x".join(repr(value).removesuffix(".0") for value in values)
    name, prefix = ("renko", "atr") if family.name == "renko-atr" else (family.name, "")
    return name + (f":{prefix}{numbers}" if numbers else "") + (f"@{base}" if base else "")


def _known(
    name: str, family: str, parameters: tuple[float, ...], base: Timeframe | None
) -> BarKind:
    code = -(zlib.crc32(name.encode()) & 0x7FFFFFFF)
    kind = BarKind(name, family, parameters, base, code)
    other = _SEEN.setdefault(code, kind)
    if other.name != name or code == 0:
        raise ConfigError(f"{name!r} and {other.name!r} have the same code: change one a little")
    return kind
