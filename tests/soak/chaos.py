"""A feed under random faults, judged by what the simulator knows it sent or serves."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from workbench.bars.batchbars import time_bars
from workbench.bars.build import build_bars
from workbench.bars.kinds import BarKind
from workbench.bars.quotebars import QUOTE_FAMILIES
from workbench.feeds import connect
from workbench.flow.feed import Feed
from workbench.flow.window import Window
from workbench.history.archive import open_archive
from workbench.history.fetch import fetch_rows
from workbench.history.request import request
from workbench.records import CLOSED, Rows
from workbench.sim.faultswitch import Switch
from workbench.sim.run import RunningSimulator, start_simulator
from workbench.store.coverage import OPEN, Interval, Series
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
#: Symbols of which bars of other kinds are watched, and these kinds.
WATCHED = ("BTC-USD", "AAPL")
KINDS = ("trades:7", "imbalance-trades:5", "heikin-ashi@1s", "line-break:2@1s", "mid@1s")
#: Another symbol of the same connection, whose history can be had.
PEER = "BTC-USD"
#: Faults that are waited for to strike: any connection goes on until they do.
_ENOUGH = 5
#: What is doubted of one symbol only, for an event that cannot be read, is at most so long, ns.
_OWN = 5 * 10**9
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
    *("units:unit=us", "units:unit=ns", "skew:seconds=90", "crossed", "duplicate:how=frame"),
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
        Ranges given up of the symbol whose history is refused, and parts of them that did not
        have to be fetched of another symbol of the same connection.
    errors : Counter
        What raised inside the feed.
    left : list of str
        Threads that stayed behind.
    struck : Counter
        Faults that struck.
    seconds : float
    notes : list of str
        What exactly is wrong, with what the ledger says of it; times in seconds of the run.
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
    notes: list[str] = field(default_factory=list, repr=False)

    @property
    def good(self) -> bool:
        """Whether nothing is lost, doubled or invented, and nothing stayed behind."""
        bad = (
            *(self.missing, self.duplicate, self.invented, self.wrong_bars, self.flat_bars),
            *(self.wrong_prices, self.wrong_provider_bars),
            *(self.open_holes, self.overdeclared, self.errors.total(), len(self.left)),
        )
        return self.trades > 0 and self.bars > 0 and not any(bad)

    def note(
        self,
        symbol: str,
        what: str,
        times: list[int],
        marks: list[tuple[Series, Interval]],
        start: int,
    ) -> None:
        """Keep what is wrong at some times, ns, and what the ledger says there."""
        if not times:
            return
        told = {
            f"{one.kind}{one.timeframe or ''} {(i.start - start) / 1e9:.3f} to "
            f"{(i.end - start) / 1e9:.3f} {i.state} ({i.learned})"
            for one, i in marks
            if i.start <= times[-1] and i.end > times[0]
        }
        when = [round((time - start) / 1e9, 3) for time in times]
        self.notes.append(f"{symbol}: {what} {when[:20]}; {sorted(told)}")


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
            patience_seconds=3600.0,
        )  # fmt: skip
        with feed:
            channels = ("trade", "quote", "bar:1s", "bar:1m")
            feed.subscribe(SYMBOLS, TIMEFRAMES, channels=channels, timeout=240)
            watched = [feed.watch(symbol, kind) for symbol in WATCHED for kind in KINDS]
            feed.wait(timeout=240, count=50, whole=True)
            start = time.time_ns() // 10**6 * 10**6
            # Refused for good: how long others may be tried is another matter.
            simulator.faults.on("rest-error", status=403, path=LOST.replace("-", ""))
            for _ in range(faults):
                name, _, rest = dice.choice(FAULTS).partition(":")
                given = dict(part.split("=") for part in rest.split(",") if part)
                simulator.faults.on(name, **{k: _number(v) for k, v in given.items()}, count=1)
                time.sleep(seconds / faults * dice.uniform(0.2, 1.8))
            _wait(lambda: faults - len(_waiting(simulator)) >= min(_ENOUGH, faults))
            for switch in _waiting(simulator):
                simulator.faults.off(switch.number)
            end = time.time_ns() // 10**6 * 10**6
            known = _settle(feed, simulator, path, start, end)
            for window in watched:
                _judge_kind(verdict, feed, window, start, end)
            simulator.faults.clear()
            verdict.struck = Counter(simulator.faults.counts())
            verdict.errors = Counter(feed.health.errors)
            events = [f"{(e.time - start) / 1e9:.2f} {e.kind} {e.text}" for e in feed.events(300)]
            assert feed.health.conserved()
        with open_store(path, mode="ro") as store:
            for symbol in SYMBOLS:
                truth = simulator.trades(symbol, start, end)
                _judge(verdict, store, simulator, symbol, truth, known[symbol], start, end)
                _judge_provider(verdict, store, simulator, symbol, start, end)
    gc.collect()

    def left() -> list[str]:
        every = threading.enumerate()
        return [t.name for t in every if t.ident not in before and t.is_alive()]

    _wait(lambda: not left())
    verdict.left = left()
    verdict.seconds = time.monotonic() - begun
    verdict.notes += [] if verdict.good else events
    return verdict


def _wait(predicate: Callable[[], object]) -> None:
    """Wait until something holds, or for long in vain: what is judged then shows it."""
    patience = time.monotonic() + 240
    while not predicate() and time.monotonic() < patience:
        time.sleep(0.01)


def _waiting(simulator: RunningSimulator) -> list[Switch]:
    """Return the faults that were drawn and have not struck."""
    return [one for one in simulator.faults.switches() if not one.values.get("path")]


def _number(text: str) -> str | float:
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return text


_Known = dict[str, set[tuple[int, int]]]


def _settle(feed: Feed, simulator: RunningSimulator, path: Path, start: int, end: int) -> _Known:
    """Wait until what the provider tells by now has come and is in bars; return it.

    What it tells later of that time, as late reports, may come or not.
    """
    wanted = {symbol: set(_ids(simulator.trades(symbol, start, end))) for symbol in SYMBOLS}
    with open_store(path, mode="ro") as store:

        def settled() -> bool:
            feed.wait(timeout=240, whole=True)
            held = {s: store.rows("trade", s, start=start, end=end) for s in SYMBOLS}
            return all(
                (symbol == LOST or wanted[symbol] <= set(_ids(rows)))
                and _told(store, symbol, rows, start, end)
                for symbol, rows in held.items()
            )

        _wait(settled)
    # A loss may have been noticed only after the first wait: all of it must be settled.
    feed.wait(timeout=240, whole=True)
    return wanted


def _told(store: Store, symbol: str, trades: Rows, start: int, end: int) -> bool:
    """Tell whether there is a bar of every interval that has trades and is over."""
    for name in TIMEFRAMES:
        due = _over(time_bars(trades, name), name, start, end)["time"]
        held = store.rows("bar", symbol, timeframe=name, start=start, end=end, origin=0)["time"]
        if not np.isin(due, held).all():
            return False
    return True


def _over(bars: Rows, name: str, start: int, end: int) -> Rows:
    """Return the bars that lie within a span."""
    return bars[(bars["time"] >= start) & (bars["time"] + timeframe(name).ns <= end)]


def _ids(rows: Rows) -> list[tuple[int, int]]:
    # On the wire times have whole ms.
    return list(zip((rows["time"] // 10**6).tolist(), rows["id"].tolist(), strict=True))


def _judge(
    verdict: Verdict,
    store: Store,
    simulator: RunningSimulator,
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
    lost = [
        ms * 10**6
        for ms, _ in sorted(known - set(ours))
        if not any(low <= ms * 10**6 + 10**6 and ms * 10**6 < high for low, high in given_up)
    ]
    if symbol == LOST:
        lost = [time for time in lost if not _late_in(simulator, symbol, time, given_up)]
    verdict.missing += len(lost)
    verdict.note(symbol, "missing", lost, marks, start)
    verdict.invented += len(set(ours) - theirs)
    said = dict(zip(_ids(truth), truth[["price", "size"]].tolist(), strict=True))
    told = zip(ours, stored[["price", "size"]].tolist(), strict=True)
    verdict.wrong_prices += sum(said.get(row, ps) != ps for row, ps in told)
    for name in TIMEFRAMES:
        clean = _over(time_bars(stored, name), name, start, end)
        held = store.rows("bar", symbol, timeframe=name, start=start, end=end, origin=0)
        held = _over(held, name, start, end)
        verdict.bars += len(clean)
        verdict.flat_bars += int((held["count"] == 0).sum())
        fields = ["time", "open", "high", "low", "close", "volume", "count"]
        wrong = {tuple(row) for row in clean[fields].tolist()} ^ {
            tuple(row) for row in held[fields].tolist()
        }
        verdict.wrong_bars += len(wrong)
        verdict.note(symbol, f"wrong {name}", sorted(row[0] for row in wrong), marks, start)
    ends: dict[Series, int] = {}
    for series, one in marks:
        ends[series] = max(ends.get(series, 0), one.end)
    for series, one in marks:
        if one.state == "doubt" and one.end == ends[series]:
            continue  # what was live when the feed ended, of bars that were not over
        within = one.start < end and one.end > start
        if one.state == "missing" and symbol == LOST:
            verdict.declared += within
            if within and series.kind == "trade":
                more = _beyond(one, store.intervals(PEER))
                verdict.overdeclared += len(more)
                verdict.note(symbol, "declared too much", more, marks, start)
        elif one.state == "missing" or (one.state == "doubt" and one.ready != OPEN):
            verdict.open_holes += within
            verdict.note(symbol, f"open {series}", [one.start] * within, marks, start)


def _judge_kind(verdict: Verdict, feed: Feed, window: Window, start: int, end: int) -> None:
    """Compare bars of another kind with those of all that the feed has by now."""
    kind = window.timeframe
    assert isinstance(kind, BarKind)
    of = "quote" if kind.family in QUOTE_FAMILIES else "trade"

    taken: list[tuple[Rows, Rows]] = []

    def take() -> bool:
        if not feed._core.mending_now:  # a late report is in the trades before it is in the bars
            rows = feed._core.recent(of, window.symbol, None)  # type: ignore[arg-type]
            taken.append((rows, window.closed()))
        return bool(taken)

    _wait(lambda: feed._call(take))
    ((rows, held),) = taken
    clean = build_bars(rows[np.argsort(rows["time"], kind="stable")], kind)
    clean = clean[clean["state"] == CLOSED]
    both = min(len(held), len(clean))
    fields = ["time", "open", "high", "low", "close", "volume", "count"]
    differ = held[fields][:both] != clean[fields][:both]
    # The last ones may wait for what comes late.
    missing = int((clean["time"][both:] < end - 10 * 10**9).sum())
    wrong = int(differ.sum()) + max(0, missing - 1) + len(held[both:])
    verdict.bars += both
    verdict.wrong_bars += wrong
    times = [*held["time"][:both][differ].tolist(), *held["time"][both:].tolist()]
    verdict.note(window.symbol, f"wrong {kind} ({missing} missing)", times, [], start)


def _late_in(
    simulator: RunningSimulator, symbol: str, time: int, given_up: list[tuple[int, int]]
) -> bool:
    """Tell whether trades of a time were reported late, while what was sent got lost.

    Where no history can be asked, nobody knows of such a report.
    """
    span = (time, time + 10**6)
    return any(
        len(simulator.trades(symbol, *span, known=high))
        > len(simulator.trades(symbol, *span, known=low))
        for low, high in given_up
    )


def _beyond(one: Interval, marks: list[tuple[Series, Interval]]) -> list[int]:
    """Return where long parts of an interval begin that were not fetched of another symbol."""
    begins, reached = [], one.start
    for series, other in marks:
        fetched = series.kind == "trade" and other.learned == "fetch gap fill"
        if not fetched or other.end <= reached or other.start >= one.end:
            continue
        if other.start - reached > _OWN:
            begins.append(reached)
        reached = other.end
    return [*begins, reached] if one.end - reached > _OWN else begins


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
        wrong = [bar for bar in differ if not _was_served(simulator, symbol, bar, name, ours)]
        verdict.wrong_provider_bars += len(wrong)
        verdict.note(symbol, f"provider {name}", sorted(wrong), store.intervals(symbol), start)


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
