"""Reconciliation: our bars against a provider's, each difference with a reason."""

from __future__ import annotations

from workbench.reconciliation.comparison import compare
from workbench.reconciliation.day import reconcile
from workbench.reconciliation.repair import Repair, apply
from workbench.reconciliation.result import Reconciliation
from workbench.reconciliation.tape import Tape, corrections

__all__ = [
    "Reconciliation",
    "Repair",
    "Tape",
    "apply",
    "compare",
    "corrections",
    "reconcile",
]
