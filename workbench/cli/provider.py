"""The command that runs a provider in a box."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.console import console, pace, stoppable
from workbench.config import Settings
from workbench.errors import ConfigError
from workbench.flags import flags

__all__ = ["sim"]


@flags("host", "sim_port")
def sim(
    *,
    config: Settings,
    symbols: Annotated[list[str] | None, typer.Argument(help="Symbols of the market")] = None,
    trades: Annotated[
        list[Path] | None, typer.Option(help="Play recorded trades instead of inventing them")
    ] = None,
    speed: Annotated[str, typer.Option(help='Recorded seconds a second, or "max"')] = "1",
    rebase: Annotated[bool, typer.Option(help="Shift recorded times to now")] = False,
    loop: Annotated[bool, typer.Option(help="Begin again at the end")] = False,
    rate: Annotated[float, typer.Option(help="Invented trades a second and symbol")] = 3.0,
    seed: Annotated[int, typer.Option(help="Another seed is another market")] = 7,
    session: Annotated[str, typer.Option(help="always, or calendar for New York's hours")] = (
        "always"
    ),
    head_start: Annotated[float, typer.Option(help="Seconds of past sent first")] = 0.0,
    key: Annotated[list[str] | None, typer.Option(help="Only these keys; any by default")] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help='Something that goes wrong, such as "drop:code=1006,every=300"'),
    ] = None,
    per_minute: Annotated[int, typer.Option(help="REST requests a minute; 0 is no limit")] = 0,
    connections: Annotated[int, typer.Option(help="Connections per key and cluster")] = 0,
) -> None:
    """Run a provider in a box: its websocket and REST protocol, on this machine."""
    from workbench.sim.protocol import Entitlement
    from workbench.sim.run import SimulatorOptions, run_simulator

    if session not in ("always", "calendar"):
        raise ConfigError(f"session {session!r} is neither always nor calendar")
    given: dict[str, Any] = {
        "host": config.host, "port": config.sim_port, "speed": pace(speed, "max"),
        "rebase": rebase, "loop": loop, "rate": rate, "seed": seed, "session": session,
        "per_minute": per_minute, "connections": connections, "head_start": head_start,
    }  # fmt: skip
    if trades:
        given["trades"] = tuple(trades)
    elif symbols:
        given["symbols"] = tuple(symbols)
    keys = {name: Entitlement() for name in key} if key else None

    options = SimulatorOptions.of(given)
    with stoppable():
        run_simulator(options, keys=keys, faults=fault, on_ready=_ready)


def _ready(simulator: Any) -> None:
    console.print(f"simulator: {simulator.url}/stocks, {simulator.url}/crypto")
    console.print(f"           {simulator.rest_url}")
    console.print(f"symbols:   {', '.join(simulator.market.symbols)}")
    console.print("[dim]Ctrl+C stops it[/dim]")
