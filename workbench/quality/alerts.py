"""Tell once when data turn bad, and once when they are well again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from workbench.quality.score import WEIGHTS, SeriesQuality, shown

__all__ = ["Alert", "AlertKind", "Alerts"]

AlertKind = Literal["quality", "stale", "gap"]
_KINDS: tuple[AlertKind, ...] = ("quality", "stale", "gap")


@dataclass(frozen=True, slots=True)
class Alert:
    """Something about the data that has begun or is over.

    Attributes
    ----------
    kind : "quality", "stale" or "gap"
    series : str
    time : int
        When it was seen, ns UTC.
    over : bool
        Whether this tells the end.
    duration : float
        Seconds: of a gap the length of what is or was missing at most; of staleness the
        silence at most; of quality how long it has lasted.
    description : str
        For a person.
    """

    kind: AlertKind
    series: str
    time: int
    over: bool
    duration: float
    description: str

    @property
    def alert_type(self) -> str:
        """ "DATA_GAP" for a gap, else "DATA_QUALITY_ALERT"."""
        return "DATA_GAP" if self.kind == "gap" else "DATA_QUALITY_ALERT"


@dataclass(slots=True)
class _Open:
    since: int
    worst: float


class Alerts:
    """Turn qualities into alerts, each told once when it begins and once when it is over.

    Parameters
    ----------
    below : float
        Score under which an alert of kind "quality" begins, from 0 to 100.
    above : float
        Score from which it is over, so that one that wavers is told once; not under `below`.
    stale_seconds : float
        Silence in an open market from which a series is stale; 0 switches it off.
    gap_seconds : float
        Length of what is missing from which it is a gap.

    Examples
    --------
    >>> alerts = Alerts()
    >>> [a.description for a in alerts.look([SeriesQuality("AAPL", silence=90.0)], 0)]
    ['AAPL: nothing for 90 s']
    >>> alerts.look([SeriesQuality("AAPL", silence=95.0)], 5 * 10**9)
    []
    >>> [a.description for a in alerts.look([SeriesQuality("AAPL", silence=0.5)], 6 * 10**9)]
    ['AAPL: data again after 95 s']
    """

    def __init__(
        self,
        *,
        below: float = 90.0,
        above: float = 95.0,
        stale_seconds: float = 60.0,
        gap_seconds: float = 1.0,
    ) -> None:
        if not 0.0 <= below <= above <= 100.0:
            raise ValueError(f"0 <= below <= above <= 100 must hold: {below}, {above}")
        if stale_seconds < 0 or not gap_seconds > 0:
            raise ValueError("stale_seconds must not be negative, gap_seconds above 0")
        self._below, self._above = below, above
        self._stale = stale_seconds
        self._gap = gap_seconds
        self._open: dict[tuple[AlertKind, str], _Open] = {}

    @property
    def open(self) -> list[tuple[AlertKind, str]]:
        """Kind and series of what has begun and is not over."""
        return list(self._open)

    def look(self, qualities: Iterable[SeriesQuality], now: int) -> list[Alert]:
        """Return what has begun or is over since the last look.

        Parameters
        ----------
        qualities : iterable of SeriesQuality
            Of all series: what concerns one that is not among them any more is over.
        now : int
            ns UTC.
        """
        found: list[Alert] = []
        seen: set[str] = set()
        for one in qualities:
            seen.add(one.series)
            for kind in _KINDS:
                alert = self._compare(kind, one, now)
                if alert is not None:
                    found.append(alert)
        for kind, series in [key for key in self._open if key[1] not in seen]:
            was = self._open.pop((kind, series))
            lasted = (now - was.since) / 1e9 if kind == "quality" else was.worst
            found.append(Alert(kind, series, now, True, lasted, f"{series}: no longer watched"))
        return found

    def _compare(self, kind: AlertKind, one: SeriesQuality, now: int) -> Alert | None:
        was = self._open.get((kind, one.series))
        size = self._size(kind, one, was is not None)
        if was is None:
            if size is None:
                return None
            self._open[kind, one.series] = _Open(now, size)
            length = 0.0 if kind == "quality" else size
            return Alert(kind, one.series, now, False, length, _begins(kind, one))
        if size is not None:
            was.worst = max(was.worst, size)
            return None
        del self._open[kind, one.series]
        lasted = (now - was.since) / 1e9 if kind == "quality" else was.worst
        return Alert(kind, one.series, now, True, lasted, _ends(kind, one, lasted))

    def _size(self, kind: AlertKind, one: SeriesQuality, begun: bool) -> float | None:
        """Return how bad it is, None if it is not."""
        if kind == "quality":
            limit = self._above if begun else self._below
            return 100.0 - one.score if one.score < limit else None
        if kind == "gap":
            limit = 0.0 if begun else self._gap
            long = one.missing_seconds > 0 and one.missing_seconds >= limit
            return one.missing_seconds if long else None
        stale = self._stale and one.open_market and one.silence is not None
        return one.silence if stale and one.silence >= self._stale else None  # type: ignore[operator]


def _begins(kind: AlertKind, one: SeriesQuality) -> str:
    if kind == "stale":
        return f"{one.series}: nothing for {one.silence:.0f} s"
    if kind == "gap":
        return f"{one.series}: {one.missing_seconds:.0f} s are missing"
    weakest = min(WEIGHTS, key=lambda name: getattr(one, name) ** WEIGHTS[name])
    share = shown(100 * getattr(one, weakest))
    return f"{one.series}: quality {shown(one.score)} of 100, {weakest} {share} %"


def _ends(kind: AlertKind, one: SeriesQuality, lasted: float) -> str:
    if kind == "stale":
        return (
            f"{one.series}: data again after {lasted:.0f} s"
            if one.open_market
            else (f"{one.series}: the market is closed")
        )
    if kind == "gap":
        return f"{one.series}: {lasted:.0f} s that were missing are there"
    return f"{one.series}: quality {shown(one.score)} of 100 again"
