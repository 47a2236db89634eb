"""Indicators by name, and indicators of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

from workbench.analytics.catalogue import Maker, find, register
from workbench.analytics.configured import Indicator
from workbench.analytics.parameters import Choice, Moment, Parameter, Taken
from workbench.analytics.spec import Spec
from workbench.errors import ConfigError
from workbench.kernels.dispatch import compiled

__all__ = ["indicator"]

_INPUTS = ("open", "high", "low", "close", "volume")
Decorator = Callable[[Callable[..., None]], Maker]


@overload
def indicator(name: str, /, *, of: str | tuple[str, ...] = ..., **parameters: Any) -> Indicator:
    """Return an indicator by name."""
    ...


@overload
def indicator(
    *,
    outputs: Sequence[str],
    params: Mapping[str, Any] | None = ...,
    state: Sequence[tuple[str, str]] = ...,
    inputs: Sequence[str] = ...,
    slots: str | int = ...,
    warmup: str | int | Callable[[Mapping[str, Any]], int] = ...,
    pane: str = ...,
    title: str = ...,
    source: str = ...,
    name: str | None = ...,
    gaps: bool = ...,
    jit: bool = ...,
) -> Decorator:
    """Return a decorator that makes an indicator of a function."""
    ...


def indicator(name: str | None = None, /, **given: Any) -> Indicator | Decorator:
    """Return an indicator by name; or, with `outputs`, make one of a function.

    Parameters
    ----------
    name : str
        As :func:`workbench.indicators` lists it.
    of : str or tuple of str
        Column or columns to read instead of its own.
    **parameters
        Its parameters; those left out take their default.

    outputs : sequence of str
        Makes this a decorator: names of the values the function computes for each bar.
    params : mapping, optional
        Parameters: a default, or (default, low, high), or a Parameter, Choice or Moment.
    state : list of (field, dtype)
        What the function keeps between bars; all zero at the start.
    inputs : sequence of str
        Columns it reads; open, high, low, close and volume if not told.
    slots : str or int
        Rows of state: a number, or the parameter that tells it.
    warmup : str, int or callable
        Bars before the first value: a number, the parameter that tells one more than it, or a
        function of the parameters.
    pane : "price" or "own"
        Drawn over the candles or below them.
    title, source : str
    name : str
        Other than the function's.
    gaps : bool
        Whether values may be NaN after the warm-up.
    jit : bool
        False runs the function as plain Python, to debug it.

    Returns
    -------
    Indicator, or a decorator that returns a function which makes it

    Raises
    ------
    UnknownIndicatorError
        With the nearest names.
    ConfigError
        If a parameter is unknown or out of range.

    Examples
    --------
    >>> indicator("rsi", length=7)
    rsi(length=7)
    >>> indicator("rsj")
    Traceback (most recent call last):
        ...
    workbench.errors.UnknownIndicatorError: no indicator 'rsj'; did you mean rsi?

    A function of the bars that keeps what it needs in a state, so that the very same loop
    serves batch and live:

    >>> @indicator(outputs=["high"], state=[("best", "f8")], inputs=["high"], pane="price")
    ... def record(p, s, bars, out):
    ...     best = s[0]["best"]
    ...     for i in range(len(bars.high)):
    ...         best = max(best, bars.high[i])
    ...         out[i, 0] = best
    ...     s[0]["best"] = best
    >>> record().values([3.0, 2.0, 5.0])[:, 0].tolist()
    [3.0, 3.0, 5.0]
    """
    if name is None:
        if "outputs" not in given:
            raise ConfigError("give the name of an indicator, or outputs=[...] to make one")
        return _decorator(**given)
    of = given.pop("of", ())
    return Indicator(find(name), given, of)


def _decorator(
    *,
    outputs: Sequence[str],
    params: Mapping[str, Any] | None = None,
    slots: str | int = 1,
    warmup: str | int | Callable[[Mapping[str, Any]], int] = 0,
    pane: str = "own",
    name: str | None = None,
    **rest: Any,
) -> Decorator:
    if pane not in ("price", "own"):
        raise ConfigError(f'pane must be "price" or "own", not {pane!r}')
    if isinstance(outputs, str) or not outputs:
        raise ConfigError("outputs must be a list of names")
    allowed = {n: _parameter(n, given) for n, given in (params or {}).items()}
    for chosen in (slots, warmup):
        if isinstance(chosen, str) and chosen not in allowed:
            raise ConfigError(f"there is no parameter {chosen!r}; params has {list(allowed)}")

    def decorate(function: Callable[..., None]) -> Maker:
        spec = _spec(
            function,
            name or function.__name__,
            outputs=tuple(outputs),
            parameters=allowed,
            slots=lambda p: int(p[slots]) if isinstance(slots, str) else slots,
            warmup=_warmup(warmup),
            pane=pane,
            **rest,
        )
        register(spec)
        return Maker(spec)

    return decorate


def _spec(
    function: Callable[..., None],
    name: str,
    *,
    state: Sequence[tuple[str, str]] = (),
    inputs: Sequence[str] = _INPUTS,
    title: str = "",
    source: str = "own",
    gaps: bool = False,
    jit: bool = True,
    **given: Any,
) -> Spec:
    said = (function.__doc__ or "").strip().partition("\n")[0]
    return Spec(
        name=name,
        title=title or name.replace("_", " ").capitalize(),
        family="Own",
        kernel=compiled(function) if jit else function,
        inputs=tuple(inputs),
        state=list(state) or [("none", "i8")],
        text=said or "An indicator of one's own.",
        source=source,
        gaps=gaps,
        **given,
    )


def _warmup(given: str | int | Callable[[Mapping[str, Any]], int]) -> Callable[..., int]:
    if isinstance(given, str):
        return lambda p: int(p[given]) - 1
    if isinstance(given, int):
        return lambda p: given
    return given


def _parameter(name: str, given: Any) -> Taken:
    if isinstance(given, Parameter | Choice | Moment):
        return given
    if isinstance(given, tuple) and len(given) == 3:
        return Parameter(*given, text=name)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ConfigError(
            f"params[{name!r}] must be a number, (default, low, high) or a Parameter, not {given!r}"
        )
    low, high = (1, 100_000) if isinstance(given, int) and given > 0 else (-1e15, 1e15)
    return Parameter(given, low, high, name)
