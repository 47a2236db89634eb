"""What an indicator is, apart from the values of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.analytics.parameters import Parameter, Taken

__all__ = ["Spec", "length", "none", "one", "per_length"]


def one(parameters: Mapping[str, Any]) -> int:
    """Return 1: the state has no ring."""
    return 1


def per_length(parameters: Mapping[str, Any]) -> int:
    """Return the parameter `length`: the state has a ring of so many rows."""
    return int(parameters["length"])


def none(parameters: Mapping[str, Any]) -> str | None:
    """Return None: any parameters go together."""
    return None


@dataclass(frozen=True)
class Spec:
    """What an indicator is, apart from its parameters' values.

    Attributes
    ----------
    name, title : str
        "ema" and "Exponential moving average".
    family : str
        Heading it stands under: "Averages", "Momentum" ...
    kernel : callable
        ``fn(p, s, bars, out)``, see `workbench.kernels.averages`. Its inputs are finite:
        rows that are not never get there.
    inputs : tuple of str
        Columns it reads: see `workbench.analytics.inputs`.
    outputs : tuple of str
    parameters : mapping of name to Parameter, Choice or Moment
    state : list of (field, dtype)
        Zeroed at the start; row 0 holds the scalars.
    slots : callable
        Rows of state for given parameters; more than one where a `ring` is needed.
    warmup : callable
        For given parameters, how many rows pass before the first in which every output has a
        value, if nothing in the market (such as a new session) decides.
    pane : "price" or "own"
        Whether it is drawn over the candles.
    text : str
        One or two sentences: what it tells, and how.
    source : str
        Where the formula comes from: author, year, work.
    bounds, levels : tuples
        Fixed range of its pane and lines drawn in it; empty for none.
    check : callable
        For given parameters, what is wrong with them together, or None.
    gaps : bool
        Whether an output may be NaN after the warm-up (points that are not on every bar, or
        values that do not exist there).
    drawn : tuple of str
        Outputs a chart draws; empty for all. Others are no prices, say.
    """

    name: str
    title: str
    family: str
    kernel: Callable[..., None]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: Mapping[str, Taken]
    state: list[tuple[str, str]]
    slots: Callable[[Mapping[str, Any]], int]
    warmup: Callable[[Mapping[str, Any]], int]
    pane: str
    text: str
    source: str
    bounds: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    check: Callable[[Mapping[str, Any]], str | None] = field(default=none)
    gaps: bool = False
    drawn: tuple[str, ...] = ()


def length(default: int, text: str, low: int = 1) -> dict[str, Taken]:
    """Return the one parameter most indicators have."""
    return {"length": Parameter(default, low, 100_000, text)}
