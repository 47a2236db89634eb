"""The chart in a notebook really moves: JupyterLab in Chromium, read from the page."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
#: Seconds to wait for what must come.
PATIENCE = 240.0
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

#: A machine that stands still for a while has lost no connection, and warns of none.
PATIENT = {
    "WORKBENCH_HEARTBEAT_SECONDS": "3600",
    "WORKBENCH_SILENCE_SECONDS": "86400",
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
    return (
        kept
        | PATIENT
        | {
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "share"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "IPYTHONDIR": str(folder / "ipython"),
            "TMPDIR": str(folder),
        }
    )


@pytest.fixture
def lab(tmp_path: Path, poll_for: Callable[..., None]) -> Iterator[Lab]:
    pytest.importorskip("jupyterlab", reason="JupyterLab comes with the extra notebook")
    for name in ("notebooks", "data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    made = Lab("", secrets.token_hex(16), tmp_path)
    # JupyterLab tries a port before it listens there: meanwhile only those who share it may.
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={holder.getsockname()[1]}"),
        "--ServerApp.port_retries=0",
        *(f"--IdentityProvider.token={made.token}", f"--ServerApp.root_dir={tmp_path}"),
        *("--LabApp.news_url=", "--LabApp.extension_manager=readonly"),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        *(("--allow-root",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()),
    ]
    with holder, (tmp_path / "lab.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=own_home(tmp_path), stdout=log, stderr=log
        )
        try:
            poll_for(
                lambda: process.poll() is not None or answers(made), PATIENCE, "for JupyterLab"
            )
            assert process.poll() is None, (tmp_path / "lab.log").read_text("utf-8")[-2000:]
            yield made
        finally:
            # It ends its kernels, and the simulators in them, before itself.
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(60)


def answers(lab: Lab) -> bool:
    """Tell whether it serves; it tells in a file where."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        (told,) = (lab.folder / "runtime").glob("jpserver-*.json")
        lab.url = json.loads(told.read_text("utf-8"))["url"].rstrip("/")
        with direct.open(f"{lab.url}/api?token={lab.token}", timeout=60) as answer:
            return bool(answer.status == 200)
    except (ValueError, OSError, http.client.HTTPException):
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
        chromium = play.chromium.launch(
            executable_path=str(CHROMIUM), args=ARGS, timeout=PATIENCE * 1000
        )
        try:
            yield chromium
        finally:
            chromium.close()


def test_the_chart_keeps_moving_after_run_all(lab: Lab, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1100})
    page.set_default_timeout(PATIENCE * 1000)
    elsewhere: list[str] = []

    def local_only(route: Any) -> None:
        if route.request.url.startswith((lab.url, "data:", "blob:")):
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    page.route("**/*", local_only)
    page.goto(lab.page("01_live.ipynb"))
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.locator(".jp-Notebook .jp-CodeCell").first.click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    # The last cell of the notebook has run when its button is there.
    page.get_by_role("button", name="Close the feed").wait_for()
    chart = page.locator(".jp-Cell", has_text="wb.chart(feed").first
    chart.scroll_into_view_if_needed()
    page.wait_for_function(NEWEST)

    seen: list[str] = []
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and len(set(seen)) < 20:
        if newest := page.evaluate(NEWEST):
            seen.append(newest)
        page.wait_for_timeout(100)
    assert len(set(seen)) >= 5, seen[-5:]
    page.wait_for_function(IN_SIGHT)
    assert not page.locator(".jp-RenderedText[data-mime-type*=stderr]").count()
    assert not elsewhere
    page.close()
