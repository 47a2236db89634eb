"""What all faults have in common: when they are asked, and how frames are taken apart."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from workbench.sim.faults import Action, Send
from workbench.sim.rest import Answer
from workbench.sim.wire import status

__all__ = ["Effect", "Moment", "is_data", "is_trade", "joined", "split", "status_frame", "tally"]

_TRADE = re.compile(rb'"ev"\s*:\s*"X?T"')
_EVENT = re.compile(rb'"ev"\s*:\s*"(?!status")')
_STATUS = re.compile(rb'"ev"\s*:\s*"status"')
_parts = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Moment:
    """The circumstances in which a fault is asked.

    Attributes
    ----------
    connection : int
        Number of the connection; 0 for a request.
    now : float
        Monotonic time, seconds.
    dice : random.Random
    chance : callable
        ``chance(detail)`` counts a chance and returns whether to strike; a strike is logged.
    ledger : Counter
        What became of events: an effect counts what it does to them, see :func:`tally`.
    """

    connection: int
    now: float
    dice: random.Random
    chance: Callable[[str], bool]
    ledger: Counter[str]


class Effect:
    """Do nothing: what every fault does about that which it does not touch."""

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return what to do instead of sending a frame."""
        return (send,)

    def due(self, connection: int, now: float) -> float | None:
        """Return the seconds until something held back is to be sent; None if nothing is."""
        return None

    def release(self, at: Moment) -> Sequence[Action]:
        """Return what to do about what was held back and is due."""
        return ()

    def forget(self, connection: int, ledger: Counter[str]) -> None:
        """Take note that a connection has ended."""

    def let_go(self) -> None:
        """Take note that the fault is switched off: what is held back is due."""

    def holds(self, now: float) -> bool:
        """Return whether it still has an effect without striking again."""
        return False

    def refuse(self, at: Moment) -> Answer | None:
        """Return a refusal of a new connection, or None to accept it."""
        return None

    def answer(self, target: str, answer: Answer, at: Moment) -> tuple[float, Answer]:
        """Return how many seconds late to answer a request, and what."""
        return 0.0, answer


def is_data(frame: bytes) -> bool:
    """Return whether a frame is about the market rather than the connection.

    >>> is_data(b'[{"ev":"T","sym":"SPY"}]'), is_data(b'[{"ev":"status"}]')
    (True, False)
    """
    return _STATUS.search(frame) is None


def is_trade(event: bytes) -> bool:
    """Return whether an event is a trade.

    >>> is_trade(b'{"ev":"XT","pair":"BTC-USD"}'), is_trade(b'{"ev":"XQ"}')
    (True, False)
    """
    return _TRADE.search(event) is not None


def split(frame: bytes) -> list[bytes]:
    """Return the events of a frame; none if it is no list.

    >>> split(b'[{"a":1},{"b":[2]}]'), split(b'<html>')
    ([b'{"a":1}', b'{"b":[2]}'], [])
    """
    try:
        return [bytes(part) for part in _parts.decode(frame)]
    except msgspec.DecodeError:
        return []


def joined(events: Iterable[bytes]) -> Send:
    """Return events as a frame to send."""
    return Send(b"[%b]" % b",".join(events))


def status_frame(word: str, message: str) -> Send:
    """Return a status as a frame to send."""
    return joined([status(word, message)])


def tally(ledger: Counter[str], fate: str, data: bytes) -> None:
    """Count the events of some bytes, and the trades among them, under a fate.

    Examples
    --------
    >>> ledger = Counter()
    >>> tally(ledger, "suppressed", b'[{"ev":"T"},{"ev":"Q"}]')
    >>> dict(ledger)
    {'suppressed': 2, 'suppressed_trades': 1}
    """
    ledger[fate] += len(_EVENT.findall(data))
    ledger[f"{fate}_trades"] += len(_TRADE.findall(data))
