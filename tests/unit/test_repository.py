"""What a checkout must be: portable, pinned, small pieces, and true to its own texts."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import statistics
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import workbench
from workbench.flow.feed import Feed
from workbench.store.sqlite import SqliteStore

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "workbench").rglob("*.py"))
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.+!]+)( ; [^;]+)?")
# Put together here, so that this file does not hold what it looks for.
HOMES = "|".join(["root", r"home/\w+", r"Users/\w+", r"opt/\w+", "tmp/pip"])
FORBIDDEN = re.compile(
    rf"(?<![\w.$}}~])/(?:{HOMES})/|index[-_]" + "url|://reg" + r"istry\.|files\.python" + "hosted"
)


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


# -- nothing of one machine ------------------------------------------------------------


def test_no_file_holds_a_path_of_one_machine_or_a_package_index() -> None:
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" in data[:8000]:
            continue
        for number, line in enumerate(data.decode("utf-8").splitlines(), 1):
            # The checkout's own place tells nothing where it is short, such as "/app".
            if FORBIDDEN.search(line) or (len(ROOT.parts) > 2 and f"{ROOT}/" in line):
                found.append(f"{name_of(path)}:{number}")
    assert not found


def test_nothing_that_is_made_is_tracked() -> None:
    made = re.compile(r"(^|/)(\.venv|__pycache__|site|\.env|.*\.egg-info|.*\.db)(/|$)")
    assert not [name for name in map(name_of, tracked()) if made.search(name)]


# -- commands --------------------------------------------------------------------------


def test_ci_runs_what_developers_run() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in script
    assert script.rstrip().endswith("exec make test")


@pytest.mark.parametrize("script", ["run", "python", "chromium"])
def test_scripts_parse_and_may_be_run(script: str) -> None:
    path = ROOT / ".ci" / script
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", path], check=True, timeout=400)


@pytest.mark.parametrize("target", ["demo", "test", "lint", "bench", "docs", "clean"])
def test_make_lists_its_targets(target: str) -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=ROOT, capture_output=True, check=True, text=True, timeout=400,
    ).stdout  # fmt: skip
    assert f"make {target} " in listed


def test_a_python_is_found_and_a_missing_one_is_named() -> None:
    finder = ROOT / ".ci" / "python"
    found = subprocess.run([finder], capture_output=True, check=True, text=True, timeout=400)
    assert Path(found.stdout.strip()).exists()
    nowhere = {"PATH": "/nonexistent", "PYTHON": "python9.9"}
    bash = "/bin/bash"
    missed = subprocess.run(
        [bash, str(finder)], capture_output=True, text=True, env=nowhere, timeout=400
    )
    assert missed.returncode == 1
    assert "Python 3.11 or newer" in missed.stderr
    assert "python9.9" in missed.stderr


# -- dependencies ----------------------------------------------------------------------


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found: dict[str, str] = {}
    for line in lines:
        if line.startswith("#"):
            continue
        match = PIN.fullmatch(line)
        assert match, f"not a plain pin: {line!r}"
        found[canonicalize_name(match[1])] = match[2]
    return found


def requirements() -> Iterator[Requirement]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for group in groups:
        yield from map(Requirement, group)


def test_every_direct_dependency_is_pinned_within_its_range() -> None:
    pinned = pins()
    for requirement in requirements():
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{requirement.name} has no line in constraints.txt"
        assert requirement.specifier.contains(pinned[name], prereleases=True), requirement


# -- shape -----------------------------------------------------------------------------


def parts(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    text = ast.get_docstring(function, clean=False) or ""
    return (function.end_lineno or 0) - function.lineno + 1 - len(text.splitlines())


def public_methods(cls: ast.ClassDef) -> int:
    functions = [n for n in cls.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return sum(
        not n.name.startswith("_") and "property" not in map(ast.unparse, n.decorator_list)
        for n in functions
    )


def test_modules_are_short() -> None:
    lengths = {name_of(p): len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}
    assert not {name: n for name, n in lengths.items() if n > 400}
    assert statistics.median(lengths.values()) < 250


def test_classes_are_small() -> None:
    classes = [(p, n) for p in MODULES for n in parts(p) if isinstance(n, ast.ClassDef)]
    assert not [f"{name_of(p)} {cls.name}" for p, cls in classes if public_methods(cls) > 15]


def test_functions_are_short() -> None:
    # Kernels are left out: a loop that is cut into compiled functions is slower, not clearer.
    functions = [
        (p, n)
        for p in MODULES
        if p.parent.name != "kernels"
        for n in parts(p)
        if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert not [f"{name_of(p)} {f.name}" for p, f in functions if code_lines(f) > 45]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_say_what_is_public(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not tree.body:
        return
    assert ast.get_docstring(tree)
    defined = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Assign)]
    names = [ast.unparse(t) for n in defined if isinstance(n, ast.Assign) for t in n.targets]
    assert not defined or "__all__" in names


def test_only_the_clock_asks_for_the_time_and_only_commands_print() -> None:
    clocks = {f"time.{name}" for name in ("time", "time_ns", "monotonic", "perf_counter", "sleep")}
    clocks |= {"datetime.now", "datetime.utcnow", "date.today", "pd.Timestamp.now"}
    found = []
    for path in MODULES:
        for node in parts(path):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                late = called in clocks and path.name != "clock.py"
                loud = called == "print" and "cli" not in path.relative_to(ROOT).parts[1]
                if late or loud:
                    found.append(f"{name_of(path)}:{node.lineno} {called}")
    assert not found


# -- texts -----------------------------------------------------------------------------


def python_blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_names_in_code_blocks_exist(path: Path) -> None:
    homes: dict[str, Any] = {"wb": workbench, "feed": Feed, "again": Feed, "store": SqliteStore}
    for block in python_blocks(path):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                home = homes.get(node.value.id)
                assert home is None or hasattr(home, node.attr), f"{node.value.id}.{node.attr}"
            if isinstance(node, ast.ImportFrom) and node.module == "workbench":
                assert {alias.name for alias in node.names} <= set(workbench.__all__)


def test_the_readme_shows_how_a_notebook_begins() -> None:
    blocks = python_blocks(ROOT / "README.md")
    assert blocks
    assert "import workbench as wb" in blocks[0]


# -- data ------------------------------------------------------------------------------


def data_entries() -> dict[str, dict[str, Any]]:
    metadata = json.loads((ROOT / "data" / "metadata.json").read_text(encoding="utf-8"))
    files: dict[str, dict[str, Any]] = metadata["files"]
    return files


def test_every_data_file_is_listed() -> None:
    held = {p.name for p in tracked() if p.parent == ROOT / "data"}
    assert held - {"metadata.json", "README.md"} == set(data_entries())


def test_data_files_are_what_they_were() -> None:
    for name, entry in data_entries().items():
        digest = hashlib.sha256((ROOT / "data" / name).read_bytes()).hexdigest()
        assert digest == entry["sha256"], f"data/{name} was changed: update its metadata"
        assert entry["origin"], name
        assert entry["licence"], name
