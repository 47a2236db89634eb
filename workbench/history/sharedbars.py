"""Bars that several fetches share for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from workbench.clock import Clock, SystemClock
from workbench.records import Rows

__all__ = ["Held", "SharedBars"]


@dataclass(frozen=True, slots=True)
class Held:
    """Bars at hand.

    Attributes
    ----------
    rows : array of BAR
        Closed bars, oldest first.
    asked : int
        How many were asked for; there may be fewer.
    fetched : int
        When they were asked for, ns UTC.
    moment : float
        The same by the clock that never steps, seconds.
    """

    rows: Rows
    asked: int
    fetched: int
    moment: float


class SharedBars:
    """Keep the newest bars of symbols, so that what was fetched once serves everybody.

    Safe to use from several threads.

    Parameters
    ----------
    clock : Clock or None
        None is the machine's.
    validity : float
        Seconds for which bars count as fresh.
    most : int
        Series kept; beyond, the one that was put first goes.

    Examples
    --------
    >>> from workbench.clock import ManualClock
    >>> from workbench.records import empty
    >>> clock = ManualClock()
    >>> shared = SharedBars(clock)
    >>> _ = shared.put("AAPL", "1m", empty("bar", 200), 200, (0, 0.0))
    >>> clock.advance(300)
    >>> shared.fresh("AAPL", "1m", 35) is None, shared.fresh("AAPL", "1m", 201) is None
    (False, True)
    >>> clock.advance(1)
    >>> shared.fresh("AAPL", "1m", 35) is None, shared.held("AAPL", "1m") is None
    (True, False)
    """

    def __init__(
        self, clock: Clock | None = None, *, validity: float = 300.0, most: int = 256
    ) -> None:
        if validity < 0 or most < 1:
            raise ValueError("validity is at least 0 seconds, and at least one series is kept")
        self.validity = validity
        self._clock = clock or SystemClock()
        self._most = most
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str], Held] = {}
        self._turns: dict[tuple[str, str], threading.Lock] = {}

    def __repr__(self) -> str:
        return f"SharedBars({len(self._held)} series, fresh for {self.validity:g} s)"

    def put(
        self, symbol: str, timeframe: str, rows: Rows, asked: int, begun: tuple[int, float]
    ) -> Held:
        """Keep bars, in place of those of the same series.

        Parameters
        ----------
        symbol, timeframe : str
            In our spelling.
        rows : array of BAR
            Made read-only.
        asked : int
            How many were asked for.
        begun : (int, float)
            When: ns UTC, and seconds of the clock that never steps.
        """
        rows.flags.writeable = False
        held = Held(rows, asked, *begun)
        with self._lock:
            self._held.pop((symbol, timeframe), None)
            self._held[symbol, timeframe] = held
            while len(self._held) > self._most:
                del self._held[next(iter(self._held))]
        return held

    def held(self, symbol: str, timeframe: str) -> Held | None:
        """Return the bars of a series however old they are, or None."""
        with self._lock:
            return self._held.get((symbol, timeframe))

    def fresh(
        self, symbol: str, timeframe: str, bars: int, since: float | None = None
    ) -> Held | None:
        """Return the bars of a series if they are fresh and at least so many were asked for.

        Parameters
        ----------
        symbol, timeframe : str
        bars : int
        since : float or None
            Only if they were asked for after this moment of the clock that never steps.
        """
        held = self.held(symbol, timeframe)
        if held is None or held.asked < bars:
            return None
        if since is not None and held.moment <= since:
            return None
        return held if self._clock.monotonic() - held.moment <= self.validity else None

    @contextmanager
    def turn(self, symbol: str, timeframes: Iterable[str]) -> Iterator[None]:
        """Hold the turn to fetch some series of a symbol.

        Whoever waited for it finds what the other fetched.
        """
        with ExitStack() as held:
            # In one order everywhere, so that no two wait for each other.
            for name in sorted(set(timeframes)):
                with self._lock:
                    turn = self._turns.setdefault((symbol, name), threading.Lock())
                held.enter_context(turn)
            yield

    def moment(self) -> float:
        """Return the seconds of the clock that never steps, as `put` and `fresh` take them."""
        return self._clock.monotonic()

    def clear(self) -> None:
        """Forget all bars."""
        with self._lock:
            self._held.clear()
