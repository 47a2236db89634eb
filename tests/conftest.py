"""What all tests share: real data if there is some, polling, and a look for leaked threads."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent
# Pools that libraries keep for the life of the process, and the pool of a simulator that a
# whole module shares: it grows when it is first asked, and ends with the simulator's thread.
_LASTING = (
    "workbench-sim_",
    "asyncio_",
    "pydevd",
    "Tornado",
    "tqdm_monitor",
    "Dask-Offload",
    "IPython",
    "QueueManager",
    "ThreadPoolExecutor-",
)


def pytest_sessionstart() -> None:
    """Let processes that tests start be interrupted, and reach servers on this machine.

    What a shell starts in the background ignores SIGINT, and so do all its children. A proxy that
    the machine is set up for would be asked for addresses that are its own.
    """
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost,::1"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real market data beside the repository, or skip the test."""
    folder = _ROOT.parent / "shared" / "data"
    if not (folder / "files.csv").is_file():
        reason = "there is no real market data at ../shared/data"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}, which CI=true asks for")
        pytest.skip(reason)
    return folder


@pytest.fixture
def poll_for() -> Callable[..., None]:
    """Return a function that waits until a predicate holds, or fails.

    Patience costs nothing where all is well: machines that test may be slow, and stop at times.
    """

    def wait(predicate: Callable[[], object], timeout: float = 300.0, what: str = "") -> None:
        end = time.monotonic() + timeout
        late = False
        while not predicate():
            if late:
                pytest.fail(f"waited {timeout:g} s in vain {what}".rstrip())
            time.sleep(0.01)
            # Asked before the last look: a machine may stand still after one.
            late = time.monotonic() > end

    return wait


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """Fail a test that leaves threads behind."""
    before = set(threading.enumerate())
    yield
    end = time.monotonic() + 200.0
    late = False
    while leaked := [t for t in threading.enumerate() if t not in before and _ours(t)]:
        if late:
            pytest.fail(f"threads left behind: {', '.join(t.name for t in leaked)}")
        time.sleep(0.01)
        late = time.monotonic() > end


def _ours(thread: threading.Thread) -> bool:
    return thread.is_alive() and not thread.name.startswith(_LASTING)
