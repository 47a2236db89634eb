"""The bars an indicator kernel reads: a named tuple of plain columns.

Columns rather than records: a batch over a million bars then reads eight bytes a bar and
input, not a whole record. One tuple class per set of inputs lives in this module, so that
compiled kernels can be found in the cache by every process.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

__all__ = ["bars_type"]

_PREFIX = "Bars_"


def bars_type(inputs: tuple[str, ...]) -> type[tuple[Any, ...]]:
    """Return the named-tuple class with these columns as fields.

    >>> bars_type(("high", "low"))._fields
    ('high', 'low')
    """
    name = _PREFIX + "__".join(inputs)
    if name not in globals():
        made = namedtuple(name, inputs)  # type: ignore[misc]
        made.__module__ = __name__
        globals()[name] = made
    found: type[tuple[Any, ...]] = globals()[name]
    return found


def __getattr__(name: str) -> type[tuple[Any, ...]]:
    """Make the class of a cached kernel's signature when another process made it first."""
    if name.startswith(_PREFIX):
        return bars_type(tuple(name.removeprefix(_PREFIX).split("__")))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
