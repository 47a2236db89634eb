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

    def _amend(self, bar: Rows) -> list[Signal]:
        row = int(np.searchsorted(self._bars["time"], bar["time"][0]))
        known = row < len(self._bars) and self._bars["time"][row] == bar["time"][0]
        gone = self._run.count - len(self._bars)
        at = self._run.reach(gone + row)
        if at < gone or (not known and row == 0 and gone):
            self.missed += 1
            return []
        if known:
            self._bars[row] = bar[0]
        else:
            self._bars = np.insert(self._bars, row, bar[0])
        self._run.rollback(at)
        again = {signal.id: signal for signal in self._run.add(self._bars[at - gone :])}
        since = int(self._bars["time"][at - gone])
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
