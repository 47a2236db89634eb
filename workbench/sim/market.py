"""What the simulator needs of a market, synthetic or recorded."""

from __future__ import annotations

from typing import Protocol

from workbench.records import Rows
from workbench.sim.wire import Chunk

__all__ = ["Market"]


class Market(Protocol):
    """Trades and quotes of some symbols, by event time and by the time they are sent.

    All times are ns UTC on the market's own clock, its *position*: the wall clock for a
    synthetic market, the recording's clock for a recorded one. Reads are safe from any
    thread and answer the same for the same arguments.

    Attributes
    ----------
    symbols : tuple of str
        Our spellings. The topic of an event is 4 * index + kind.
    first : int
        No event is older.
    recorded : frozenset of int
        Topics of bars that :meth:`chunk` holds itself; others are made from the trades.
    hurried : bool
        True if it runs as fast as readers take it rather than by the clock.
    instant : bool
        True if nothing has to be warmed up.
    """

    symbols: tuple[str, ...]
    first: int
    recorded: frozenset[int]
    hurried: bool
    instant: bool

    def begin(self, now: int) -> int:
        """Start the market's clock at a wall time and return the first position."""
        ...

    def reach(self, position: int, now: int, limit: int) -> int:
        """Return the position to send up to.

        Parameters
        ----------
        position : int
            What was sent so far.
        now : int
            Wall time, ns.
        limit : int
            For a hurried market, how many more events at most (a few more if they share
            their time).
        """
        ...

    def ended(self, position: int) -> bool:
        """Return whether nothing comes after a position."""
        ...

    def known(self, position: int) -> int:
        """Return up to which time of sending history may be shown at a position."""
        ...

    def chunk(self, since: int, until: int, demand: frozenset[int]) -> Chunk:
        """Return the events sent in [since, until), at least those of the demanded topics."""
        ...

    def sent(self, symbol: str, since: int, until: int) -> Rows:
        """Return the trades sent in [since, until), in order of sending."""
        ...

    def trades(self, symbol: str, start: int, end: int, known: int) -> Rows:
        """Return trades of [start, end) by event time, of those sent before `known`."""
        ...

    def quotes(self, symbol: str, start: int, end: int, known: int) -> Rows:
        """Return quotes of [start, end) by event time, of those sent before `known`."""
        ...

    def minutes(self, symbol: str, start: int, end: int, known: int) -> Rows:
        """Return minute bars that start in [start, end), of trades sent before `known`."""
        ...

    def warm(self, symbol: str, position: int) -> None:
        """Do the work that the first look at a symbol needs; may take long."""
        ...

    def prepare(self, position: int) -> None:
        """Do a little of the work that is soon needed; called often."""
        ...
