"""The command line as somebody types it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.config import Settings
from workbench.store.store import open_store
from workbench.tape import TapeReader

COMMANDS = (
    *("demo", "monitor", "record", "replay", "verify", "backfill", "sim", "doctor", "warm"),
)
#: Seconds for a command to end: each imports a lot first, on a machine that may be slow.
PATIENCE = 500
WORKBENCH = [sys.executable, "-c", "from workbench.cli import main; main()"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.endswith("API_KEY")}
    return kept | {"WORKBENCH_DATA_DIR": str(tmp_path / "data"), "COLUMNS": "200"}


@pytest.fixture
def start(
    environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*WORKBENCH, *arguments], env=environment, cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def read_until(process: subprocess.Popen[str], enough: Callable[[str], bool]) -> str:
    """Return what a command says until that is enough."""
    assert process.stdout is not None
    seen = ""
    while not enough(seen):
        line = process.stdout.readline()
        assert line, seen
        seen += line
    return seen


def states(text: str) -> list[str]:
    return re.findall(r"state\s+│\s+(\w+)", text)


def accepted(text: str) -> int:
    """Return how many trades were accepted, by what was told last."""
    told = re.findall(r"trades accepted\s+\S\s+([\d,]+)", text)
    return int(told[-1].replace(",", "")) if told else 0


def stored(tmp_path: Path) -> dict[str, int]:
    """Return how many trades of each symbol that has some are in the store."""
    with open_store(tmp_path / "data" / "market.db", mode="ro") as store:
        counts = {symbol: len(store.trades(symbol)) for symbol in ("BTC-USD", "AAPL")}
    return {symbol: count for symbol, count in counts.items() if count}


def test_help_names_every_command() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    assert all(command in text for command in COMMANDS)


def test_every_setting_is_a_flag_of_some_command_with_its_variable() -> None:
    runner = CliRunner(env={"COLUMNS": "250", "TERM": "dumb"})
    texts = [runner.invoke(app, [command, "--help"]).output for command in COMMANDS]
    everything = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(texts))
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in everything, name
        assert f"WORKBENCH_{name.upper()}" in everything, name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("monitor", "--no-open"), "MASSIVE_API_KEY"),
        (("replay", "nowhere.tape"), "cannot read the tape"),
        (("demo", "--port", "99999"), "setting port"),
        (("demo", "--no-open", "--speed", "fast", "--trades", "x.csv"), "speed 'fast'"),
        (("record", "BTC-USD", "--source", "nobody"), "no provider 'nobody'"),
        (("record", "BTC USD!", "--source", "sim"), "not a symbol"),
        (("record", "BTC-USD", "--source", "sim", "--timeframe", "1 fortnight"), "timeframe"),
        (("sim", "--session", "sometimes"), "neither always nor calendar"),
    ],
)
def test_a_mistake_is_one_clear_line_and_not_a_trace(
    start: Callable[..., subprocess.Popen[str]], arguments: tuple[str, ...], words: str
) -> None:
    process = start(*arguments)
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3, text
    assert words in " ".join(text.split())
    assert "Traceback" not in text


def test_a_taken_port_is_said(start: Callable[..., subprocess.Popen[str]]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        for arguments in (("demo", "--no-open", "--port", port), ("sim", "--sim-port", port)):
            process = start(*arguments)
            text, _ = process.communicate(timeout=PATIENCE)
            assert process.returncode == 3, text
            assert port in text
            assert "Traceback" not in text


@pytest.mark.timeout(1200)
def test_record_then_replay(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    tape = tmp_path / "a.tape"
    process = start(
        "record", "BTC-USD", "AAPL", "--source", "sim", "--tape", str(tape),
        "--timeframe", "1s", "--every", "0.2",
    )  # fmt: skip
    seen = read_until(process, lambda text: len(states(text)) >= 3 and accepted(text) > 0)
    os.killpg(process.pid, signal.SIGINT)
    text = seen + process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0, text
    assert text.count("messages per second") >= 2
    assert states(text)[-1] == "closed", "what is told last is told of all that was received"
    assert "closed" not in states(text)[:-1]
    assert TapeReader(tape).frames > 0
    assert sum(stored(tmp_path).values()) == accepted(text) > 0
    process = start("replay", str(tape), "--timeframe", "1s")
    again, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, again
    assert accepted(again) == accepted(text)
    assert all(symbol in again for symbol in stored(tmp_path))  # one may not have traded yet


def test_a_recording_ends_by_itself(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start("record", "BTC-USD", "AAPL", "--source", "sim", "--duration", "0.5")
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, text
    assert states(text) == ["closed"]
    assert sum(stored(tmp_path).values()) == accepted(text)  # none, if it was stopped meanwhile


@pytest.mark.parametrize("command", ["record", "sim", "demo"])
def test_ctrl_c_ends_cleanly(
    start: Callable[..., subprocess.Popen[str]], command: str, tmp_path: Path
) -> None:
    arguments = {
        "record": ("record", "BTC-USD", "--source", "sim", "--tape", str(tmp_path / "b.tape")),
        "sim": ("sim", "--sim-port", "0"),
        "demo": ("demo", "--no-open", "--port", "0"),
    }[command]
    process = start(*arguments)
    ready = {"record": "recording", "sim": "Ctrl+C", "demo": "Ctrl+C"}[command]
    read_until(process, lambda text: ready in text)
    os.killpg(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, text
    assert "stopped" in text
    assert "Traceback" not in text
