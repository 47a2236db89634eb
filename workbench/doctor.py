"""Looking over an installation: what is there, what is missing, what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from workbench.config import Settings

__all__ = ["Finding", "examine"]

_PACKAGES = ("numpy", "numba", "pandas", "panel", "holoviews", "bokeh", "streamz", "websockets")
#: First release without a defect in which two connections could corrupt a log.
_SQLITE_SOUND = (3, 51, 3)
_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes
    ----------
    subject, found : str
    good : bool or None
        None where it is neither.
    advice : str
        What to do when it is not good.
    """

    subject: str
    found: str
    good: bool | None = None
    advice: str = ""


def examine(config: Settings) -> Iterator[Finding]:
    """Yield what was found, one thing after the other.

    Parameters
    ----------
    config : Settings

    Examples
    --------
    >>> from workbench.config import settings
    >>> next(examine(settings())).subject
    'Python'
    """
    yield Finding("Python", platform.python_version(), True)
    for name in _PACKAGES:
        try:
            yield Finding(name, metadata.version(name), True)
        except metadata.PackageNotFoundError:
            yield Finding(name, "missing", False, f"pip install {name}")
    yield _kernels()
    yield _sqlite()
    yield _folder(config.data_dir)
    yield _store(config.store_path)
    for what, port in (("pages", config.port), ("simulator", config.sim_port)):
        yield _port(what, config.host, port)
    key = config.api_key.get_secret_value()
    yield Finding(
        "key",
        f"{len(key)} characters" if key else "none",
        True if key else None,
        "" if key else "only needed for the real provider: set MASSIVE_API_KEY",
    )
    yield Finding("provider", f"{config.ws_url}, {config.rest_url}")
    yield Finding("cores", str(os.cpu_count()))


def _kernels() -> Finding:
    from workbench.warmup import is_warm

    if is_warm():
        return Finding("kernels", "compiled", True)
    return Finding("kernels", "not compiled yet", None, "workbench warm (or wait at first start)")


def _sqlite() -> Finding:
    version = sqlite3.sqlite_version
    sound = sqlite3.sqlite_version_info >= _SQLITE_SOUND
    return Finding(
        "SQLite",
        version,
        True if sound else None,
        "" if sound else "before 3.51.3 two writers at once could damage a log: we lock them out",
    )


def _folder(path: Path) -> Finding:
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK):
        return Finding("data folder", f"{path}: not writable", False, "set WORKBENCH_DATA_DIR")
    free = shutil.disk_usage(place).free
    return Finding(
        "data folder",
        f"{path}, {free / 1e9:.1f} GB free",
        free > _FREE_BYTES,
        "" if free > _FREE_BYTES else "less than 1 GB is left",
    )


def _store(path: Path) -> Finding:
    from workbench.errors import StoreError
    from workbench.store.store import open_store

    if not path.exists():
        return Finding("store", f"{path}: not made yet", None)
    try:
        with open_store(path, mode="ro") as store:
            info = store.info()
    except StoreError as error:
        return Finding("store", str(error), False)
    return Finding("store", f"{path}, schema {info.get('schema_version')}", True)


def _port(what: str, host: str, port: int) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return Finding(
                f"port {port}",
                f"taken ({what})",
                None,
                "something listens there, perhaps Workbench itself; else choose another port",
            )
    return Finding(f"port {port}", f"free ({what})", True)
