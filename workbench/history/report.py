"""What a backfill did: asked for, fetched, stored, and what is still missing and why."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.gate import Quarantine
from workbench.history.plan import Plan
from workbench.history.request import Request

__all__ = ["Gap", "Outcome", "Progress", "Report"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill or a fetch of many series is.

    Attributes
    ----------
    completed, total : int
        Requests answered, and expected; the total grows if there are more pages.
    rows : int
        Rows that came.
    label : str
        The series of the newest page, or what is waited for.
    waiting : float
        Seconds that a wait for the limit has just begun to take; 0 otherwise.
    """

    completed: int
    total: int
    rows: int = 0
    label: str = ""
    waiting: float = 0.0

    @property
    def percentage(self) -> float:
        """Share of the requests that were answered, 0 to 100.

        >>> Progress(1, 4).percentage
        25.0
        """
        return 100.0 * self.completed / self.total if self.total else 100.0


@dataclass(frozen=True, slots=True)
class Gap:
    """A range that is still missing, [start, end) in ns UTC, and why."""

    start: int
    end: int
    why: str


@dataclass(slots=True)
class Outcome:
    """What happened to one series.

    Attributes
    ----------
    request : Request
        What was wanted.
    missing : int
        ns of it that were missing before.
    requests : int
        Pages that came.
    fetched : int
        Rows that came.
    stored : int
        Rows of them that were new, or changed something.
    refused : int
        Events that could not become rows, were taken back, or cannot be true.
    gaps : list of Gap
        What is missing now.
    errors : list of str
    """

    request: Request
    missing: int = 0
    requests: int = 0
    fetched: int = 0
    stored: int = 0
    refused: int = 0
    gaps: list[Gap] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def already(self) -> int:
        """Rows that came and were there before."""
        return self.fetched - self.stored

    @property
    def known(self) -> int:
        """Length of what was not asked for, being known to be whole, ns."""
        return self.request.end - self.request.start - self.missing


@dataclass(frozen=True, slots=True)
class Report:
    """What a backfill did.

    Attributes
    ----------
    plan : Plan
    outcomes : tuple of Outcome
        One for each series that was wanted.
    seconds : float
        How long it took.
    computed : dict of str to list
        By series, what workers of a cluster made of its pages, oldest first.
    quarantine : Quarantine
        The newest of what was refused, and how much by which rule.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...]
    seconds: float = 0.0
    computed: dict[str, list[Any]] = field(default_factory=dict)
    quarantine: Quarantine = field(default_factory=Quarantine, compare=False)

    @property
    def planned(self) -> int:
        """Requests that were expected."""
        return self.plan.requests

    @property
    def requests(self) -> int:
        """Requests that were answered with a page."""
        return sum(one.requests for one in self.outcomes)

    @property
    def fetched(self) -> int:
        """Rows that came."""
        return sum(one.fetched for one in self.outcomes)

    @property
    def stored(self) -> int:
        """Rows that were new, or changed something."""
        return sum(one.stored for one in self.outcomes)

    @property
    def already(self) -> int:
        """Rows that came and were there before."""
        return sum(one.already for one in self.outcomes)

    @property
    def gaps(self) -> list[tuple[Request, Gap]]:
        """What is still missing, with its series."""
        return [(one.request, gap) for one in self.outcomes for gap in one.gaps]

    @property
    def errors(self) -> dict[str, str]:
        """The first error of each series that had one."""
        return {str(one.request): one.errors[0] for one in self.outcomes if one.errors}

    @property
    def complete(self) -> bool:
        """Whether nothing is missing any more."""
        return not self.gaps

    def __str__(self) -> str:
        lines = [
            f"{self.requests:,} of {self.planned:,} requests, {self.fetched:,} rows fetched: "
            f"{self.stored:,} stored, {self.already:,} already there"
        ]
        known = sum(one.known for one in self.outcomes)
        wanted = sum(one.request.end - one.request.start for one in self.outcomes)
        if known and wanted:
            lines.append(f"{100 * known / wanted:.0f} % of the range was fetched before")
        refused = sum(one.refused for one in self.outcomes)
        if refused:
            lines.append(f"{refused:,} events were refused or had been taken back")
        gaps = self.gaps
        lines.append(f"{len(gaps):,} gaps left" if gaps else "nothing is missing")
        lines.extend(
            f"  {request}: {_utc(gap.start)} to {_utc(gap.end)}: {gap.why}"
            for request, gap in gaps[:20]
        )
        if len(gaps) > 20:
            lines.append(f"  and {len(gaps) - 20:,} more")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cells = "".join(_row(_cells(one)) for one in self.outcomes[:100])
        head = "<tr><th>series<th>requests<th>fetched<th>stored<th>already there<th>gaps left</tr>"
        first = html.escape(str(self).partition("\n")[0])
        return f"<p>{first}</p><table>{head}{cells}</table>"


def _cells(one: Outcome) -> Iterable[str]:
    yield str(one.request)
    for count in (one.requests, one.fetched, one.stored, one.already):
        yield f"{count:,}"
    yield "; ".join(f"{_utc(g.start)} to {_utc(g.end)}: {g.why}" for g in one.gaps[:5])


def _row(cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"


def _utc(time: int) -> str:
    return str(np.datetime64(time, "ns").astype("M8[s]")).replace("T", " ")
