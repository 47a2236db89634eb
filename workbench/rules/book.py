"""The signals of a rule over a live series, through late trades."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from workbench.records import BAR, REVISED, Rows
from workbench.rules.definition import Rule
from workbench.rules.run import RuleRun
from workbench.rules.signal import Signal, table

__all__ = ["SignalBook"]

#: Bars kept to run again from a checkpoint; checkpoints reach back as far.
_KEPT = RuleRun.EVERY * RuleRun.KEEP


class SignalBook:
    """Keep the signals of a rule in step with bars as they close and are revised.

    A revised bar takes the rule back to it. A signal that does not come again is withdrawn:
    it stays, marked; one that comes with other numbers is amended, one that is new is given.

    Parameters
    ----------
    rule : Rule
    symbol, timeframe : str

    Attributes
    ----------
    signals : list of Signal
        In the order they were told, withdrawals among them.
    """

    def __init__(self, rule: Rule, symbol: str, timeframe: str) -> None:
        self.rule = rule
        self.signals: list[Signal] = []
        self.missed = 0  # revisions of bars too old to run again from
        self._timeframe = timeframe
        self._run = RuleRun(rule, symbol, timeframe)
        self._bars = np.zeros(0, BAR)
        self._valid: dict[str, Signal] = {}

    def __repr__(self) -> str:
        return f"<{len(self.signals)} signals of {self.rule.name}>"

    def add(self, bars: Rows) -> list[Signal]:
        """Take closed and revised bars, in order of emission, and return what is new."""
        news: list[Signal] = []
        for i in range(len(bars)):
            bar = bars[i : i + 1]
            last = int(self._bars["time"][-1]) if len(self._bars) else -(1 << 62)
            if int(bar["time"][0]) > last:
                self._bars = np.concatenate([self._bars[-_KEPT:], bar])
                news += self._note(self._run.add(bar))
            elif bar["state"][0] == REVISED or bar["time"][0] <= last:
                news += self._amend(bar)
        return news

    def _note(self, signals: list[Signal]) -> list[Signal]:
        self.signals += signals
        self._valid |= {signal.id: signal for signal in signals}
        return signals

    def restart(self, bars: Rows) -> list[Signal]:
        """Take closed bars in place of all since the first of them, and return what is new.

        As when history is put in front of a series, or the provider's bars in place of others.
        """
        if not len(bars):
            return []
        bars = np.concatenate([self._bars[self._bars["time"] < bars["time"][0]], bars])
        both = min(len(bars), len(self._bars))
        changed = np.flatnonzero(bars[:both] != self._bars[:both])
        row = int(changed[0]) if len(changed) else both
        if row == len(bars) == len(self._bars):
            return []
        news = self._again(row, bars)
        if news is None:  # the state of that time is gone, or there was none
            self._run = RuleRun(self.rule, self._run.symbol, self._timeframe)
            self._bars = bars[:0]
            news = self._again(0, bars) or []
        return news

    def _amend(self, bar: Rows) -> list[Signal]:
        row = int(np.searchsorted(self._bars["time"], bar["time"][0]))
        bars = self._bars.copy()
        if row < len(bars) and bars["time"][row] == bar["time"][0]:
            bars[row] = bar[0]
        elif row == 0 and self._run.count > len(bars):
            self.missed += 1
            return []
        else:
            bars = np.insert(bars, row, bar[0])
        news = self._again(row, bars)
        self.missed += news is None
        return news or []

    def _again(self, row: int, bars: Rows) -> list[Signal] | None:
        """Run over bars that differ from a row on; None if the state of before is gone."""
        gone = self._run.count - len(self._bars)
        at = self._run.reach(gone + row)
        if at < gone:
            return None
        self._bars = bars
        self._run.rollback(at)
        since = int(bars["time"][at - gone]) if at - gone < len(bars) else 1 << 62
        again = {signal.id: signal for signal in self._run.add(bars[at - gone :])}
        before = {i: s for i, s in self._valid.items() if s.bar >= since}
        lost = [replace(s, status="withdrawn") for i, s in before.items() if i not in again]
        changed = [s for i, s in again.items() if i in before and not _alike(s, before[i])]
        # Those of one bar stand in the order in which the rule gives them.
        alike = {i: before[i] for i, s in again.items() if i in before and _alike(s, before[i])}
        older = {i: s for i, s in self._valid.items() if s.bar < since}
        self._valid = older | again | alike
        amended = [replace(signal, status="amended") for signal in changed]
        found = [s for i, s in again.items() if i not in before]
        self.signals += lost + amended
        return lost + amended + self._note(found)

    def standing(self) -> list[Signal]:
        """Return the signals that hold, by bar: what a rule says of the bars as they are now."""
        return sorted(self._valid.values(), key=lambda s: s.bar)

    def table(self) -> pd.DataFrame:
        """Return all signals, withdrawals included, as a table."""
        return table(self.signals)


def _alike(one: Signal, other: Signal) -> bool:
    return (one.price, one.confidence, one.reason, one.first) == (
        other.price, other.confidence, other.reason, other.first,
    )  # fmt: skip
