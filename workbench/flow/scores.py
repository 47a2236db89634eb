"""How good the data of a feed are, series by series, and what to be told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from workbench.calendar import expectation
from workbench.clock import Clock
from workbench.flow.graph import Pipeline
from workbench.flow.mending import BEFORE, Mending
from workbench.quality.alerts import Alerts
from workbench.quality.score import Quality, SeriesQuality, completeness_of, quality_of
from workbench.records import Batch
from workbench.store.coverage import OPEN
from workbench.symbols import asset_class

__all__ = ["Scores"]

#: Seconds between looks.
_EVERY = 2.0
#: How far back a hole counts, ns.
_BACK = 24 * 3600 * 10**9


class Scores:
    """Tell the quality of a feed's trades, and raise alerts as events of its health.

    Parameters
    ----------
    pipeline : Pipeline
    mending : Mending
    symbols : mapping
        Whose keys are the symbols that are subscribed to.
    clock : Clock
    stale_after : float
        Seconds of silence that an open market may have.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        mending: Mending,
        symbols: Mapping[str, object],
        clock: Clock,
        stale_after: float,
    ) -> None:
        self._symbols = symbols
        self._pipeline = pipeline
        self._mending = mending
        self._clock = clock
        self._stale_after = stale_after
        self._alerts = Alerts(stale_seconds=2 * stale_after)
        self._looked = clock.monotonic()
        self._bars = np.zeros((16, 2), np.int64)  # closed, and revised since, by symbol
        self._since: dict[str, float] = {}  # since when a symbol is watched, monotonic

    def count(self, batch: Batch) -> None:
        """Count bars that were closed, and those that a late trade has changed since.

        What was fetched to fill a hole changes bars too: that the hole was there is told by
        other means.
        """
        rows = batch.rows
        if self._pipeline.splicing or batch.known == 0:
            rows = rows[rows["revision"] == 0]
        rows = rows[rows["revision"] <= 1]  # of a bar that is changed often the first time
        if not len(rows):
            return
        numbers = rows["symbol"]
        top = int(numbers.max()) + 1
        if top > len(self._bars):
            more = np.zeros((2 * top, 2), np.int64)
            more[: len(self._bars)] = self._bars
            self._bars = more
        np.add.at(self._bars, (numbers, rows["revision"]), 1)

    def tick(self) -> None:
        """Look every other second, and tell what began or is over."""
        now = self._clock.monotonic()
        if now - self._looked < _EVERY:
            return
        self._looked = now
        self._since = {name: then for name, then in self._since.items() if name in self._symbols}
        series = self.series()
        for alert in self._alerts.look(series, self._clock.now()):
            kind = "recovered" if alert.over else alert.kind
            self._pipeline.health.tell(kind, alert.description)

    def quality(self) -> Quality:
        """Return the quality of all series that are received, and of the whole."""
        return Quality(self.series())

    def series(self) -> list[SeriesQuality]:
        """Return the quality of each symbol's trades."""
        table = self._pipeline.gate.table()
        counts = table.to_dict("index")
        return [self._of(name, counts.get(name, {})) for name in list(self._symbols)]

    def _of(self, name: str, counts: Mapping[Hashable, Any]) -> SeriesQuality:
        now, number = self._clock.now(), self._pipeline.table.id(name)
        lengths: Counter[str] = Counter()
        for part in self._mending.ledger.intervals(self._mending.trades_of(name), now - _BACK):
            # What is open is about to come, or is told by the silence; what was before the
            # subscription was never lost.
            if part.ready != OPEN and part.learned != BEFORE:
                lengths[part.state] += part.end - part.start
        bars = self._bars[number] if number < len(self._bars) else np.zeros(2, np.int64)
        return quality_of(
            name,
            completeness=completeness_of(lengths),
            accepted=int(counts.get("trades", 0)),
            refused=int(counts.get("refused", 0)),
            late=int(counts.get("late", 0)),
            silence=self._silence(name, number),
            stale_after=self._stale_after,
            open_market=expectation(name, now) == "real-time",
            bars=int(bars[0]),
            revised=int(bars.min()),
            missing_seconds=(lengths["doubt"] + lengths["missing"]) / 1e9,
        )

    def _silence(self, symbol: str, number: int) -> float | None:
        last = self._pipeline.builder.last(number)
        if last is None:
            return None
        now = self._mending.continuity.now(asset_class(symbol))
        # What a store had of the past does not make a symbol stale that was just subscribed to.
        mono = self._clock.monotonic()
        watched = mono - self._since.setdefault(symbol, mono)
        return min(watched, max(0.0, (now - last[0]) / 1e9))
