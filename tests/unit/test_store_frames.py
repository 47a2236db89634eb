"""Times as people write them, and rows as DataFrames."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from workbench.records import empty
from workbench.store.frames import When, dataframe, nanoseconds

MIDNIGHT = 1_762_128_000_000_000_000  # 2025-11-03 UTC


@pytest.mark.parametrize(
    "when",
    [
        MIDNIGHT,
        np.int64(MIDNIGHT),
        "2025-11-03",
        "2025-11-03 00:00",
        "2025-11-03T00:00:00Z",
        "2025-11-02 19:00-05:00",
        date(2025, 11, 3),
        datetime(2025, 11, 3),
        datetime(2025, 11, 3, 1, tzinfo=timezone(timedelta(hours=1))),
        pd.Timestamp("2025-11-03"),
        pd.Timestamp("2025-11-02 19:00", tz="America/New_York"),
        np.datetime64("2025-11-03", "D"),
        np.datetime64("2025-11-03T00:00:00.000"),
    ],
)
def test_one_moment_in_every_spelling(when: When) -> None:
    assert nanoseconds(when) == MIDNIGHT


def test_nanoseconds_are_kept() -> None:
    assert nanoseconds("2025-11-03 00:00:00.123456789") == MIDNIGHT + 123_456_789
    assert nanoseconds(pd.Timestamp(MIDNIGHT + 1)) == MIDNIGHT + 1


@pytest.mark.parametrize(
    "when",
    ["", "soon", "NaT", 1.5, None, True, 1 << 63, pd.NaT, np.datetime64("NaT"), "9999-01-01", []],
)
def test_what_is_no_moment_is_refused(when: object) -> None:
    with pytest.raises(ValueError, match="not a time"):
        nanoseconds(when)  # type: ignore[arg-type]


def test_a_dataframe_has_utc_times_in_nanoseconds() -> None:
    rows = empty("trade", 2)
    rows["time"], rows["received"] = [MIDNIGHT, MIDNIGHT + 1], MIDNIGHT + 7
    rows["price"], rows["side"] = [1.5, 2.5], [1, -1]
    frame = dataframe("trade", rows)
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    assert frame.index[1] - frame.index[0] == pd.Timedelta(1, "ns")
    assert str(frame["received"].dtype) == "datetime64[ns, UTC]"
    assert frame["side"].tolist() == [1, -1]
    assert frame["price"].to_numpy().base is not rows  # rows may be dropped or reused
