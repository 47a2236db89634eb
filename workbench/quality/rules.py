"""The rules rows are judged by: what each says and does, and its limits by class of asset."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

import pandas as pd

from workbench.errors import ConfigError
from workbench.symbols import asset_class

__all__ = ["CLASSES", "RULES", "Limits", "Rule", "Rules", "rules_table"]

#: Classes of assets that have limits of their own.
CLASSES = ("stocks", "options", "indices", "crypto", "forex")

#: Sale conditions of US stocks whose price is not that of the market at that moment: average
#: price, cash, derivatively priced, official close and open, next day, price variation, prior
#: reference price, seller, corrected close, contingent.
_OFF_MARKET = frozenset({2, 7, 10, 15, 16, 20, 21, 22, 29, 38, 52, 53})


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed in one class of assets.

    Attributes
    ----------
    max_price_deviation : float
        Share of the level by which a trade's price may be off it; 0 switches the rule off.
    min_price_move : float
        Distance from the level in the quote currency that is always allowed.
    confirmations : int
        Trades off the level, from 2 to 16, that make a new level when they agree.
    reference_seconds : float
        After a silence of this length the next trade sets the level anew; 0 is never.
    max_future_seconds : float
        How far a row's time may be ahead of its receipt, up to 86,400; 0 is a day, beyond
        which a time has another unit.
    large_size : float
        Multiple of the typical size above which a trade is marked; 0 switches it off.
    absurd_size : float
        Multiple above which it is refused; 0 switches it off.
    exempt_conditions : frozenset of int
        Condition codes from 1 to 255 of trades whose price may be off the level.

    Examples
    --------
    >>> Limits(max_price_deviation=0.1).max_price_deviation
    0.1
    >>> Limits(confirmations=1)
    Traceback (most recent call last):
        ...
    workbench.errors.ConfigError: confirmations must be from 2 to 16, not 1
    """

    max_price_deviation: float = 0.05
    min_price_move: float = 0.0
    confirmations: int = 5
    reference_seconds: float = 3600.0
    max_future_seconds: float = 5.0
    large_size: float = 10_000.0
    absurd_size: float = 1e9
    exempt_conditions: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "max_price_deviation": (0.0, 1e6),
            "min_price_move": (0.0, 1e12),
            "confirmations": (2, 16),
            "reference_seconds": (0.0, 3e8),
            "max_future_seconds": (0.0, 86_400.0),
            "large_size": (0.0, 1e100),
            "absurd_size": (0.0, 1e100),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} must be from {low:g} to {high:g}, not {value}")
        if not all(0 < code < 256 for code in self.exempt_conditions):
            raise ConfigError("exempt_conditions must be codes from 1 to 255")


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits of all classes of assets.

    Attributes
    ----------
    stocks, options, indices, crypto, forex : Limits
        The prices of options leap from one trade to the next, so that no deviation is judged
        there unless asked for. Stocks may always move by five cents.
    lateness_seconds : float
        A trade more than this behind the newest one of its symbol counts as late.

    Examples
    --------
    >>> Rules().of("AAPL").min_price_move, Rules().of("BTC-USD").min_price_move
    (0.05, 0.0)
    >>> Rules.everywhere(max_price_deviation=0.1).of("EUR/USD").max_price_deviation
    0.1
    """

    stocks: Limits = Limits(min_price_move=0.05, exempt_conditions=_OFF_MARKET)
    options: Limits = Limits(max_price_deviation=0.0)
    indices: Limits = Limits()
    crypto: Limits = Limits()
    forex: Limits = Limits()
    lateness_seconds: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.lateness_seconds <= 86_400.0:
            value = self.lateness_seconds
            raise ConfigError(f"lateness_seconds must be from 0 to 86400, not {value}")

    def of(self, symbol: str) -> Limits:
        """Return the limits of a symbol of ours."""
        limits: Limits = getattr(self, asset_class(symbol))
        return limits

    @classmethod
    def everywhere(cls, *, lateness_seconds: float = 1.0, **changes: Any) -> Rules:
        """Return the usual rules with some limits changed in every class.

        Parameters
        ----------
        lateness_seconds : float
        **changes
            Attributes of :class:`Limits`.
        """
        known = {field.name for field in fields(Limits)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise ConfigError(f"no limit {unknown[0]!r}; there is {', '.join(sorted(known))}")
        usual = cls()
        made: dict[str, Any] = {
            name: Limits(**(_values(getattr(usual, name)) | changes)) for name in CLASSES
        }
        return cls(lateness_seconds=lateness_seconds, **made)

    @classmethod
    def structural(cls) -> Rules:
        """Return rules that refuse only what cannot be a row at all.

        Prices, sizes and times must still be finite and possible, since exact sums need it.

        >>> Rules.structural().of("AAPL").max_price_deviation
        0.0
        """
        return cls.everywhere(
            max_price_deviation=0.0, max_future_seconds=0.0, large_size=0.0, absurd_size=0.0
        )


def _values(limits: Limits) -> dict[str, Any]:
    return {field.name: getattr(limits, field.name) for field in fields(limits)}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes
    ----------
    name : str
    kinds : tuple of str
        What it judges: "event", "trade", "quote", "bar".
    does : "refuse", "mark" or "drop"
        Refused rows go to quarantine, marked ones are accepted and counted, dropped ones are
        there already.
    says : str
        What it says of a row it meets.
    limits : tuple of str
        Its limits, attributes of :class:`Limits` or :class:`Rules`.
    """

    name: str
    kinds: tuple[str, ...]
    does: Literal["refuse", "mark", "drop"]
    says: str
    limits: tuple[str, ...] = ()


#: Every rule by its name.
RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("malformed", ("event",), "refuse", "not what the protocol says"),
        Rule("unknown-event", ("event",), "refuse", "an event of a type nobody knows"),
        Rule("missing-field", ("event",), "refuse", "a field is missing"),
        Rule("symbol", ("event",), "refuse", "not a ticker any market uses"),
        Rule(
            "price",
            ("trade", "quote"),
            "refuse",
            "not a finite price above zero and below 5.6e14",
        ),
        Rule(
            "size",
            ("trade", "quote"),
            "refuse",
            "not a finite size above zero whose value is below 5.6e14",
        ),
        Rule(
            "time",
            ("trade", "quote", "bar"),
            "refuse",
            "before 2000 or ahead of its receipt: a wrong unit or clock",
            ("max_future_seconds",),
        ),
        Rule(
            "ohlc",
            ("bar",),
            "refuse",
            "open, high, low, close or volume contradict each other, are not finite or too large",
        ),
        Rule(
            "deviation",
            ("trade",),
            "refuse",
            "too far from the median of the last prices, and not confirmed by others",
            ("max_price_deviation", "min_price_move", "confirmations", "reference_seconds"),
        ),
        Rule("outsize", ("trade",), "refuse", "absurdly large for this symbol", ("absurd_size",)),
        Rule("duplicate", ("trade", "bar"), "drop", "was here before"),
        Rule("large", ("trade",), "mark", "large for this symbol", ("large_size",)),
        Rule(
            "off-market",
            ("trade",),
            "mark",
            "far from the level, as its condition allows",
            ("exempt_conditions",),
        ),
        Rule("disordered", ("trade",), "mark", "older than the newest of its symbol"),
        Rule(
            "late",
            ("trade",),
            "mark",
            "older than that by more than allowed",
            ("lateness_seconds",),
        ),
        Rule("crossed", ("quote",), "mark", "the bid is above the ask"),
        Rule("locked", ("quote",), "mark", "the bid is the ask"),
        Rule("revised", ("bar",), "mark", "sent again with other content"),
    )
}


def rules_table(rules: Rules | None = None) -> pd.DataFrame:
    """Return every rule with its limits by class of asset.

    Parameters
    ----------
    rules : Rules or None
        None is the usual ones.

    Examples
    --------
    >>> rules_table().loc["deviation", "stocks"]
    'max_price_deviation=0.05, min_price_move=0.05, confirmations=5, reference_seconds=3600'
    """
    rules = rules or Rules()
    lines = []
    for rule in RULES.values():
        line: dict[str, str] = {
            "kinds": ", ".join(rule.kinds), "does": rule.does, "says": rule.says
        }  # fmt: skip
        for name in CLASSES:
            line[name] = ", ".join(f"{n}={_shown(_limit(rules, name, n))}" for n in rule.limits)
        lines.append(line)
    return pd.DataFrame(lines, index=pd.Index(list(RULES), name="rule"))


def _limit(rules: Rules, name: str, limit: str) -> Any:
    return getattr(rules if limit == "lateness_seconds" else getattr(rules, name), limit)


def _shown(value: Any) -> str:
    if isinstance(value, frozenset):
        return " ".join(map(str, sorted(value))) or "none"
    return f"{value:g}" if math.isfinite(value) else "none"
