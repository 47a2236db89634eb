"""A few minutes of one symbol's synthetic quotes and trades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.records import QUOTE, TRADE, Rows
from workbench.sim.hours import SECOND
from workbench.sim.instrument import Instrument

__all__ = ["BLOCK", "LATEST", "NUMBERS", "Block", "Setting", "arrivals", "make_block"]

#: Usual length of a block, ns. Divides every hour, so that sessions start with a block.
BLOCK = 300 * SECOND
#: The longest a late trade is held back, ns.
LATEST = 90 * SECOND
#: Ids and sequence numbers a block may use: no two blocks share any.
NUMBERS = 10_000_000

_TRF = 4
_OFFSPRING = 0.6
_ODD_LOT, _SWEEP, _EXTENDED = 37, 14, 12

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a block is made from, besides its instrument and random numbers.

    Attributes
    ----------
    number : int
        Blocks since the epoch; the block starts at number * length.
    length : int
        Length of the block, ns.
    rate : float
        Mean trades per second.
    first, last : float
        Log price at its start and end.
    deviation : float
        Standard deviation of the log price over the block.
    late : float
        Share of trades that are told late, 0 to 1.
    extended : bool
        Outside the regular session: trades carry condition 12.
    """

    number: int
    length: int
    rate: float
    first: float
    last: float
    deviation: float
    late: float
    extended: bool


@dataclass(frozen=True, slots=True)
class Block:
    """The quotes and trades of a block.

    Attributes
    ----------
    quotes, trades : arrays of QUOTE and TRADE
        In order of event time; `received` is when the provider sends them.
    outgoing : array of TRADE
        The trades in order of sending.
    """

    quotes: Rows
    trades: Rows
    outgoing: Rows


def arrivals(rng: np.random.Generator, rate: float, length: int) -> Ints:
    """Return clustered event times: a Poisson cluster (Hawkes) process.

    Parameters
    ----------
    rng : numpy.random.Generator
    rate : float
        Mean events per second.
    length : int
        Span in ns; times fall into [0, length).

    Returns
    -------
    array of int64
        Sorted times, ns.
    """
    seconds = length / SECOND
    parents = rng.uniform(0, seconds, rng.poisson(rate * (1 - _OFFSPRING) * seconds))
    times = [parents]
    while len(parents):
        children = np.repeat(parents, rng.poisson(_OFFSPRING, len(parents)))
        # Two kinds of answers: machines within milliseconds, people within seconds.
        scale = np.where(rng.random(len(children)) < 0.7, 0.04, 4.0)
        # What would fall into the next block comes round at the start of this one.
        parents = (children + rng.exponential(1.0, len(children)) * scale) % seconds
        times.append(parents)
    flat = (np.concatenate(times) * SECOND).astype(np.int64)
    flat.sort()
    return np.minimum(flat, length - 1)


def make_block(item: Instrument, setting: Setting, rng: np.random.Generator) -> Block:
    """Make a block: quotes around a random path, and trades at the quotes in force.

    Every trade lies within the newest quote at or before it.
    """
    traded = arrivals(rng, setting.rate, setting.length)
    quotes, bid, ask = _quotes(item, setting, traded, rng)
    trades = _trades(item, setting, traded, quotes, bid, ask, rng)
    outgoing = trades[np.argsort(trades["received"], kind="stable")]
    for rows in (quotes, trades, outgoing):
        rows.flags.writeable = False
    return Block(quotes, trades, outgoing)


def _path(setting: Setting, times: Ints, rng: np.random.Generator) -> Floats:
    """Return the log price at sorted times: a bridge from the first to the last price."""
    gaps = np.diff(times, prepend=0) / setting.length
    walk = np.cumsum(rng.standard_normal(len(times)) * np.sqrt(gaps)) * setting.deviation
    rest = max(0.0, 1.0 - times[-1] / setting.length) if len(times) else 0.0
    end = walk[-1] + rng.standard_normal() * setting.deviation * np.sqrt(rest)
    drift = setting.last - setting.first - end
    return np.asarray(setting.first + walk + drift * (times / setting.length))


def _quotes(
    item: Instrument, setting: Setting, traded: Ints, rng: np.random.Generator
) -> tuple[Rows, Ints, Ints]:
    alone = rng.poisson(setting.rate * setting.length / SECOND * 1.2)
    answers = traded[rng.random(len(traded)) < 0.6]
    answers = answers + rng.integers(200_000, 30_000_000, len(answers))
    times = np.concatenate([np.zeros(1, np.int64), rng.integers(0, setting.length, alone), answers])
    times = np.sort(times[times < setting.length])
    n = len(times)
    step = 10.0**-item.decimals
    middle = np.exp(_path(setting, times, rng)) / step
    # Spreads drift slowly and are wide now and then.
    noise = np.convolve(rng.standard_normal(n + 24), np.full(25, 0.2), "valid")
    spread = 1 + np.floor(np.exp(0.6 * noise) * item.level * 6e-5 / step).astype(np.int64)
    bid = np.maximum(1, np.floor(middle - spread / 2)).astype(np.int64)
    ask = bid + spread
    rows = np.zeros(n, QUOTE)
    rows["time"] = rows["received"] = times + setting.number * setting.length
    # Divided by a power of ten rather than multiplied by the step: the nearest double.
    rows["bid"], rows["ask"] = bid / 10.0**item.decimals, ask / 10.0**item.decimals
    for column in ("bid_size", "ask_size"):
        depth = rng.exponential(4.0, n) * item.typical * 3
        rows[column] = (
            (1 + np.floor(depth / 100)) * 100
            if item.kind == "stocks"
            else np.maximum(np.round(depth, item.lot), 10.0**-item.lot)
        )
    rows["sequence"] = _numbers(setting, n, rng)
    for column in ("bid_exchange", "ask_exchange"):
        rows[column] = _venues(item, n, rng) if item.kind == "stocks" else item.venues[0]
    return rows, bid, ask


def _trades(
    item: Instrument,
    setting: Setting,
    traded: Ints,
    quotes: Rows,
    bid: Ints,
    ask: Ints,
    rng: np.random.Generator,
) -> Rows:
    n = len(traded)
    rows = np.zeros(n, TRADE)
    rows["time"] = traded + setting.number * setting.length
    at = np.searchsorted(quotes["time"], rows["time"], "right") - 1
    # Takers tend to be right about where the price goes next.
    later = np.minimum(at + 4, len(bid) - 1)
    ahead = np.sign(bid[later] + ask[later] - bid[at] - ask[at])
    side = np.where(rng.random(n) < 0.5 + 0.2 * ahead, 1, -1)
    price = np.where(side > 0, ask[at], bid[at])
    inside = rng.random(n) < 0.08
    price[inside] = ((bid[at] + ask[at]) // 2)[inside]
    rows["price"] = price / 10.0**item.decimals
    rows["side"] = side
    rows["size"] = _sizes(item, n, rng)
    rows["exchange"] = _venues(item, n, rng)
    rows["sequence"] = _numbers(setting, n, rng)
    if item.kind == "stocks":
        rows["id"] = setting.number * NUMBERS + 1 + np.arange(n)
        rows["conditions"] = _conditions(setting, rows["size"], rng)
    else:
        rows["id"] = rows["sequence"]
        rows["conditions"] = np.where(side > 0, 2, 1)
    held = rng.random(n) < setting.late
    delay = rng.integers(2 * SECOND, LATEST, n)
    rows["received"] = rows["time"] + np.where(held, delay, 0)
    if item.kind == "stocks":
        # Late reports come from the reporting facility, not from an exchange.
        rows["exchange"][held] = _TRF
    return rows


def _numbers(setting: Setting, n: int, rng: np.random.Generator) -> Ints:
    """Return n rising numbers with holes, beyond those of all earlier blocks."""
    steps = np.where(rng.random(n) < 0.8, 1, rng.integers(2, 9, n))
    return np.asarray(setting.number * NUMBERS + np.cumsum(steps), np.int64)


def _venues(item: Instrument, n: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    edges = np.cumsum(item.shares)[:-1]
    return np.asarray(item.venues)[np.searchsorted(edges, rng.random(n), "right")]


def _sizes(item: Instrument, n: int, rng: np.random.Generator) -> Floats:
    if item.kind == "stocks":
        odd = 1 + np.floor(rng.beta(0.7, 2.0, n) * 98)
        lots = 100 * (1 + np.floor(np.minimum(rng.pareto(1.5, n), 400)))
        return np.where(rng.random(n) < 0.4, odd, lots)
    heavy = np.exp(1.1 * rng.standard_normal(n)) * (1 + np.minimum(rng.pareto(1.8, n), 200))
    # Rounded by division: 0.1 + 0.2 style noise would not survive a trip through JSON.
    units = np.maximum(1, np.rint(heavy * item.typical * 10.0**item.lot))
    return np.asarray(units / 10.0**item.lot)


def _conditions(setting: Setting, size: Floats, rng: np.random.Generator) -> Ints:
    """Return up to three condition codes, packed a byte each from the lowest."""
    packed = np.zeros(len(size), np.int64)
    shift = np.zeros(len(size), np.int64)
    marks = [
        (np.full(len(size), setting.extended), _EXTENDED),
        (rng.random(len(size)) < 0.3, _SWEEP),
        (size < 100, _ODD_LOT),
    ]
    for mask, code in marks:
        packed[mask] |= code << shift[mask]
        shift[mask] += 8
    return packed
