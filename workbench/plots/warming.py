"""What a page shows of warm-ups: how far they are, what they brought, what went wrong."""

from __future__ import annotations

from typing import Any, Protocol

from workbench.history.warmresults import Result, Status, summary
from workbench.plots.parts import WarmupPanel

__all__ = ["WarmupView", "Warmups"]


class Warmups(Protocol):
    """What a page needs of warm-ups; a `Coordinator` has it."""

    @property
    def status(self) -> Status:
        """How far those of the newest symbol are."""
        ...

    def fetch(self, symbol: str, *, force: bool = ...) -> Any:
        """Start those of a symbol; must not wait for them."""
        ...


class WarmupView:
    """Keep the panel of warm-ups equal to their status.

    Parameters
    ----------
    warmups : Warmups
    """

    def __init__(self, warmups: Warmups) -> None:
        self.panel = WarmupPanel(sizing_mode="stretch_width", margin=0)
        self._warmups = warmups
        self._shown: tuple[str, bool, list[Result]] = ("", False, [])

    def refresh(self) -> None:
        """Show what has changed since the last time."""
        status = self._warmups.status
        results = list(status.results.values())
        symbol, running, held = self._shown
        same = len(held) == len(results) and all(a is b for a, b in zip(held, results, strict=True))
        if same and (symbol, running) == (status.symbol, status.in_progress):
            return
        self._shown = (status.symbol, status.in_progress, results)
        table = summary(results)
        self.panel.param.update(
            symbol=status.symbol,
            running=status.in_progress,
            done=[status.completed, status.total],
            rows=[
                [name, row.timeframe, row.state, int(row.bars), row.says, one.fetched / 1e6]
                for (name, row), one in zip(table.iterrows(), results, strict=True)
            ],
            errors=[[name, reason] for name, reason in status.errors.items()],
        )
