"""Whether a market is open, and when that changes next."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.calendar import (
    Expectation,
    Session,
    edges_between,
    expectation,
    is_market_open,
    market_session,
    round_the_clock,
)
from workbench.clock import Clock, SystemClock
from workbench.store.frames import When, nanoseconds
from workbench.symbols import canonical

__all__ = ["MarketStatus", "market_status"]


@dataclass(frozen=True, slots=True)
class MarketStatus:
    """What a market is doing at a moment.

    Attributes
    ----------
    symbol : str
    at : pandas.Timestamp
        The moment, UTC.
    session : "pre", "regular", "after" or "closed"
    open : bool
        Whether it is in its regular session.
    expects : "real-time", "limited" or "closed"
        What to expect of a feed.
    next_open, next_close : pandas.Timestamp or None
        The next time after `at` that a regular session opens, and that one closes, UTC; None
        for what trades round the clock.
    """

    symbol: str
    at: pd.Timestamp
    session: Session
    open: bool
    expects: Expectation
    next_open: pd.Timestamp | None
    next_close: pd.Timestamp | None

    def __str__(self) -> str:
        if self.next_open is None or self.next_close is None:
            return f"{self.symbol} trades round the clock"
        if self.open:
            return f"{self.symbol} is open, until {self.next_close:%Y-%m-%d %H:%M} UTC"
        state = {"pre": "before the open", "after": "after the close", "closed": "closed"}
        opens = f"{self.next_open:%Y-%m-%d %H:%M} UTC"
        return f"{self.symbol} is {state[self.session]}, opens {opens}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<code>{html.escape(str(self))}</code>"


def market_status(
    symbol: str, at: When | None = None, *, clock: Clock | None = None
) -> MarketStatus:
    """Return whether a market is open, in which session, and when it opens and closes next.

    Parameters
    ----------
    symbol : str
        In any spelling. Crypto and forex pairs are always open.
    at : When or None
        What names no zone is UTC. None is now.
    clock : Clock or None
        Tells what now is; None is the machine's.

    Raises
    ------
    UnknownSymbolError
        If it is not spelled as a symbol.
    ValueError
        If no session is known there.

    Examples
    --------
    >>> market_status("SPY", "2025-11-28 17:59")
    SPY is open, until 2025-11-28 18:00 UTC
    >>> market_status("SPY", "2025-11-28 18:00")
    SPY is after the close, opens 2025-12-01 14:30 UTC
    >>> market_status("SPY", "2025-11-28 18:00").session
    'after'
    """
    name = canonical(symbol)
    now = (clock or SystemClock()).now() if at is None else nanoseconds(at)
    opens = closes = None
    if not round_the_clock(name):
        sessions = edges_between(name, "regular", now, now)
        opens, closes = (_next(times, now) for times in (sessions.opens, sessions.closes))
    return MarketStatus(
        name,
        pd.Timestamp(now, tz="UTC"),
        market_session(now, name),
        is_market_open(name, now),
        expectation(name, now),
        opens,
        closes,
    )


def _next(times: npt.NDArray[np.int64], now: int) -> pd.Timestamp:
    # Sessions are known for weeks ahead, so there is one.
    return pd.Timestamp(int(times[np.searchsorted(times, now, side="right")]), tz="UTC")
