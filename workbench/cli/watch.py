"""Commands that show a market in the browser."""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.console import console, pace, stoppable, warmed
from workbench.config import Settings
from workbench.flags import BARS, LOGIN, STORE, flags

if TYPE_CHECKING:
    from workbench.flow.feed import Feed

__all__ = ["demo", "monitor", "serve_feed"]


@flags("host", "port", *BARS)
def demo(
    *,
    config: Settings,
    symbols: Annotated[
        list[str] | None, typer.Argument(help="Symbols; five coins and nine stocks by default")
    ] = None,
    trades: Annotated[
        list[Path] | None,
        typer.Option(help="Play recorded trades (CSV, Parquet, gzip, zip) instead of inventing"),
    ] = None,
    speed: Annotated[str, typer.Option(help='Recorded seconds a second, or "max"')] = "1",
    rate: Annotated[float, typer.Option(help="Invented trades a second and symbol")] = 3.0,
    seed: Annotated[int, typer.Option(help="Another seed is another market")] = 7,
    store: Annotated[Path | None, typer.Option(help="Keep trades and bars in this file")] = None,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser")
    ] = True,
) -> None:
    """Watch a simulated market in the browser: no account, no key."""
    from workbench.api.http import listen
    from workbench.api.shared import begin
    from workbench.sim.run import start_simulator
    from workbench.symbols import CRYPTO, STOCKS, asset_class

    listener = listen(config.host, config.port)
    with stoppable(), warmed():
        options: dict[str, Any] = {"port": 0, "rate": rate, "seed": seed}
        if trades:
            options |= {"trades": tuple(trades), "speed": pace(speed, "max"), "reveal": True}
        else:
            names = tuple(symbols or (*CRYPTO, *STOCKS))
            markets = len({asset_class(name) for name in names})
            options |= {"symbols": names, "head_start": 1000.0, "wait_for": markets}
        simulator = start_simulator(**options)
        try:
            feed = begin(
                "sim", symbols or simulator.symbols, simulator=simulator, config=config,
                store=store,
            )  # fmt: skip
            # The past that is sent first fills the chart with bars of this length.
            what = "recorded market" if trades else "simulated market"
            serve_feed(feed, listener, what, open_browser, "1m" if trades else "5s")
        finally:
            simulator.close()


@flags("host", "port", *LOGIN, *BARS, *STORE)
def monitor(
    *,
    config: Settings,
    symbols: Annotated[list[str] | None, typer.Argument(help="Symbols to receive")] = None,
    source: Annotated[str, typer.Option(help="massive, or sim for a simulator")] = "massive",
    keep: Annotated[bool, typer.Option("--store/--no-store", help="Keep what comes")] = True,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser")
    ] = True,
) -> None:
    """Watch the real market in the browser; needs a key."""
    from workbench.api.http import listen
    from workbench.api.shared import begin

    listener = listen(config.host, config.port)
    with stoppable(), warmed():
        path = None
        if keep:
            config.data_dir.mkdir(parents=True, exist_ok=True)
            path = config.store_path
        feed = begin(source, symbols or (), config=config, store=path)
        serve_feed(feed, listener, source, open_browser)


def serve_feed(
    feed: Feed, listener: Any, what: str, open_browser: bool, timeframe: str = "1m"
) -> None:
    """Show a feed in the browser until it is stopped, and close it."""
    from workbench.api.http import create_app, serve
    from workbench.api.shared import share
    from workbench.plots.monitor import Monitor
    from workbench.warmup import warming

    host, port = listener.getsockname()[:2]
    url = f"http://{host}:{port}/monitor"

    def ready() -> None:
        console.print(f"[bold]Workbench[/bold] shows the {what} at [bold]{url}[/bold]")
        console.print("[dim]Ctrl+C stops it[/dim]")
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    share(feed)
    try:
        origins = [f"{name}:{port}" for name in {host, "127.0.0.1", "localhost"}]
        pages = {
            "/monitor": lambda: Monitor(feed, timeframe=timeframe, warmups=feed.warmups).page()
        }
        application = create_app(feed, pages, origins=origins)
        with warming():
            serve(application, listener, on_ready=ready)
    finally:
        share(None)
        feed.close()
