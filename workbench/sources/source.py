"""The contract of a source: what a provider says, without any I/O.

A source turns frames into batches and wishes into frames. It holds no socket, clock, file
or thread, so the same object is driven by a websocket, by a tape and by a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from workbench.records import Batch
from workbench.symbols import SymbolTable

__all__ = ["Decoded", "Frame", "Reject", "Source", "Status", "Topic"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One websocket message as it came.

    Attributes
    ----------
    received : int
        Wall time of receipt, ns UTC.
    data : bytes
        The message's payload.
    """

    received: int
    data: bytes


@dataclass(frozen=True, slots=True, order=True)
class Topic:
    """One thing to subscribe to.

    Attributes
    ----------
    symbol : str
        Our spelling, or "*" for all of the source's market.
    channel : str
        "trade", "quote", "bar:1s" or "bar:1m" (bars made by the provider).
    """

    symbol: str
    channel: str


@dataclass(frozen=True, slots=True)
class Status:
    """What the provider says about the connection rather than the market.

    Attributes
    ----------
    kind : str
        "greeting" asks for the login; "ready" ends it; "subscribed" and "unsubscribed" name
        a topic; "refused" is a subscription that was not granted; "fatal" must not be
        retried (bad key, plan); "displaced" means another connection took our place;
        "kicked" is any other announced close; "info" is the rest.
    text : str
        The provider's own words.
    topic : str or None
        The provider's name of the topic the status is about.
    """

    kind: Literal[
        "greeting",
        "ready",
        "subscribed",
        "unsubscribed",
        "refused",
        "fatal",
        "displaced",
        "kicked",
        "info",
    ]
    text: str
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """An event, or a whole frame, that could not become a row.

    Attributes
    ----------
    rule : str
        Which rule refused it, such as "malformed", "unknown-event", "missing-field".
    detail : str
        What was wrong, for a person.
    raw : bytes
        The event as it came, cut to 1,000 bytes.
    received : int
        When it came, ns UTC.
    symbol : str or None
        Whose event it was, if that can be told.
    """

    rule: str
    detail: str
    raw: bytes
    received: int
    symbol: str | None = None


@dataclass(slots=True)
class Decoded:
    """All that some frames held: rows, words about the connection, and refusals."""

    batches: list[Batch] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


@runtime_checkable
class Source(Protocol):
    """Speak one provider's protocol for one of its markets.

    Attributes
    ----------
    name : str
        "massive".
    market : str
        The provider's market or cluster: "stocks", "crypto".
    url : str
        Websocket address, without any key.
    table : SymbolTable
        Numbers for the symbols in the rows; shared by all sources of a feed.
    """

    name: str
    market: str
    url: str
    table: SymbolTable

    def hello(self) -> list[str]:
        """Return what to send as soon as the socket is open."""
        ...

    def replies(self, statuses: Sequence[Status]) -> list[str]:
        """Return what to send in answer, such as the login after the greeting."""
        ...

    def subscribe(self, topics: Iterable[Topic]) -> list[str]:
        """Return the frames that subscribe to topics; ValueError for a channel it lacks."""
        ...

    def unsubscribe(self, topics: Iterable[Topic]) -> list[str]:
        """Return the frames that give topics up."""
        ...

    def decode(self, frames: Sequence[Frame]) -> Decoded:
        """Turn frames into rows in order of receipt; never raises for what they hold."""
        ...
