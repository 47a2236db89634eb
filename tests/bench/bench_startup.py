"""Starting: importing the package, and compiling its kernels, cold and from the cache.

Each figure is that of a fresh process. The floors are an empty interpreter, and an interpreter
that imports numba.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from time import perf_counter

ROUNDS = 3
WARM = "from workbench.warmup import warm; warm()"


def run(code: str, cache: str | None = None) -> float:
    """Return the wall seconds of a fresh interpreter."""
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    if cache is not None:
        environment["XDG_CACHE_HOME"] = cache
    begin = perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return perf_counter() - begin


def main() -> None:
    """Print all figures."""
    codes = {
        "empty interpreter": "pass",
        "import workbench": "import workbench",
        "import numba": "import numba",
    }
    times: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(ROUNDS):
        for name, code in codes.items():
            times[name].append(run(code))
    medians = {name: statistics.median(seen) for name, seen in times.items()}
    empty, numba = medians["empty interpreter"], medians["import numba"]
    for name, seconds in medians.items():
        print(f"{name:<28}{seconds * 1e3:9.0f} ms, {seconds / empty:.1f}x an empty interpreter")
    with tempfile.TemporaryDirectory() as cache:
        cold = run(WARM, cache)
        warm = statistics.median(run(WARM, cache) for _ in range(3))
    print(f"{'all kernels, nothing cached':<28}{cold * 1e3:9.0f} ms")
    print(
        f"{'all kernels, from the cache':<28}{warm * 1e3:9.0f} ms, 1/{cold / warm:.0f} of cold, "
        f"{warm / numba:.1f}x importing numba"
    )


if __name__ == "__main__":
    main()
