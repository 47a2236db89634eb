"""What every command shares: the console, the clock, and how a command begins and ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from workbench.clock import SystemClock
from workbench.errors import ConfigError

if TYPE_CHECKING:
    from workbench.flow.feed import Feed

__all__ = [
    "clock",
    "console",
    "errors",
    "moment",
    "pace",
    "statistics",
    "stoppable",
    "warmed",
]

console = Console()
errors = Console(stderr=True)
clock = SystemClock()


@contextmanager
def warmed(*, everything: bool = False) -> Iterator[None]:
    """Compile kernels behind a progress bar, if that was not done before.

    Those of a feed and a first chart at least, or all, side by side on all cores.
    """
    from workbench.warmup import is_warm, warm

    if is_warm(everything=everything):
        warm(everything=everything)
        yield
        return
    with Progress(
        TextColumn("compiling kernels, once: {task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        task = progress.add_task("")

        def step(done: int, total: int, name: str) -> None:
            progress.update(task, completed=done, total=total, description=name)

        warm(step, everything=everything, jobs=None if everything else 1)
    yield


@contextmanager
def stoppable() -> Iterator[None]:
    """Take Ctrl+C, or a request to terminate, as the ordinary end of a command."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        pass
    console.print("stopped")


def moment() -> datetime:
    """Return the time by the machine's clock."""
    return datetime.fromtimestamp(clock.now() / 1e9, UTC)


def statistics(feed: Feed) -> Table:
    """Return what a feed has done so far as a table."""
    table = Table(title=f"statistics {moment():%H:%M:%S}", show_header=False)
    numbers = feed.health.numbers()
    for name in (
        "state", "uptime_seconds", "messages", "messages_per_second", "trades_accepted",
        "quotes_accepted", "bars_accepted", "bars_closed", "bars_revised", "quarantined",
        "errors", "delay_seconds", "silence_seconds",
    ):  # fmt: skip
        value = numbers[name]
        shown = "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
        table.add_row(name.replace("_", " "), shown)
    return table


def pace(text: str, fastest: Any) -> Any:
    """Read a speed: a number above zero, or "max" for the fastest."""
    if text == "max":
        return fastest
    try:
        value = float(text.removesuffix("x"))
    except ValueError:
        value = 0.0
    if not value > 0:
        raise ConfigError(f'speed {text!r} is neither a number above zero nor "max"')
    return value
