"""What a trade costs at the gate, against plain Python that judges fewer rules.

Batches of 500 trades that are all accepted, and of one, of 1 and of 1,000 symbols. The peer
holds ids in a set that only grows and the last five prices of each symbol in a deque. Beside it
what it costs when some are refused and kept. CPU time, contestants in turn.
"""

from __future__ import annotations

import statistics
from collections import deque
from time import process_time

import numpy as np

from workbench.gate import Gate, Quarantine
from workbench.quality.rules import Rules
from workbench.records import TRADE, Batch
from workbench.symbols import SymbolTable

COUNT = 40_000
ROUNDS = 15
START = 1_762_180_200 * 10**9


def batches_of(symbols: int, size: int, bad: float = 0.0) -> list[Batch]:
    """Trades of random symbols whose prices wander."""
    rng = np.random.default_rng(symbols)
    rows = np.zeros(COUNT, TRADE)
    rows["time"] = START + np.arange(COUNT) * 1_000_000
    rows["received"] = rows["time"] + 5_000_000
    rows["symbol"] = rng.integers(0, symbols, COUNT)
    rows["id"] = rows["sequence"] = np.arange(1, COUNT + 1)
    rows["price"] = 100.0 + np.cumsum(rng.normal(0, 0.001, COUNT))
    rows["size"] = rng.integers(1, 500, COUNT)
    if bad:
        rows["price"][1000 :: round(1 / bad)] *= 2.0
    return [Batch("trade", rows[at : at + size].copy()) for at in range(0, COUNT, size)]


def spent(batches: list[Batch], symbols: int, rules: Rules) -> float:
    """Return ns of CPU time a trade."""
    gate = Gate(SymbolTable(f"S{n}" for n in range(symbols)), Quarantine(), rules=rules)
    begin = process_time()
    for batch in batches:
        gate.accept(batch)
    return (process_time() - begin) * 1e9 / COUNT


def plain(batches: list[Batch]) -> float:
    """Return ns of CPU time a trade of the peer."""
    seen: set[tuple[int, int, int, int]] = set()
    last: dict[int, deque[float]] = {}
    kept = 0
    begin = process_time()
    for batch in batches:
        columns = (batch.rows[n].tolist() for n in ("id", "symbol", "exchange", "time", "price"))
        for id_, symbol, exchange, time, price in zip(*columns, strict=True):
            key = (id_, symbol, exchange, time)
            if key in seen or not 0.0 < price < 5e14:
                continue
            seen.add(key)
            prices = last.get(symbol)
            if prices is None:
                prices = last[symbol] = deque(maxlen=5)
            elif abs(price / sorted(prices)[len(prices) // 2] - 1.0) > 0.05:
                continue
            prices.append(price)
            kept += 1
    assert kept == COUNT
    return (process_time() - begin) * 1e9 / COUNT


def main() -> None:
    """Print medians and ratios."""
    for symbols in (1, 1000):
        for size in (500, 1):
            batches = batches_of(symbols, size)
            ours, theirs = [], []
            for _ in range(ROUNDS if size > 1 else 5):
                ours.append(spent(batches, symbols, Rules()))
                theirs.append(plain(batches))
            mine, peer = statistics.median(ours), statistics.median(theirs)
            print(
                f"{symbols:5} symbols, {size:3} a batch: {mine:7.1f} ns a trade, "
                f"plain Python {peer:7.1f} ns, {peer / mine:.1f}x"
            )
    bad = statistics.median(spent(batches_of(1, 500, 0.01), 1, Rules()) for _ in range(7))
    good = statistics.median(spent(batches_of(1, 500), 1, Rules()) for _ in range(7))
    print(f"1 in 100 refused: {bad:.1f} ns a trade against {good:.1f}, ratio {bad / good:.1f}")


if __name__ == "__main__":
    main()
