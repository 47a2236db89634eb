"""A recorded trading day at many times its speed, with faults all the time: `make soak-day`."""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import psutil
from tqdm.auto import tqdm

from tests.soak.chaos import FAULTS
from workbench.bars.batchbars import time_bars
from workbench.bars.conditions import US_EQUITIES, marked
from workbench.feeds import connect
from workbench.net.reconnect import PATIENT
from workbench.sim.recording import RecordedMarket
from workbench.sim.run import start_simulator
from workbench.store.store import Store, open_store

#: Length of the longest bars that are compared, ns: none may reach beyond what is judged.
_LONGEST = 300 * 10**9
#: Faults that shift times mean fifty times as much here.
_LEFT_OUT = ("skew", "late", "stall", "rest-slow")
#: At the end of the recording nothing goes wrong for so long, in seconds: once a provider tells
#: nothing more, nobody can know whether a silent market or a loss is heard.
_CALM = 45.0
#: So many lost connections in a row.
_BREAKS = 4
#: So many lost trades are told of, each with what is known for so long around it.
_TOLD, _AROUND = 20, pd.Timedelta("60s")


def tell(
    store: Store,
    symbol: str,
    what: str,
    times: list[int],
    faults: list[tuple[int, str]],
    refused: list[str],
) -> None:
    """Print what went wrong and what is known around each trade that is lost or invented.

    Args:
        store: Store of the day.
        symbol: Symbol of the trades.
        what: "lost" or "invented".
        times: Times of the trades, ms since 1970.
        faults: The faults, each with the market's time at which it was switched on, ns.
        refused: What is in quarantine.
    """
    known = store.coverage(symbol, intervals=True)
    for ms in times[:_TOLD]:
        at = pd.Timestamp(ms, unit="ms", tz="UTC")
        print(f"  {what} {symbol} {at} ({ms})")
        held = store.rows("trade", symbol, start=ms * 10**6, end=(ms + 1) * 10**6)
        for one in held.tolist():
            print(f"    held {dict(zip(held.dtype.names or (), one, strict=True))}")
        for when, fault in faults:
            time = pd.Timestamp(when, unit="ns", tz="UTC")
            if abs(time - at) <= _AROUND:
                print(f"    fault {fault} at {time}")
        near = known[(known["start"] <= at + _AROUND) & (known["end"] >= at - _AROUND)]
        print("    " + near.to_string().replace("\n", "\n    "))
        for row in refused:
            if str(ms) in row:
                print(f"    refused {row[:300]}")


def main() -> int:
    """Play a day through a feed under faults, and compare its store with the recording."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path, nargs="+", help="files of trades")
    parser.add_argument("--speed", type=float, default=50.0)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between faults")
    parser.add_argument("--seed", type=int, default=1, help="of the dice that choose the faults")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    dice, process = random.Random(given.seed), psutil.Process()
    faults = [fault for fault in FAULTS if fault.partition(":")[0] not in _LEFT_OUT]
    bad = 0
    told: list[tuple[int, str]] = []
    market = RecordedMarket(given.recordings)
    ends = max(int(market.trades(name, 0, 2**62, 2**62)["time"][-1]) for name in market.symbols)
    calm = ends - round(_CALM * given.speed * 1e9)
    with (
        tempfile.TemporaryDirectory() as folder,
        start_simulator(
            port=0, trades=tuple(given.recordings), speed=given.speed, wait_for=1
        ) as simulator,
    ):
        path = Path(folder) / "day.db"
        with connect(
            "sim", simulator=simulator, store=path, reconnect="patient", silence_seconds=12.0,
            silence_check_seconds=0.2, heartbeat_seconds=10.0, max_price_deviation=0.0,
        ) as feed:  # fmt: skip
            feed.subscribe(simulator.symbols, ["1s", "1m", "5m"], channels=("trade",))
            feed.wait(timeout=60)
            first = process.memory_info().rss
            with tqdm(desc="day", unit="fault") as bar:
                breaks, well = 0, True
                while simulator.position < calm:
                    # One that strikes while the one before is being mended would only make the
                    # feed wait longer and longer.
                    was, well = well, feed.health.state == "connected"
                    breaks += was and not well
                    if not well:
                        time.sleep(0.02)
                        continue
                    if breaks >= _BREAKS:
                        # After ten in a row a feed gives up; one that holds for a while is new.
                        simulator.faults.clear()
                        time.sleep(1.2 * PATIENT.settled)
                        breaks = 0
                    fault = dice.choice(faults)
                    name, _, rest = fault.partition(":")
                    told.append((simulator.position, fault))
                    parts = dict(part.split("=") for part in rest.split(",") if part)
                    values = {k: int(v) if v.isdigit() else v for k, v in parts.items()}
                    simulator.faults.on(name, count=1, **values)
                    bar.update()
                    time.sleep(dice.uniform(0, 2 * given.every))
            simulator.faults.clear()
            feed.wait(timeout=300, whole=True)
            time.sleep(_CALM / 4)
            feed.wait(timeout=300, whole=True)
            until = simulator.position
            grown = (process.memory_info().rss - first) / 1e6
            struck, errors = Counter(simulator.faults.counts()), Counter(feed.health.errors)
            refused = [repr(row) for row in feed.quarantine.newest(10**6)]
        with open_store(path, mode="ro") as store:
            for symbol in simulator.symbols:
                truth = simulator.trades(symbol)
                whole = len(truth)
                # The bars of its last trades still form: nothing later tells that they are over.
                end = min(until, int(truth["time"][-1])) // _LONGEST * _LONGEST
                truth = truth[truth["time"] < end]
                bad += len(truth) < 0.5 * whole
                theirs = Counter((truth["time"] // 10**6).tolist())
                rows = store.rows("trade", symbol, end=end)
                ours = Counter((rows["time"] // 10**6).tolist())
                wrong = 0
                for name in ("1s", "1m", "5m"):
                    clean = time_bars(marked(truth, US_EQUITIES), name)
                    held = store.rows("bar", symbol, timeframe=name, end=end, origin=0)
                    fields = ["time", "open", "high", "low", "close", "volume", "count"]
                    wrong += len(
                        {tuple(row) for row in clean[fields].tolist()}
                        ^ {tuple(row) for row in held[fields].tolist()}
                    )
                missing, invented = (theirs - ours).total(), (ours - theirs).total()
                bad += bool(missing or invented or wrong)
                for what, some in (("lost", theirs - ours), ("invented", ours - theirs)):
                    tell(store, symbol, what, sorted(some.elements()), told, refused)
                print(
                    f"{symbol}: {len(truth):,} of {whole:,} trades judged, missing {missing}, "
                    f"not the provider's {invented}, wrong bars {wrong}"
                )
    print(f"faults {struck.total()}: {dict(struck.most_common())}")
    print(f"errors {dict(errors)}, memory grown by {grown:.0f} MB")
    return bad


if __name__ == "__main__":
    sys.exit(main())
