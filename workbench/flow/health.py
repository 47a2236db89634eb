"""Counts and delays of a feed, and what happened to it lately."""

from __future__ import annotations

import html
import logging
import threading
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.clock import Clock
from workbench.gate import Gate
from workbench.records import Batch

__all__ = ["Event", "Health"]

_log = logging.getLogger("workbench.flow.health")
_SEVERITY = {"error": logging.ERROR, "refused": logging.WARNING, "stale": logging.WARNING}
_SEVERITY |= {"disconnected": logging.WARNING}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the feed rather than in the market.

    Attributes
    ----------
    time : int
        ns UTC.
    kind : str
        connecting, connected, disconnected, reconnected, stale, refused, error, closed ...
    text : str
        For a person.
    """

    time: int
    kind: str
    text: str


class Health:
    """What a feed has seen and how it is.

    Attributes
    ----------
    state : str
        "connecting", "connected", "reconnecting", "stale", "failed", "closed", "replaying",
        "finished" or "idle".
    store : str or None
        "running", or "store_full" or "store_failing" while rows wait for the store; None
        without one.
    delay : float or None
        Seconds from the newest trade's or quote's event time to its receipt; None before one.
    """

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self.state = "idle"
        self.store: str | None = None
        self.delay: float | None = None
        self.started = clock.now()
        self.frames = 0
        self.bytes = 0
        self.bars: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.last_received = 0
        self.rate = 0.0
        self._gate = gate
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=1000)
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}
        self._mark = (clock.monotonic(), 0)

    def frames_came(self, count: int, size: int, received: int) -> None:
        """Count frames of one delivery."""
        self.frames += count
        self.bytes += size
        self.last_received = received

    def batch_came(self, batch: Batch) -> None:
        """Measure the delay of a batch of trades or quotes."""
        if batch.kind != "bar" and len(batch):
            newest = batch.rows[-1]
            if newest["received"] > 0:
                self.delay = float(newest["received"] - newest["time"]) / 1e9

    def failed(self, branch: str, error: Exception) -> None:
        """Count an error of a branch; tell of it once a minute."""
        self.errors[branch] += 1
        now = self._clock.monotonic()
        if now - self._told.get(branch, -60.0) >= 60.0:
            self._told[branch] = now
            self.tell("error", f"{branch}: {type(error).__name__}: {error}")

    def store_is(self, state: str) -> None:
        """Keep how the store is, and tell of each change."""
        if state != self.store:
            if state != "running":
                self.tell("error", f"store: {state}; rows wait in memory until it takes them")
            elif self.store is not None:
                self.tell("recovered", "store: takes rows again")
            self.store = state

    def tell(self, kind: str, text: str) -> None:
        """Keep an event and log it by its severity."""
        with self._lock:
            self._events.append(Event(self._clock.now(), kind, text))
        _log.log(_SEVERITY.get(kind, logging.DEBUG), "%s: %s", kind, text)

    def events(self, n: int = 50) -> list[Event]:
        """Return the newest events, newest first."""
        with self._lock:
            return list(self._events)[::-1][:n]

    @property
    def silence(self) -> float | None:
        """Seconds since the last frame; None before the first."""
        if not self.last_received:
            return None
        return max(0.0, (self._clock.now() - self.last_received) / 1e9)

    def measure(self) -> float:
        """Return messages per second since this was last called."""
        at, before = self._mark
        now, total = self._clock.monotonic(), self._gate.received.total()
        if now - at >= 0.5:
            self.rate = (total - before) / (now - at)
            self._mark = (now, total)
        return self.rate

    def numbers(self) -> dict[str, float | int | str | None]:
        """Return every figure under a plain name."""
        gate = self._gate
        figures: dict[str, float | int | str | None] = {
            "state": self.state,
            "uptime_seconds": round((self._clock.now() - self.started) / 1e9, 1),
            "frames": self.frames,
            "bytes": self.bytes,
            "messages": gate.received.total(),
            "messages_per_second": round(self.measure(), 1),
        }
        for kind in ("trade", "quote", "bar"):
            figures[f"{kind}s_received"] = gate.received[kind]
            figures[f"{kind}s_accepted"] = gate.accepted[kind]
            figures[f"{kind}s_duplicate"] = gate.duplicates[kind]
            figures[f"{kind}s_refused"] = gate.refused[kind]
        figures["quarantined"] = len(gate.quarantine)
        figures["bars_closed"] = self.bars["closed"]
        figures["bars_revised"] = self.bars["revised"]
        figures["trades_overdue"] = self.bars["overdue"]
        figures["errors"] = self.errors.total()
        figures["store"] = self.store
        figures["delay_seconds"] = None if self.delay is None else round(self.delay, 4)
        silence = self.silence
        figures["silence_seconds"] = None if silence is None else round(silence, 1)
        return figures

    def table(self) -> pd.DataFrame:
        """Return every figure as a table of one column."""
        return pd.DataFrame({"value": pd.Series(self.numbers(), dtype=object)})

    def conserved(self) -> bool:
        """Tell whether every row that came is accounted for."""
        return self._gate.conserved()

    def __repr__(self) -> str:
        n = self.numbers()
        delay = "no data yet" if self.delay is None else f"delay {np.round(self.delay, 3)} s"
        return (
            f"Health({self.state}, {n['messages']} messages, {n['messages_per_second']}/s, "
            f"{delay}, {n['quarantined']} quarantined, {n['errors']} errors)"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(_shown(value))}</td></tr>"
            for name, value in self.numbers().items()
        )
        return f"<table>{rows}</table>"


def _shown(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
