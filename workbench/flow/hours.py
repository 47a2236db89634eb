"""What a feed may expect of its markets by the calendar, and what it says while they are closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from workbench.calendar import expectation
from workbench.clock import Clock
from workbench.history.markethours import market_status
from workbench.records import Batch
from workbench.symbols import SymbolTable, asset_class

__all__ = ["Hours"]

#: Seconds for which data that came outside of a venue's hours let more be expected.
_FLOWING = 300.0
#: Seconds between looks at the calendar.
_LOOK = 1.0


class Hours:
    """Tell silence that is a fault from silence of a closed market.

    Used in the feed's thread.

    Parameters
    ----------
    clock : Clock
    table : SymbolTable
    tell : callable
        ``tell(kind, text)`` of an event: "closed" and "open".

    Attributes
    ----------
    next_open : int or None
        When the first of the closed markets opens, ns UTC; None while one is not closed.

    Examples
    --------
    >>> from workbench.clock import ManualClock
    >>> clock = ManualClock(1_762_225_200 * 10**9)  # 2025-11-03 22:00 in New York
    >>> hours = Hours(clock, SymbolTable(), lambda kind, text: print(kind, "-", text))
    >>> hours.state("connected", ["AAPL"])
    closed - stocks: closed, opens 2025-11-04 14:30 UTC
    'closed'
    >>> hours.expected(["AAPL"]), hours.expected(["AAPL", "BTC-USD"])
    (False, True)
    """

    def __init__(self, clock: Clock, table: SymbolTable, tell: Callable[[str, str], None]) -> None:
        self.next_open: int | None = None
        self._clock = clock
        self._table = table
        self._tell = tell
        self._newest: dict[str, int] = {}
        self._looked = clock.monotonic() - _LOOK

    def came(self, batch: Batch) -> None:
        """Take note that rows of a market came; words about the connection do not count."""
        if len(batch.rows):
            market = asset_class(self._table.name(int(batch.rows["symbol"][-1])))
            self._newest[market] = self._clock.now()

    def expected(self, names: Iterable[str]) -> bool:
        """Tell whether data of symbols are due, by the calendar or since some came just now."""
        now = self._clock.now()
        return any(expectation(name, now) == "real-time" or self._flows(name) for name in names)

    def _flows(self, name: str) -> bool:
        newest = self._newest.get(asset_class(name))
        return newest is not None and self._clock.now() - newest < _FLOWING * 1e9

    def state(self, line: str, names: Iterable[str]) -> str:
        """Return the state of a feed: "closed" instead of "connected" while no market is open.

        Parameters
        ----------
        line : str
            How the connections are.
        names : iterable of str
            Symbols that are subscribed to.
        """
        if line != "connected":
            self.next_open = None
            return line
        if self._clock.monotonic() - self._looked >= _LOOK:
            self._looked = self._clock.monotonic()
            self._look(list(names))
        return line if self.next_open is None else "closed"

    def _look(self, names: list[str]) -> None:
        now, before = self._clock.now(), self.next_open
        self.next_open = None
        # One symbol of each market: they share its hours.
        some = list({asset_class(name): name for name in names}.values())
        if some and all(expectation(n, now) == "closed" and not self._flows(n) for n in some):
            stands = [market_status(name, now) for name in some]
            opens = [int(one.next_open.value) for one in stands if one.next_open is not None]
            self.next_open = min(opens, default=None)
            if before is None and opens:
                first = stands[opens.index(min(opens))]
                text = (
                    f"{asset_class(first.symbol)}: closed, opens {first.next_open:%Y-%m-%d %H:%M}"
                )
                self._tell("closed", f"{text} UTC")
        elif before is not None and some:
            markets = ", ".join(dict.fromkeys(map(asset_class, some)))
            self._tell("open", f"{markets}: data may come again")
