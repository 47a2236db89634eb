"""The chart in a notebook really moves: JupyterLab in Chromium, read from the page."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

#: Settings of a JupyterLab that shows no news and no dialogues.
QUIET: dict[str, dict[str, Any]] = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"autoStartDefaultKernel": True},
}

#: The newest close and volume of the chart's source, or null while there is no chart.
NEWEST = """() => {
  for (const document of window.Bokeh?.documents ?? [])
    for (const model of document._all_models.values())
      if (model.type == "ColumnDataSource" && "close" in model.data && "volume" in model.data) {
        const {x, close, volume} = model.data;
        if (close.length)
          return `${x[x.length - 1]} ${close[close.length - 1]} ${volume[volume.length - 1]}`;
      }
  return null;
}"""

#: Whether the newest bar of every chart lies left of the right edge of its view.
IN_SIGHT = """() => {
  for (const document of window.Bokeh.documents)
    for (const root of document.roots()) {
      const models = [...root.references()];
      const source = models.find((m) => m.type == "ColumnDataSource" && "close" in m.data);
      const figure = models.find((m) => m.type == "Figure");
      if (source && !(figure.x_range.end >= source.data.x[source.data.x.length - 1])) return false;
    }
  return true;
}"""


@dataclass
class Lab:
    """A JupyterLab of its own, on copies of the notebooks."""

    url: str
    token: str
    folder: Path

    def page(self, notebook: str) -> str:
        return f"{self.url}/lab/tree/notebooks/{notebook}?token={self.token}"


def own_home(folder: Path) -> dict[str, str]:
    """Return the variables of a JupyterLab that knows nothing of the user and asks nothing."""
    for name, values in QUIET.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values), "utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH_", "MASSIVE_"))}
    return kept | {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "share"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
        "TMPDIR": str(folder),
    }


@pytest.fixture
def lab(tmp_path: Path, poll_for: Callable[..., None]) -> Iterator[Lab]:
    pytest.importorskip("jupyterlab", reason="JupyterLab comes with the extra notebook")
    for name in ("notebooks", "data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    made = Lab("", secrets.token_hex(16), tmp_path)
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser"),
        *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"),
        *(f"--IdentityProvider.token={made.token}", f"--ServerApp.root_dir={tmp_path}"),
        *("--LabApp.news_url=", "--LabApp.extension_manager=readonly"),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        *(("--allow-root",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()),
    ]
    with (tmp_path / "lab.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=own_home(tmp_path), stdout=log, stderr=log
        )
        try:
            poll_for(lambda: process.poll() is not None or answers(made), 120, "for JupyterLab")
            assert process.poll() is None, (tmp_path / "lab.log").read_text("utf-8")[-2000:]
            yield made
        finally:
            # It ends its kernels, and the simulators in them, before itself.
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(60)


def answers(lab: Lab) -> bool:
    """Tell whether it serves; it takes a free port, and tells in a file which."""
    try:
        (told,) = (lab.folder / "runtime").glob("jpserver-*.json")
        lab.url = json.loads(told.read_text("utf-8"))["url"].rstrip("/")
        with urllib.request.urlopen(f"{lab.url}/api?token={lab.token}", timeout=60) as answer:
            return bool(answer.status == 200)
    except (ValueError, urllib.error.URLError, ConnectionError, TimeoutError):
        return False  # not yet, or half of the file


@pytest.fixture
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        reason = f"there is no Chromium at {CHROMIUM}"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}, which CI=true asks for")
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        try:
            yield chromium
        finally:
            chromium.close()


def test_the_chart_keeps_moving_after_run_all(lab: Lab, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1100})
    elsewhere: list[str] = []

    def local_only(route: Any) -> None:
        if route.request.url.startswith((lab.url, "data:", "blob:")):
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    page.route("**/*", local_only)
    page.goto(lab.page("01_live.ipynb"))
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
    page.locator(".jp-Notebook .jp-CodeCell").first.click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    # The last cell of the notebook has run when its button is there.
    page.get_by_role("button", name="Close the feed").wait_for(timeout=90_000)
    chart = page.locator(".jp-Cell", has_text="wb.chart(feed").first
    chart.scroll_into_view_if_needed()
    page.wait_for_function(NEWEST, timeout=60_000)

    seen: list[str] = []
    end = time.monotonic() + 60
    while time.monotonic() < end and len(set(seen)) < 20:
        seen.append(page.evaluate(NEWEST))
        page.wait_for_timeout(100)
    assert len(set(seen)) >= 5, seen[-5:]
    page.wait_for_function(IN_SIGHT, timeout=60_000)
    assert not page.locator(".jp-RenderedText[data-mime-type*=stderr]").count()
    assert not elsewhere
    page.close()
