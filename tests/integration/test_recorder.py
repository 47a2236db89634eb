"""A recorder nobody watches: it waits for a provider that is not there, and ends if refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.errors import StoreError
from workbench.sim.run import simulator
from workbench.store.store import open_store

Poll = Callable[..., None]
#: Seconds for a process to begin, to be received by, and to end.
PATIENCE = 300
WORKBENCH = [sys.executable, "-c", "from workbench.cli import main; main()"]


class Recorder:
    """`workbench record` of one symbol, and what it says."""

    def __init__(self, folder: Path, url: str, *arguments: str) -> None:
        self.store = folder / "data" / "market.db"
        self._said = folder / "said.txt"
        given = ("--ws-url", url, "--api-key", "k", "--no-fill-gaps", "--every", "0.5", *arguments)
        kept = {k: v for k, v in os.environ.items() if not k.endswith("API_KEY")}
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [*WORKBENCH, "record", "BTC-USD", *given], stdout=said, stderr=said, cwd=folder,
                env=kept | {"WORKBENCH_DATA_DIR": str(self.store.parent), "COLUMNS": "200"},
                start_new_session=True,
            )  # fmt: skip

    @property
    def said(self) -> str:
        # What is being written may end within a character.
        return " ".join(self._said.read_text(errors="replace").split())

    def kept(self) -> int:
        """Return how many trades are stored; none while the store is being made."""
        try:
            with open_store(self.store, mode="ro") as store:
                return len(store.trades("BTC-USD"))
        except StoreError:
            return 0


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[..., Recorder]]:
    started: list[Recorder] = []

    def run(url: str, *arguments: str) -> Recorder:
        started.append(Recorder(tmp_path, url, *arguments))
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait()


def test_a_recorder_waits_for_a_provider_that_is_not_there_yet(
    record: Callable[..., Recorder], poll_for: Poll, kept_port: int
) -> None:
    recorder = record(f"ws://127.0.0.1:{kept_port}", "--reconnect", "fixed")
    poll_for(lambda: "goes on trying" in recorder.said, PATIENCE)
    assert recorder.process.poll() is None
    with simulator(symbols=("BTC-USD",), rate=50.0, port=kept_port):
        poll_for(lambda: "state │ connected" in recorder.said.replace("┃", "│"), PATIENCE)
        poll_for(lambda: recorder.kept() > 20, PATIENCE)
        os.killpg(recorder.process.pid, signal.SIGINT)
        assert recorder.process.wait(PATIENCE) == 0, recorder.said
    assert "Traceback" not in recorder.said


def test_a_recorder_whose_key_is_refused_meanwhile_ends_and_says_why(
    record: Callable[..., Recorder], poll_for: Poll
) -> None:
    with simulator(symbols=("BTC-USD",), rate=50.0) as sim:
        recorder = record(sim.url)
        poll_for(lambda: recorder.kept() > 20, PATIENCE)
        sim.faults.on("login")
        sim.faults.on("drop", count=1)
        assert recorder.process.wait(PATIENCE) == 3, recorder.said
    assert "authentication failed" in recorder.said.rpartition("state")[2]
    assert "Traceback" not in recorder.said
    assert recorder.kept() > 20
