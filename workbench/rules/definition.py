"""Rules: a function of a bar and what was made of it, that calls for entries and exits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.analytics.configured import Indicator
from workbench.errors import ConfigError
from workbench.study.study import Study

__all__ = ["Decision", "Rule", "enter", "leave", "rule"]

#: What a rule sees of a bar beside its own.
BAR_FIELDS = ("time", "open", "high", "low", "close", "volume", "vwap", "count")
_RESERVED = (*BAR_FIELDS, "position", "end")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a rule calls for at the end of a bar: see :func:`enter` and :func:`leave`."""

    action: str
    side: str
    confidence: float
    reason: str
    first: int | None = None


def enter(side: str, *, confidence: float, reason: str, first: int | None = None) -> Decision:
    """Call for an entry.

    Parameters
    ----------
    side : "long" or "short"
    confidence : float
        0 to 1.
    reason : str
        Why, for a person.
    first : int or None
        Start of the oldest bar it was told from, ns UTC; None for what the rule's indicators
        need before their first value.

    Raises
    ------
    ConfigError
        If the side or the confidence is not one.

    Examples
    --------
    >>> enter("long", confidence=0.7, reason="EMA 9 over EMA 21").action
    'entry'
    """
    return _decision("entry", side, confidence, reason, first)


def leave(side: str, *, confidence: float = 1.0, reason: str, first: int | None = None) -> Decision:
    """Call for an exit from a side; see :func:`enter`."""
    return _decision("exit", side, confidence, reason, first)


def _decision(
    action: str, side: str, confidence: float, reason: str, first: int | None
) -> Decision:
    if side not in ("long", "short"):
        raise ConfigError(f'side must be "long" or "short", not {side!r}')
    if not 0.0 <= confidence <= 1.0:
        raise ConfigError(f"confidence must be a number from 0 to 1, not {confidence!r}")
    return Decision(action, side, float(confidence), reason, first)


Decide = Callable[[Any, Any], Decision | Sequence[Decision] | None]


@dataclass(frozen=True)
class Rule:
    """A rule over bars, indicators and studies.

    Parameters
    ----------
    name : str
        With its parameters, as it stands in each signal.
    uses : mapping of name to Indicator or Study
        What `decide` finds in `now` beside the bar.
    decide : callable
        ``decide(now, before)``, once for each closed bar. `now` has the columns of the bar
        (time, open, high, low, close, volume, vwap, count; end, when it was over), each
        indicator under its name (a number, or its outputs by name) and each study (what
        became known with this bar, `events`, and what is open, `zones`), and `position`:
        "long", "short" or "" for what the rule's own signals add up to. `before` is the same
        of the bar before, None at the first. It returns :func:`enter`, :func:`leave`, several
        of them in order, or None, and keeps nothing to itself: that is what makes live,
        replay and history agree.
    text : str
        What it does, in a sentence.

    Notes
    -----
    An entry to a side the rule is in already, and an exit from one it is not in, are left out.
    """

    name: str
    uses: Mapping[str, Indicator | Study]
    decide: Decide
    text: str = ""
    _checked: None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, used in self.uses.items():
            if not name.isidentifier() or name in _RESERVED or name.startswith("_"):
                raise ConfigError(f"{self.name}: {name!r} cannot name what a rule uses")
            if not isinstance(used, Indicator | Study):
                raise ConfigError(
                    f"{self.name}: {name} must be an indicator or a study, such as wb.ema(20), "
                    f"not {used!r}"
                )

    @property
    def indicators(self) -> dict[str, Indicator]:
        """The indicators it uses."""
        return {name: u for name, u in self.uses.items() if isinstance(u, Indicator)}

    @property
    def studies(self) -> dict[str, Study]:
        """The studies it uses."""
        return {name: u for name, u in self.uses.items() if isinstance(u, Study)}

    @property
    def reach(self) -> int:
        """Bars before the newest that a signal is told from at least: its longest warm-up."""
        return max((i.warmup for i in self.indicators.values()), default=0) + 1

    def __repr__(self) -> str:
        return f"<rule {self.name}: {', '.join(map(repr, self.uses.values()))}>"

    def over(
        self,
        bars: pd.DataFrame | np.ndarray[Any, Any],
        symbol: str = "",
        timeframe: str | None = None,
    ) -> pd.DataFrame:
        """Return the signals over finished bars as a table.

        Parameters
        ----------
        bars : DataFrame or array of BAR
            Of one symbol, in order of time.
        symbol : str
            Stands in the signals, and tells the market's time zone.
        timeframe : str or None
            Length of a bar; None for what the bars tell.
        """
        from workbench.rules.run import RuleRun
        from workbench.rules.signal import table

        run = RuleRun(self, symbol, timeframe)
        return table(run.add(bars))


def rule(**uses: Indicator | Study) -> Callable[[Decide], Rule]:
    """Make a rule of a function.

    Parameters
    ----------
    **uses : Indicator or Study
        What the function finds in `now` and `before`, by name.

    Examples
    --------
    >>> from workbench.analytics import sma
    >>> @rule(mean=sma(2))
    ... def above(now, before):
    ...     if now.close > now.mean:
    ...         return enter("long", confidence=0.6, reason="above its mean")
    ...     return leave("long", reason="not above its mean")
    >>> frame = pd.DataFrame({"close": [1.0, 2.0, 3.0, 2.0]},
    ...                      pd.date_range("2025-11-03", periods=4, freq="1min", tz="UTC"))
    >>> above.over(frame, "BTC-USD")["action"].tolist()
    ['entry', 'exit']
    """

    def make(decide: Decide) -> Rule:
        text = (decide.__doc__ or "").strip().partition("\n")[0]
        return Rule(decide.__name__, uses, decide, text)

    return make
