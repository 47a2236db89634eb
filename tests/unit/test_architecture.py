"""The shape of the code: who imports whom, what is kept out of where, how large things get."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "workbench"
MODULES = sorted(PACKAGE.rglob("*.py"))
PATHS = [str(path.relative_to(PACKAGE)) for path in MODULES]
TREES = {name: ast.parse(path.read_text()) for name, path in zip(PATHS, MODULES, strict=True)}
LINES = {name: path.read_text().splitlines() for name, path in zip(PATHS, MODULES, strict=True)}

#: Third-party library: where it may be imported.
HOMES = {
    "streamz": ("flow/",),
    "websockets": ("net/", "sim/"),
    "requests": ("net/rest.py",),
    "fastapi": ("api/", "sim/"),
    "uvicorn": ("api/", "sim/", "cli/"),
    "panel": ("plots/", "api/"),
    "holoviews": ("plots/", "api/"),
    "bokeh": ("plots/", "api/"),
    "numba": ("kernels/",),
    "msgspec": ("sources/", "sim/"),
}
#: Calls that ask what time it is, or what the day is.
TIME = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "datetime.now",
    "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now",
    "datetime.datetime.utcnow", "datetime.date.today", "Timestamp.now", "Timestamp.utcnow",
    "pd.Timestamp.now", "pd.Timestamp.utcnow",
}  # fmt: skip


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Return line and full name of every module that is imported anywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            yield node.lineno, node.module or ""


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def offences(found: Iterator[str]) -> None:
    listed = list(found)
    assert not listed, "\n" + "\n".join(listed)


def test_import_layers_are_kept() -> None:
    """The contracts of pyproject.toml."""
    command = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_each_library_has_its_home() -> None:
    def find() -> Iterator[str]:
        for name, tree in TREES.items():
            for line, module in imported(tree):
                homes = HOMES.get(module.partition(".")[0])
                if homes and not name.startswith(homes):
                    yield f"{name}:{line} imports {module}"

    offences(find())


def test_sources_and_the_core_do_no_input_or_output() -> None:
    forbidden = {"asyncio", "socket", "threading", "logging", "subprocess", "os", "time", "random"}
    pure = ("sources/", "indicators.py", "bars.py", "records.py", "sessions.py", "timeframes.py")

    def find() -> Iterator[str]:
        for name, tree in TREES.items():
            if not name.startswith(pure):
                continue
            for line, module in imported(tree):
                if module.partition(".")[0] in forbidden or module == "workbench.clock":
                    yield f"{name}:{line} imports {module}"

    offences(find())


def test_only_the_clock_knows_the_time() -> None:
    def find() -> Iterator[str]:
        for name, tree in TREES.items():
            for node in ast.walk(tree):
                if name != "clock.py" and isinstance(node, ast.Attribute) and dotted(node) in TIME:
                    yield f"{name}:{node.lineno} {dotted(node)}"
            for node in ast.walk(tree):
                if (
                    name != "clock.py"
                    and isinstance(node, ast.ImportFrom)
                    and node.module == "time"
                ):
                    yield f"{name}:{node.lineno} from time import"

    offences(find())


def test_nothing_prints_but_the_command_line() -> None:
    def find() -> Iterator[str]:
        for name, tree in TREES.items():
            for node in ast.walk(tree):
                called = dotted(node.func) if isinstance(node, ast.Call) else ""
                if called == "print" and not name.startswith("cli/"):
                    yield f"{name}:{node.lineno} prints"

    offences(find())


def test_modules_and_classes_stay_small() -> None:
    def find() -> Iterator[str]:
        for name, tree in TREES.items():
            if len(LINES[name]) > 400:
                yield f"{name} has {len(LINES[name])} lines"
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    methods = [m for m in node.body if _is_method(m)]
                    if len(methods) > 15:
                        yield f"{name}:{node.lineno} {node.name} has {len(methods)} public methods"

    offences(find())


def _is_method(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    decorators = {dotted(d) for d in node.decorator_list}
    return not node.name.startswith("_") and not any(
        d == "property" or d.endswith(".setter") for d in decorators
    )


def exported(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(dotted(target) == "__all__" for target in targets):
            names = ast.literal_eval(node.value)  # type: ignore[attr-defined]
            assert isinstance(names, list)
            return names
    return None


def test_every_module_says_what_is_public() -> None:
    def find() -> Iterator[str]:
        for name, tree in TREES.items():
            if all(isinstance(node, ast.Expr) for node in tree.body):
                continue  # an __init__.py without code
            names = exported(tree)
            if names is None:
                yield f"{name} has no __all__"
            elif names != sorted(names, key=lambda n: (not n.isupper(), n[0].islower(), n)):
                yield f"{name}: __all__ is not sorted"

    offences(find())


def test_every_public_name_has_a_docstring() -> None:
    def find() -> Iterator[str]:
        for name, tree in TREES.items():
            if LINES[name] and not ast.get_docstring(tree):
                yield f"{name} has none"
            public = set(exported(tree) or ())
            for node in tree.body:
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    continue
                if node.name not in public:
                    continue
                if not ast.get_docstring(node):
                    yield f"{name}:{node.lineno} {node.name}"
                if isinstance(node, ast.ClassDef):
                    for method in node.body:
                        if _is_method(method) and not ast.get_docstring(method):  # type: ignore[arg-type]
                            yield f"{name}:{method.lineno} {node.name}.{method.name}"  # type: ignore[attr-defined]

    offences(find())


def test_broad_excepts_give_their_reason() -> None:
    def find() -> Iterator[str]:
        for name, tree in TREES.items():
            for node in ast.walk(tree):
                if not isinstance(node, ast.ExceptHandler):
                    continue
                kinds = dotted(node.type) if node.type is not None else "everything"
                if kinds not in ("everything", "Exception", "BaseException"):
                    continue
                if any(isinstance(n, ast.Raise) and n.exc is None for n in ast.walk(node)):
                    continue  # it goes on to whoever called
                line, above = LINES[name][node.lineno - 1], LINES[name][node.lineno - 2]
                marked = "noqa: BLE001" in line or _logs_whole(node)
                reason = line.partition("#")[2].replace("noqa: BLE001", "").strip(" -")
                if not marked or not (reason or above.strip().startswith("#")):
                    yield f"{name}:{node.lineno} catches {kinds} without a reason"

    offences(find())


def _logs_whole(node: ast.AST) -> bool:
    """Tell whether a handler logs with the traceback, which ruff lets pass."""
    return any(isinstance(n, ast.Attribute) and n.attr == "exception" for n in ast.walk(node))


def test_no_module_is_a_drawer_for_everything() -> None:
    forbidden = {"utils", "util", "helpers", "helper", "managers", "manager", "mixins", "common"}
    assert not {Path(name).stem for name in PATHS} & forbidden


@pytest.mark.parametrize("module", ["numba", "panel", "streamz", "pandas", "numpy", "bokeh"])
def test_importing_the_package_loads_little(module: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", f"import sys, workbench; sys.exit({module!r} in sys.modules)"],
        timeout=60,
    )
    assert run.returncode == 0, f"import workbench loads {module}"


def test_public_names_exist_and_are_listed() -> None:
    import workbench

    indicators = workbench._INDICATORS
    assert dir(workbench) == sorted([*workbench.__all__, *indicators, "__version__"])
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = workbench.nothing
    homes = workbench._HOME
    assert set(homes) == set(workbench.__all__) - {"testing"}
    assert workbench.testing.__name__ == "workbench.testing"
    for name, home in homes.items():
        path = home.replace(".", "/") + ".py"
        assert name in (exported(TREES[path]) or ()), f"{name} is not in __all__ of {home}"
