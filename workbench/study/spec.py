"""What a study is, apart from the values of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from workbench.analytics.parameters import Choice, Parameter, Value

__all__ = ["DIRECTIONS", "Fields", "Spec", "fixed"]

#: Fields of a structured dtype.
Fields = list[tuple[str, str]]
#: Words for a direction as kernels store it.
DIRECTIONS = ("none", "up", "down")


def fixed(number: int) -> Callable[[Mapping[str, Value]], int]:
    """Return a function that answers with a number whatever the parameters are."""

    def size(parameters: Mapping[str, Value]) -> int:
        return number

    return size


@dataclass(frozen=True)
class Spec:
    """What a study is, apart from its parameters' values.

    Attributes
    ----------
    name, title : str
        "structure" and "Market structure".
    text : str
        What it tells, and by which rules.
    source : str
        Where the rules come from: author, year, work.
    kernel : callable
        ``fn(p, s, w, z, bars, out)``, see `workbench.kernels.swings`.
    parameters : mapping of name to Parameter or Choice
    events : fields of an event
    columns : tuple of str
        Fields of an event that the table shows, in order.
    words : mapping of column to words
        What the numbers in a column stand for.
    state, window, zones : fields
        What the kernel keeps: scalars, bars, open zones.
    bars, slots, most : callable
        For given parameters: bars in the window, open zones, and most events from one bar.
    changing : tuple of str
        Columns that later events change; the others keep what they were at confirmation.
    ends : bool
        Whether rows are touched and end; otherwise each bar has a row of its own.
    volume, days : bool
        Whether it reads volumes, and the days bars belong to.
    """

    name: str
    title: str
    text: str
    source: str
    kernel: Callable[..., tuple[int, int]]
    parameters: Mapping[str, Parameter | Choice]
    events: Fields
    columns: tuple[str, ...]
    words: Mapping[str, tuple[str, ...]]
    state: Fields
    window: Fields
    bars: Callable[[Mapping[str, Value]], int]
    most: Callable[[Mapping[str, Value]], int]
    zones: Fields = field(default_factory=lambda: [("none", "i8")])
    slots: Callable[[Mapping[str, Value]], int] = field(default=fixed(1))
    changing: tuple[str, ...] = ()
    ends: bool = True
    volume: bool = False
    days: bool = False

    @property
    def shown(self) -> tuple[str, ...]:
        """Columns of the table, in order."""
        ends = ("touched", "mitigated", "reason") if self.ends else ()
        head = ("kind",) if "kind" in self.words else ()
        return (*head, *self.columns, "formed", "confirmed", *ends, "first", "last")

    @property
    def dtype(self) -> np.dtype[np.void]:
        """Of an event."""
        return np.dtype(self.events)
