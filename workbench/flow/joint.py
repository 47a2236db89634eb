"""A series with history in front of it: how it stands, and how a user asks for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from workbench.flow.pastloader import Brought
from workbench.records import Rows, empty
from workbench.symbols import canonical
from workbench.timeframes import Timeframe, timeframe

__all__ = ["MOST", "Defaulted", "History", "Joined", "Joint"]

#: Bars of history for one series.
MOST = 50_000


class Defaulted(Protocol):
    """What knows how many bars of history every series gets."""

    default: int


@dataclass(frozen=True, slots=True)
class Joined:
    """How a series stands once history was put in front of it.

    Attributes
    ----------
    symbol, timeframe : str
    provider, own : int
        Closed bars at hand, by who made them.
    fetched : int
        Bars that came from the provider for this; 0 if all were there.
    why : str
        Why there are no more; empty if nothing went wrong.
    """

    symbol: str
    timeframe: str
    provider: int = 0
    own: int = 0
    fetched: int = 0
    why: str = ""

    def __str__(self) -> str:
        words = f"{self.symbol} {self.timeframe}: {self.provider} bars of the provider"
        words += f", {self.own} of our own"
        return f"{words}; {self.why}" if self.why else words

    __repr__ = __str__


@dataclass
class Joint:
    """One series that has history in front.

    Attributes
    ----------
    name : str
    length : Timeframe
    number : int
        Of the symbol.
    bars : int
        Wanted, ours among them.
    rows : array of BAR
        Of the provider.
    held : array of BAR
        Ours that do not count beside those.
    asked : int
        How many were asked for.
    due : float
        When it is looked at again, by the clock that never steps.
    tries : int
        In vain, one after the other.
    job : Future or None
        What fetches now.
    waiting : list of Future
        Who waits for what comes.
    """

    name: str
    length: Timeframe
    number: int
    bars: int
    rows: Rows = field(default_factory=lambda: empty("bar"))
    held: Rows = field(default_factory=lambda: empty("bar"))
    asked: int = 0
    due: float = 0.0
    tries: int = 0
    job: Future[Brought] | None = None
    waiting: list[Future[Joined]] = field(default_factory=list)


class History:
    """The provider's bars in front of our own, as a user asks for them; see :attr:`Feed.history`.

    Parameters
    ----------
    want : callable
        ``want(symbol, timeframe, bars)``, from any thread.
    past : Past
        Of the feed.
    """

    def __init__(
        self, want: Callable[[str, Timeframe, int], Future[Joined]], past: Defaulted
    ) -> None:
        self._want = want
        self._past = past

    def __call__(
        self, symbol: str, tf: str | int | Timeframe = "1m", *, bars: int = 500
    ) -> Future[Joined]:
        """Put closed bars of the provider in front of a series; returns at once.

        They are fetched in the background, as far as nobody has them, and slide into every
        chart and window of the series. Our own bars stand wherever all their trades came.

        Parameters
        ----------
        symbol : str
            In any spelling; it is subscribed to if it is not yet.
        tf : str, int or Timeframe
            Of time bars.
        bars : int
            Closed ones to have, ours among them; 1 to 50,000.

        Returns
        -------
        Future
            Its ``result()`` waits until they are in, and tells how many there are.

        Raises
        ------
        UnknownSymbolError, UnknownTimeframeError
            If one is not spelled as such.
        ValueError
            If the number of bars is out of range.
        """
        if not 1 <= bars <= MOST:
            raise ValueError(f"bars is 1 to {MOST:,}, not {bars}")
        return self._want(canonical(symbol), timeframe(tf), bars)

    def always(self, bars: int) -> None:
        """Put so many bars in front of every series that is watched from now on.

        Parameters
        ----------
        bars : int
            0 for none, to 50,000.
        """
        if not 0 <= bars <= MOST:
            raise ValueError(f"bars is 0 to {MOST:,}, not {bars}")
        self._past.default = bars
