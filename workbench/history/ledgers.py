"""The one ledger of each open store."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence

from workbench.clock import Clock, SystemClock
from workbench.errors import StoreError
from workbench.history.ledger import Ledger
from workbench.store.coverage import Change
from workbench.store.sqlite import SqliteStore

__all__ = ["ledger_of"]

_LEDGERS: weakref.WeakKeyDictionary[SqliteStore, Ledger] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def ledger_of(store: SqliteStore, clock: Clock | None = None) -> Ledger:
    """Return the ledger that a store keeps, the same one to all who ask while it is open.

    Two ledgers over one store would each write what the other does not know of. So a feed and
    a backfill that share a store take it from here. Made at the first call, it ends what a
    process that died left open.

    Parameters
    ----------
    store : SqliteStore
        Open for writing.
    clock : Clock or None
        Tells when the ledger is made; None is the machine's.

    Raises
    ------
    StoreError
        If the store is open for reading only: another process may be writing its ledger, so
        take its `intervals` instead.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with SqliteStore(Path(folder) / "market.db") as store:
    ...         print(ledger_of(store) is ledger_of(store))
    True
    """
    if store.mode != "rw":
        raise StoreError(
            f'{store.path} was opened with mode="ro": its ledger belongs to the process that '
            "writes it; take store.intervals()"
        )
    with _LOCK:
        ledger = _LEDGERS.get(store)
        if ledger is None:
            ledger = Ledger(store.intervals(), persist=_Writing(store))
            # A store has one writer, by its lock, and this is the first ledger of it here: so
            # nobody is live, and what is open was left by a process that is gone.
            ledger.recover((clock or SystemClock()).now())
            _LEDGERS[store] = ledger
    return ledger


class _Writing:
    """Write changes into a store without keeping it alive, which the registry must not."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = weakref.ref(store)

    def __call__(self, changes: Sequence[Change]) -> None:
        store = self._store()
        if store is None:
            raise StoreError("the store of this ledger is gone: keep it open while it is used")
        store.put_intervals(changes)
