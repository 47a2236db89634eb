"""Volume, with and against prices."""

from __future__ import annotations

from workbench.analytics.spec import Spec

__all__ = ["SPECS"]

SPECS: tuple[Spec, ...] = ()
