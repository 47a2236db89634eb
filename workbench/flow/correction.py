"""Having a running feed follow what was corrected in its store."""

from __future__ import annotations

import asyncio

from workbench.errors import StoreError
from workbench.flow.feed import Feed
from workbench.store.frames import When, nanoseconds
from workbench.symbols import canonical

__all__ = ["follow_corrections"]


def follow_corrections(
    feed: Feed, symbol: str, start: When, end: When, *, timeout: float = 30.0
) -> None:
    """Build the bars of a stretch anew of the trades its store has now.

    To be called after trades in the store of a running feed were corrected, cancelled or added
    by others than the feed, as by :func:`workbench.reconciliation.apply`. Bars and indicators
    follow, those of forming bars too; what differs is told as a revision. Bars of which no trade
    is left stay as they were told. Bars of other kinds follow as far as their trades are in
    memory, and so do the trades themselves.

    Parameters
    ----------
    feed : Feed
        With a store that it keeps trades in.
    symbol : str
        In any spelling.
    start, end : When
        Half-open range of event time, naive times being UTC.
    timeout : float
        Seconds to wait until it is done.

    Raises
    ------
    ConfigError
        If the feed does not store trades.
    ValueError
        If the range is empty.
    StoreError
        If it was not done in time; it is tried again as long as the feed runs.
    """
    name = canonical(symbol)
    low, high = nanoseconds(start), nanoseconds(end)
    core = feed._core
    feed._call(lambda: core.amender.anew(name, low, high))

    async def done() -> None:
        while core.amender.busy:
            await asyncio.sleep(0.01)

    if not feed._loop.within(done(), timeout):
        raise StoreError(f"the bars of {name} were not built anew within {timeout:g} s")
