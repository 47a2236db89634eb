"""Bars that end by what is traded, not by the clock: the state of one series, and one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from workbench.bars.kinds import FAMILIES, BarKind, bar_kind
from workbench.errors import ConfigError, UnknownTimeframeError
from workbench.kernels import eventbars as kernel
from workbench.kernels import eventstate, imbalance, renko
from workbench.kernels.exact import split
from workbench.records import BAR, FORMING, TRADE, Rows

__all__ = ["EVENT_FAMILIES", "EventBars", "event_bars"]

_Kernel = Callable[[Rows, Rows, Rows, int, Rows], tuple[int, int]]
_KERNELS: dict[str, _Kernel] = {
    "trades": kernel.counted,
    "volume": kernel.counted,
    "dollar": kernel.counted,
    "range": kernel.ranged,
    "renko": renko.bricks,
    "renko-atr": renko.bricks,
    "imbalance-trades": imbalance.imbalances,
    "imbalance-volume": imbalance.imbalances,
    "imbalance-dollar": imbalance.imbalances,
    "run-trades": imbalance.runs,
    "run-volume": imbalance.runs,
    "run-dollar": imbalance.runs,
}
#: The families of :data:`~workbench.bars.kinds.FAMILIES` that are built here.
EVENT_FAMILIES: frozenset[str] = frozenset(_KERNELS)

_UNITS = {
    "trades": eventstate.TRADES,
    "volume": eventstate.VOLUME,
    "dollar": eventstate.DOLLAR,
}
_HEADER = np.dtype(
    [
        ("version", "i4"),
        ("code", "i4"),
        ("symbol", "i4"),
        ("padding", "i4"),
        ("lateness", "i8"),
        ("mark", "i8"),
        ("shift", "i8"),
        ("overdue", "i8"),
    ]
)
_VERSION = 1
_ROOM = 1024


class EventBars:
    """Build the event bars of one symbol, live or in batch.

    Where such a bar ends depends on every trade before it, so trades are held back until the
    market's clock has passed their time plus `lateness`, and are then taken in order of time,
    sequence, price and size. However they are split into calls, and in whatever order they
    arrive within `lateness`, the bars are the same to the bit. The market's clock is the
    newest time of a trade, or that of receipt plus the greatest (time less receipt) seen.

    The trade with which a threshold is reached is whole in the bar that it ends. Bars have
    the time of their first trade; if that is not later than the time of the bar before, they
    have the next nanosecond after that, so that times in a series go up. No bar is revised.

    Parameters
    ----------
    kind : BarKind or str
        Of one of :data:`EVENT_FAMILIES`, such as "volume:1000".
    symbol : int
        Number that the bars carry.
    lateness : float
        Seconds that a trade may be behind the market's clock. One that is farther behind is
        counted in :attr:`overdue` and left out.

    Raises
    ------
    UnknownTimeframeError
        If the kind is none, or is not built from trades by what happens in them.

    Notes
    -----
    range: a bar ends before the trade that would make its high less its low more than the
    size; that trade opens the next bar, and a gap makes no bars of its own.

    renko: bricks lie between multiples of the size and begin at the one nearest to the first
    price; to turn takes two steps. A brick's open and close are levels, its high and low also
    cover what was traded. Trades that did not complete a brick are in the first that comes
    after them, the trade (or base bar) that completes several is in the last of these, and at
    most 1,000 bricks without trades come from one jump: those nearest to the new price. With
    a size of less than 1e-12 of the price there are no bricks. From an average true range,
    the size of a brick is that of the base bars closed when it starts (Wilder's average as
    TA-Lib has it); while there is none, or it is zero, trades wait for the next brick, which
    begins at the first price after.

    imbalance and run: Lopez de Prado 2018, ch. 2, with bounds. The first bar has `length`
    trades. Means over bars, in which the weight of a bar halves in `half-life` bars, then tell
    what to expect. A bar has at most length x bound trades, and no less than length / bound
    are expected; an expected imbalance is at least the standard deviation of the sum of so
    many trades without a direction.

    Examples
    --------
    >>> trades = np.zeros(5, TRADE)
    >>> trades["time"] = np.arange(5) * 10**9
    >>> trades["price"], trades["size"] = [10.0, 12.0, 11.0, 9.0, 9.5], 3.0
    >>> bars = EventBars("volume:6")
    >>> bars.add(trades)[["open", "high", "low", "close", "volume"]].tolist()
    [(10.0, 12.0, 10.0, 12.0, 6.0), (11.0, 11.0, 9.0, 9.0, 6.0)]
    >>> bars.forming()["close"]
    array([9.5])
    """

    def __init__(self, kind: BarKind | str, *, symbol: int = 0, lateness: float = 0.0) -> None:
        self.kind = _event_kind(kind)
        self.symbol = symbol
        self.lateness = round(lateness * 1e9)
        self.overdue = 0
        self._kernel = _KERNELS[self.kind.family]
        self._p = _parameters(self.kind, symbol)
        self._state = _blank(self.kind)
        self._mark = int(eventstate.NEVER)
        self._shift = -(1 << 60)
        self._held = np.zeros(0, TRADE)
        self._out = np.zeros(_ROOM, BAR)

    def __repr__(self) -> str:
        return f"EventBars({self.kind.name!r}, symbol={self.symbol}, {len(self._held)} held)"

    def add(self, trades: Rows) -> Rows:
        """Take accepted trades of the symbol and return the bars they completed.

        Parameters
        ----------
        trades : array of TRADE
            In any order.

        Returns
        -------
        array of BAR
            In order of time, each once.
        """
        if not len(trades):
            return np.zeros(0, BAR)
        trades = _readable(trades)
        kept = np.empty(len(trades), np.bool_)
        self._mark, self._shift, late = kernel.admit(
            trades, self._mark, self.lateness, self._shift, kept
        )
        if late:
            self.overdue += late
            trades = trades[kept]
        self._held = _joined([self._held, trades], TRADE)
        if not kernel.ordered(_readable(self._held)):
            self._held = _sorted(self._held)
        return self._release(self.until)

    def advance(self, clock: int) -> Rows:
        """Return the bars that trades complete which need not wait any longer.

        Parameters
        ----------
        clock : int
            Time of receipt in ns UTC; in a replay that of the tape.
        """
        self._mark = max(self._mark, clock + self._shift)
        return self._release(self.until)

    def due(self) -> int:
        """Return the time of receipt, ns UTC, from which :meth:`advance` would do something.

        Far in the future if nothing waits.
        """
        when = int(eventstate.ALWAYS)
        if len(self._held):
            when = int(self._held["time"][0]) + 1
        if self._closes_base():
            when = min(when, int(self._state["end"][1]))
        return when if when == eventstate.ALWAYS else when + self.lateness - self._shift

    def finish(self) -> Rows:
        """Take all trades that are held back, as at the end of a recording.

        Returns
        -------
        array of BAR
            Complete bars, and last, with the state FORMING, what is left of trades.
        """
        if len(self._held):
            self._mark = max(self._mark, int(self._held["time"][-1]) + self.lateness + 1)
        bars = self._run(self._state, _readable(self._held))
        self._held = self._held[:0]
        return _joined([bars, self.forming()], BAR)

    def forming(self) -> Rows:
        """Return the bars that are not complete, as they stand, oldest first.

        Trades that are held back are in them; a bar that these would complete is among them.
        """
        state = self._state.copy()
        bars = self._run(state, _readable(self._held))
        last = np.zeros(1, BAR)
        bars = _joined([bars, last[: kernel.form(self._p, state, last)]], BAR)
        bars["state"] = FORMING
        return bars

    @property
    def until(self) -> int:
        """Time in ns UTC before which every trade is in bars, or came too late for them."""
        return self._mark - self.lateness

    def state(self, *, held: bool = True) -> bytes:
        """Return all that is known: a checkpoint. Without `held`, only of what is in bars."""
        header = np.zeros(1, _HEADER)
        header["version"], header["code"], header["symbol"] = _VERSION, self.kind.code, self.symbol
        header["lateness"], header["overdue"] = self.lateness, self.overdue
        header["mark"], header["shift"] = self._mark, self._shift
        waiting = self._held.tobytes() if held else b""
        return header.tobytes() + self._state.tobytes() + waiting

    def restore(self, data: bytes) -> None:
        """Go on from a checkpoint of the same kind of bars.

        Parameters
        ----------
        data : bytes
            What :meth:`state` returned. Symbol and lateness must be the same too.

        Raises
        ------
        ConfigError
            If it is not such a checkpoint.
        """
        first, second = _HEADER.itemsize, _HEADER.itemsize + self._state.nbytes
        if len(data) < second or (len(data) - second) % TRADE.itemsize:
            raise ConfigError(f"{len(data)} bytes are no checkpoint of {self.kind.name} bars")
        header = np.frombuffer(data[:first], _HEADER)[0]
        expected = {
            "version": _VERSION,
            "code": self.kind.code,
            "symbol": self.symbol,
            "lateness": self.lateness,
        }
        for name, value in expected.items():
            if header[name] != value:
                raise ConfigError(
                    f"the checkpoint has the {name} {header[name]}, {self.kind.name} bars of "
                    f"symbol {self.symbol} have {value}"
                )
        self._mark, self._shift = int(header["mark"]), int(header["shift"])
        self.overdue = int(header["overdue"])
        self._state = np.frombuffer(data[first:second], eventstate.STATE).copy()
        self._held = np.frombuffer(data[second:], TRADE).copy()

    def _closes_base(self) -> bool:
        source = self.kind.family == "renko" and self.kind.base is not None
        return source and bool(self._state["count"][1] > 0)

    def _release(self, until: int) -> Rows:
        held = _readable(self._held)
        n = kernel.reach(held, until)
        bars = self._run(self._state, held[:n])
        if n:
            self._held = _joined([held[n:]], TRADE)
        if self._closes_base() and self._state["end"][1] <= until:
            done = False
            while not done:
                done, n = renko.settle(self._p, self._state, until, self._out)
                bars = _joined([bars, self._out[:n]], BAR)
        return bars

    def _run(self, state: Rows, trades: Rows) -> Rows:
        parts = []
        start = 0
        while start < len(trades):
            start, n = self._kernel(self._p, state, trades, start, self._out)
            parts.append(_joined([self._out[:n]], BAR))
            if n == len(self._out) and n < 1 << 17:
                self._out = np.zeros(4 * n, BAR)
        return parts[0] if len(parts) == 1 else _joined(parts, BAR)


def event_bars(trades: Rows | pd.DataFrame, kind: BarKind | str) -> Rows:
    """Build the event bars of stored trades in one go.

    Parameters
    ----------
    trades : array of TRADE, or DataFrame
        Accepted trades: rows of any symbols, or a DataFrame of one symbol as a store or a feed
        returns it: indexed by time, with price, size and (else all 0) sequence. In order or
        not; in order is faster.
    kind : BarKind or str
        Of one of :data:`EVENT_FAMILIES`.

    Returns
    -------
    array of BAR
        Ordered by symbol and time. What is left of a symbol's trades is its last row, with the
        state FORMING; all others are CLOSED and equal those that came out live, bit for bit.
        From a DataFrame, `symbol` is 0.

    Examples
    --------
    >>> times = pd.to_datetime([0, 1, 2], unit="s", utc=True)
    >>> trades = pd.DataFrame({"price": [10.0, 12.0, 11.0], "size": [1.0, 2.0, 1.0]}, times)
    >>> event_bars(trades, "trades:2")[["close", "volume", "state"]].tolist()
    [(12.0, 3.0, 2), (11.0, 1.0, 1)]
    """
    rows = _readable(_rows(trades) if isinstance(trades, pd.DataFrame) else trades)
    found = _event_kind(kind)
    if not len(rows):
        return np.zeros(0, BAR)
    symbols = np.unique(rows["symbol"])
    parts = []
    for symbol in symbols.tolist():
        own = rows if len(symbols) == 1 else rows[rows["symbol"] == symbol]
        own = own if kernel.ordered(_readable(own)) else _sorted(own)
        bars = EventBars(found, symbol=symbol)
        parts.append(bars._run(bars._state, _readable(own)))
        parts.append(bars.forming())
    return _joined(parts, BAR)


def _rows(frame: pd.DataFrame) -> Rows:
    index = frame.index
    if not isinstance(index, pd.DatetimeIndex):
        raise TypeError(f"trades must be indexed by time, not by {type(index).__name__}")
    rows = np.zeros(len(frame), TRADE)
    rows["time"] = index.as_unit("ns").asi8
    for field in ("price", "size", "sequence"):
        if field != "sequence" or field in frame:
            rows[field] = frame[field].to_numpy()
    return rows


def _joined(parts: list[Rows], dtype: np.dtype[np.void]) -> Rows:
    """Return rows one after another: as bytes, since NumPy copies records field by field."""
    return np.frombuffer(bytearray().join([part.tobytes() for part in parts]), dtype)


def _readable(rows: Rows) -> Rows:
    """Return rows as a read-only view: one compiled kernel serves all arrays."""
    view = np.ascontiguousarray(rows).view()
    view.flags.writeable = False
    return view


def _sorted(trades: Rows) -> Rows:
    return trades[np.lexsort((trades["size"], trades["price"], trades["sequence"], trades["time"]))]


def _event_kind(kind: BarKind | str) -> BarKind:
    found = bar_kind(kind)
    if isinstance(found, BarKind) and found.family in _KERNELS:
        return found
    examples = ", ".join(FAMILIES[name].example for name in _KERNELS)
    raise UnknownTimeframeError(f"{found} is not one of the event bars, such as {examples}")


def _parameters(kind: BarKind, symbol: int) -> Rows:
    p = np.zeros(1, eventstate.PARAMETERS)
    family, given = kind.family, kind.parameters
    p["code"], p["symbol"] = kind.code, symbol
    p["unit"] = _UNITS.get(family.rpartition("-")[2], eventstate.TRADES)
    if family == "trades":
        p["goal_hi"] = int(given[0])
    elif family in _UNITS:
        p["goal_hi"], p["goal_lo"] = split(given[0])
    elif family in ("range", "renko"):
        p["size"] = given[0]
    elif family == "renko-atr":
        p["period"] = int(given[0])
    else:
        length, half_life, bound = given
        p["length"], p["most"] = int(length), int(length * bound)
        p["least"] = max(1.0, length / bound)
        p["weight"] = 1.0 - 2.0 ** (-1.0 / half_life)
    if kind.base is not None:
        p["base"], p["origin"] = kind.base.ns, kind.base.origin
        ranges = family == "renko-atr"
        p["source"] = eventstate.RANGES if ranges else eventstate.CLOSES
    return p


def _blank(kind: BarKind) -> Rows:
    state: np.ndarray[Any, Any] = np.zeros(3, eventstate.STATE)
    state["last"] = state["end"] = eventstate.NEVER
    state["price"] = np.nan
    state["above"], state["below"] = np.inf, -np.inf
    if kind.family.startswith("run-"):
        for name in ("mean_first", "mean_second", "mean_third"):
            state[name] = -1.0
    return state
