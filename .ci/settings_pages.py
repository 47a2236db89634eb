"""Write docs/settings.md and .env.example from the settings model.

Run it after a setting was added or changed: ``.venv/bin/python .ci/settings_pages.py``.
"""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from workbench.config import Settings

__all__ = ["example", "page", "write"]

ROOT = Path(__file__).resolve().parent.parent

_HEAD = """\
# Settings

<!-- Written by .ci/settings_pages.py from workbench/config.py: edit there. -->

A setting is looked for in this order, and the first place that has it wins:

1. the argument: `wb.connect("sim", window_bars=5000)`, `wb.settings(port=9000)`, or the flag
   of a command;
2. the environment variable below;
3. a file `.env` in the working directory, with the same names (`.env.example` is a start);
4. a file `workbench.toml` in the working directory, with the names in small letters and
   without the prefix (`port = 9000`); `WORKBENCH_CONFIG` names another file;
5. the default.

A value that is not allowed stops the program with a message that names the setting. Secrets
appear in no message, log or repr.

| setting | variable | default | allowed | meaning |
| --- | --- | --- | --- | --- |
"""
_TAIL = """
Two more variables are those of the desktop: `XDG_DATA_HOME` moves the default data folder, and
`XDG_CACHE_HOME` the compiled kernels (`NUMBA_CACHE_DIR`, if set, has the last word there).
"""
_EXAMPLE_HEAD = """\
# Settings of Workbench: copy this file to .env, take the # from a line and change its value.
# docs/settings.md has the whole table.
"""


def _variable(name: str) -> str:
    return f"WORKBENCH_{name.upper()}"


def _default(field: FieldInfo) -> str:
    """Return the default as it is written in a .env file."""
    kept = os.environ.pop("XDG_DATA_HOME", None)
    try:
        value: Any = field.get_default(call_default_factory=True)
    finally:
        if kept is not None:
            os.environ["XDG_DATA_HOME"] = kept
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Path):
        return str(value).replace(str(Path.home()), "${HOME}")
    return f"{value:g}" if isinstance(value, float) else str(value)


def _allowed(field: FieldInfo) -> str:
    annotation = field.annotation
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if annotation is bool:
        return "`true`, `false`"
    bounds = []
    for mark in field.metadata:
        if isinstance(mark, Ge):
            bounds.append(f"from {mark.ge:,}")
        elif isinstance(mark, Gt):
            bounds.append(f"above {mark.gt:,}")
        elif isinstance(mark, Le):
            bounds.append(f"to {mark.le:,}")
        elif isinstance(mark, Lt):
            bounds.append(f"below {mark.lt:,}")
    return " ".join(bounds) or "any"


def page() -> str:
    """Return the text of docs/settings.md."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = f"`{_default(field)}`" if _default(field) else "none"
        meaning = field.description or ""
        cells = (f"`{name}`", f"`{_variable(name)}`", default, _allowed(field), meaning)
        rows.append(f"| {' | '.join(cells)} |\n")
    return _HEAD + "".join(rows) + _TAIL


def example() -> str:
    """Return the text of .env.example."""
    parts = [_EXAMPLE_HEAD]
    for name, field in Settings.model_fields.items():
        comment = textwrap.fill(
            field.description or "", 98, initial_indent="# ", subsequent_indent="# "
        )
        parts.append(f"{comment}\n#{_variable(name)}={_default(field)}\n")
    return "\n".join(parts)


def write(root: Path = ROOT) -> None:
    """Write both files below a folder."""
    (root / "docs").mkdir(exist_ok=True)
    (root / "docs" / "settings.md").write_text(page(), encoding="utf-8")
    (root / ".env.example").write_text(example(), encoding="utf-8")


if __name__ == "__main__":
    write()
