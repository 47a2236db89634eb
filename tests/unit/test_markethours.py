"""Whether a market is open, in which session, and what comes next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.calendar import is_market_open, market_session
from workbench.clock import ManualClock
from workbench.history.markethours import market_status


def test_next_open_and_close_agree_with_the_recorded_calendar(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "calendar" / "xnys.csv", index_col=0)
    opens, closes = (
        pd.DatetimeIndex(pd.to_datetime(table[name], utc=True)).as_unit("ns").asi8
        for name in ("open", "close")
    )
    chance = np.random.default_rng(20_251_103)
    some = chance.integers(opens[0], opens[-1], 250).tolist()
    edges = chance.choice(np.r_[opens[:-1], closes[:-1]], 50).tolist()
    for at in (*some, *edges, *(edge - 1 for edge in edges)):
        status = market_status("SPY", at)
        assert status.next_open is not None
        assert status.next_close is not None
        assert status.next_open.value == opens[opens > at][0]
        assert status.next_close.value == closes[closes > at][0]
        held = bool(((opens <= at) & (at < closes)).any())
        assert status.open == held == is_market_open("SPY", at)
        assert status.open == (status.next_close < status.next_open)
        assert status.session == market_session(at, "SPY")


@pytest.mark.parametrize(
    ("at", "session", "expects", "text"),
    [
        ("2025-07-03 16:59", "regular", "real-time", "is open, until 2025-07-03 17:00 UTC"),
        ("2025-07-03 17:00", "after", "limited", "after the close, opens 2025-07-07 13:30 UTC"),
        ("2025-07-04 15:00", "closed", "closed", "is closed, opens 2025-07-07 13:30 UTC"),
        ("2025-03-10 08:00", "pre", "limited", "before the open, opens 2025-03-10 13:30 UTC"),
        ("2025-03-07 09:00", "pre", "limited", "before the open, opens 2025-03-07 14:30 UTC"),
    ],
)
def test_a_half_day_a_holiday_and_the_change_of_the_clocks(
    at: str, session: str, expects: str, text: str
) -> None:
    status = market_status("SPY", at)
    assert (status.session, status.expects) == (session, expects)
    assert text in str(status)
    assert text in status._repr_html_()


def test_what_trades_round_the_clock_is_always_open() -> None:
    status = market_status("x:btcusd", clock=ManualClock(1_762_560_000 * 10**9))
    assert (status.symbol, status.open, status.session) == ("BTC-USD", True, "regular")
    assert status.next_open is status.next_close is None
    assert "round the clock" in repr(status)
    assert status.at == pd.Timestamp("2025-11-08", tz="UTC")
