"""Write docs/indicators.md and its pictures from the catalogue of indicators.

Run it after an indicator was added or changed: ``.venv/bin/python .ci/indicator_pages.py``.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analytics.catalogue import BUILT_IN, CATALOGUE
from workbench.analytics.configured import Indicator
from workbench.analytics.spec import Spec

__all__ = ["market", "page", "picture", "write"]

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "images/indicators"

_HEAD = """\
# Indicators

<!-- Written by .ci/indicator_pages.py from workbench/analytics: edit there. -->

Every indicator comes as a function of its parameters, `wb.ema(20)`, and by name,
`wb.indicator("ema", length=20)`. It computes over finished bars, live and in replay from the
same loop and with the same bits; `of="volume"` lets it read another column.

```python
import workbench as wb

wb.macd(12, 26, 9).over(bars)          # a DataFrame indexed as the bars are
wb.chart(feed, "BTC-USD", "1m", overlays=[wb.ema(20), wb.rsi(14)])
wb.indicators("Momentum")              # this page as a table
```

A row in which an input is NaN or infinite is passed over: its values are NaN, and what comes
after is as if it had not been there. A number nearer to zero than 1e-100 is read as zero. Where
good sources differ the default is TA-Lib's convention if it has one, and the others are choices
of a parameter. The pictures are of an invented market, five-minute bars of two sessions, with
default parameters.
"""
_WIDTH, _TOP, _OWN, _GAP = 640, 170, 110, 12
_COLOURS = ("#1f77d0", "#e07b00", "#8e5bc0", "#159a8c", "#c23b6f", "#7a7f00")
_UP, _DOWN, _RULE = "#26a17b", "#d9534f", "#888"
Values = npt.NDArray[np.float64]


def market(seed: int = 21) -> pd.DataFrame:
    """Return bars of an invented market: two days of 78 bars, and a day before to warm up on."""
    rng = np.random.default_rng(seed)
    days = pd.date_range("2025-03-03 14:30", periods=5, freq="D", tz="UTC")
    index = days.repeat(78) + pd.to_timedelta(np.tile(np.arange(78) * 5, 5), "min")
    n = len(index)
    drift = np.repeat(rng.normal(0, 0.0011, n // 26 + 1), 26)[:n]
    close = 100 * np.exp(np.cumsum(drift + rng.normal(0, 0.0022, n)))
    opened = np.concatenate([close[:1], close[:-1]])
    reach = rng.exponential(0.0012, (2, n))
    bars = pd.DataFrame(index=index)
    bars["open"], bars["close"] = opened, close
    bars["high"] = np.maximum(opened, close) * (1 + reach[0])
    bars["low"] = np.minimum(opened, close) * (1 - reach[1])
    bars["volume"] = np.round(
        1000 * rng.lognormal(0, 0.5, n) * (1 + 300 * np.abs(close / opened - 1))
    )
    return bars.round(2)


def page() -> str:
    """Return the text of docs/indicators.md."""
    parts = [_HEAD]
    specs = [spec for spec in CATALOGUE.values() if spec.name in BUILT_IN]
    families = dict.fromkeys(spec.family for spec in specs)
    for family in families:
        parts.append(f"\n## {family}\n")
        parts += [_entry(spec) for spec in specs if spec.family == family]
    return "".join(parts)


def _entry(spec: Spec) -> str:
    chosen = Indicator(spec)
    lines = [
        f"\n### {spec.name}\n",
        f"**{spec.title}.** {spec.text}\n",
        f"![{spec.title}]({FOLDER}/{spec.name}.svg)\n",
    ]
    if spec.parameters:
        lines += ["| parameter | default | allowed | meaning |", "| --- | --- | --- | --- |"]
        for name, kind in spec.parameters.items():
            cells = (f"`{name}`", f"`{kind.default}`", kind.allowed, kind.text)
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        lines.append("")
    where = "over the candles" if spec.pane == "price" else "in a pane of its own"
    first = "the first bar" if not chosen.warmup else f"bar {chosen.warmup + 1}"
    holes = "; may lack values after it" if spec.gaps else ""
    lines += [
        f"- Reads {', '.join(f'`{name}`' for name in spec.inputs)}; "
        f"gives {', '.join(f'`{name}`' for name in spec.outputs)}.",
        f"- All its values from {first} on at the earliest{holes}; drawn {where}.",
        f"- Source: {spec.source}.\n",
    ]
    return "\n".join(lines)


# -- pictures ----------------------------------------------------------------------------


def picture(spec: Spec, bars: pd.DataFrame, shown: int = 156) -> str:
    """Return a small SVG of an indicator over the last bars."""
    values = Indicator(spec).start("SPY").add(bars)[-shown:]
    part = bars.iloc[-shown:]
    own = spec.pane != "price"
    low, high = float(part["low"].min()), float(part["high"].max())
    lines = list(range(values.shape[1]))
    if not own:  # what is no price does not belong on the scale of prices
        room = high - low
        lines = [i for i in lines if _within(values[:, i], low - 2 * room, high + 2 * room)]
        if lines and np.isfinite(values[:, lines]).any():
            ends = float(np.nanmin(values[:, lines])), float(np.nanmax(values[:, lines]))
            # Levels far away are cut off rather than pressing the candles flat.
            low, high = max(min(low, ends[0]), low - room), min(max(high, ends[1]), high + room)
    height = _TOP + (_GAP + _OWN if own else 0)
    body = [_candles(part, low, high)]
    if own:
        body += _pane(spec, values)
    else:
        body += _curves(values, lines, low, high, 0, _TOP)
    names = [spec.outputs[i] for i in (lines if not own else range(values.shape[1]))]
    labels = "".join(
        f'<tspan fill="{_COLOURS[i % len(_COLOURS)]}" dx="6">{escape(name)}</tspan>'
        for i, name in enumerate(names)
    )
    body.append(f'<text x="2" y="{_TOP + _GAP + 9 if own else 11}">{labels}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="sans-serif" font-size="10"><title>{escape(spec.title)}</title>'
        + "".join(body)
        + "</svg>\n"
    )


def _within(column: Values, low: float, high: float) -> bool:
    held = column[np.isfinite(column)]
    return len(held) > 0 and bool(((held > low) & (held < high)).all())


def _pane(spec: Spec, values: Values) -> list[str]:
    held = values[np.isfinite(values)]
    ends = [*held.tolist(), *spec.bounds] or [0.0, 1.0]
    low, high = min(ends), max(ends)
    top = _TOP + _GAP
    body = [f'<path d="M0 {top - 6}H{_WIDTH}" stroke="{_RULE}" stroke-opacity=".4"/>']
    for level in spec.levels:
        if low <= level <= high:
            y = _y(np.array([level]), low, high, top, _OWN)[0]
            body.append(f'<path d="M0 {y:.1f}H{_WIDTH}" stroke="{_RULE}" stroke-dasharray="3 3"/>')
    return body + _curves(values, list(range(values.shape[1])), low, high, top, _OWN)


def _y(values: Values, low: float, high: float, top: int, height: int) -> Values:
    share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    return np.asarray(top + 4 + (1 - share) * (height - 8))


def _x(count: int) -> Values:
    return np.asarray((np.arange(count) + 0.5) * _WIDTH / count)


def _candles(part: pd.DataFrame, low: float, high: float) -> str:
    x = _x(len(part))
    y = {name: _y(part[name].to_numpy(), low, high, 0, _TOP) for name in part.columns}
    up = part["close"].to_numpy() >= part["open"].to_numpy()
    made = []
    for colour, chosen in ((_UP, up), (_DOWN, ~up)):
        wicks = "".join(
            f"M{x[i]:.0f} {y['high'][i]:.0f}V{y['low'][i]:.0f}" for i in np.flatnonzero(chosen)
        )
        bodies = "".join(
            f"M{x[i]:.0f} {y['open'][i]:.0f}V{y['close'][i]:.0f}" for i in np.flatnonzero(chosen)
        )
        made.append(
            f'<path d="{wicks}" stroke="{colour}" stroke-opacity=".6" fill="none"/>'
            f'<path d="{bodies}" stroke="{colour}" stroke-opacity=".6" stroke-width="3"/>'
        )
    return "".join(made)


def _curves(
    values: Values, lines: list[int], low: float, high: float, top: int, height: int
) -> list[str]:
    x = _x(len(values))
    made = []
    for place, line in enumerate(lines):
        colour = _COLOURS[place % len(_COLOURS)]
        held = np.isfinite(values[:, line])
        y = _y(np.where(held, values[:, line], 0.0), low, high, top, height)
        path, dots = [], []
        for i in np.flatnonzero(held).tolist():
            before, after = i > 0 and held[i - 1], i + 1 < len(held) and held[i + 1]
            if not before and not after:
                dots.append(f"M{x[i]:.0f} {y[i]:.1f}h0")
            elif not before:
                path.append(f"M{x[i]:.0f} {y[i]:.1f}")
            elif not after or y[i - 1] != y[i] or y[i + 1] != y[i]:
                path.append(f"L{x[i]:.0f} {y[i]:.1f}")
        style = f'stroke="{colour}" fill="none" stroke-linejoin="round"'
        if path:
            made.append(f'<path d="{"".join(path)}" {style} stroke-width="1.4"/>')
        if dots:
            made.append(
                f'<path d="{"".join(dots)}" {style} stroke-width="5" stroke-linecap="round"/>'
            )
    return made


def write(root: Path = ROOT) -> None:
    """Write the page and the pictures below a folder, and take away pictures of what has gone."""
    folder = root / "docs" / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (root / "docs" / "indicators.md").write_text(page(), encoding="utf-8")
    bars = market()
    for old in folder.glob("*.svg"):
        if old.stem not in BUILT_IN:
            old.unlink()
    for name in BUILT_IN:
        text = picture(CATALOGUE[name], bars)
        (folder / f"{name}.svg").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
