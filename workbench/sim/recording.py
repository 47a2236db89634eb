"""A recorded market: real trades played again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from workbench.errors import ConfigError, TapeError
from workbench.records import Rows
from workbench.sim.aggregates import MINUTE, bars
from workbench.sim.readers import Reading, read_trades
from workbench.sim.wire import CHANNELS, Chunk, empty_chunk, encode_quotes, encode_trades

__all__ = ["RecordedMarket"]

_MS = 1_000_000
#: What each pass adds to ids and sequence numbers.
_NUMBERS = 10**15
#: Fields that hold a time in ms, by kind of event.
_TIMES = (("t", "r", "trft"), ("t", "r", "trft"), ("s", "e"), ("s", "e"))
_FIELDS = {name: _TIMES[i] for names in CHANNELS.values() for i, name in enumerate(names)}


class RecordedMarket:
    """Play files of recorded trades, at any speed.

    Parameters
    ----------
    paths : sequence of Path
        Files as :func:`~workbench.sim.readers.read_trades` knows them, played together in
        order of the times at which their events were sent.
    speed : float or "max"
        Recorded seconds per second; "max" goes as fast as readers take it.
    rebase : bool
        Shift all times so that the recording starts now; else recorded times are kept.
    loop : bool
        Start again after the end, with later times.
    reveal : bool
        Show the whole recording as history from the start; else only what was sent.

    Raises
    ------
    TapeError
        If a file cannot be read, or there is no event in them.
    ConfigError
        If the speed is not positive, or an endless recording is to be revealed.
    """

    instant = True

    def __init__(
        self,
        paths: Sequence[Path | str],
        *,
        speed: float | Literal["max"] = 1.0,
        rebase: bool = False,
        loop: bool = False,
        reveal: bool = False,
    ) -> None:
        if speed != "max" and not speed > 0:
            raise ConfigError(f"speed {speed} is neither positive nor 'max'")
        if loop and reveal:
            raise ConfigError("a looped recording has no end, so it cannot be revealed")
        self._reveal = reveal
        readings = [reading for path in paths for reading in read_trades(Path(path))]
        self.symbols = tuple(dict.fromkeys(reading.symbol for reading in readings))
        self.hurried = speed == "max"
        self._speed = 1.0 if speed == "max" else float(speed)
        self._rebase, self._loop = rebase, loop
        self._load(readings)
        self._shift = 0
        self._began = 0

    def _load(self, readings: list[Reading]) -> None:
        index = {symbol: i for i, symbol in enumerate(self.symbols)}
        sent: list[int] = []
        topics: list[int] = []
        events: list[bytes] = []
        for reading in readings:
            for time, kind, message in _messages(reading):
                sent.append(time)
                topics.append(4 * index[reading.symbol] + kind)
                events.append(message)
        if not events:
            raise TapeError("the recording holds no event")
        times = np.array(sent, np.int64)
        order = np.argsort(times, kind="stable")
        self._sent = times[order]
        self._chunk = Chunk.of([events[i] for i in order.tolist()], np.array(topics)[order])
        self._trades = {s: _sorted([r.trades for r in readings if r.symbol == s]) for s in index}
        self._quotes = {s: _sorted([r.quotes for r in readings if r.symbol == s]) for s in index}
        self._outgoing = {
            s: rows[np.argsort(rows["received"], kind="stable")] for s, rows in self._trades.items()
        }
        stamps = [rows["time"].min() for rows in self._trades.values() if len(rows)]
        stamps += [rows["time"].min() for rows in self._quotes.values() if len(rows)]
        self.first = int(min([*stamps, self._sent[0]]))
        #: Kinds that the recording holds as messages: they are not made from its trades.
        self.recorded = frozenset(np.unique(self._chunk.topics).tolist())
        span = int(self._sent[-1]) - int(self._sent[0])
        # Passes are whole minutes apart, so that bars keep their cut.
        self._period = (span // MINUTE + 2) * MINUTE

    def __repr__(self) -> str:
        return f"RecordedMarket({', '.join(self.symbols)}, {len(self._chunk)} events)"

    def __len__(self) -> int:
        return len(self._chunk)

    # The live stream.

    def begin(self, now: int) -> int:
        """Start the recording's clock and return its first position."""
        first = int(self._sent[0])
        if self._rebase:
            # A whole minute where provider's bars are shifted too, else a whole ms.
            barred = any(topic % 4 > 1 for topic in self.recorded)
            unit = MINUTE if barred else _MS
            self._shift = (now - first) // unit * unit
            self.first += self._shift
        self._began = now
        return first + self._shift

    def reach(self, position: int, now: int, limit: int) -> int:
        """Return the position to send up to."""
        if not self.hurried:
            passed = int((now - self._began) * self._speed)
            return max(position, int(self._sent[0]) + self._shift + passed)
        number = self._pass(position)
        shift = self._shift + number * self._period
        at = int(np.searchsorted(self._sent, position - shift))
        if at == len(self._sent):
            return position if not self._loop else shift + self._period + int(self._sent[0])
        return int(self._sent[min(at + limit, len(self._sent)) - 1]) + shift + 1

    def ended(self, position: int) -> bool:
        """Return whether nothing comes after a position."""
        return not self._loop and position > int(self._sent[-1]) + self._shift

    def known(self, position: int) -> int:
        """Return the position, or the end of a recording that is revealed."""
        return max(position, int(self._sent[-1]) + self._shift + 1) if self._reveal else position

    def chunk(self, since: int, until: int, demand: frozenset[int]) -> Chunk:
        """Return the events sent in [since, until), of all topics."""
        parts = []
        for shift in self._shifts(since, until):
            low, high = np.searchsorted(self._sent, (since - shift, until - shift))
            if high > low:
                part = self._chunk.cut(int(low), int(high))
                if shift:
                    part = _shifted(part, shift // _MS, self._numbers(shift))
                parts.append(part)
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return empty_chunk()
        events = [event for part in parts for event in part.events()]
        return Chunk.of(events, np.concatenate([part.topics for part in parts]))

    def sent(self, symbol: str, since: int, until: int) -> Rows:
        """Return the trades sent in [since, until), in order of sending."""
        return self._collect(self._outgoing[symbol], "received", since, until)

    def warm(self, symbol: str, position: int) -> None:
        """Do nothing: all is prepared."""

    def prepare(self, position: int) -> None:
        """Do nothing: all is prepared."""

    # History.

    def trades(self, symbol: str, start: int, end: int, known: int) -> Rows:
        """Return trades of [start, end) by event time, of those sent before `known`."""
        end = min(end, known + self._period)
        rows = self._collect(self._trades[symbol], "time", start, end)
        return rows[rows["received"] < known]

    def quotes(self, symbol: str, start: int, end: int, known: int) -> Rows:
        """Return quotes of [start, end) by event time, of those sent before `known`."""
        end = min(end, known + self._period)
        rows = self._collect(self._quotes[symbol], "time", start, end)
        return rows[rows["received"] < known]

    def minutes(self, symbol: str, start: int, end: int, known: int) -> Rows:
        """Return minute bars that start in [start, end), of trades sent before `known`."""
        first, last = -(-start // MINUTE) * MINUTE, -(-end // MINUTE) * MINUTE
        return bars(self.trades(symbol, first, last, known), MINUTE)

    def _collect(self, rows: Rows, column: str, start: int, end: int) -> Rows:
        if not len(rows):
            return rows
        parts = []
        for shift in self._shifts(start, end):
            low, high = np.searchsorted(rows[column], (start - shift, end - shift))
            part = rows[low:high]
            if shift and len(part):
                part = part.copy()
                part["time"] += shift
                part["received"] += shift
                for name in {"id", "sequence"}.intersection(part.dtype.names or ()):
                    part[name] += np.uint64(self._numbers(shift))
            parts.append(part)
        return parts[0] if len(parts) == 1 else np.concatenate([rows[:0], *parts])

    def _pass(self, position: int) -> int:
        if not self._loop:
            return 0
        return max(0, (position - self._shift - int(self._sent[0])) // self._period)

    def _shifts(self, start: int, end: int) -> Iterator[int]:
        """Yield the shift of each pass that a span may touch."""
        # Event times may lie a little before or after the times of sending.
        margin = self._period if self._loop else 0
        for number in range(self._pass(start - margin), self._pass(end + margin) + 1):
            yield self._shift + number * self._period

    def _numbers(self, shift: int) -> int:
        """Return what a pass adds to ids and sequence numbers, so that they stay unique."""
        return (shift - self._shift) // self._period * _NUMBERS


def _messages(reading: Reading) -> Iterator[tuple[int, int, bytes]]:
    if reading.messages:
        yield from reading.messages
        return
    encoders: tuple[tuple[int, Rows, Callable[[str, Rows], list[bytes]]], ...] = (
        (0, reading.trades, encode_trades),
        (1, reading.quotes, encode_quotes),
    )
    for kind, rows, encode in encoders:
        for time, message in zip(
            rows["received"].tolist(), encode(reading.symbol, rows), strict=True
        ):
            yield time, kind, message


def _sorted(parts: list[Rows]) -> Rows:
    rows = np.concatenate(parts)
    return rows[np.lexsort((rows["sequence"], rows["time"]))]


def _shifted(chunk: Chunk, ms: int, numbers: int) -> Chunk:
    """Return the same events with times moved by some ms and ids and sequences raised."""
    events: list[dict[str, Any]] = msgspec.json.decode(b"[%b]" % b",".join(chunk.events()))
    for event in events:
        for name in _FIELDS[event["ev"]]:
            if name in event:
                event[name] += ms
        if numbers and event["ev"] in ("T", "XT"):
            text = str(event.get("i", ""))
            raised = str(int(text) + numbers) if text.isdecimal() else f"{text}-{numbers}"
            event["i"] = raised if isinstance(event.get("i", ""), str) else int(raised)
        if numbers and "q" in event:
            event["q"] += numbers
    return Chunk.of([msgspec.json.encode(event) for event in events], chunk.topics)
