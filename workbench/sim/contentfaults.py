"""Faults of content: frames that cannot be read, values that cannot be true."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from workbench.sim.faulteffect import Effect, Moment, is_data, is_trade, joined, split, tally
from workbench.sim.faults import Action, Send

__all__ = [
    "Crossed",
    "Garble",
    "Nonsense",
    "Skew",
    "Truncate",
    "Units",
    "Unknown",
    "Wrong",
]

#: What a trade's values are called on the wire: of stocks, and of crypto where they differ.
_FIELDS = {"price": ("p",), "size": ("s",), "time": ("t",), "symbol": ("sym", "pair")}
_VALUES: dict[str, Any] = {
    "null": None,
    "text": "<b>12</b>",
    "bool": True,
    "list": [1],
    "zero": 0,
    "negative": -1,
    "nan": float("nan"),
    "infinity": float("inf"),
}
_HUGE: dict[str, Any] = {"price": 1e300, "size": 1e300, "time": 10**19, "symbol": "A" * 500}
_NONSENSE = {
    "html": b"<html><body>502 Bad Gateway</body></html>",
    "text": b"hello there",
    "object": b'{"ev":"T"}',
    "numbers": b'[1,2,null,"x",[]]',
    "empty": b"",
    "deep": b"[" * 5000 + b"]" * 5000,
}
_BARS = frozenset({"A", "AM", "XA", "XAS"})
_TIMES = ("t", "r", "trft")


class Garble(Effect):
    """Flip bits of some bytes."""

    def __init__(self, bytes: int = 8, ascii: bool = True) -> None:
        self._bytes = bytes
        self._ascii = ascii

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the frame with its first byte and some others changed."""
        if not is_data(send.data) or not at.chance(""):
            return (send,)
        tally(at.ledger, "spoiled", send.data)
        data = bytearray(send.data)
        # The first one is always among them: a changed digit alone would be a trade that
        # nobody can tell from a true one.
        places = {0, *(at.dice.randrange(len(data)) for _ in range(self._bytes - 1))}
        for place in sorted(places):
            data[place] ^= at.dice.randrange(1, 32)
            if not self._ascii:
                data[place] |= 0x80
        if data[0] in b"[ \t\r\n":
            data[0] = ord("?")
        return (Send(bytes(data), send.text, final=True),)


class Truncate(Effect):
    """Leave out the end of a frame."""

    def __init__(self, part: float = 0.5) -> None:
        self._part = part

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the first part of the frame."""
        if not is_data(send.data) or not at.chance(""):
            return (send,)
        tally(at.ledger, "spoiled", send.data)
        size = min(len(send.data) - 1, int(len(send.data) * self._part))
        return (Send(send.data[:size], send.text, final=True),)


class Nonsense(Effect):
    """Send something more that is no list of events."""

    def __init__(self, what: str = "html") -> None:
        self._data = _NONSENSE[what]

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return nonsense and the frame."""
        if not is_data(send.data) or not at.chance(""):
            return (send,)
        return (Send(self._data, final=True), send)


class Unknown(Effect):
    """Add an event of a type, or a status with a word, that nobody knows."""

    def __init__(self, what: str = "event") -> None:
        self._what = what

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the frame with such an event at its end."""
        if not is_data(send.data) or not at.chance(""):
            return (send,)
        if self._what == "status":
            event = {"ev": "status", "status": "weather", "message": "it rains"}
        else:
            event = {"ev": f"Z{at.dice.randrange(10)}", "sym": "SPY", "x": "1"}
        data = msgspec.json.encode(event)
        tally(at.ledger, "added", data)
        return (joined([*split(send.data), data]),)


class Wrong(Effect):
    """Put a wrong value into a trade; the events around it stay as they are."""

    def __init__(self, field: str = "any", value: str = "any") -> None:
        self._fields = [*_FIELDS] if field == "any" else [field]
        self._values = [*_VALUES, "missing", "huge"] if value == "any" else [value]

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the frame with wrong trades; those that are no JSON go by themselves."""
        if not is_data(send.data):
            return (send,)
        events: list[bytes] = []
        alone: list[bytes] = []
        struck = False
        for event in split(send.data):
            field, value = at.dice.choice(self._fields), at.dice.choice(self._values)
            if not is_trade(event) or not at.chance(f"{field} {value}"):
                events.append(event)
                continue
            struck = True
            tally(at.ledger, "spoiled", event)
            wrong = _spoiled(event, field, value)
            # A list that holds NaN is no JSON at all, and would cost its other events.
            (alone if value in ("nan", "infinity") else events).append(wrong)
        if not struck:
            return (send,)
        groups = [events] if events else []
        return [replace(joined(group), final=True) for group in (*groups, *([e] for e in alone))]


def _spoiled(event: bytes, field: str, value: str) -> bytes:
    content = json.loads(event)
    name = next(name for name in _FIELDS[field] if name in content)
    if field == "size":
        content.pop("ds", None)
    if value == "missing":
        del content[name]
    else:
        content[name] = _HUGE[field] if value == "huge" else _VALUES[value]
    return json.dumps(content, separators=(",", ":")).encode()


class Skew(Effect):
    """Shift the times that events tell."""

    def __init__(self, seconds: float = 5.0) -> None:
        self._shift = round(seconds * 1000)

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the frame with other times."""
        return _changed(send, at, lambda event: _timed(event, lambda t: t + self._shift))


class Units(Effect):
    """Write times in a unit other than ms."""

    def __init__(self, unit: str = "s") -> None:
        self._unit = unit

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the frame with times in that unit; no other fault makes times of them again."""
        factor = {"us": 1_000, "ns": 1_000_000}.get(self._unit)

        def convert(t: int) -> int:
            return t // 1000 if factor is None else t * factor

        changed = _changed(send, at, lambda event: _timed(event, convert))
        # Seconds written as microseconds would be ms again, which nobody can tell from true ones.
        return [replace(one, final=one is not send) for one in changed]


class Crossed(Effect):
    """Swap bid and ask, so that the bid is above the ask."""

    def treat(self, send: Send, at: Moment) -> Sequence[Action]:
        """Return the frame with crossed quotes."""

        def cross(event: dict[str, Any]) -> bool:
            if event.get("ev") not in ("Q", "XQ"):
                return False
            event["bp"], event["ap"] = event["ap"], event["bp"]
            return True

        return _changed(send, at, cross)


def _timed(event: dict[str, Any], convert: Callable[[int], int]) -> bool:
    """Convert the times of an event in place."""
    names = ("s", "e") if event.get("ev") in _BARS else _TIMES
    for name in names:
        if isinstance(event.get(name), int):
            event[name] = convert(event[name])
    return True


def _changed(send: Send, at: Moment, change: Callable[[dict[str, Any]], bool]) -> Sequence[Send]:
    """Return a frame whose events were given to a function that changes them in place."""
    if not is_data(send.data) or not at.chance(""):
        return (send,)
    events = []
    for event in split(send.data):
        content = msgspec.json.decode(event)
        touched = isinstance(content, dict) and change(content)
        if touched:
            tally(at.ledger, "altered", event)
        events.append(msgspec.json.encode(content) if touched else event)
    return (joined(events),)
