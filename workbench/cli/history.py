"""The commands that fill a store with history, and that compare it with the provider."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.console import console
from workbench.config import Settings
from workbench.errors import ConfigError
from workbench.flags import flags

if TYPE_CHECKING:
    from workbench.history.plan import Plan
    from workbench.reconciliation.day import Evidence
    from workbench.records import Kind

__all__ = ["backfill", "reconcile"]


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


@flags("api_key", "rest_url", "rest_per_minute", "data_dir")
def reconcile(
    *,
    config: Settings,
    symbol: Annotated[str, typer.Argument(help='A symbol, such as "BTC-USD" or AAPL')],
    day: Annotated[str, typer.Argument(help='A day of its market, such as "2025-11-03"')],
    timeframe: Annotated[str, typer.Option(help="Length of the bars")] = "1m",
    source: Annotated[
        str, typer.Option(help="massive, sim for a simulator of its own, or an address")
    ] = "massive",
    store: Annotated[Path | None, typer.Option(help="The store; that of the settings")] = None,
    evidence: Annotated[
        str, typer.Option(help="Whose trades to fetch: of the day, of bars that differ, of none")
    ] = "day",
    lines: Annotated[int, typer.Option(help="Differences to list", min=0)] = 20,
    apply: Annotated[
        bool, typer.Option("--apply", help="Take over trades that the provider knows better")
    ] = False,
) -> None:
    """Compare our bars of a day with the provider's, and say why they differ."""
    from workbench.reconciliation.day import reconcile as run
    from workbench.reconciliation.repair import apply as repair
    from workbench.store.store import open_store

    path, asked = store or config.store_path, _evidence(evidence)
    if apply and asked == "none":
        raise ConfigError("to apply needs the provider's trades: --evidence day or bars")
    if not path.is_file():
        raise ConfigError(f"there is no store {path}: record or backfill trades first")
    try:
        with ExitStack() as stack:
            held = stack.enter_context(open_store(path)) if apply else None
            found = run(
                symbol, day, timeframe=timeframe, source=source, store=held or path,
                evidence=asked, config=config,
            )  # fmt: skip
            console.print(found.summary)
            shown = found.table[found.table["reason"] != "rounding"]
            if lines and len(shown):
                console.print(shown.head(lines).to_string(), highlight=False, soft_wrap=True)
            if held is not None:
                console.print(str(repair(found, held)))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    raise typer.Exit(0 if not found.differences else 1)


def _evidence(text: str) -> Evidence:
    if text not in ("day", "bars", "none"):
        raise ConfigError(f"evidence must be day, bars or none, not {text!r}")
    asked: dict[str, Evidence] = {"day": "day", "bars": "bars", "none": "none"}
    return asked[text]
