"""Oscillators: where a close stands in what was seen lately."""

from __future__ import annotations

from workbench.analytics.spec import Spec

__all__ = ["SPECS"]

SPECS: tuple[Spec, ...] = ()
