"""A tape in place of a provider: every symbol that comes is followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamz import Stream

from workbench.clock import Clock
from workbench.flow.board import Board
from workbench.flow.graph import Pipeline
from workbench.flow.prices import DAY
from workbench.flow.wishes import Wishes
from workbench.net.delivery import Deliver
from workbench.net.replay import Replayed, replay
from workbench.records import Batch
from workbench.sources.source import Source
from workbench.sources.spliced import SPLICED, SplicedSource
from workbench.symbols import SymbolTable
from workbench.tape import TapeReader
from workbench.timeframes import Timeframe

__all__ = ["follow", "play", "sources"]


def follow(
    pipeline: Pipeline, board: Board, wishes: Wishes, tfs: Sequence[Timeframe]
) -> list[Stream]:
    """Build and keep bars of every symbol that comes; return the sinks that see to it."""
    wishes.live = False
    board.every = True
    for tf in (*tfs, DAY):
        pipeline.builder.add_timeframe(tf)

    def meet(batch: Batch) -> None:
        wishes.meet(batch.rows["symbol"], batch.kind, tfs)

    return [pipeline.branch(kind, "symbols").sink(meet) for kind in ("trade", "quote")]


def sources(
    make_source: Callable[[str, SymbolTable], Source], table: SymbolTable
) -> Callable[[str, str], Source]:
    """Return what makes the source of a channel of a tape, by its name and market."""

    def source(name: str, market: str) -> Source:
        return SplicedSource(table) if name == SPLICED else make_source(market, table)

    return source


async def play(
    pipeline: Pipeline,
    deliver: Deliver,
    clock: Clock,
    reader: TapeReader,
    sources: Callable[[str, str], Source],
    speed: float,
    on_progress: Callable[[Replayed], None] | None,
) -> Replayed:
    """Run a tape through a pipeline."""
    health = pipeline.health
    health.state = "replaying"
    report = await replay(
        reader, deliver, sources, speed=speed, clock=clock, on_progress=on_progress
    )
    health.state = "finished"
    health.tell("finished", f"{reader.path.name}: {report.frames} frames replayed")
    return report
