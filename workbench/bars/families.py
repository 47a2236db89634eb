"""Families of kinds of bars: what they are, what parameters they take, and an example.

Docs and pickers are made from this table.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAMILIES", "Family", "Parameter"]

_SMALLEST, _LARGEST = 1e-12, 1e12


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a kind of bars takes.

    Attributes
    ----------
    name : str
    meaning : str
        With its unit.
    low, high : float
        The least and the greatest value allowed.
    default : float or None
        None if it must be given.
    whole : bool
        Whether it is a whole number.
    """

    name: str
    meaning: str
    low: float
    high: float
    default: float | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """Kinds of bars that differ in their parameters only.

    Attributes
    ----------
    name, title : str
        As it is spelled, and as a picker shows it.
    explanation : str
        One line.
    parameters : tuple of Parameter
    example : str
        A kind of this family.
    base : "never", "may" or "must"
        Whether the bars are made from bars of a timeframe, given after "@".
    choices : tuple of str
        Words that stand in the place of parameters.
    """

    name: str
    title: str
    explanation: str
    parameters: tuple[Parameter, ...]
    example: str
    base: str = "never"
    choices: tuple[str, ...] = ()


_EXPECTATIONS = (
    Parameter("length", "trades of the first bar, and expected at first", 2, 1e6, 100, True),
    Parameter("half-life", "bars after which an expectation has half its weight", 0.5, 1e4, 20),
    Parameter("bound", "a bar has at most length x bound trades", 1, 1e3, 10),
)


def _sequential() -> list[Family]:
    units = {"trades": "trades", "volume": "size", "dollar": "value"}
    says = {
        "imbalance": "A bar ends when bought less sold {} is farther from zero than expected.",
        "run": "A bar ends when the {} of either side is more than expected.",
    }
    return [
        Family(
            f"{name}-{unit}",
            f"{name.capitalize()} ({unit})",
            explanation.format(what),
            _EXPECTATIONS,
            f"{name}-{unit}",
        )
        for name, explanation in says.items()
        for unit, what in units.items()
    ]


_SIZE = Parameter("size", "price", _SMALLEST, _LARGEST)
#: Families made from trades.
_TRADED = (
    Family(
        "trades",
        "Trades",
        "A bar has so many trades.",
        (Parameter("count", "trades", 1, 1e9, whole=True),),
        "trades:100",
    ),
    Family(
        "volume",
        "Volume",
        "A bar ends with the trade with which its volume reaches a threshold.",
        (Parameter("volume", "shares or base units", _SMALLEST, 1e15),),
        "volume:1000",
    ),
    Family(
        "dollar",
        "Dollar",
        "A bar ends with the trade with which its traded value reaches a threshold.",
        (Parameter("value", "quote currency, whichever it is", _SMALLEST, 1e15),),
        "dollar:1e6",
    ),
    Family(
        "range",
        "Range",
        "A bar ends before the trade that would stretch it beyond a size.",
        (_SIZE,),
        "range:0.5",
    ),
    Family(
        "renko",
        "Renko",
        "A brick for each step of the price; to turn takes two steps.",
        (_SIZE,),
        "renko:10",
        "may",
    ),
    Family(
        "renko-atr",
        "Renko (ATR)",
        "Renko whose bricks are as large as the average true range when they start.",
        (Parameter("period", "bars of the base", 1, 1000, whole=True),),
        "renko:atr14@1m",
        "must",
    ),
)
#: Families drawn from other bars.
_DRAWN = (
    Family(
        "heikin-ashi",
        "Heikin-Ashi",
        "Each bar of the base, averaged with those before it.",
        (),
        "heikin-ashi@1m",
        "must",
    ),
    Family(
        "line-break",
        "Line break",
        "A line for each close beyond the lines before it.",
        (Parameter("lines", "lines to break to turn", 1, 100, 3, True),),
        "line-break:3@1m",
        "must",
    ),
    Family(
        "kagi",
        "Kagi",
        "A line that goes on until closes turn back by an amount.",
        (Parameter("reversal", "price", _SMALLEST, _LARGEST),),
        "kagi:10@1m",
        "must",
    ),
    Family(
        "point-figure",
        "Point and figure",
        "Columns of rising or falling boxes.",
        (
            Parameter("box", "price", _SMALLEST, _LARGEST),
            Parameter("reversal", "boxes", 1, 100, 3, True),
        ),
        "point-figure:1x3@1m",
        "must",
    ),
    Family(
        "session",
        "Session",
        "A bar for each session of the exchange's calendar.",
        (),
        "session:regular",
        "never",
        ("pre", "regular", "after", "day", "week", "month"),
    ),
)

#: Families of quotes rather than of trades.
_QUOTED = tuple(
    Family(name, title, f"Bars of a timeframe, of {what} of each quote.", (), f"{name}@1m", "must")
    for name, title, what in (
        ("mid", "Mid price", "the middle between bid and ask"),
        ("bid", "Bid", "the best bid"),
        ("ask", "Ask", "the best ask"),
    )
)

#: Every family of bars by its name, in the order that pickers show.
FAMILIES: dict[str, Family] = {
    family.name: family for family in (*_TRADED, *_sequential(), *_DRAWN, *_QUOTED)
}
