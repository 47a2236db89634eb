"""Commands that write tapes, run them again and prove things on them."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from workbench.cli.console import clock, console, moment, pace, statistics, stoppable, warmed
from workbench.cli.watch import serve_feed
from workbench.config import Settings
from workbench.errors import AuthError, ConnectError
from workbench.flags import BARS, LOGIN, STORE, flags

if TYPE_CHECKING:
    from workbench.flow.feed import Feed

__all__ = ["record", "replay", "verify"]

#: Seconds until it is said that there is no login yet; a recorder goes on trying.
_LOGIN = 5.0


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
    """Record the market without a screen: raw frames on tape, trades and bars in the store.

    It goes on trying while the provider is not there; where that is given up, it ends with why.
    """
    from workbench.feeds import connect

    config.data_dir.mkdir(parents=True, exist_ok=True)
    stamp = moment().strftime("%Y-%m-%d-%H%M%S")
    path = tape or config.data_dir / f"{stamp}.tape"
    with stoppable(), warmed():
        feed = connect(
            source, config=config, store=config.store_path if keep else None, tape=path,
            simulator={"head_start": 0.0} if source == "sim" else None,
        )  # fmt: skip
        failure = None
        with feed:
            try:
                feed.subscribe(symbols, timeframe or ["1m"], timeout=_LOGIN)
            except ConnectError as error:
                _look(feed)
                console.print(f"[yellow]{error}[/yellow]")
            console.print(f"recording {', '.join(feed.symbols())} on {path}")
            try:
                _until(duration, every, feed, lambda: console.print(statistics(feed)))
            except (AuthError, ConnectError) as error:
                failure = error
        console.print(statistics(feed))  # once nothing more comes: what is told is what is kept
        if failure is not None:
            raise failure


def _until(duration: float, every: float, feed: Feed, report: Callable[[], None]) -> None:
    """Report now and then until the time is over or Ctrl+C; raise what made the feed give up."""
    start = told = clock.monotonic()
    never = threading.Event()
    try:
        while True:
            now = clock.monotonic()
            if duration and now - start >= duration:
                return
            if now - told >= every:
                told = now
                report()
            _look(feed)
            due = min(told + every, start + duration if duration else math.inf)
            never.wait(min(1.0, max(0.0, due - clock.monotonic())))
    except KeyboardInterrupt:
        return


def _look(feed: Feed) -> None:
    """Raise what made the feed give up, if it has."""
    if feed.health.state == "failed":
        feed.wait(count=0, timeout=60.0)


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

    fast = pace(speed, math.inf)
    reader = TapeReader(tape)
    console.print(f"{tape}: {reader.frames:,} frames, {reader.duration:,.0f} s")
    tfs = timeframe or ["1m", "5m"]
    with stoppable() if show else nullcontext(), warmed():
        if show:
            from workbench.api.http import listen
            from workbench.api.shared import TIMEFRAMES

            listener = listen("127.0.0.1", config.port)
            feed = run(tape, speed=fast, timeframes=TIMEFRAMES, store=store, config=config)
            serve_feed(feed, listener, "tape", True)
            return
        with Progress(console=console) as progress:
            task = progress.add_task("replaying", total=reader.frames)
            feed = run(
                tape, speed=fast, timeframes=tfs, store=store, wait=True, config=config,
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
            console.print(statistics(feed))


@flags()
def verify(
    *,
    config: Settings,
    tape: Annotated[Path, typer.Argument(help="As written by workbench record")],
    timeframe: Annotated[list[str] | None, typer.Option(help="Time bars to build")] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help='Other bars to build, such as "volume:100"')
    ] = None,
    lateness: Annotated[
        float | None,
        typer.Option(help="Seconds bars wait for late trades; as long as needed by default"),
    ] = None,
) -> None:
    """Prove on a recording that live, replay and batch come out bit for bit the same."""
    from workbench import verification

    with warmed(everything=True), Progress(console=console) as progress:
        tasks: dict[str, Any] = {}

        def step(way: str, done: int, total: int) -> None:
            if way not in tasks:
                tasks[way] = progress.add_task(way, total=total)
            progress.update(tasks[way], completed=done)

        found = verification.verify(
            tape,
            timeframes=timeframe or verification.TIMEFRAMES,
            kinds=kind or verification.KINDS,
            lateness=lateness,
            on_progress=step,
        )
    table = Table(
        "", *found.hashes, title=f"{tape}: {found.trades:,} trades, bars wait {found.lateness:g} s"
    )
    for what in found.hashes["batch"]:
        table.add_row(what, *(hashes[what][:12] for hashes in found.hashes.values()))
    console.print(table)
    for what, digest in found.hashes["batch"].items():
        console.print(f"{what}: sha256 {digest}", highlight=False)
    if found.overdue:
        console.print(f"{found.overdue:,} trades came later than {found.lateness:g} s")
    counts = ", ".join(f"{count:,} {what}" for what, count in found.counts.items())
    if not found.equal:
        console.print(f"[red]NOT the same[/red]: {counts}")
        raise typer.Exit(1)
    console.print(f"[green]the same, bit for bit[/green]: {counts}")
