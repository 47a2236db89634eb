"""The command line."""

from __future__ import annotations

import math
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from workbench.clock import SystemClock
from workbench.config import Settings
from workbench.errors import ConfigError, WorkbenchError
from workbench.flags import BARS, LOGIN, STORE, flags

if TYPE_CHECKING:
    from workbench.flow.feed import Feed

__all__ = ["app", "main"]

console = Console()
errors = Console(stderr=True)
clock = SystemClock()

app = typer.Typer(
    name="workbench",
    help="Live and historical market data for research. Begin with: [bold]workbench demo[/bold]",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@contextmanager
def _warmed() -> Iterator[None]:
    """Compile the kernels behind a progress bar, if that was not done before."""
    from workbench.warmup import is_warm, warm

    if is_warm():
        warm()
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

        warm(step)
    yield


@contextmanager
def _stoppable() -> Iterator[None]:
    """Take Ctrl+C, or a request to terminate, as the ordinary end of a command."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        pass
    console.print("stopped")


@app.command()
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
    with _stoppable(), _warmed():
        options: dict[str, Any] = {"port": 0, "rate": rate, "seed": seed}
        if trades:
            options |= {"trades": tuple(trades), "speed": _speed(speed, "max"), "reveal": True}
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
            _serve(feed, listener, what, open_browser, "1m" if trades else "5s")
        finally:
            simulator.close()


@app.command()
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
    with _stoppable(), _warmed():
        path = None
        if keep:
            config.data_dir.mkdir(parents=True, exist_ok=True)
            path = config.store_path
        feed = begin(source, symbols or (), config=config, store=path)
        _serve(feed, listener, source, open_browser)


def _serve(feed: Feed, listener: Any, what: str, open_browser: bool, timeframe: str = "1m") -> None:
    from workbench.api.http import create_app, serve
    from workbench.api.shared import share
    from workbench.plots.monitor import Monitor

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
        pages = {"/monitor": lambda: Monitor(feed, timeframe=timeframe).page()}
        application = create_app(feed, pages, origins=origins)
        serve(application, listener, on_ready=ready)
    finally:
        share(None)
        feed.close()


@app.command()
@flags(*LOGIN, *BARS, *STORE)
def record(
    *,
    config: Settings,
    symbols: Annotated[list[str], typer.Argument(help='Symbols, such as "BTC-USD" or AAPL')],
    source: Annotated[str, typer.Option(help="massive, or sim for a simulator")] = "massive",
    tape: Annotated[Path | None, typer.Option(help="New file for the raw frames")] = None,
    timeframe: Annotated[list[str] | None, typer.Option(help="Bars to build and store")] = None,
    keep: Annotated[bool, typer.Option("--store/--no-store", help="Keep trades and bars")] = True,
    duration: Annotated[float, typer.Option(help="Seconds; 0 is until Ctrl+C")] = 0.0,
    every: Annotated[float, typer.Option(help="Seconds between statistics")] = 60.0,
) -> None:
    """Record the market without a screen: raw frames on tape, trades and bars in the store."""
    from workbench.feeds import connect

    config.data_dir.mkdir(parents=True, exist_ok=True)
    stamp = _moment().strftime("%Y-%m-%d-%H%M%S")
    path = tape or config.data_dir / f"{stamp}.tape"
    with _stoppable(), _warmed():
        feed = connect(
            source, config=config, store=config.store_path if keep else None, tape=path,
            simulator={"head_start": 0.0} if source == "sim" else None,
        )  # fmt: skip
        with feed:
            feed.subscribe(symbols, timeframe or ["1m"])
            console.print(f"recording {', '.join(feed.symbols())} on {path}")
            _until(duration, every, lambda: console.print(_statistics(feed)))
            console.print(_statistics(feed))


def _moment() -> datetime:
    return datetime.fromtimestamp(clock.now() / 1e9, UTC)


def _statistics(feed: Feed) -> Table:
    table = Table(title=f"statistics {_moment():%H:%M:%S}", show_header=False)
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


def _until(duration: float, every: float, report: Callable[[], None]) -> None:
    """Report now and then until the time is over or Ctrl+C."""
    start = clock.monotonic()
    never = threading.Event()
    try:
        while True:
            left = duration - (clock.monotonic() - start) if duration else every
            if left <= 0:
                return
            never.wait(min(every, left))
            if not duration or clock.monotonic() - start < duration:
                report()
    except KeyboardInterrupt:
        return


@app.command()
@flags(*BARS, *STORE)
def replay(
    *,
    config: Settings,
    tape: Annotated[Path, typer.Argument(help="As written by workbench record")],
    speed: Annotated[str, typer.Option(help='Seconds of tape a second, or "max"')] = "max",
    timeframe: Annotated[list[str] | None, typer.Option(help="Bars to build")] = None,
    store: Annotated[Path | None, typer.Option(help="Keep trades and bars in this file")] = None,
    show: Annotated[bool, typer.Option("--show", help="Watch it in the browser")] = False,
) -> None:
    """Run a tape through the live pipeline and show what came of it."""
    from workbench.feeds import replay as run
    from workbench.tape import TapeReader

    pace = _speed(speed, math.inf)
    reader = TapeReader(tape)
    console.print(f"{tape}: {reader.frames:,} frames, {reader.duration:,.0f} s")
    tfs = timeframe or ["1m", "5m"]
    with _stoppable() if show else nullcontext(), _warmed():
        if show:
            from workbench.api.http import listen
            from workbench.api.shared import TIMEFRAMES

            listener = listen("127.0.0.1", config.port)
            feed = run(tape, speed=pace, timeframes=TIMEFRAMES, store=store, config=config)
            _serve(feed, listener, "tape", True)
            return
        with Progress(console=console) as progress:
            task = progress.add_task("replaying", total=reader.frames)
            feed = run(
                tape, speed=pace, timeframes=tfs, store=store, wait=True, config=config,
                on_progress=lambda done: progress.update(task, completed=done.frames),
            )  # fmt: skip
        with feed:
            table = Table("symbol", "timeframe", "bars", "first", "last", "close", "volume")
            for symbol in feed.symbols():
                for tf in feed.timeframes(symbol):
                    bars = feed.bars(symbol, tf)
                    if len(bars):
                        newest = bars.iloc[-1]
                        table.add_row(
                            symbol, tf.name, f"{len(bars):,}", f"{bars.index[0]:%m-%d %H:%M:%S}",
                            f"{bars.index[-1]:%m-%d %H:%M:%S}", f"{newest['close']:,.8g}",
                            f"{bars['volume'].sum():,.8g}",
                        )  # fmt: skip
            console.print(table)
            console.print(_statistics(feed))


def _speed(text: str, fastest: Any) -> Any:
    if text == "max":
        return fastest
    try:
        value = float(text.removesuffix("x"))
    except ValueError:
        value = 0.0
    if not value > 0:
        raise ConfigError(f'speed {text!r} is neither a number above zero nor "max"')
    return value


@app.command()
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
    per_minute: Annotated[int, typer.Option(help="REST requests a minute; 0 is no limit")] = 0,
    connections: Annotated[int, typer.Option(help="Connections per key and cluster")] = 0,
) -> None:
    """Run a provider in a box: its websocket and REST protocol, on this machine."""
    from workbench.sim.protocol import Entitlement
    from workbench.sim.run import SimulatorOptions, run_simulator

    if session not in ("always", "calendar"):
        raise ConfigError(f"session {session!r} is neither always nor calendar")
    given: dict[str, Any] = {
        "host": config.host, "port": config.sim_port, "speed": _speed(speed, "max"),
        "rebase": rebase, "loop": loop, "rate": rate, "seed": seed, "session": session,
        "per_minute": per_minute, "connections": connections, "head_start": head_start,
    }  # fmt: skip
    if trades:
        given["trades"] = tuple(trades)
    elif symbols:
        given["symbols"] = tuple(symbols)
    keys = {name: Entitlement() for name in key} if key else None

    def ready(simulator: Any) -> None:
        console.print(f"simulator: {simulator.url}/stocks, {simulator.url}/crypto")
        console.print(f"           {simulator.rest_url}")
        console.print(f"symbols:   {', '.join(simulator.market.symbols)}")
        console.print("[dim]Ctrl+C stops it[/dim]")

    options = SimulatorOptions.of(given)
    with _stoppable():
        run_simulator(options, keys=keys, on_ready=ready)


@app.command()
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


@app.command()
@flags()
def warm(*, config: Settings) -> None:
    """Compile all kernels now, so that nothing compiles while data streams."""
    start = clock.monotonic()
    with _warmed():
        console.print(f"kernels are compiled ({clock.monotonic() - start:.1f} s)")


def main() -> None:
    """Run the command line; an error of ours is one line and a non-zero exit."""
    try:
        app()
    except WorkbenchError as error:
        errors.print(f"[red]error:[/red] {error}", highlight=False)
        sys.exit(3)
