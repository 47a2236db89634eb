"""Commands that look after the installation."""

from __future__ import annotations

import typer
from rich.table import Table

from workbench.cli.console import clock, console, warmed
from workbench.config import Settings
from workbench.flags import flags

__all__ = ["doctor", "warm"]


@flags("host", "port", "sim_port", "api_key", "ws_url", "rest_url", "data_dir")
def doctor(*, config: Settings) -> None:
    """Look over the installation and say what is missing."""
    from workbench.doctor import examine

    table = Table("", "what", "found", "advice")
    bad = 0
    for finding in examine(config):
        mark = {True: "[green]ok[/green]", False: "[red]no[/red]", None: "[dim]-[/dim]"}
        table.add_row(mark[finding.good], finding.subject, finding.found, finding.advice)
        bad += finding.good is False
    console.print(table)
    raise typer.Exit(1 if bad else 0)


@flags()
def warm(*, config: Settings) -> None:
    """Compile all kernels now, so that nothing compiles while data streams."""
    start = clock.monotonic()
    with warmed(everything=True):
        console.print(f"kernels are compiled ({clock.monotonic() - start:.1f} s)")
