"""Bars built from trades: the state of all symbols and timeframes, and one call to feed it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.errors import UnknownTimeframeError
from workbench.kernels import bars as kernel
from workbench.records import BAR, Rows
from workbench.timeframes import Timeframe, timeframe

__all__ = ["KEPT", "TF", "BarBuilder", "Overdue"]

#: A timeframe as the kernels read it.
TF = np.dtype(
    [("length", "i8"), ("origin", "i8"), ("seconds", "i8"), ("offset", "i8"), ("ring", "i8")]
)
#: Bars of each series that stay at hand for late trades, beside those that lateness needs.
KEPT = 4
#: State of a slot whose bar was told.
_CLOSED = 3


@dataclass(frozen=True, slots=True)
class Overdue:
    """A trade that came too late for the bars at hand: its bar is in the window or the store.

    Attributes
    ----------
    trade : array of TRADE, one row
    timeframe : Timeframe
    """

    trade: Rows
    timeframe: Timeframe


class BarBuilder:
    """Build time bars of many symbols and timeframes, live or in batch.

    The bars do not depend on how trades are split into calls, nor, within `lateness`, on
    their order.

    Parameters
    ----------
    timeframes : iterable of Timeframe or str
        Up to 62.
    lateness : float
        Seconds after its end that a bar waits for late trades before it is closed. Later
        trades revise it.

    Examples
    --------
    >>> from workbench.records import TRADE
    >>> trades = np.zeros(3, TRADE)
    >>> trades["time"] = np.array([0, 30, 60]) * 10**9
    >>> trades["price"], trades["size"] = [10.0, 12.0, 11.0], [1.0, 2.0, 1.0]
    >>> builder = BarBuilder(["1m"])
    >>> bar = builder.add(trades)[0]
    >>> bar["open"].item(), bar["close"].item(), bar["volume"].item(), bar["count"].item()
    (10.0, 12.0, 3.0, 2)
    """

    def __init__(self, timeframes: Iterable[Timeframe | str], *, lateness: float = 0.0) -> None:
        self.lateness = round(lateness * 1e9)
        self.timeframes: list[Timeframe] = []
        self._tfs = np.zeros(0, TF)
        self._head = np.zeros(0, kernel.HEAD)
        self._now = np.zeros((0, 0), kernel.NOW)
        self._slots = np.zeros((0, 0), kernel.SLOT)
        self._out = np.zeros(4096, BAR)
        self._overdue = np.zeros((1024, 2), np.int64)
        self._default_mask = 0
        self.overdue: list[Overdue] = []
        self._paused: dict[int, int] = {}
        for tf in timeframes:
            self.add_timeframe(tf)

    def __repr__(self) -> str:
        names = ", ".join(tf.name for tf in self.timeframes)
        return f"BarBuilder({len(self._head)} symbols, {names})"

    def add_timeframe(self, name: Timeframe | str, *, symbols: Iterable[int] | None = None) -> None:
        """Begin bars of another timeframe with the next trade.

        Parameters
        ----------
        name : Timeframe or str
        symbols : iterable of int, optional
            For these symbols only; None means for all, later ones included.
        """
        tf = timeframe(name)
        if tf not in self.timeframes:
            if len(self.timeframes) == 62:
                raise UnknownTimeframeError("at most 62 timeframes at once")
            self._widen(tf)
        bit = 1 << self.timeframes.index(tf)
        if symbols is None:
            self._default_mask |= bit
            self._set_mask(np.arange(len(self._head)), bit, True)
        else:
            ids = np.fromiter(symbols, np.int64)
            self._grow(int(ids.max(initial=-1)) + 1)
            self._set_mask(ids, bit, True)

    def remove_timeframe(
        self, name: Timeframe | str, *, symbols: Iterable[int] | None = None
    ) -> None:
        """Stop a timeframe, for some symbols or (None) for all; its forming bars are dropped."""
        tf = timeframe(name)
        if tf not in self.timeframes:
            return
        bit = 1 << self.timeframes.index(tf)
        if symbols is None:
            self._default_mask &= ~bit
            ids: npt.NDArray[np.int64] = np.arange(len(self._head))
        else:
            ids = np.fromiter(symbols, np.int64)
            ids = ids[ids < len(self._head)]
        self._set_mask(ids, bit, False)

    def builds(self, symbol: int, name: Timeframe | str) -> bool:
        """Tell whether bars of a timeframe are built for a symbol."""
        tf = timeframe(name)
        if tf not in self.timeframes:
            return False
        mask = self._head["mask"][symbol] if symbol < len(self._head) else self._default_mask
        return bool(mask >> self.timeframes.index(tf) & 1)

    def _set_mask(self, ids: npt.NDArray[np.int64], bit: int, wanted: bool) -> None:
        masks = self._head["mask"][ids]
        changed = ids[(masks & bit != 0) != wanted]
        self._head["mask"][changed] ^= bit
        j = bit.bit_length() - 1
        self._now["start"][changed, j] = kernel.NEVER
        self._now["end"][changed, j] = kernel.NEVER
        self._now["wait"][changed, j] = kernel.ALWAYS
        ring = self._tfs[j]
        self._slots["state"][changed, ring["offset"] : ring["offset"] + ring["ring"]] = 0
        self._head["edge"][changed] = kernel.NEVER  # the next trade looks at every timeframe

    def _widen(self, tf: Timeframe) -> None:
        ring = KEPT + -(-self.lateness // tf.ns) + 2
        row = np.zeros(1, TF)
        row["length"], row["origin"], row["seconds"] = tf.ns, tf.origin, tf.seconds
        row["offset"], row["ring"] = self._slots.shape[1], ring
        self.timeframes.append(tf)
        self._tfs = np.concatenate([self._tfs, row])
        symbols = len(self._head)
        now = np.zeros((symbols, len(self._tfs)), kernel.NOW)
        now[:, :-1] = self._now
        now["start"][:, -1] = kernel.NEVER
        now["end"][:, -1] = kernel.NEVER
        now["wait"][:, -1] = kernel.ALWAYS
        slots = np.zeros((symbols, int(row["offset"][0]) + ring), kernel.SLOT)
        slots[:, : self._slots.shape[1]] = self._slots
        self._now, self._slots = now, slots
        need = 2 * slots.shape[1] + 4 * len(self._tfs) + 64
        if len(self._out) < need:
            self._out = np.zeros(need, BAR)

    def _grow(self, symbols: int) -> None:
        have = len(self._head)
        if symbols <= have:
            return
        size = max(symbols, 2 * have, 16)
        head = np.zeros(size, kernel.HEAD)
        now = np.zeros((size, self._now.shape[1]), kernel.NOW)
        slots = np.zeros((size, self._slots.shape[1]), kernel.SLOT)
        head[:have], now[:have], slots[:have] = self._head, self._now, self._slots
        blank = head[have:]
        blank["time"] = blank["edge"] = blank["floor"] = kernel.NEVER
        blank["due"] = kernel.ALWAYS
        blank["shift"] = -(1 << 60)
        blank["mask"] = self._default_mask
        now["start"][have:] = now["end"][have:] = kernel.NEVER
        now["wait"][have:] = kernel.ALWAYS
        self._head, self._now, self._slots = head, now, slots

    def add(self, trades: Rows) -> Rows:
        """Take accepted trades and return the bars they closed or revised.

        Parameters
        ----------
        trades : array of TRADE
            Of any symbols, in any order.

        Returns
        -------
        array of BAR
            A bar may appear more than once: later rows are higher revisions. Trades whose
            bars are no longer at hand are appended to :attr:`overdue`.
        """
        if not len(trades):
            return np.zeros(0, BAR)
        self._grow(int(trades["symbol"].max()) + 1)
        trades = trades.view()
        trades.flags.writeable = False  # one compiled kernel serves both kinds of array
        parts = []
        start = 0
        while start < len(trades):
            start, n, m = kernel.route(
                self._head, self._now, self._slots, self._tfs, self.lateness,
                trades, start, self._out, self._overdue,
            )  # fmt: skip
            parts.append(self._out[:n].copy())
            for row, j in self._overdue[:m]:
                self.overdue.append(Overdue(trades[row : row + 1].copy(), self.timeframes[j]))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def advance(self, clock: int) -> Rows:
        """Return the bars that the clock closes: end plus lateness has passed.

        Parameters
        ----------
        clock : int
            Time of receipt in ns UTC; in a replay that of the tape.
        """
        parts = []
        at = np.array([0, len(self._head)], np.int64)
        while at[0] < at[1]:
            at[0], n = kernel.advance(
                self._head, self._now, self._slots, self._tfs, self.lateness, clock, at, self._out
            )
            parts.append(self._out[:n].copy())
        return np.concatenate(parts) if parts else np.zeros(0, BAR)

    def due(self) -> int:
        """Return the time of receipt, ns UTC, at which the clock closes the next bar."""
        if not len(self._head):
            return int(kernel.ALWAYS)
        return int((self._head["due"] - self._head["shift"]).min())

    def finish(self) -> Rows:
        """Close every bar, as at the end of a recording, and return the bars."""
        self.resume(list(self._paused))
        return self.advance(int(kernel.ALWAYS) - 1)

    def adopt(
        self,
        symbol: int,
        name: Timeframe | str,
        trades: Rows,
        *,
        until: int | None = None,
        anew: bool = False,
    ) -> Rows:
        """Begin a timeframe of a symbol as if it had been there for these trades already.

        Parameters
        ----------
        symbol : int
        name : Timeframe or str
            Added if it is not there.
        trades : array of TRADE
            All that :meth:`add` has had of this symbol since some time, and no other.
        until : int or None
            Bars that end by then, ns UTC, are closed, as the clock has closed them before; None
            is those that trades close.
        anew : bool
            Whether the timeframe is there and begins again: of the trades that it has had some
            say something else now, or count no more.

        Returns
        -------
        array of BAR
            The bars they close.
        """
        tf = timeframe(name)
        if anew:
            self.remove_timeframe(tf, symbols=[symbol])
        self.add_timeframe(tf, symbols=[symbol])
        other = type(self)([tf], lateness=self.lateness / 1e9)
        if not len(trades):
            return np.zeros(0, BAR)
        own = trades.copy()
        own["symbol"] = 0
        bars = other.add(own)
        if until is not None:
            shift = other._head["shift"].copy()
            other._head["shift"] = 0  # the clock of the market itself
            bars = np.concatenate([bars, other.advance(until + self.lateness)])
            other._head["shift"] = shift
        bars["symbol"] = symbol
        for late in other.overdue:
            late.trade["symbol"] = symbol
        self.overdue += other.overdue
        self._take_over(symbol, tf, other, anew)
        return bars

    def _take_over(self, symbol: int, tf: Timeframe, other: BarBuilder, anew: bool) -> None:
        """Take over the state of one series from a builder that had only it, as symbol 0."""
        head, young = self._head[symbol : symbol + 1], other._head[0]
        last = (head["time"][0], head["sequence"][0])
        if anew or not head["count"][0] or (young["time"], young["sequence"]) > last:
            # The last trade of all is the close of every newest bar.
            for name in ("time", "sequence", "price"):
                head[name] = young[name]
        head["shift"] = max(head["shift"][0], young["shift"])
        head["dirty"] += anew
        kernel.adopt(
            self._head, self._now, self._slots, self._tfs, symbol, self.timeframes.index(tf),
            self.lateness, other._head, other._now, other._slots,
        )  # fmt: skip
        if symbol in self._paused:
            del self._paused[symbol]
            self.pause([symbol])

    def renumber(self, symbol: int, name: Timeframe | str, known: Rows) -> None:
        """Let the bars at hand go on from revisions that were told before.

        What was told of the time before them was built of trades that are not at hand: late
        trades of that time are overdue.

        Parameters
        ----------
        symbol : int
        name : Timeframe or str
        known : array of BAR
            Of the series; the newest revision of each.
        """
        tf = timeframe(name)
        if symbol >= len(self._head) or tf not in self.timeframes:
            return
        ring = self._tfs[self.timeframes.index(tf)]
        slots = self._slots[symbol, ring["offset"] : ring["offset"] + ring["ring"]]
        revisions = dict(zip(known["time"].tolist(), known["revision"].tolist(), strict=True))
        slots["revision"] = [revisions.get(start, 0) for start in slots["start"].tolist()]
        self._seal(int(self._now["end"][symbol, self.timeframes.index(tf)]), tf, slots)

    def _seal(self, end: int, tf: Timeframe, slots: Rows) -> None:
        """Let no late trade begin a bar of a time before the oldest of these slots."""
        held = slots["start"][slots["state"] != 0]
        for start in range(end - 2 * tf.ns, end - (len(slots) + 1) * tf.ns, -tf.ns):
            place = (start - tf.origin) // tf.ns % len(slots)
            if len(held) and start < held.min() and not slots["state"][place]:
                # No bar starts there, and what comes in its place later is newer.
                slots["start"][place], slots["state"][place] = start + 1, _CLOSED

    def pause(self, symbols: Iterable[int]) -> None:
        """Let the clock close no bar of some symbols: what is not received has not ended."""
        for symbol in symbols:
            self._grow(symbol + 1)
            self._paused.setdefault(symbol, int(self._head["due"][symbol]))
            self._head["due"][symbol] = kernel.ALWAYS

    def resume(self, symbols: Iterable[int]) -> None:
        """Let the clock close bars of some symbols again."""
        for symbol in symbols:
            due = self._paused.pop(symbol, None)
            if due is not None:
                self._head["due"][symbol] = min(due, int(self._head["due"][symbol]))

    def forming(self, symbol: int, name: Timeframe | str) -> Rows:
        """Return the bars of a series that are not closed, as they stand, oldest first.

        The newest bar is the last; before it come those that ended and wait for late trades.
        No row if there is none.
        """
        tf = timeframe(name)
        if symbol >= len(self._head) or tf not in self.timeframes:
            return np.zeros(0, BAR)
        j = self.timeframes.index(tf)
        out = np.zeros(int(self._tfs["ring"][j]) + 1, BAR)
        return out[: kernel.form(self._head, self._now, self._slots, self._tfs, symbol, j, out)]

    def kept(self, name: Timeframe | str) -> int:
        """Return how many bars of a timeframe stay at hand for late trades, the newest included.

        Raises
        ------
        ValueError
            If it is not built.
        """
        return int(self._tfs["ring"][self.timeframes.index(timeframe(name))])

    def touched(self, symbol: int) -> bool:
        """Tell whether a symbol had trades since this was last asked."""
        if symbol >= len(self._head) or not self._head["dirty"][symbol]:
            return False
        self._head["dirty"][symbol] = 0
        return True

    def last(self, symbol: int) -> tuple[int, float] | None:
        """Return time in ns and price of a symbol's last trade by event time, or None."""
        if symbol >= len(self._head) or self._head["time"][symbol] == kernel.NEVER:
            return None
        return int(self._head["time"][symbol]), float(self._head["price"][symbol])
