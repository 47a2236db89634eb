"""The error tree."""

from __future__ import annotations

import pytest

from workbench import errors
from workbench.errors import AuthError, ProviderError, StoreError, StoreFullError, WorkbenchError


def test_every_error_is_of_one_tree() -> None:
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, WorkbenchError)
        assert name in (errors.__doc__ or ""), f"{name} is missing in the drawing"
    assert issubclass(AuthError, ProviderError)
    assert issubclass(StoreFullError, StoreError)


def test_errors_carry_what_they_are_about() -> None:
    error = AuthError("no", source="massive", status=401, symbol="SPY")
    assert (str(error), error.message) == ("no", "no")
    assert (error.source, error.status, error.symbol) == ("massive", 401, "SPY")
    bare = WorkbenchError("x")
    assert (bare.source, bare.status, bare.symbol) == (None, None, None)
    with pytest.raises(WorkbenchError):
        raise error
