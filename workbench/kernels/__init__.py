"""Numba kernels: loops over arrays, and nothing else.

Compiled kernels are kept in a cache folder named after the content of this package, so that
an edited callee in one file can never be served to a cached caller in another.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numba

__all__ = ["cache_dir"]


def _fingerprint() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_dir() -> Path:
    """Return the folder that holds the compiled kernels of this version."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "workbench" / "kernels" / _fingerprint()


if not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = str(cache_dir())
