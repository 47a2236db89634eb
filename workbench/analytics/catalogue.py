"""All indicators by name, and the function that makes each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any

import pandas as pd

from workbench.analytics import (
    averages,
    candles,
    channels,
    direction,
    momentum,
    oscillators,
    regression,
    rolling,
    stops,
    swings,
    volatility,
    volume,
    weighted,
)
from workbench.analytics.configured import Indicator
from workbench.analytics.parameters import Taken
from workbench.analytics.spec import Spec
from workbench.errors import ConfigError, UnknownIndicatorError

__all__ = ["BUILT_IN", "CATALOGUE", "Maker", "find", "indicators", "register"]

_FAMILIES = (
    averages, weighted, momentum, oscillators, direction, stops, volatility, channels, volume,
    regression, rolling, swings, candles,
)  # fmt: skip


class Maker:
    """The function that makes an indicator: ``wb.ema(20)``.

    It takes the indicator's parameters, in their order or by name, and `of`: the column or
    columns to read instead of its own.

    Examples
    --------
    >>> from workbench.analytics import rsi
    >>> rsi(7), rsi(length=7, of="volume")
    (rsi(length=7), rsi(length=7, of='volume'))
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.__name__ = self.__qualname__ = spec.name
        self.__doc__ = _doc(spec)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        given = [inspect.Parameter(n, kind, default=p.default) for n, p in spec.parameters.items()]
        given.append(inspect.Parameter("of", inspect.Parameter.KEYWORD_ONLY, default=()))
        self.__signature__ = inspect.Signature(given, return_annotation=Indicator)

    def __call__(self, *values: Any, of: str | tuple[str, ...] = (), **named: Any) -> Indicator:
        """Return the indicator with these parameters."""
        names = list(self.spec.parameters)
        if len(values) > len(names):
            allowed = ", ".join(names) or "none"
            raise ConfigError(f"{self.spec.name} takes {len(names)} parameters: {allowed}")
        given = dict(zip(names, values, strict=False))
        twice = next((name for name in named if name in given), None)
        if twice is not None:
            raise ConfigError(f"{self.spec.name}: {twice} was given twice")
        return Indicator(self.spec, given | named, of)

    def __repr__(self) -> str:
        return f"<{self.spec.name}{self.__signature__}: {self.spec.title}>"


def _doc(spec: Spec) -> str:
    lines = [f"{spec.title}.", "", spec.text, ""]
    if spec.parameters:
        lines += ["Parameters", "----------"]
        for name, p in spec.parameters.items():
            lines += [f"{name} : {p.allowed}, default {p.default}", f"    {p.text}"]
        lines.append("")
    lines += ["Returns", "-------", "Indicator"]
    lines += [f"    Reads {', '.join(spec.inputs)}; gives {', '.join(spec.outputs)}.", ""]
    return "\n".join([*lines, f"Source: {spec.source}"])


#: All indicators by name.
CATALOGUE: dict[str, Spec] = {spec.name: spec for family in _FAMILIES for spec in family.SPECS}

#: Names of those that come with Workbench.
BUILT_IN = frozenset(CATALOGUE)

_plugins_read = False


def register(spec: Spec) -> None:
    """Add an indicator of one's own to the catalogue, in place of an own one of that name.

    Raises
    ------
    ConfigError
        If the name is that of a built-in indicator, or not a name.
    """
    if spec.name in BUILT_IN:
        raise ConfigError(f"there is an indicator {spec.name!r} already; choose another name")
    if not spec.name.isidentifier():
        raise ConfigError(f"{spec.name!r} is not a name: use letters, digits and _")
    CATALOGUE[spec.name] = spec


def _all() -> dict[str, Spec]:
    """Return the catalogue, with the indicators that installed packages announce."""
    global _plugins_read
    if not _plugins_read:
        _plugins_read = True
        for point in entry_points(group="workbench.indicators"):
            register(point.load().spec)
    return CATALOGUE


def find(name: str) -> Spec:
    """Return what an indicator is, by name.

    Raises
    ------
    UnknownIndicatorError
        With the nearest names.
    """
    known = _all()
    spec = known.get(str(name).lower())
    if spec is None:
        near = get_close_matches(str(name).lower(), known, 3, 0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "indicators() lists all"
        raise UnknownIndicatorError(f"no indicator {name!r}; {hint}")
    return spec


def indicators(family: str | None = None) -> pd.DataFrame:
    """Return a table of all indicators, own ones included.

    Parameters
    ----------
    family : str or None
        Only those of a family; None for all.

    Returns
    -------
    DataFrame
        Indexed by name: title, family, inputs, parameters with their defaults and ranges,
        outputs, where it is drawn, and the source of its formula.

    Examples
    --------
    >>> indicators().loc["rsi", "parameters"]
    'length=14 (1 to 100000)'
    """
    table = pd.DataFrame(
        list(_rows()),
        columns=["name", "title", "family", "inputs", "parameters", "outputs", "pane", "source"],
    ).set_index("name")
    if family is None:
        return table
    chosen = table[table["family"].str.lower() == family.lower()]
    if chosen.empty:
        raise ConfigError(f"no family {family!r}; there are {', '.join(table['family'].unique())}")
    return chosen


def _rows() -> Iterator[tuple[str, ...]]:
    for spec in _all().values():
        yield (
            spec.name, spec.title, spec.family, ", ".join(spec.inputs),
            "; ".join(f"{n}={p.default} ({p.allowed})" for n, p in _parameters(spec)),
            ", ".join(spec.outputs), spec.pane, spec.source,
        )  # fmt: skip


def _parameters(spec: Spec) -> list[tuple[str, Taken]]:
    return list(spec.parameters.items())
