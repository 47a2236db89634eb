"""The command that fills a store with history."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.console import console
from workbench.config import Settings
from workbench.errors import ConfigError
from workbench.flags import flags

if TYPE_CHECKING:
    from workbench.history.plan import Plan
    from workbench.records import Kind

__all__ = ["backfill"]


@flags("api_key", "rest_url", "rest_per_minute", "data_dir")
def backfill(
    *,
    config: Settings,
    symbols: Annotated[list[str], typer.Argument(help='Symbols, such as "BTC-USD" or AAPL')],
    start: Annotated[str, typer.Option(help='From when on, such as "2025-11-03"')],
    end: Annotated[str | None, typer.Option(help="Until when; now by default")] = None,
    timeframe: Annotated[str, typer.Option(help="Length of the bars")] = "1m",
    kind: Annotated[str, typer.Option(help="bar, trade or quote")] = "bar",
    source: Annotated[
        str, typer.Option(help="massive, sim for a simulator of its own, or an address")
    ] = "massive",
    store: Annotated[Path | None, typer.Option(help="The store; that of the settings")] = None,
    refresh: Annotated[bool, typer.Option(help="Fetch again what is known to be whole")] = False,
    dask: Annotated[
        str | None, typer.Option(help="Scheduler of a Dask cluster that fetches: tcp://host:8786")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Begin without asking")] = False,
) -> None:
    """Fetch exactly what the store lacks; interrupted in any way, it goes on where it was."""
    from workbench.history.backfill import backfill as run

    def confirm(plan: Plan) -> bool:
        console.print(str(plan))
        if yes or not plan.calls or not sys.stdin.isatty():
            return True
        return typer.confirm("Begin?", default=True)

    path = store or config.store_path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        report = run(
            symbols, timeframe, start=start, end=end, source=source, store=path,
            kind=_kind(kind), confirm=confirm, refresh=refresh, config=config, dask=dask,
        )  # fmt: skip
    except ValueError as error:
        raise ConfigError(str(error)) from error
    except KeyboardInterrupt:
        console.print("stopped; run it again to go on")
        raise typer.Exit(130) from None
    console.print(str(report))
    raise typer.Exit(0 if report.complete else 1)


def _kind(text: str) -> Kind:
    if text not in ("bar", "trade", "quote"):
        raise ConfigError(f"kind must be bar, trade or quote, not {text!r}")
    kinds: dict[str, Kind] = {"bar": "bar", "trade": "trade", "quote": "quote"}
    return kinds[text]
