"""A study as a rule sees it: what became known with each bar, and what is open by then."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from workbench.records import Rows
from workbench.study.study import Study

__all__ = ["Seen", "Zones"]

_BORN, _ENDED = 1, 8


class Seen(NamedTuple):
    """What a rule sees of a study at the end of a bar.

    Attributes
    ----------
    events : tuple
        What became known with this bar: fields of the study's events, words for `kind` and
        such; `born` and `ended` tell what happened.
    zones : tuple
        The last word on everything that is open, oldest first.
    """

    events: tuple[Any, ...]
    zones: tuple[Any, ...]


class Zones:
    """A study's run, and its open rows, kept by id."""

    def __init__(self, study: Study, symbol: str, timeframe: str | None) -> None:
        self._run = study.start(symbol, timeframe)
        names = study.spec.dtype.names or ()
        self._words = {n: w for n, w in study.spec.words.items() if n in names}
        self._row: Callable[..., Any] = namedtuple("row", (*names, "born", "ended"))  # type: ignore[misc]
        self._ends = study.spec.ends
        self._open: dict[int, Any] = {}

    def add(self, rows: Rows) -> list[Seen]:
        """Take closed bars and return what is seen at the end of each."""
        events = self._run.add(rows)
        ends = rows["time"] + rows["timeframe"].astype(np.int64) * 1_000_000_000
        cuts = np.searchsorted(events["time"], ends, side="right").tolist()
        seen = []
        start = 0
        for cut in cuts:
            news = tuple(self._named(events[k]) for k in range(start, cut))
            for row in news:
                if row.ended or not self._ends:
                    self._open.pop(row.id, None)
                if not row.ended:
                    self._open[row.id] = row
            if not self._ends and len(self._open) > 1:
                self._open = dict(list(self._open.items())[-1:])
            seen.append(Seen(news, tuple(self._open.values())))
            start = cut
        return seen

    def _named(self, event: Any) -> Any:
        values = list(event.item())
        for i, name in enumerate(event.dtype.names):
            if name in self._words:
                values[i] = self._words[name][values[i]]
        what = int(event["what"])
        return self._row(*values, bool(what & _BORN), bool(what & _ENDED))

    def checkpoint(self) -> Any:
        """Return where it stands."""
        return self._run.checkpoint(), dict(self._open)

    def restore(self, state: Any) -> None:
        """Go back to where it stood."""
        self._run.restore(state[0])
        self._open = dict(state[1])
