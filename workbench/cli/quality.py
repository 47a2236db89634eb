"""The command that looks at the quality of live data."""

from __future__ import annotations

import threading
from typing import Annotated

import typer
from rich.table import Table
from tqdm.auto import tqdm

from workbench.cli.console import console, stoppable, warmed
from workbench.config import Settings
from workbench.flags import BARS, LOGIN, flags

__all__ = ["quality"]


@flags(*LOGIN, *BARS)
def quality(
    *,
    config: Settings,
    symbols: Annotated[
        list[str] | None, typer.Argument(help="Symbols; BTC-USD and AAPL by default")
    ] = None,
    provider: Annotated[str, typer.Option(help='"sim" or "massive"')] = "",
    duration: Annotated[float, typer.Option(min=1.0, help="Seconds to look")] = 60.0,
    below: Annotated[
        float, typer.Option(min=0, max=100, help="Score under which the command fails")
    ] = 90.0,
) -> None:
    """Receive symbols for a while and tell how good their data are; exit 1 if they are bad."""
    from workbench.feeds import connect

    chosen = provider or ("massive" if config.api_key.get_secret_value() else "sim")
    with stoppable(), warmed(), connect(chosen, config=config) as feed:
        feed.subscribe(symbols or ["BTC-USD", "AAPL"], ["1s", "1m"])
        never = threading.Event()
        for _ in tqdm(range(round(duration)), desc=f"receiving from {chosen}", unit="s"):
            never.wait(1.0)
        found = feed.quality
        refused = feed.quarantine.table(limit=10)
    table = Table("series", "score", "complete", "valid", "timely", "consistent")
    for name, line in found.table().iterrows():
        factors = ("completeness", "validity", "timeliness", "consistency")
        shown = [f"{100 * line[factor]:.2f} %" for factor in factors]
        table.add_row(str(name), f"{line['score']:.1f}", *shown)
    console.print(table)
    for one in refused.itertuples():
        console.print(f"refused: {one.kind} of {one.symbol}: {one.rule}: {one.detail}")
    console.print(f"quality {found.score:.1f} of 100")
    if found.score < below:
        raise typer.Exit(1)
