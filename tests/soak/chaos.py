"""A feed under random faults, judged by what the simulator knows it sent or serves."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from workbench.bars.batchbars import time_bars
from workbench.feeds import connect
from workbench.flow.feed import Feed
from workbench.history.archive import open_archive
from workbench.history.fetch import fetch_rows
from workbench.history.request import request
from workbench.records import Rows
from workbench.sim.run import RunningSimulator, start_simulator
from workbench.store.coverage import OPEN
from workbench.store.store import Store, open_store
from workbench.timeframes import timeframe

__all__ = ["FAULTS", "SYMBOLS", "Verdict", "chaos"]

SYMBOLS = (
    *("BTC-USD", "ETH-USD", "SOL-USD", "MATIC-USD", "AVAX-USD"),
    *("LTC-USD", "XRP-USD", "ADA-USD", "DOT-USD", "LINK-USD"),
    *("AAPL", "GOOGL", "TSLA", "SPY", "QQQ", "NVDA", "META", "AMZN", "MSFT", "IBM"),
)
#: Its history is refused all the time: what is lost of it has to be declared missing.
LOST = "LINK-USD"
TIMEFRAMES = ("1s", "1m", "5m")
#: From both ends of what is declared missing, ns; within, something must have been lost. What
#: cannot be read makes some seconds doubtful, though it may have held nothing.
_SURE = 5 * 10**9
#: Every kind of fault that a client can recover from. Left out are those that no client can
#: notice (times shifted by less than is allowed), and a refused key, which must end the feed.
FAULTS = (
    *("drop:code=1000", "drop:code=1001", "drop:code=1006", "drop:code=1006,how=fin"),
    *("drop:code=1006,how=frame", "drop:code=1006,how=header", "drop:code=1008"),
    *("half-open", "stall:seconds=0.5", "outage:seconds=1.0", "kick:status=slow_consumer"),
    *("kick:status=force_disconnect", "burst:factor=10", "framing:how=binary"),
    *("framing:how=fragments", "framing:how=opcode", "framing:how=utf8", "big:megabytes=2"),
    *("garble", "truncate", "nonsense:what=html", "nonsense:what=object", "nonsense:what=numbers"),
    *("unknown:what=event", "unknown:what=status", "wrong", "wrong:field=symbol", "units:unit=s"),
    *("units:unit=us", "units:unit=ns", "skew:seconds=60", "crossed", "duplicate:how=frame"),
    *("duplicate:how=later", "reorder", "late:seconds=2", "hello:how=close", "hello:how=garbage"),
    *(
        "login:how=garbage",
        "refuse:status=503",
        "rest-throttle",
        "rest-error",
        "rest-error:status=503",
    ),
    *("rest-slow:seconds=0.3", "rest-cut", "rest-garble:how=half", "rest-garble:how=html"),
    *("rest-garble:how=empty", "rest-garble:how=no-results", "rest-pages:how=loop"),
    "rest-pages:how=overlap",
)


@dataclass
class Verdict:
    """What a run under faults came to.

    Attributes
    ----------
    seed : int
    trades : int
        That the provider has in the time judged.
    missing, duplicate, invented : int
        Trades the store lacks, has twice, or has and the provider has not.
    bars : int
        Compared.
    wrong_bars : int
        That differ from those of the provider's trades.
    flat_bars : int
        Bars without a trade.
    wrong_prices : int
        Trades stored with another price or size than the provider's.
    provider_bars, wrong_provider_bars : int
        Bars the provider serves, and those that the store has otherwise or not at all.
    open_holes : int
        Ranges still in doubt, or given up though they could be had.
    declared, overdeclared : int
        Ranges given up of the symbol whose history is refused, and those of them in whose
        middle the provider has trades, and all of them came.
    errors : Counter
        What raised inside the feed.
    left : list of str
        Threads that stayed behind.
    struck : Counter
        Faults that struck.
    seconds : float
    """

    seed: int
    trades: int = 0
    missing: int = 0
    duplicate: int = 0
    invented: int = 0
    bars: int = 0
    wrong_bars: int = 0
    flat_bars: int = 0
    wrong_prices: int = 0
    provider_bars: int = 0
    wrong_provider_bars: int = 0
    open_holes: int = 0
    declared: int = 0
    overdeclared: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    left: list[str] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether nothing is lost, doubled or invented, and nothing stayed behind."""
        bad = (
            *(self.missing, self.duplicate, self.invented, self.wrong_bars, self.flat_bars),
            *(self.wrong_prices, self.wrong_provider_bars),
            *(self.open_holes, self.overdeclared, self.errors.total(), len(self.left)),
        )
        return self.trades > 0 and self.bars > 0 and not any(bad)


def chaos(
    seed: int, folder: Path, *, seconds: float = 30.0, faults: int = 30, rate: float = 4.0
) -> Verdict:
    """Run a feed of 20 symbols under faults drawn by a seed, and judge what it stored.

    Parameters
    ----------
    seed : int
    folder : Path
        Takes the store.
    seconds : float
        For which faults are switched on, one after the other.
    faults : int
        How many.
    rate : float
        Trades per second and symbol.
    """
    dice, verdict, begun = random.Random(seed), Verdict(seed), time.monotonic()
    before = {thread.ident for thread in threading.enumerate()}
    path = folder / f"chaos-{seed}.db"
    with start_simulator(port=0, symbols=SYMBOLS, seed=seed, rate=rate, late=0.01) as simulator:
        feed = connect(
            "sim", simulator=simulator, store=path, reconnect="crypto", silence_seconds=1.5,
            silence_check_seconds=0.2, heartbeat_seconds=2.0, overlap_seconds=100.0,
            patience_seconds=15.0,
        )  # fmt: skip
        with feed:
            feed.subscribe(SYMBOLS, TIMEFRAMES, channels=("trade", "quote", "bar:1s", "bar:1m"))
            feed.wait(timeout=60, count=50, whole=True)
            start = time.time_ns() // 10**6 * 10**6
            simulator.faults.on("rest-error", status=404, path=LOST.replace("-", ""))
            for _ in range(faults):
                name, _, rest = dice.choice(FAULTS).partition(":")
                given = dict(part.split("=") for part in rest.split(",") if part)
                simulator.faults.on(name, **{k: _number(v) for k, v in given.items()}, count=1)
                time.sleep(seconds / faults * dice.uniform(0.2, 1.8))
            for switch in simulator.faults.switches():
                if not switch.values.get("path"):
                    simulator.faults.off(switch.number)
            end = time.time_ns() // 10**6 * 10**6
            known = _settle(feed, simulator, path, start, end)
            simulator.faults.clear()
            verdict.struck = Counter(simulator.faults.counts())
            verdict.errors = Counter(feed.health.errors)
            assert feed.health.conserved()
        with open_store(path, mode="ro") as store:
            for symbol in SYMBOLS:
                truth = simulator.trades(symbol, start, end)
                _judge(verdict, store, symbol, truth, known[symbol], start, end)
                _judge_provider(verdict, store, simulator, symbol, start, end)
    gc.collect()
    time.sleep(0.05)
    verdict.left = [t.name for t in threading.enumerate() if t.ident not in before and t.is_alive()]
    verdict.seconds = time.monotonic() - begun
    return verdict


def _number(text: str) -> str | float:
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return text


_Known = dict[str, set[tuple[int, int]]]


def _settle(feed: Feed, simulator: RunningSimulator, path: Path, start: int, end: int) -> _Known:
    """Wait until what the provider tells by now has come and every hole is filled; return it.

    What it tells later of that time, as late reports, may come or not.
    """
    wanted = {symbol: set(_ids(simulator.trades(symbol, start, end))) for symbol in SYMBOLS}
    patience = time.monotonic() + 120
    with open_store(path, mode="ro") as store:
        while time.monotonic() < patience:
            feed.wait(timeout=120, whole=True)
            held = {
                symbol: set(_ids(store.rows("trade", symbol, start=start, end=end)))
                for symbol in SYMBOLS
            }
            if not any(wanted[symbol] - held[symbol] for symbol in SYMBOLS if symbol != LOST):
                break
            time.sleep(0.25)
    return wanted


def _ids(rows: Rows) -> list[tuple[int, int]]:
    # On the wire times have whole ms.
    return list(zip((rows["time"] // 10**6).tolist(), rows["id"].tolist(), strict=True))


def _judge(
    verdict: Verdict,
    store: Store,
    symbol: str,
    truth: Rows,
    known: set[tuple[int, int]],
    start: int,
    end: int,
) -> None:
    stored = store.rows("trade", symbol, start=start, end=end)
    ours, theirs = _ids(stored), set(_ids(truth))
    verdict.trades += len(known)
    verdict.duplicate += len(ours) - len(set(ours))
    marks = store.intervals(symbol)
    given_up = [
        (one.start, one.end)
        for series, one in marks
        if one.state == "missing" and series.kind == "trade"
    ]
    verdict.missing += sum(
        not any(start <= ms * 10**6 + 10**6 and ms * 10**6 < end for start, end in given_up)
        for ms, _ in known - set(ours)
    )
    verdict.invented += len(set(ours) - theirs)
    said = dict(zip(_ids(truth), truth[["price", "size"]].tolist(), strict=True))
    told = zip(ours, stored[["price", "size"]].tolist(), strict=True)
    verdict.wrong_prices += sum(said.get(row, ps) != ps for row, ps in told)
    for name in TIMEFRAMES:
        clean = time_bars(stored, name)
        step = timeframe(name).ns
        clean = clean[(clean["time"] >= start) & (clean["time"] + step <= end)]
        held = store.rows("bar", symbol, timeframe=name, start=start, end=end, origin=0)
        held = held[held["time"] + step <= end]
        verdict.bars += len(clean)
        verdict.flat_bars += int((held["count"] == 0).sum())
        fields = ["time", "open", "high", "low", "close", "volume", "count"]
        verdict.wrong_bars += len(
            {tuple(row) for row in clean[fields].tolist()}
            ^ {tuple(row) for row in held[fields].tolist()}
        )
    for series, one in marks:
        within = one.start < end and one.end > start
        if one.state == "missing" and symbol == LOST:
            verdict.declared += within
            if within and series.kind == "trade":
                inner = _inside(known, one.start + _SURE, one.end - _SURE)
                verdict.overdeclared += bool(inner) and inner <= set(ours)
        elif one.state == "missing" or (one.state == "doubt" and one.ready != OPEN):
            verdict.open_holes += within


def _inside(rows: set[tuple[int, int]], start: int, end: int) -> set[tuple[int, int]]:
    return {row for row in rows if start <= row[0] * 10**6 < end}


def _judge_provider(
    verdict: Verdict, store: Store, simulator: RunningSimulator, symbol: str, start: int, end: int
) -> None:
    """Compare the provider's bars that came with those that it serves now."""
    if symbol == LOST:
        return
    for name in ("1s", "1m"):
        step = timeframe(name).ns
        first, last = -(-start // step) * step, end // step * step
        if first >= last:
            continue
        with open_archive(simulator.rest_url) as archive:
            theirs = fetch_rows(archive, request(symbol, name, start=first, end=last))
        ours = store.rows("bar", symbol, timeframe=name, start=first, end=last, origin=1)
        verdict.provider_bars += len(theirs)
        differ = {int(row[0]) for row in set(_prices(theirs)) ^ set(_prices(ours))}
        verdict.wrong_provider_bars += sum(
            not _was_served(simulator, symbol, bar, name, ours) for bar in differ
        )


def _prices(bars: Rows) -> list[tuple[float, ...]]:
    fields = ["time", "open", "high", "low", "close", "volume"]
    return [tuple(row) for row in bars[fields].tolist()]


def _was_served(
    simulator: RunningSimulator, symbol: str, start: int, name: str, ours: Rows
) -> bool:
    """Tell whether what we have of an interval is what the provider said of it at some time.

    A trade that is reported late changes a bar that was told already, and is not told again.
    """
    end = start + timeframe(name).ns
    early = simulator.trades(symbol, start, end, known=end)
    late = simulator.trades(symbol, start, end)
    late = late[~np.isin(late["id"], early["id"])]
    some = (
        np.concatenate([early, *chosen])
        for count in range(len(late) + 1)
        for chosen in combinations(late.reshape(-1, 1), count)
    )
    had = _prices(ours[ours["time"] == start])
    return any(_prices(time_bars(np.sort(rows, order="time"), name)) == had for rows in some)
