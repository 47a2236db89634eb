"""What the badges of a page say: the connection, and the quality of what it brings."""

from __future__ import annotations

from typing import Any

__all__ = ["event_entry", "quality_badge", "read_quality", "status_badge"]

#: Seconds of delay from which the badge turns amber.
_SLOW = 2.0
#: Scores from which the badge is green, and amber.
_GOOD, _FAIR = 95.0, 80.0
#: Series in the table of factors, worst first.
_LISTED = 30
_FACTORS = ("completeness", "validity", "timeliness", "consistency")
_STATES = {
    "connected": ("good", "Live"),
    "replaying": ("good", "Replay"),
    "connecting": ("warn", "Connecting"),
    "reconnecting": ("warn", "Reconnecting"),
    "stale": ("warn", "No data"),
    "failed": ("bad", "Failed"),
    "closed": ("bad", "Closed"),
    "finished": ("idle", "Finished"),
    "idle": ("idle", "Idle"),
}


def status_badge(state: str, delay: float | None) -> dict[str, str]:
    """Return colour and words for the state of a feed.

    Parameters
    ----------
    state : str
        As `Health.state`.
    delay : float or None
        Seconds; None before the first row.

    Examples
    --------
    >>> status_badge("connected", 0.0421)["text"], status_badge("connected", 12.3)["level"]
    ('Live 42 ms', 'warn')
    """
    level, text = _STATES.get(state, ("warn", state))
    hint = f"The feed is {state}"
    if state == "connected" and delay is not None:
        shown = f"{max(0, round(delay * 1000, -1 if delay > 0.1 else 0)):.0f} ms"
        shown = shown if delay < 1 else f"{delay:.1f} s"
        hint += f"; trades arrive {shown} after they were made"
        text = f"{text} {shown}" if delay < _SLOW else f"Delayed {shown}"
        level = level if delay < _SLOW else "warn"
    return {"level": level, "text": text, "hint": hint}


def read_quality(feed: Any) -> Any:
    """Return the quality of a feed, or None if it has none."""
    return getattr(feed, "quality", None)


def quality_badge(quality: Any) -> dict[str, Any]:
    """Return colour, score and factors of a feed's quality; empty for none.

    Parameters
    ----------
    quality : object or None
        With `score` from 0 to 100 and `table()`, a line for each series with the columns score
        and those factors, from 0 to 1, of which there are any.

    Examples
    --------
    >>> from workbench.quality.score import Quality, quality_of
    >>> badge = quality_badge(Quality([quality_of("AAPL", completeness=0.9), quality_of("F")]))
    >>> badge["level"], badge["text"], badge["rows"][0]
    ('good', '95', ['AAPL', 90.0, 90.0, 100.0, 100.0, 100.0])
    """
    if quality is None:
        return {}
    table = quality.table()
    names = [name for name in _FACTORS if name in table.columns]
    score = float(quality.score)
    # Rounded down: what is not whole must not look so.
    cut = table.iloc[:_LISTED]
    columns = [cut["score"], *(100 * cut[name] for name in names)]
    rows = [
        [str(series), *(_down(float(value), 1) for value in values)]
        for series, *values in zip(cut.index, *columns, strict=True)
    ]
    level = "good" if score >= _GOOD else "warn" if score >= _FAIR else "bad"
    return {
        "level": level, "text": f"{_down(score, 0):.0f}", "factors": names, "rows": rows,
        "more": max(0, len(table) - _LISTED),
    }  # fmt: skip


def _down(value: float, digits: int) -> float:
    scale = 10.0**digits
    return int(value * scale + 1e-9) / scale


def event_entry(event: Any) -> list[Any]:
    """Return an event of a feed as a line of the log: ms UTC, kind, text."""
    time, kind, text = (
        event if isinstance(event, tuple) else (event.time, event.kind, event.text)
    )  # fmt: skip
    return [time / 1e6, str(kind), str(text)]
