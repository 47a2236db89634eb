"""A compiled loop, and all it calls, as plain Python."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

__all__ = ["plain"]


def plain(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return a kernel as the Python it was written as, and likewise what it calls by name.

    A function that was never compiled comes back as it is.

    >>> plain(len) is len
    True
    """
    made: Callable[..., Any] = _plain(kernel, {})
    return made


def _plain(kernel: Callable[..., Any], seen: dict[int, Any]) -> Any:
    source = getattr(kernel, "py_func", None)
    if not isinstance(source, FunctionType):
        return kernel
    if id(kernel) in seen:
        return seen[id(kernel)]
    scope = dict(source.__globals__)
    made = FunctionType(
        source.__code__, scope, source.__name__, source.__defaults__, source.__closure__
    )
    made.__kwdefaults__ = source.__kwdefaults__
    seen[id(kernel)] = made
    for name in source.__code__.co_names:
        if hasattr(scope.get(name), "py_func"):
            scope[name] = _plain(scope[name], seen)
    return made
