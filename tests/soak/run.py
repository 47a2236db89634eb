"""Many seeds of faults, kills and reconnects, with a table at the end: `make soak`."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tqdm.auto import tqdm

from tests.soak.chaos import Verdict, chaos
from tests.soak.killing import kill_a_recorder
from tests.soak.reconnects import reconnect_often

_COLUMNS = (
    *("trades", "missing", "duplicate", "invented", "wrong_prices", "bars", "wrong_bars"),
    *("flat_bars", "provider_bars", "wrong_provider_bars", "open_holes", "declared"),
    "overdeclared",
)


def main() -> int:
    """Run as many seeds as asked for; return how many of all parts were not good."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=1, help="number of the first seed")
    parser.add_argument("--seconds", type=float, default=20.0, help="of faults for each seed")
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--reconnects", type=int, default=1000)
    given = parser.parse_args()
    _quiet()
    bad = 0
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory() as folder:
        seeds = range(given.first, given.first + given.seeds)
        done = _verdicts(seeds, Path(folder), given.seconds, given.jobs)
        for verdict in tqdm(done, total=len(seeds), desc="chaos", unit="seed"):
            verdicts.append(verdict)
            if not verdict.good:
                bad += 1
                tqdm.write("\n    ".join([f"seed {verdict.seed}: {verdict}", *verdict.notes]))
        _table(verdicts)
        if given.kills:
            killed = kill_a_recorder(given.first, Path(folder), kills=given.kills)
            bad += not killed.good
            print(killed)
    if given.reconnects:
        grown = reconnect_often(given.reconnects)
        bad += not grown.good
        print(grown)
    print("all good" if not bad else f"{bad} not good")
    return bad


def _quiet() -> None:
    logging.disable(logging.WARNING)


def _verdicts(seeds: range, folder: Path, seconds: float, jobs: int) -> Iterator[Verdict]:
    """Yield what each seed came to, in the order in which they end."""
    if jobs == 1:
        for seed in seeds:
            yield chaos(seed, folder, seconds=seconds)
        return
    # A process that serves and receives has threads: a fork of it could stand still.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, initializer=_quiet) as pool:
        waiting = [pool.submit(chaos, seed, folder, seconds=seconds) for seed in seeds]
        for one in as_completed(waiting):
            yield one.result()


def _table(verdicts: list[Verdict]) -> None:
    print(f"\n{'seeds':>22} {len(verdicts)}, good {sum(verdict.good for verdict in verdicts)}")
    for name in _COLUMNS:
        print(f"{name:>22} {sum(getattr(verdict, name) for verdict in verdicts):,}")
    struck = sum((verdict.struck for verdict in verdicts), Counter())
    print(f"{'faults':>22} {struck.total():,}: {dict(struck.most_common())}")
    print(f"{'seconds':>22} {sum(verdict.seconds for verdict in verdicts):,.0f}")


if __name__ == "__main__":
    sys.exit(main())
