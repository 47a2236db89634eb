"""The documentation is built from what the code says, and says nothing else."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from workbench.config import Settings, settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "settings_pages", ROOT / ".ci" / "settings_pages.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_settings_page_is_what_the_model_says(writer: ModuleType) -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == writer.page(), "run .venv/bin/python .ci/settings_pages.py"


def test_example_of_an_env_file_is_what_the_model_says(writer: ModuleType) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert example == writer.example(), "run .venv/bin/python .ci/settings_pages.py"


@pytest.mark.parametrize("file", ["docs/settings.md", ".env.example"])
def test_every_setting_is_named(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    named = set(re.findall(r"WORKBENCH_[A-Z_]+", text)) - {"WORKBENCH_CONFIG"}
    assert named == {f"WORKBENCH_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_means(name: str) -> None:
    assert Settings.model_fields[name].description


def test_pages_are_written_where_they_are_asked_for(writer: ModuleType, tmp_path: Path) -> None:
    writer.write(tmp_path)
    assert (tmp_path / "docs" / "settings.md").read_text(encoding="utf-8") == writer.page()
    assert (tmp_path / ".env.example").read_text(encoding="utf-8") == writer.example()


def test_env_example_holds_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"WORKBENCH_{name.upper()}", raising=False)
    for name in ("MASSIVE_API_KEY", "POLYGON_API_KEY", "WORKBENCH_CONFIG", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    defaults = settings()
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    lines = re.sub(r"^#(?=WORKBENCH_)", "", example, flags=re.MULTILINE)
    (tmp_path / ".env").write_text(lines, encoding="utf-8")
    assert settings() == defaults


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_links_lead_to_files(text: Path) -> None:
    for target, _ in LINK.findall(text.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (text.parent / target).exists(), f"{text.name} links to {target}"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_files_named_in_code_marks_exist(text: Path) -> None:
    named = re.findall(r"`((?:workbench|tests|apps|notebooks|data|docs|\.ci)/[\w./-]*)`",
                       text.read_text(encoding="utf-8"))  # fmt: skip
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing, f"{text.name} names {missing}"


def test_every_page_is_in_the_contents() -> None:
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"[\w/-]+\.md", contents))
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in PAGES}
