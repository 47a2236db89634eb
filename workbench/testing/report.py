"""What the proof of an indicator says: a report, or the rule it breaks."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from workbench.analytics.configured import Indicator

__all__ = ["CheckError", "Report"]


class CheckError(AssertionError):
    """An indicator does not do what every indicator must.

    Attributes
    ----------
    indicator : Indicator
    rule : str
        Which rule it breaks: "splits", "peeks", "prefixes", "checkpoints", "warm-up", "finite",
        "twin", "allocations" or "gaps".
    bar : int or None
        Row of the first bar at which it does; None where no bar is to blame.
    output : str or None
        The first output that is wrong there.
    expected, found : float or None
        What was wanted there and what came.
    """

    def __init__(
        self,
        indicator: Indicator,
        rule: str,
        text: str,
        *,
        bar: int | None = None,
        output: str | None = None,
        expected: float | None = None,
        found: float | None = None,
    ) -> None:
        where = "" if bar is None else f" at bar {bar}"
        where += f", output {output!r}" if output is not None else ""
        what = "" if found is None else f": {found!r}, not {expected!r}"
        super().__init__(f"{indicator!r} breaks {rule!r}{where}{what}; {text}")
        self.indicator, self.rule, self.bar, self.output = indicator, rule, bar, output
        self.expected, self.found = expected, found


@dataclass(frozen=True)
class Report:
    """What was proved of an indicator.

    Attributes
    ----------
    indicator : Indicator
    bars : int
        Rows it was run over.
    proofs : tuple of (rule, what was tried)
    skipped : tuple of (rule, why)
    """

    indicator: Indicator
    bars: int
    proofs: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        lines = [f"{self.indicator!r} holds on {self.bars} bars"]
        lines += [f"  {rule:<12} {text}" for rule, text in self.proofs]
        lines += [f"  {rule:<12} not checked: {text}" for rule, text in self.skipped]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [(rule, text, "holds") for rule, text in self.proofs]
        rows += [(rule, text, "not checked") for rule, text in self.skipped]
        cells = "".join(
            f"<tr><td>{escape(rule)}</td><td>{word}</td><td>{escape(text)}</td></tr>"
            for rule, text, word in rows
        )
        head = f"<caption>{escape(repr(self.indicator))} on {self.bars} bars</caption>"
        return f"<table>{head}<tr><th>rule</th><th></th><th>tried</th></tr>{cells}</table>"
