"""Studies: a table from a window of bars, in which nothing is written back in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analytics.parameters import Value, read
from workbench.errors import ConfigError
from workbench.records import Rows
from workbench.sessions import timezone
from workbench.study.bars import BarReader, Bars
from workbench.study.spec import Spec
from workbench.study.table import folded
from workbench.timeframes import Timeframe

__all__ = ["Checkpoint", "Study", "StudyRun"]

#: Room for events that a call of a kernel is given, apart from what one bar may need.
_ROOM = 16_384


@dataclass(frozen=True)
class Study:
    """A study with its parameters, ready to run.

    Examples
    --------
    >>> from workbench.study import structure
    >>> structure(left=2, right=2)
    structure(left=2, right=2, ties=first, atr=14)
    """

    spec: Spec
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values = read(self.spec.name, self.spec.parameters, self.parameters)
        object.__setattr__(self, "parameters", values)

    @property
    def name(self) -> str:
        """Name in the catalogue."""
        return self.spec.name

    @property
    def title(self) -> str:
        """Name for people."""
        return self.spec.title

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of its table."""
        return self.spec.shown

    def __repr__(self) -> str:
        values = ", ".join(f"{k}={_shown(v)}" for k, v in self.parameters.items())
        return f"{self.spec.name}({values})"

    def __hash__(self) -> int:
        return hash(repr(self))

    def start(self, symbol: str = "", timeframe: str | int | Timeframe | None = None) -> StudyRun:
        """Return a run over the bars of a symbol, from its first bar.

        Parameters
        ----------
        symbol : str
            Tells the market's time zone where days matter; empty for UTC.
        timeframe : str, int, Timeframe or None
            Length of a bar, seconds if an int. None for what rows of BAR say, and for the
            median step of the first DataFrame that is added.
        """
        return StudyRun(self, symbol, timeframe)

    def over(
        self,
        bars: Bars,
        symbol: str = "",
        timeframe: str | int | Timeframe | None = None,
    ) -> pd.DataFrame:
        """Return its table over closed bars.

        Parameters
        ----------
        bars : DataFrame or array of BAR
            Of one symbol and timeframe, in order of time. A DataFrame has an index of times
            (UTC if it names no zone) and the columns open, high, low, close, and volume if
            the study reads it.
        symbol, timeframe
            As for :meth:`start`.

        Returns
        -------
        pandas.DataFrame
            Without rows if there are too few bars. `formed` is the start of the bar a thing
            is on, `confirmed` the end of the bar that made it known and so the time from
            which it may be used, `mitigated` the time its end became known (NaT while it is
            open), `first` and `last` the bars it came from.

        Raises
        ------
        ConfigError
            If a column is missing.
        ValueError
            If a bar is not finite or out of order, naming the row.
        """
        run = self.start(symbol, timeframe)
        run.add(bars)
        return run.table()


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stood: given back by :meth:`StudyRun.checkpoint`.

    Attributes
    ----------
    study : Study
    count : int
        Bars taken until then.
    """

    study: Study
    count: int
    _arrays: tuple[Rows, Rows, Rows]
    _events: Rows
    _known: int
    _reader: tuple[int, int]


class StudyRun:
    """A study in the middle of a series.

    Parameters
    ----------
    study : Study
    symbol : str
        Tells the market's time zone; empty for UTC.
    timeframe : str, int, Timeframe or None
        Length of a bar; None for what the bars say.
    """

    def __init__(
        self,
        study: Study,
        symbol: str = "",
        timeframe: str | int | Timeframe | None = None,
    ) -> None:
        spec = study.spec
        values = study.parameters
        self.study = study
        self.count = 0
        zone = (timezone(symbol) if symbol else "UTC") if spec.days else None
        self._reader = BarReader(spec.name, spec.volume, zone, timeframe)
        self._most = spec.most(values)
        self._p = _record(spec, values, self._most)
        self._s: Rows = np.zeros(1, spec.state)
        self._w: Rows = np.zeros(spec.bars(values), spec.window)
        self._z: Rows = np.zeros(spec.slots(values), spec.zones)
        self._events: Rows = np.zeros(0, spec.dtype)
        self._known = 0

    def __repr__(self) -> str:
        return f"<{self.study!r} after {self.count} bars, {self._known} events>"

    def add(self, bars: Bars) -> Rows:
        """Take closed bars and return what became known with them.

        Parameters
        ----------
        bars : DataFrame or array of BAR
            Later than all before. If one cannot be taken, none is.

        Returns
        -------
        structured array
            Events in order of confirmation: `time` when it became known, `what` bits (1 born,
            2 touched, 4 changed, 8 ended), `id` of the row it is about.
        """
        rows = self._reader.read(bars)
        kernel = self.study.spec.kernel
        begin = self._known
        at = 0
        out: Rows = np.zeros(self._most + min(_ROOM, 4 * len(rows)), self._events.dtype)
        while at < len(rows):
            used, made = kernel(self._p, self._s, self._w, self._z, rows[at:], out)
            at += used
            self._append(out[:made])
            if at < len(rows):
                out[:made] = np.zeros((), out.dtype)
        self.count += len(rows)
        news = self._events[begin : self._known]
        news.flags.writeable = False
        return news

    def events(self, at: pd.Timestamp | np.datetime64 | int | None = None) -> Rows:
        """Return everything that became known, up to a time.

        Parameters
        ----------
        at : Timestamp, datetime64, int ns UTC or None
            Inclusive; None for all.
        """
        known = self._events[: self._known]
        known.flags.writeable = False
        if at is None:
            return known
        end = np.searchsorted(known["time"], _nanoseconds(at), side="right")
        return known[:end]

    def table(self, at: pd.Timestamp | np.datetime64 | int | None = None) -> pd.DataFrame:
        """Return what is known so far, or what was known at a time.

        Parameters
        ----------
        at : Timestamp, datetime64, int ns UTC or None
            None for now. The answer is the table that :meth:`Study.over` gives for the bars
            that had ended by then.
        """
        return folded(self.study.spec, self.events(at))

    def live(self) -> pd.DataFrame:
        """Return the rows that have not ended; for a study with a row per bar, the last."""
        return folded(self.study.spec, self.events(), still_open=True)

    def checkpoint(self) -> Checkpoint:
        """Return where the run stands, to come back to by :meth:`restore`."""
        arrays = (self._s.copy(), self._w.copy(), self._z.copy())
        reader = (self._reader.ns, self._reader.last)
        return Checkpoint(self.study, self.count, arrays, self._events, self._known, reader)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back (or forth) to where a run of the same study stood.

        Raises
        ------
        ConfigError
            If it is a checkpoint of another study or of other parameters.
        """
        if repr(checkpoint.study) != repr(self.study):
            raise ConfigError(f"{checkpoint.study!r} cannot go on as {self.study!r}")
        s, w, z = checkpoint._arrays
        self._s, self._w, self._z = s.copy(), w.copy(), z.copy()
        # A copy: the run it came from, or this one, goes on writing behind the kept events.
        self._events = checkpoint._events[: checkpoint._known].copy()
        self._known = checkpoint._known
        self._reader.ns, self._reader.last = checkpoint._reader
        self.count = checkpoint.count

    def _append(self, events: Rows) -> None:
        need = self._known + len(events)
        if need > len(self._events):
            grown: Rows = np.zeros(max(need, 2 * len(self._events), 64), self._events.dtype)
            grown[: self._known] = self._events[: self._known]
            self._events = grown
        self._events[self._known : need] = events
        self._known = need


def _record(spec: Spec, values: Mapping[str, Value], most: int) -> npt.NDArray[np.void]:
    numbers = {name: spec.parameters[name].number(value) for name, value in values.items()}
    numbers["most"] = most
    fields = [(name, "i8" if isinstance(v, int) else "f8") for name, v in numbers.items()]
    record: npt.NDArray[np.void] = np.zeros(1, fields)
    for name, number in numbers.items():
        record[name] = number
    return record[0]  # type: ignore[no-any-return]


def _nanoseconds(at: pd.Timestamp | np.datetime64 | int) -> int:
    if isinstance(at, int | np.integer):
        return int(at)
    time = pd.Timestamp(at)
    return int((time if time.tzinfo is not None else time.tz_localize("UTC")).as_unit("ns").value)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
