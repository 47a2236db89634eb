"""The command line."""

from __future__ import annotations

import sys

import typer

from workbench.cli.care import doctor, warm
from workbench.cli.console import errors
from workbench.cli.history import backfill, reconcile
from workbench.cli.provider import sim
from workbench.cli.quality import quality
from workbench.cli.recording import record, replay, verify
from workbench.cli.watch import demo, monitor
from workbench.errors import WorkbenchError

__all__ = ["app", "main"]

app = typer.Typer(
    name="workbench",
    help="Live and historical market data for research. Begin with: [bold]workbench demo[/bold]",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(demo, monitor, record, replay, verify, quality, backfill, reconcile, sim, doctor, warm),
):
    app.command()(command)


def main() -> None:
    """Run the command line; an error of ours is one line and a non-zero exit."""
    try:
        app()
    except WorkbenchError as error:
        errors.print(f"[red]error:[/red] {error}", highlight=False)
        sys.exit(3)
