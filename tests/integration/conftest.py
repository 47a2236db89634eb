"""What tests of whole programs share: time, on a machine that may be slow and stop at times."""

from __future__ import annotations

from pathlib import Path

import pytest

#: Seconds after which a test of several processes or a whole feed hangs rather than is slow.
_PATIENCE = 1200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test here longer than others until it counts as hanging."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_PATIENCE))
