"""Compiling kernels before data come, so that none is compiled while they stream."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from workbench.analytics import CATALOGUE, indicator
from workbench.bars.batchbars import time_bars
from workbench.bars.prepared import prepared, sample_bars, sample_trades
from workbench.bars.timebars import BarBuilder
from workbench.gate import Gate, Quarantine
from workbench.kernels import cache_dir
from workbench.records import QUOTE, Batch
from workbench.study.catalogue import CATALOGUE as STUDIES
from workbench.study.catalogue import study
from workbench.symbols import SymbolTable

__all__ = ["ESSENTIAL", "is_warm", "warm", "warming"]

#: What a feed and a first chart need; the rest is compiled when it is first asked for.
ESSENTIAL = ("gate", "bars", "sma", "ema", "rsi", "vwap")
#: One kind for each way of building bars.
_KINDS = (
    "session:day", "trades:2", "range:1", "renko:1@1s", "renko:atr2@1s", "imbalance-trades",
    "run-trades", "heikin-ashi@1m", "line-break:3@1m", "kagi:1@1m", "point-figure:1x3@1m",
)  # fmt: skip


def _bars() -> None:
    trades = sample_trades(8)
    builder = BarBuilder(["1s"], lateness=1.0)
    builder.add(trades[::-1].copy())
    builder.adopt(0, "1m", trades)
    builder.forming(0, "1m")
    builder.finish()
    time_bars(trades, "1m")


def _gate() -> None:
    trades = sample_trades(600)
    trades["time"] = 1_700_000_000_000_000_000
    trades["id"] = np.arange(600)
    gate = Gate(SymbolTable(["A"]), Quarantine())
    gate.accept(Batch("trade", trades))
    gate.accept(Batch("quote", np.zeros(1, QUOTE)))


def _study(name: str) -> None:
    run = study(name).start()
    run.add(sample_bars(2))


def _steps() -> dict[str, Callable[[], None]]:
    steps: dict[str, Callable[[], None]] = {"gate": _gate, "bars": _bars}
    steps |= {name: indicator(name).prepare for name in CATALOGUE}
    for kind in _KINDS:
        steps[kind] = lambda kind=kind: prepared(kind)  # type: ignore[assignment,misc]
    for name in STUDIES:
        steps[f"study {name}"] = lambda name=name: _study(name)  # type: ignore[misc]
    return steps


def is_warm(*, everything: bool = False) -> bool:
    """Tell whether this version's kernels were compiled on this machine before.

    Parameters
    ----------
    everything : bool
        All of them, or (False) those of :data:`ESSENTIAL`.
    """
    return (cache_dir() / ("warm-all" if everything else "warm")).exists()


def warm(
    on_step: Callable[[int, int, str], None] | None = None,
    *,
    everything: bool = True,
    jobs: int | None = 1,
) -> None:
    """Compile every kernel that is not in the cache.

    Parameters
    ----------
    on_step : callable or None
        Called with steps done, steps in all, and the name of the next one ("" at the end).
    everything : bool
        All kernels; False for those of :data:`ESSENTIAL` only.
    jobs : int or None
        Processes that compile side by side; None for one per core. More than one fills the
        cache for the processes to come, and loads nothing into this one.

    Examples
    --------
    >>> warm(everything=False)
    >>> is_warm()
    True
    """
    steps = _steps()
    names = list(steps) if everything else list(ESSENTIAL)
    count = min(jobs or os.cpu_count() or 1, len(names))
    begun = _run_in(count, names) if count > 1 else _run(names, steps)
    for done, name in enumerate(begun):
        if on_step is not None:
            on_step(done, len(names), name)
    if on_step is not None:
        on_step(len(names), len(names), "")
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "warm").touch()
    if everything:
        (folder / "warm-all").touch()


@contextmanager
def warming() -> Iterator[None]:
    """Compile what is not in the cache in a process of its own, at low priority, meanwhile.

    What is asked for before its turn is compiled by whoever asks. The process ends with the
    block.
    """
    if is_warm(everything=True):
        yield
        return
    child = subprocess.Popen(  # noqa: S603 - this very interpreter and module
        [sys.executable, "-m", "workbench.warmup", *_steps()],
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl+C is for the parent, which ends this
    )
    try:
        yield
    finally:
        child.kill()
        child.wait()


def _run(names: Iterable[str], steps: dict[str, Callable[[], None]]) -> Iterable[str]:
    for name in names:
        yield name
        steps[name]()


def _run_in(count: int, names: list[str]) -> Iterable[str]:
    """Compile in processes of their own, and tell each name as it begins."""
    reading, writing = os.pipe()
    children = [
        subprocess.Popen(  # noqa: S603 - this very interpreter and module
            [sys.executable, "-m", "workbench.warmup", *names[i::count]], stdout=writing
        )
        for i in range(count)
    ]
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            for line in told:
                yield line.strip()
        for child in children:
            if child.wait():
                raise subprocess.CalledProcessError(child.returncode, child.args)
    finally:
        for child in children:
            child.kill()
            child.wait()


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(10)
    for name in _run(sys.argv[1:], _steps()):
        sys.stdout.write(name + "\n")
        sys.stdout.flush()
    if set(sys.argv[1:]) >= set(_steps()):
        (cache_dir() / "warm-all").touch()
