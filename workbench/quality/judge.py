"""Judge rows by the rules, remembering what a judgement needs: levels, ids, last bars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.kernels import gate as kernel
from workbench.kernels.exact import LIMIT
from workbench.quality.rules import CLASSES, Rules
from workbench.records import TRADE, Rows
from workbench.symbols import SymbolTable, asset_class

__all__ = ["BarJudge", "Confirmed", "Judge", "Verdicts"]

#: Names of the kernel's verdicts; the first is none.
_NAMES = ("", "duplicate", "price", "size", "time", "deviation", "outsize")
#: Switches a limit off: finite, so that its products stay numbers.
_OFF = 1e200
_NEVER = 1 << 59
_REMEMBERED = 20


@dataclass(slots=True)
class Confirmed:
    """Trades refused before that make a new level with one that came now.

    Attributes
    ----------
    at : int
        Row of the batch that confirmed them; they come before it.
    rows : array of TRADE
    serials : int64 array
        Their numbers among all trades that came.
    """

    at: int
    rows: Rows
    serials: npt.NDArray[np.int64]


@dataclass(slots=True)
class Verdicts:
    """What was found of the rows of a batch.

    Attributes
    ----------
    codes : uint8 array
        0 accepted, else which rule met the row.
    names : tuple of str
        Names of the rules by code.
    against : float64 array
        Level or typical size a refused row was judged by, until the next batch is judged;
        undefined elsewhere, and perhaps longer than the batch.
    serial : int
        Number of the first row among all of its kind that came.
    confirmed : tuple of Confirmed
    """

    codes: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    against: npt.NDArray[np.float64]
    serial: int
    confirmed: tuple[Confirmed, ...] = ()


class Judge:
    """Judge trades and quotes.

    Parameters
    ----------
    table : SymbolTable
        Names for the rows' symbols, which decide the limits.
    rules : Rules
    remember : int
        Trades remembered at least to tell repeats.
    """

    def __init__(self, table: SymbolTable, rules: Rules, remember: int = 200_000) -> None:
        self.rules = rules
        self._table = table
        self._limits = _packed(rules)
        # Two tables in turn: the old one is forgotten when the young one has its share.
        # A table holds half its length, so that one alone remembers what was promised.
        self._largest = 1 << (2 * max(remember, 512) - 1).bit_length()
        self._young = _keys(1024)
        self._old = _keys(1024)
        self._held = 0
        self._known = 0
        self._levels = _aligned(64)
        #: What is known of each symbol, by its number.
        self.levels = self._levels[:0]
        self._against = np.empty(1024)
        self._waiting = np.zeros((64, kernel.WAITING), TRADE)
        self._serials = np.zeros((64, kernel.WAITING), np.int64)
        self._came = {"trade": 0, "quote": 0}

    @property
    def nbytes(self) -> int:
        """Memory used to tell repeats, bytes."""
        return self._young.nbytes + self._old.nbytes

    def trades(self, rows: Rows, fetched: bool = False) -> Verdicts:
        """Judge trades in order of receipt.

        Parameters
        ----------
        rows : array of TRADE
        fetched : bool
            Whether they are of the past: then they are not judged by the level, and do not
            set it; only the typical size is taken of them while no live trade came.
        """
        verdicts = self._begun("trade", rows)
        self._judge(rows, fetched, verdicts)
        return verdicts

    def _judge(self, rows: Rows, fetched: bool, verdicts: Verdicts) -> None:
        if self._known < len(self._table):
            self._meet(len(self._table))
        start = 0
        while True:
            start, self._held, why = kernel.judge_trades(
                rows, start, int(fetched), verdicts.serial, self._young, self._old, self._held,
                self.levels, self._limits, self._waiting, self._serials, verdicts.codes,
                verdicts.against,
            )  # fmt: skip
            if why == 0:
                return
            if why == 1:
                self._make_room()
            elif why == 2:
                self._meet(int(rows["symbol"][start]) + 1)
            else:
                verdicts.confirmed += (self._take(rows, start - 1, why - 2),)

    def quotes(self, rows: Rows) -> Verdicts:
        """Judge quotes."""
        verdicts = self._begun("quote", rows)
        if self._known < len(self._table):
            self._meet(len(self._table))
        start = 0
        while True:
            start = kernel.judge_quotes(rows, start, self.levels, self._limits, verdicts.codes)
            if start == len(rows):
                return verdicts
            self._meet(int(rows["symbol"][start]) + 1)

    def admit(self, rows: Rows, known: bool) -> npt.NDArray[np.bool_]:
        """Accept trades that were refused before, and return which are no repeats.

        Parameters
        ----------
        rows : array of TRADE
        known : bool
            Whether they were compared with what came before when they were refused.
        """
        numbers = rows["symbol"]
        np.subtract.at(self._levels["refused"], numbers, 1)
        if known:
            np.add.at(self._levels["accepted"], numbers, 1)
            return np.ones(len(rows), np.bool_)
        made = rows.copy()
        made["received"] = 0  # their times were found wrong, and are taken as they are
        made.flags.writeable = False
        verdicts = Verdicts(np.zeros(len(rows), np.uint8), _NAMES, np.empty(len(rows)), 0)
        self._judge(made, True, verdicts)
        fresh: npt.NDArray[np.bool_] = verdicts.codes == 0
        return fresh

    def expect(self, number: int, price: float, time: int) -> None:
        """Set the level of a symbol that has had no trade, or only older ones.

        Parameters
        ----------
        number : int
            Of the symbol.
        price : float
        time : int
            Of the price, ns UTC.
        """
        self._meet(number + 1)
        level = self._levels[number]
        if time <= level["newest"]:
            return
        limits = self._limits[level["limits"]]
        reach = max(price * limits["deviation"], limits["least_move"])
        for name in ("p0", "p1", "p2", "p3", "p4", "middle"):
            level[name] = price
        level["low"], level["high"] = price - reach, price + reach
        level["since"] = level["newest"] = time
        level["waiting"] = 0

    def _begun(self, kind: str, rows: Rows) -> Verdicts:
        serial = self._came[kind]
        self._came[kind] += len(rows)
        if len(rows) > len(self._against):
            self._against = np.empty(2 * len(rows))
        return Verdicts(np.zeros(len(rows), np.uint8), _NAMES, self._against, serial)

    def _take(self, rows: Rows, at: int, many: int) -> Confirmed:
        """Take out the trades before one that make a new level with it."""
        number = int(rows["symbol"][at])
        end = int(self._levels["waiting"][number]) - 1
        self._levels["waiting"][number] = 0
        part = slice(end - many + 1, end)
        return Confirmed(at, self._waiting[number, part].copy(), self._serials[number, part].copy())

    def _make_room(self) -> None:
        if len(self._young) < self._largest:
            larger = _keys(min(len(self._young) * 4, self._largest))
            kernel.copy_keys(self._young, larger)
            self._young = larger
        else:
            # In turn: what was old is emptied and used again, so memory stays where it is.
            spare = self._old if len(self._old) == len(self._young) else _keys(self._largest)
            spare["place"] = -1
            self._old, self._young = self._young, spare
            self._held = 0

    def _meet(self, count: int) -> None:
        """Give levels to as many symbols, by the classes of those that have a name."""
        known = self._known
        if count <= known:
            return
        if count > len(self._levels):
            length = 1 << (count - 1).bit_length()
            levels, waiting = _aligned(length), np.zeros((length, kernel.WAITING), TRADE)
            serials = np.zeros((length, kernel.WAITING), np.int64)
            levels[:known] = self._levels[:known]
            some = np.flatnonzero(levels["waiting"])  # the rest stays untouched memory
            waiting[some], serials[some] = self._waiting[some], self._serials[some]
            self._levels, self._waiting, self._serials = levels, waiting, serials
        names = self._table.names()[known:count]
        self._levels["limits"][known : known + len(names)] = [
            CLASSES.index(asset_class(name)) for name in names
        ]
        self._known = count
        self.levels = self._levels[:count]


class BarJudge:
    """Judge bars that a provider made, and number those it sends again.

    Examples
    --------
    >>> from workbench.records import BAR
    >>> bar = np.zeros(1, BAR)
    >>> bar["time"], bar["timeframe"] = 1_700_000_000 * 10**9, 60
    >>> for name in ("open", "high", "low", "close"):
    ...     bar[name] = 10.0
    >>> judge, other = BarJudge(), bar.copy()
    >>> other["volume"] = 5.0
    >>> [judge.bars(rows)[1]["revision"].tolist() for rows in (bar, other)]
    [[0], [1]]
    >>> judge.bars(other)[0].codes.tolist()
    [1]
    """

    names = ("", "duplicate", "ohlc", "time")

    def __init__(self) -> None:
        self.revised = 0
        self._came = 0
        self._kept: dict[tuple[int, int], dict[int, tuple[bytes, int]]] = {}

    def bars(self, rows: Rows) -> tuple[Verdicts, Rows]:
        """Return what was found, and the rows with their revisions."""
        codes = np.zeros(len(rows), np.uint8)
        verdicts = Verdicts(codes, self.names, np.empty(len(rows)), self._came)
        self._came += len(rows)
        codes[~possible(rows)] = 2
        codes[
            (codes == 0) & ((rows["time"] < kernel.EARLIEST) | (rows["time"] >= kernel.LATEST))
        ] = 3
        plain = rows.copy()
        plain["revision"] = 0
        numbers = rows["revision"].copy()
        for i in np.flatnonzero(codes == 0):
            numbers[i] = self._revision(plain[i : i + 1], int(numbers[i]))
            if numbers[i] < 0:
                codes[i] = 1
        if (numbers != rows["revision"]).any():
            plain["revision"] = np.where(codes == 0, numbers, rows["revision"])
            return verdicts, plain
        return verdicts, rows

    def _revision(self, row: Rows, given: int) -> int:
        """Return the revision of a bar; -1 if it is the one that is known."""
        series = self._kept.setdefault((int(row["symbol"][0]), int(row["timeframe"][0])), {})
        time, content = int(row["time"][0]), row.tobytes()
        before = series.get(time)
        if before is None:
            if len(series) >= _REMEMBERED:
                del series[min(series)]
            series[time] = content, given
            return given
        if before[0] == content:
            return -1
        self.revised += 1
        series[time] = content, max(given, before[1] + 1)
        return series[time][1]


def possible(rows: Rows) -> npt.NDArray[np.bool_]:
    """Return which bars do not contradict themselves."""
    prices = np.stack([rows[name] for name in ("open", "high", "low", "close")])
    good: npt.NDArray[np.bool_] = (
        (prices > 0).all(axis=0)
        & (rows["high"] >= prices.max(axis=0))
        & (rows["low"] <= prices.min(axis=0))
        & (prices < LIMIT).all(axis=0)
        & (rows["volume"] >= 0)
        & (rows["volume"] < LIMIT)
        & np.isfinite(rows["vwap"])
        & np.isfinite(rows["notional"])
    )
    return good


def _packed(rules: Rules) -> Rows:
    packed = np.zeros(len(CLASSES), kernel.LIMITS)
    for row, name in zip(packed, CLASSES, strict=True):
        limits = getattr(rules, name)
        row["deviation"] = limits.max_price_deviation or _OFF
        row["least_move"] = limits.min_price_move
        row["outsize"] = min(limits.large_size or _OFF, limits.absurd_size or _OFF)
        row["absurd"] = limits.absurd_size or _OFF
        row["future"] = round((limits.max_future_seconds or 86_400.0) * 1e9)
        row["expiry"] = round(limits.reference_seconds * 1e9) or _NEVER
        row["lateness"] = round(rules.lateness_seconds * 1e9)
        row["confirmations"] = limits.confirmations
        row["exempt"][list(limits.exempt_conditions)] = 1
    return packed


def _aligned(length: int) -> Rows:
    """Return levels that begin where a cache line does: most trades then touch one only."""
    size = length * kernel.LEVEL.itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(kernel.LEVEL)


def _keys(length: int) -> Rows:
    keys = np.zeros(length, kernel.KEY)
    keys["place"] = -1
    return keys
