"""How pages of Massive's REST interface look."""

from __future__ import annotations

from typing import ClassVar

import msgspec

__all__ = [
    "Aggregate",
    "Aggregates",
    "HistoricQuote",
    "HistoricQuotes",
    "HistoricTrade",
    "HistoricTrades",
]


class Aggregate(msgspec.Struct, gc=False):
    """A bar."""

    t: int
    o: float
    h: float
    l: float  # noqa: E741 - the provider's name
    c: float
    v: float = 0.0
    vw: float | None = None
    n: int | None = None


class HistoricTrade(msgspec.Struct, gc=False, omit_defaults=True):
    """A trade."""

    price: float
    size: float = 0.0
    sip_timestamp: int = 0
    participant_timestamp: int = 0
    id: str | int | None = ""
    exchange: int = 0
    conditions: tuple[int, ...] | None = None
    correction: int = 0
    sequence_number: int = 0
    decimal_size: str | None = None


class HistoricQuote(msgspec.Struct, gc=False, omit_defaults=True):
    """Best bid and ask."""

    sip_timestamp: int = 0
    participant_timestamp: int = 0
    bid_price: float = 0.0
    bid_size: float = 0.0
    ask_price: float = 0.0
    ask_size: float = 0.0
    bid_exchange: int = 0
    ask_exchange: int = 0
    sequence_number: int = 0


class Aggregates(msgspec.Struct):
    """A page of bars; without `results` if there are none."""

    row: ClassVar[type] = Aggregate

    status: str = ""
    resultsCount: int | None = None
    results: list[Aggregate] | msgspec.UnsetType | None = msgspec.UNSET
    next_url: str | None = None
    error: str = ""
    message: str = ""


class HistoricTrades(msgspec.Struct):
    """A page of trades."""

    row: ClassVar[type] = HistoricTrade

    status: str = ""
    results: list[HistoricTrade] | msgspec.UnsetType | None = msgspec.UNSET
    next_url: str | None = None
    error: str = ""
    message: str = ""


class HistoricQuotes(msgspec.Struct):
    """A page of quotes."""

    row: ClassVar[type] = HistoricQuote

    status: str = ""
    results: list[HistoricQuote] | msgspec.UnsetType | None = msgspec.UNSET
    next_url: str | None = None
    error: str = ""
    message: str = ""
