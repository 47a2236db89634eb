"""A rule in the middle of a series."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.analytics.inputs import check_order
from workbench.analytics.run import Run, Runs
from workbench.errors import ConfigError
from workbench.records import BAR, Rows
from workbench.rules.definition import BAR_FIELDS, Decision, Rule
from workbench.rules.signal import Signal
from workbench.rules.zones import Zones
from workbench.timeframes import timeframe as read_timeframe

__all__ = ["RuleRun"]


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    count: int
    position: str
    before: Any
    starts: tuple[int, ...]
    studies: tuple[Any, ...]


class RuleRun:
    """A rule in the middle of a series: what it uses, the bar before, and its position.

    Parameters
    ----------
    rule : Rule
    symbol : str
        Stands in the signals, and tells the market's time zone.
    timeframe : str or None
        Length of a bar; None for what the bars tell.
    """

    EVERY, KEEP = Run.EVERY, Run.KEEP

    def __init__(self, rule: Rule, symbol: str = "", timeframe: str | None = None) -> None:
        self.rule = rule
        self.symbol = symbol
        self.count = 0
        self.position = ""
        self._seconds = read_timeframe(timeframe).seconds if timeframe else 0
        self._runs = Runs(tuple(rule.indicators.values()), symbol)
        self._zones = {n: Zones(s, symbol, timeframe) for n, s in rule.studies.items()}
        self._now = _shape("now", (*BAR_FIELDS, "end", "position", *rule.uses))
        self._outputs = {
            name: _shape(name, i.spec.outputs)
            for name, i in rule.indicators.items()
            if len(i.spec.outputs) > 1
        }
        self._before: Any = None
        self._starts: list[int] = []
        self._checkpoints = [self._checkpoint()]

    def add(self, bars: pd.DataFrame | Rows) -> list[Signal]:
        """Take closed bars, each later than all before, and return the signals they give."""
        check_order(bars, self.rule.name)
        rows = bars if isinstance(bars, np.ndarray) else _rows(bars, self._length(bars))
        signals: list[Signal] = []
        start = 0
        while start < len(rows):
            step = min(self.EVERY - self.count % self.EVERY, len(rows) - start)
            signals += self._take(rows[start : start + step])
            start += step
            if self.count % self.EVERY == 0:
                self._checkpoints.append(self._checkpoint())
                del self._checkpoints[: -self.KEEP]
        return signals

    def _length(self, bars: pd.DataFrame) -> int:
        if not self._seconds and len(bars) > 1 and isinstance(bars.index, pd.DatetimeIndex):
            steps = np.diff(bars.index.as_unit("ns").asi8)
            self._seconds = max(1, int(np.median(steps)) // 1_000_000_000)
        return self._seconds

    def _take(self, rows: Rows) -> list[Signal]:
        values = self._runs.add(rows).tolist()
        columns = [rows[name].tolist() for name in BAR_FIELDS]
        seconds = rows["timeframe"].tolist()
        found = {name: zones.add(rows) for name, zones in self._zones.items()}
        signals: list[Signal] = []
        for i, bar in enumerate(zip(*columns, strict=True)):
            end = bar[0] + seconds[i] * 1_000_000_000
            used = self._used(values[i], {name: views[i] for name, views in found.items()})
            now = self._now(*bar, end, self.position, *used)
            self._starts.append(bar[0])
            signals += [
                self._signal(decision, now, rows[i])
                for decision in _several(self.rule.decide(now, self._before))
                if self._applies(decision)
            ]
            self._before = now
        del self._starts[: -self.rule.reach]
        self.count += len(rows)
        return signals

    def _used(self, values: Sequence[float], found: Mapping[str, Any]) -> list[Any]:
        used = []
        at = 0
        for name in self.rule.uses:
            if name in found:
                used.append(found[name])
                continue
            width = len(self.rule.indicators[name].spec.outputs)
            made = self._outputs.get(name)
            used.append(values[at] if made is None else made(*values[at : at + width]))
            at += width
        return used

    def _applies(self, decision: Decision) -> bool:
        if not isinstance(decision, Decision):
            raise ConfigError(
                f"{self.rule.name}: a rule returns enter(...), leave(...) or None, not {decision!r}"
            )
        if decision.action == "entry":
            wanted = self.position != decision.side
            self.position = decision.side
            return wanted
        if self.position != decision.side:
            return False
        self.position = ""
        return True

    def _signal(self, decision: Decision, now: Any, bar: Any) -> Signal:
        first = (
            decision.first if decision.first is not None else self._starts[-self.rule.reach :][0]
        )
        seconds = int(bar["timeframe"])
        return Signal(
            rule=self.rule.name,
            symbol=self.symbol,
            timeframe=read_timeframe(seconds).name if seconds > 0 else str(seconds),
            time=now.end,
            bar=now.time,
            action=decision.action,
            side=decision.side,
            price=now.close,
            confidence=decision.confidence,
            reason=decision.reason,
            first=first,
            revision=int(bar["revision"]),
        )

    def _checkpoint(self) -> _Checkpoint:
        studies = tuple(zones.checkpoint() for zones in self._zones.values())
        return _Checkpoint(self.count, self.position, self._before, tuple(self._starts), studies)

    def reach(self, count: int) -> int:
        """Return how many bars the newest kept state of at most `count` has taken, or -1."""
        return max((c.count for c in self._checkpoints if c.count <= count), default=-1)

    def rollback(self, count: int) -> None:
        """Step back to the state kept at exactly `count` bars (see :meth:`reach`)."""
        for place, kept in enumerate(self._checkpoints):
            if kept.count == count:
                self.count, self.position, self._before = kept.count, kept.position, kept.before
                self._starts = list(kept.starts)
                self._runs.rollback(count)
                for zones, state in zip(self._zones.values(), kept.studies, strict=True):
                    zones.restore(state)
                del self._checkpoints[place + 1 :]
                return
        raise ValueError(f"no checkpoint at bar {count}")


def _shape(name: str, fields: Sequence[str]) -> Callable[..., Any]:
    made: Callable[..., Any] = namedtuple(name, fields)  # type: ignore[misc]
    return made


def _several(decided: Decision | Sequence[Decision] | None) -> Sequence[Decision]:
    if decided is None:
        return ()
    return decided if isinstance(decided, list | tuple) else (decided,)


def _rows(bars: pd.DataFrame, seconds: int) -> Rows:
    """Return a DataFrame of bars as rows; columns it does not have are NaN."""
    if not isinstance(bars.index, pd.DatetimeIndex):
        raise ConfigError("a rule needs bars indexed by time")
    if "close" not in bars.columns:
        raise ConfigError(f"a rule needs a column 'close'; there is {', '.join(bars.columns)}")
    rows = np.zeros(len(bars), BAR)
    rows["time"] = bars.index.as_unit("ns").asi8
    for name in ("open", "high", "low", "close", "volume", "vwap", "notional"):
        rows[name] = bars[name].to_numpy(np.float64) if name in bars.columns else np.nan
    if "notional" not in bars.columns:
        typical = (rows["high"] + rows["low"] + rows["close"]) / 3
        price = rows["vwap"] if "vwap" in bars.columns else typical
        rows["notional"] = price * rows["volume"]
    for name in ("count", "revision", "timeframe"):
        if name in bars.columns and bars[name].dtype.kind in "iu":
            rows[name] = bars[name].to_numpy()
    if not rows["timeframe"].any():
        rows["timeframe"] = seconds
    return rows
