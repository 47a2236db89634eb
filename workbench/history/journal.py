"""What of a ledger is not in its store yet, and how it gets there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from workbench.history.pieces import Splice, Unwritten
from workbench.store.coverage import Change, Series

__all__ = ["Journal", "Persist", "Plans"]

#: Writes changes down for good, and raises if it cannot.
Persist: TypeAlias = Callable[[Sequence[Change]], None]
#: What is to change of each series; None if it is nothing.
Plans: TypeAlias = dict[Series, "Splice | None"]
_NOTHING = Unwritten()


class Journal:
    """Write down what changes of a ledger; whoever calls it holds the ledger's lock.

    Parameters
    ----------
    persist : callable or None
        Takes changes and returns when they are written; None keeps none.
    """

    def __init__(self, persist: Persist | None) -> None:
        self._persist = persist
        self._pending: dict[Series, Unwritten] = {}

    def write(self, plans: Plans, *, later: bool = False, persist: Persist | None = None) -> None:
        """Persist splices that are about to be made; if that raises, nothing has changed.

        Parameters
        ----------
        plans : dict of Series to Splice or None
        later : bool
            Keep them until the next call instead.
        persist : callable or None
            Takes the changes of this call, and is called even if there are none; None is the
            journal's own.
        """
        keep = persist or self._persist
        if keep is None:
            return
        pending = dict(self._pending)
        for one, plan in plans.items():
            if plan is not None:
                pending[one] = pending.get(one, _NOTHING).and_then(plan)
        if persist is not None or (pending and not later):
            keep([unwritten.change(one) for one, unwritten in pending.items()])
            pending = {}
        self._pending = pending
