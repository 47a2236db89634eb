"""The notebooks run from top to bottom, offline, and show what their text says."""

from __future__ import annotations

import gc
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

Cells = dict[str, Any]


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def run(path: Path, folder: Path, *more: tuple[str, str]) -> Cells:
    """Run a notebook where it lies, then some more cells; return all cells by their id."""
    # Not on TCP ports: another program may take one between its choice and its use.
    with tempfile.TemporaryDirectory() as sockets:
        return run_on(sockets, path, folder, *more)


def run_on(sockets: str, path: Path, folder: Path, *more: tuple[str, str]) -> Cells:
    notebook = read(path)
    for name, source in more:
        cell = nbformat.v4.new_code_cell(source, id=name)  # type: ignore[no-untyped-call]
        notebook.cells.append(cell)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        config=Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}}),
        timeout=540,
        startup_timeout=540,
        iopub_timeout=540,  # what a cell shows may come long after the word that it has ended
        resources={"metadata": {"path": str(path.parent)}},
    )
    # Neither a user's start-up files nor the settings of a developer's shell take part.
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH_", "MASSIVE_"))}
    own = {"IPYTHONDIR": str(folder), "TMPDIR": str(folder), "WORKBENCH_DATA_DIR": str(folder)}
    # A machine that stops for a while must not end a connection: what is logged of that counts as
    # an error of a cell.
    own |= {"WORKBENCH_HEARTBEAT_SECONDS": "3600", "WORKBENCH_SILENCE_SECONDS": "3600"}
    with warnings.catch_warnings():
        # What the kernel's client leaves to the garbage collector is not ours to close.
        warnings.simplefilter("ignore", ResourceWarning)
        client.execute(env=kept | own)
        del client
        gc.collect()
    return {cell.id: cell for cell in notebook.cells}


def outputs(cell: Any, kind: str = "text/plain") -> str:
    """Return what a cell shows, in one form."""
    found = [output.get("data", {}).get(kind, "") for output in cell.outputs]
    return "".join(map(str, found))


def errors(cells: Cells) -> Iterator[str]:
    for name, cell in cells.items():
        for output in cell.get("outputs", ()):
            if output.output_type == "error" or output.get("name") == "stderr":
                yield f"{name}: {output.get('evalue') or output.get('text')}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stored_clean(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs"), cell.id
        assert cell.get("execution_count") is None, cell.id
    assert notebook.cells[0].source.startswith("# ")
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert "pn.extension(inline=True)" in code[0], "a notebook works without a network"


def live(cells: Cells) -> None:
    assert "BTC-USD, ETH-USD, AAPL" in outputs(cells["connect"])
    assert "application/vnd.holoviews_exec.v0+json" in cells["chart"].outputs[-1].data
    assert outputs(cells["bars"], "text/html").count("+00:00") == 5
    prices = outputs(cells["prices"], "text/html")
    assert all(name in prices for name in ("BTC-USD", "ETH-USD", "AAPL", "spread"))
    assert "vwap" in outputs(cells["timeframe"], "text/html")
    health = outputs(cells["health"], "text/html")
    assert "connected" in health
    assert "trades_accepted" in health
    large = re.search(r"(\d+) large trades", outputs(cells["stream"]))
    assert large
    assert int(large[1]) >= 10
    assert outputs(cells["store"], "text/html").count("+00:00") == 5
    assert "1s" in outputs(cells["coverage"], "text/html")
    assert outputs(cells["replay"], "text/html").count("+00:00") >= 3
    assert outputs(cells["truth"]) == "True"
    assert outputs(cells["whole"]) == "(True, 0, 0)"
    assert outputs(cells["closed"]) == "'closed'"


def research(cells: Cells) -> None:
    assert outputs(cells["kinds"]).count(": 0") == 0, "every kind has bars"
    assert "stochrsi" in outputs(cells["catalogue"], "text/html")
    assert outputs(cells["bollinger"], "text/html").count("+00:00") == 5
    assert "splits" in outputs(cells["own"])
    assert outputs(cells["look"]) in ("('leaks', 'clean')", "('repaints', 'clean')")
    assert "swing" in outputs(cells["structure"], "text/html")
    assert "HVN" in outputs(cells["profile"], "text/html")
    assert "EMA 5 crossed EMA 15" in outputs(cells["rule"], "text/html")
    assert "the same bits" in outputs(cells["verify"])
    assert "application/vnd.holoviews_exec.v0+json" in cells["chart"].outputs[-1].data


def history(cells: Cells) -> None:
    assert re.search(r"1 request, about 1 min at 5 a minute", outputs(cells["cost"]))
    # There are days of the simulated market with a minute in which nobody trades.
    minutes = int(outputs(cells["minutes"]))
    assert 1400 < minutes <= 1440
    assert f"{minutes:,} rows fetched: {minutes:,} stored" in outputs(cells["fill"])
    assert "nothing is missing" in outputs(cells["fill"])
    assert outputs(cells["again"]) == "0"
    assert "backfilled" in outputs(cells["coverage"], "text/html")
    assert "application/vnd.holoviews_exec.v0+json" in cells["strip"].outputs[-1].data
    agree = f"{minutes} of {minutes} bars agree"
    assert agree in outputs(cells["reconcile"]).replace(",", "")
    known = re.match(r"\((\d+), (\d+)\)", outputs(cells["as-of"]))
    assert known
    assert (int(known[1]), int(known[2])) == (0, minutes)
    assert "bars of the provider" in outputs(cells["live"])
    assert outputs(cells["bars"], "text/html").count("+00:00") == 5
    assert "application/vnd.holoviews_exec.v0+json" in cells["chart"].outputs[-1].data
    assert "OrderBlocks" in outputs(cells["warmups"], "text/html")
    assert "of 100" in outputs(cells["quality"])


#: What is to be seen, and cells to run at the end, of the notebooks that promise something.
EXPECTED: dict[str, tuple[Callable[[Cells], None], tuple[tuple[str, str], ...]]] = {
    "01_live.ipynb": (
        live,
        (
            ("whole", "feed.health.conserved(), feed.health.errors.total(), len(feed.quarantine)"),
            ("closed", "feed.close()\nfeed.health.state"),
        ),
    ),
    "02_research.ipynb": (research, ()),
    "03_history.ipynb": (
        history,
        (
            (
                "minutes",
                "trades = simulator.trades('BTC-USD', day.value, before.value)\n"
                "len(set(trades['time'] // (60 * 10**9)))",
            ),
        ),
    ),
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_run(path: Path, tmp_path: Path) -> None:
    check, more = EXPECTED.get(path.name, (lambda cells: None, ()))
    cells = run(path, tmp_path, *more)
    assert not list(errors(cells))
    check(cells)
