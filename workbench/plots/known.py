"""What pages show of a feed's ledger: trades by symbol, and which series lack data now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.plots.strip import is_tail
from workbench.store.coverage import OPEN, Interval

if TYPE_CHECKING:
    from workbench.history.coverage import Coverage

__all__ = ["Known", "alert_pill", "known", "read_known"]

#: Series that a pill names one by one.
_NAMED = 12


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a feed's series.

    Attributes
    ----------
    trades : mapping of str to list of Interval
        By symbol; of several sources that one of which most lately anything is known.
    lost : mapping of str to str
        Series of which nothing comes now, each with why.
    doubted : mapping of str to str
        Other series with holes that are to be filled, each with why.
    """

    trades: Mapping[str, list[Interval]] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    doubted: Mapping[str, str] = field(default_factory=dict)


def known(coverage: Coverage) -> Known:
    """Return what a coverage tells a page.

    Examples
    --------
    >>> from workbench.history.coverage import Coverage
    >>> from workbench.store.coverage import Series
    >>> gone = Interval(5, OPEN, "doubt", "closed by the peer", 5, OPEN)
    >>> dict(known(Coverage([(Series("sim", "AAPL", "trade"), gone)])).lost)
    {'sim AAPL trade': 'closed by the peer'}
    """
    trades: dict[str, list[Interval]] = {}
    lost: dict[str, str] = {}
    doubted: dict[str, str] = {}
    for series, (label, _, _, parts) in zip(coverage.series, coverage.strips(), strict=True):
        if not parts:
            continue
        if series.kind == "trade":
            held = trades.get(series.symbol)
            if held is None or _age(held) < _age(parts):
                trades[series.symbol] = parts
        for one in parts:
            if one.state == "doubt" and not is_tail(one):
                (lost if one.ready == OPEN else doubted)[label] = one.learned
    return Known(trades, lost, {name: why for name, why in doubted.items() if name not in lost})


def _age(parts: list[Interval]) -> tuple[bool, int]:
    return parts[-1].ready == OPEN, parts[-1].end


def read_known(feed: Any) -> Known:
    """Return what a feed's ledger tells a page; nothing where there is none."""
    coverage = getattr(feed, "coverage", None)
    return Known() if coverage is None else known(coverage)


def alert_pill(found: Known) -> dict[str, Any]:
    """Return what the pill of a page says while something is unresolved; empty for nothing.

    >>> alert_pill(Known(lost={"sim AAPL trade": "lost"}))["text"]
    '1 series without data'
    """
    holes = found.lost or found.doubted
    if not holes:
        return {}
    lines = [[name, why] for name, why in list(holes.items())[:_NAMED]]
    if len(holes) > _NAMED:
        lines.append([f"and {len(holes) - _NAMED} more", ""])
    what = "without data" if found.lost else "being filled"
    text, short = f"{len(holes)} series {what}", f"{len(holes)} {what}"
    return {"count": len(holes), "text": text, "short": short, "lines": lines}
