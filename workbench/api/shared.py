"""The one feed of a process, shared by all its pages and requests."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Sequence
from typing import Any

from workbench.config import settings
from workbench.feeds import connect
from workbench.flow.feed import Feed
from workbench.symbols import CRYPTO, STOCKS
from workbench.timeframes import Timeframe, timeframe

__all__ = ["HISTORY", "TIMEFRAMES", "begin", "share", "shared_feed"]

#: Closed bars that series on pages begin with.
HISTORY = 500

#: Timeframes that pages offer from the start.
TIMEFRAMES: tuple[Timeframe, ...] = tuple(
    map(timeframe, ("1s", "5s", "15s", "30s", "1m", "5m", "15m", "1h"))
)

_lock = threading.Lock()
_feeds: list[Feed] = []


def share(feed: Feed | None) -> None:
    """Make a feed the one that pages use; None forgets it."""
    with _lock:
        _feeds[:] = [] if feed is None else [feed]


def shared_feed() -> Feed:
    """Return the process's feed.

    A page that is served alone, without `workbench demo` or `monitor`, connects by the
    settings: to the provider if there is a key, else to a simulator of its own.
    """
    with _lock:
        if not _feeds:
            feed = begin("massive" if settings().api_key.get_secret_value() else "sim")
            atexit.register(feed.close)
            _feeds.append(feed)
        return _feeds[0]


def begin(provider: str, symbols: Sequence[str] = (), **options: Any) -> Feed:
    """Connect and subscribe to what pages show at first.

    Parameters
    ----------
    provider : str
        "sim" or "massive".
    symbols : sequence of str
        Empty for the default sets.
    **options
        As for :func:`workbench.feeds.connect`.
    """
    if provider == "sim" and not symbols:
        # Both markets begin together, with some past.
        options = {"simulator": {"wait_for": 2, "head_start": 1000.0}, **options}
    feed = connect(provider, **{"history": HISTORY, **options})
    feed.subscribe(symbols or (*CRYPTO, *STOCKS), TIMEFRAMES, timeout=None)
    return feed
