"""What of a ledger is not in its store yet, how it gets there, and whose turn it is."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeAlias

from workbench.history.pieces import Splice, Unwritten
from workbench.store.coverage import Change, Series

__all__ = ["Journal", "Persist", "Plans", "Turn"]

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


class Turn:
    """A lock that one thread holds at a time, and what is to be done first in the next turn.

    Examples
    --------
    >>> turn = Turn()
    >>> with turn:
    ...     turn.soon(lambda: 1)
    1
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[Callable[[], int]] = deque()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._catch_up()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def soon(self, step: Callable[[], int]) -> int:
        """Do something without waiting: now, or in another's turn before anything else of it.

        Parameters
        ----------
        step : callable
            Quick, raises nothing.

        Returns
        -------
        int
            What it returned; 0 if it is to be done later.
        """
        if not self._lock.acquire(blocking=False):
            self._waiting.append(step)
            return 0
        try:
            self._catch_up()
            return step()
        finally:
            self._lock.release()

    def _catch_up(self) -> None:
        while self._waiting:
            self._waiting.popleft()()
