"""Two sides of one tape: the trades we hold, those a provider tells, and how they pair."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.records import TRADE, Rows
from workbench.store.frames import utc

__all__ = ["CANCELS", "Pairing", "Tape", "changes", "corrections", "pair"]

#: Correction codes of the US tapes: the trade is void (erroneous, cancelled, and the records
#: that say so), it stands as it was before a correction, it is the corrected one.
CANCELS = (7, 8, 10, 11)
_BEFORE, _CORRECTED = 1, 12
#: What tells one trade from all others, as a store keys them.
_KEY = ("time", "sequence", "exchange", "id")
_SAID = ("price", "size", "conditions")

_Mask = npt.NDArray[np.bool_]
_Places = npt.NDArray[np.int64]


def _no_trades() -> Rows:
    return np.zeros(0, TRADE)


def _no_codes() -> _Places:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """The trades of one symbol as one side tells them.

    Attributes
    ----------
    trades : array of TRADE
        Those that stand.
    amended : array of TRADE
        Those that carry a correction code, void ones included.
    codes : int64 array
        The code of each of `amended`.

    Examples
    --------
    >>> len(Tape(np.zeros(2, TRADE)))
    2
    """

    trades: Rows
    amended: Rows = field(default_factory=_no_trades)
    codes: _Places = field(default_factory=_no_codes)

    def __len__(self) -> int:
        return len(self.trades)

    @property
    def void(self) -> Rows:
        """The trades that were taken back."""
        return self.amended[np.isin(self.codes, CANCELS)]


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """How our trades pair with a provider's.

    Attributes
    ----------
    cancelled : int64 array
        Places of our trades that the provider took back.
    replaced : int64 array
        Places of our trades that it tells otherwise now.
    replacing : array of TRADE
        What it tells in their place.
    added : array of TRADE
        Trades of the provider that we do not hold.
    withdrawn : int64 array
        Places of our trades that it does not tell at all.
    void : array of TRADE
        Trades it took back that we do not hold.
    codes : dict of int to int
        Correction code by place of our trade.
    """

    cancelled: _Places
    replaced: _Places
    replacing: Rows
    added: Rows
    withdrawn: _Places
    void: Rows
    codes: dict[int, int] = field(default_factory=dict)


def pair(own: Rows, theirs: Tape) -> Pairing:
    """Pair the trades of both sides by time, sequence, exchange and id.

    A correction record (code 12) replaces our trade of the same key, else the one of the same
    exchange and id. The original of a correction (code 1) is void once its correction is there.

    Parameters
    ----------
    own : array of TRADE
        Each trade once.
    theirs : Tape

    Examples
    --------
    >>> own = np.zeros(3, TRADE)
    >>> own["id"] = [1, 2, 3]
    >>> found = pair(own, Tape(own[:1], own[1:2], np.array([8])))
    >>> found.cancelled.tolist(), found.withdrawn.tolist(), len(found.added)
    ([1], [2], 0)
    """
    trades = _standing(theirs)
    void = theirs.void
    keys = _index(own, _KEY)
    here = keys.get_indexer(_index(trades, _KEY))
    gone = keys.get_indexer(_index(void, _KEY))
    same = np.flatnonzero(here >= 0)
    told = trades[same]
    differs = np.zeros(len(same), np.bool_)
    for name in _SAID:
        differs |= told[name] != own[name][here[same]]
    replaced, replacing = [here[same][differs]], [told[differs]]
    left = trades[here < 0]
    places, corrected = _corrected(own, left, theirs)
    replaced.append(places)
    replacing.append(left[corrected])
    old = np.concatenate(replaced)
    cancelled = np.setdiff1d(gone[gone >= 0], old)
    known = np.concatenate([here[here >= 0], cancelled, old])
    codes = {int(p): int(c) for p, c in zip(keys.get_indexer(_index(theirs.amended, _KEY)),
                                            theirs.codes, strict=True) if p >= 0}  # fmt: skip
    codes |= dict.fromkeys(places.tolist(), _CORRECTED)
    return Pairing(
        cancelled,
        old,
        np.concatenate(replacing),
        left[~corrected],
        np.setdiff1d(np.arange(len(own)), known),
        void[gone < 0],
        codes,
    )


def _standing(theirs: Tape) -> Rows:
    """Return the trades that stand, less the originals whose correction is among them."""
    before = theirs.amended[theirs.codes == _BEFORE]
    after = theirs.amended[theirs.codes == _CORRECTED]
    if not len(before) or not len(after):
        return theirs.trades
    names = ("exchange", "id")
    outdated = before[np.isin(_index(before, names).to_numpy(), _index(after, names).to_numpy())]
    kept = ~_index(theirs.trades, _KEY).isin(_index(outdated, _KEY))
    # Where the correction bears the key of its original, both were left out: it comes back.
    back = after[_index(after, _KEY).isin(_index(outdated, _KEY))]
    return np.concatenate([theirs.trades[kept], back])


def _corrected(own: Rows, left: Rows, theirs: Tape) -> tuple[_Places, _Mask]:
    """Return places of our trades that corrections of another key replace, and which those are."""
    corrected = np.zeros(len(left), np.bool_)
    after = theirs.amended[theirs.codes == _CORRECTED]
    if not len(left) or not len(after):
        return _no_codes(), corrected
    places = []
    ours = {
        (int(row["exchange"]), int(row["id"])): place
        for place, row in enumerate(own)
        if int(row["id"])
    }
    for n in np.flatnonzero(_index(left, _KEY).isin(_index(after, _KEY))).tolist():
        place = ours.pop((int(left["exchange"][n]), int(left["id"][n])), None)
        if place is not None:
            corrected[n] = True
            places.append(place)
    return np.array(places, np.int64), corrected


def _index(rows: Rows, names: tuple[str, ...]) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([np.ascontiguousarray(rows[name]) for name in names])


def corrections(own: Rows, theirs: Tape | Rows) -> pd.DataFrame:
    """Return what a provider has changed about the trades we hold, old beside new.

    Parameters
    ----------
    own : array of TRADE
    theirs : Tape or array of TRADE
        All trades of the same symbol and time; only a tape tells which were taken back.

    Returns
    -------
    pandas.DataFrame
        Indexed by UTC time: change ("cancelled", "replaced", "added"), code (the provider's
        correction code, 0 without one), exchange, id, old_price, old_size, new_price,
        new_size (NaN where there is none).

    Examples
    --------
    >>> own = np.zeros(2, TRADE)
    >>> own["id"], own["price"], own["size"] = [1, 2], 10.0, 100.0
    >>> later = own.copy()
    >>> later["price"][1] = 10.5
    >>> corrections(own, later)[["change", "old_price", "new_price"]].values.tolist()
    [['replaced', 10.0, 10.5]]
    """
    return changes(own, pair(own, theirs if isinstance(theirs, Tape) else Tape(theirs)))


def changes(own: Rows, found: Pairing) -> pd.DataFrame:
    """Return the table of :func:`corrections` from a pairing that is known."""
    old = np.concatenate([own[found.cancelled], own[found.replaced], found.added])
    new = np.concatenate([own[found.cancelled], found.replacing, found.added])
    sizes = (len(found.cancelled), len(found.replaced), len(found.added))
    change = np.repeat(["cancelled", "replaced", "added"], sizes)
    places = np.concatenate([found.cancelled, found.replaced]).tolist()
    codes = [found.codes.get(place, 0) for place in places] + [0] * len(found.added)
    columns: dict[str, object] = {"change": change, "code": np.array(codes, np.int64)}
    columns |= {name: np.ascontiguousarray(new[name]) for name in ("exchange", "id")}
    for name in ("price", "size"):
        columns[f"old_{name}"] = np.where(change == "added", np.nan, old[name])
        columns[f"new_{name}"] = np.where(change == "cancelled", np.nan, new[name])
    names = ["change", "code", "exchange", "id", "old_price", "old_size", "new_price", "new_size"]
    table = pd.DataFrame(columns, index=utc(old["time"], "time"), columns=names)
    return table.sort_index(kind="stable")
