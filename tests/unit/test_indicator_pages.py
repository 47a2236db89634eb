"""The page of indicators says what the catalogue says, with a picture of each."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from workbench.analytics.catalogue import BUILT_IN, CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "images" / "indicators"


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "indicator_pages", ROOT / ".ci" / "indicator_pages.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_catalogue_says(writer: ModuleType) -> None:
    page = (ROOT / "docs" / "indicators.md").read_text(encoding="utf-8")
    assert page == writer.page(), "run .venv/bin/python .ci/indicator_pages.py"


def test_there_is_a_picture_of_each_and_of_nothing_else() -> None:
    assert {path.stem for path in PICTURES.glob("*.svg")} == BUILT_IN


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_pictures_are_small_and_show_lines(name: str, writer: ModuleType) -> None:
    text = (PICTURES / f"{name}.svg").read_text(encoding="utf-8")
    assert len(text) < 18_000
    tree = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert tree.find(f"{space}title").text == CATALOGUE[name].title  # type: ignore[union-attr]
    assert sum(path.get("fill") == "none" for path in tree.findall(f"{space}path")) > 2
    assert "nan" not in text
    fresh = ElementTree.fromstring(writer.picture(CATALOGUE[name], writer.market()))
    assert len(fresh) == len(tree), "run .venv/bin/python .ci/indicator_pages.py"
