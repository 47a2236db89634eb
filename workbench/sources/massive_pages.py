"""How pages of Massive's REST interface look, and what is a page at all."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import msgspec

from workbench.errors import AuthError, DecodeError, ProviderError
from workbench.records import Kind
from workbench.sources.source import Reject
from workbench.timeframes import Timeframe

__all__ = [
    "PAGES",
    "Aggregate",
    "Aggregates",
    "HistoricQuote",
    "HistoricQuotes",
    "HistoricTrade",
    "HistoricTrades",
    "Pages",
    "Wanted",
    "unusable",
]

_RAW = 1000
_WRONG = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


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


class Wanted(Protocol):
    """What is asked for: rows of one series with start <= time < end, ns UTC."""

    @property
    def kind(self) -> Kind:
        """The kind of rows."""
        ...

    @property
    def symbol(self) -> str:
        """The symbol, in our spelling."""
        ...

    @property
    def timeframe(self) -> Timeframe | None:
        """The length of bars; None for trades and quotes."""
        ...

    @property
    def start(self) -> int:
        """The first moment."""
        ...

    @property
    def end(self) -> int:
        """The moment after the last."""
        ...


def unusable(wanted: Wanted, what: str) -> DecodeError:
    """Return the error for a page that is none."""
    return DecodeError(
        f"a page of {wanted.kind}s of {wanted.symbol} cannot be used: {what}",
        symbol=wanted.symbol,
        source="massive",
    )


class Pages:
    """Decode pages of one kind; row by row where one of them spoils the whole.

    Parameters
    ----------
    whole : Struct
        A page; its `row` is the class of its rows.
    """

    def __init__(self, whole: Any) -> None:
        self._counted = whole is Aggregates
        self._whole = msgspec.json.Decoder(whole)
        self._one = msgspec.json.Decoder(whole.row)

    def open(
        self, body: bytes, wanted: Wanted, received: int
    ) -> tuple[Any, list[Any], list[Reject]]:
        """Return a page, its events and those that could not be read.

        Raises
        ------
        DecodeError
            If it is cut, garbled, or lacks what it announces.
        ProviderError
            If it is a refusal; AuthError for one about the plan.
        """
        rejects: list[Reject] = []
        try:
            page = self._whole.decode(body)
            events = page.results
        except _WRONG as error:
            page, events = self._salvage(body, wanted, received, rejects, error)
        if page.status not in ("OK", "DELAYED"):
            raise _refusal(page, wanted)
        if events is msgspec.UNSET or events is None:
            if not (self._counted and events is msgspec.UNSET and page.resultsCount == 0):
                raise unusable(wanted, "it has no results")
            events = []
        found = len(events) + len(rejects)
        if self._counted and page.resultsCount is not None and page.resultsCount != found:
            raise unusable(wanted, f"it announces {page.resultsCount} rows and has {found}")
        return page, events, rejects

    def _salvage(
        self, body: bytes, wanted: Wanted, received: int, rejects: list[Reject], cause: Exception
    ) -> tuple[Any, list[Any]]:
        try:
            page = _LOOSE.decode(body)
        except _WRONG:
            raise unusable(wanted, f"not such a page ({str(cause)[:120]})") from None
        events = []
        for raw in page.results or ():
            try:
                events.append(self._one.decode(raw))
            except _WRONG as error:
                rejects.append(Reject("malformed", str(error)[:200], bytes(raw)[:_RAW], received))
        return page, events


class _LoosePage(msgspec.Struct):
    status: str = ""
    resultsCount: int | None = None
    results: list[msgspec.Raw] | None = None
    next_url: str | None = None
    error: str = ""
    message: str = ""


_LOOSE = msgspec.json.Decoder(_LoosePage)
PAGES = {
    "bar": Pages(Aggregates),
    "trade": Pages(HistoricTrades),
    "quote": Pages(HistoricQuotes),
}


def _refusal(page: Any, wanted: Wanted) -> ProviderError | DecodeError:
    text = (page.error or page.message)[:200]
    if not page.status and not text:
        return unusable(wanted, "it has no status")
    kind = AuthError if page.status == "NOT_AUTHORIZED" else ProviderError
    return kind(
        f"massive refused {wanted.kind}s of {wanted.symbol}: {text or page.status}",
        symbol=wanted.symbol,
        source="massive",
        status=page.status or None,
    )
