"""Compiling all kernels once, so that none is compiled while data streams."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workbench.analytics import CATALOGUE, indicator
from workbench.bars import BarBuilder, time_bars
from workbench.gate import Gate, Quarantine
from workbench.kernels import cache_dir
from workbench.records import QUOTE, TRADE, Batch
from workbench.symbols import SymbolTable

__all__ = ["is_warm", "warm"]

_START = 1_700_000_000_000_000_000


def _bars() -> None:
    trades = np.zeros(8, TRADE)
    trades["time"] = _START + np.arange(8) * 10**9
    trades["price"] = trades["size"] = 1.0
    builder = BarBuilder(["1s"], lateness=1.0)
    builder.add(trades[::-1].copy())
    builder.adopt(0, "1m", trades)
    builder.forming(0, "1m")
    builder.finish()
    time_bars(trades, "1m")


def _gate() -> None:
    trades = np.zeros(600, TRADE)
    trades["time"], trades["price"], trades["size"] = _START, 1.0, 1.0
    trades["id"] = np.arange(600)
    gate = Gate(SymbolTable(["A"]), Quarantine())
    gate.accept(Batch("trade", trades))
    gate.accept(Batch("quote", np.zeros(1, QUOTE)))


def _steps() -> list[tuple[str, Callable[[], None]]]:
    return [
        ("gate", _gate),
        ("bars", _bars),
        *((name, indicator(name).prepare) for name in CATALOGUE),
    ]


def is_warm() -> bool:
    """Tell whether this version's kernels were compiled on this machine before."""
    return (cache_dir() / "warm").exists()


def warm(on_step: Callable[[int, int, str], None] | None = None) -> None:
    """Compile every kernel that is not in the cache.

    Parameters
    ----------
    on_step : callable or None
        Called with steps done, steps in all, and the name of the next one ("" at the end).

    Examples
    --------
    >>> warm()
    >>> is_warm()
    True
    """
    steps = _steps()
    for done, (name, step) in enumerate(steps):
        if on_step is not None:
            on_step(done, len(steps), name)
        step()
    if on_step is not None:
        on_step(len(steps), len(steps), "")
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "warm").touch()
