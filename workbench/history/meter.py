"""How far a fetch is, for callers and on the screen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tqdm.auto import tqdm

from workbench.history.report import Progress

__all__ = ["Meter", "Told"]

#: Told how far it is, from any thread, one at a time.
Told = Callable[[Progress], None]


class Meter:
    """Add up what came, and tell it: to a caller, or as a bar on the screen.

    Safe to use from several threads.

    Parameters
    ----------
    told : callable, bool or None
        A callable is told; None and True draw a bar, False is silent.
    opened : ExitStack
        Closes the bar.
    unit : str
        What is counted.
    """

    def __init__(
        self, told: Told | bool | None, opened: ExitStack, *, unit: str = "request"
    ) -> None:
        self._lock = threading.Lock()
        self._opened = opened
        self._told = told if callable(told) else None
        self._drawn = told is None or told is True
        self._unit = unit
        self._bar: Any = None
        self._completed = self._total = self._rows = 0

    def begin(self, total: int) -> None:
        """Start with that many ahead."""
        self._total = total
        if self._drawn and total:
            self._bar = self._opened.enter_context(tqdm(total=total, unit=self._unit, leave=False))
        self._tell("", 0.0)

    def add(self, label: str, rows: int) -> None:
        """Count one more, and the rows it brought."""
        with self._lock:
            self._completed += 1
            self._rows += rows
            self._total = max(self._total, self._completed)
            self._tell(label, 0.0)

    def finish(self) -> None:
        """Tell that no more will come: there may be fewer pages than expected."""
        with self._lock:
            self._total = self._completed
            self._tell("", 0.0)

    def waiting(self, seconds: float) -> None:
        """Tell that the limit makes us wait."""
        with self._lock:
            self._tell(f"waiting {seconds:.0f} s for the limit", seconds)

    def _tell(self, label: str, waiting: float) -> None:
        if self._bar is not None:
            self._bar.total = self._total
            self._bar.set_postfix_str(label, refresh=False)
            self._bar.update(self._completed - self._bar.n)
        if self._told is not None:
            self._told(Progress(self._completed, self._total, self._rows, label, waiting))
