"""Pairing of trades, comparing of fields, what is told and drawn, and real bars of others."""

from __future__ import annotations

import zipfile
from pathlib import Path

import holoviews as hv
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.plots.reconciliation import COLORS
from workbench.reconciliation import Repair, Tape, compare, corrections
from workbench.reconciliation.causes import REASONS
from workbench.reconciliation.grid import DIFFERS, EQUAL, FIELDS, ROUNDED, agreement, built, grid
from workbench.reconciliation.tape import pair
from workbench.records import BAR, TRADE, Rows
from workbench.sim.readers import read_trades
from workbench.timeframes import timeframe

S = 10**9
NOON = 1_762_189_200 * S
TF = timeframe("1m")


def trades(count: int = 4) -> Rows:
    rows = np.zeros(count, TRADE)
    rows["time"] = NOON + np.arange(count) * S
    rows["price"] = 10.0 + np.arange(count)
    rows["size"] = 100.0
    rows["sequence"] = rows["id"] = np.arange(1, count + 1)
    rows["exchange"] = 11
    return rows


def bars(rows: Rows) -> Rows:
    return built(rows, np.full(len(rows), 7, np.uint8), TF)


# -- pairing -----------------------------------------------------------------------------


@pytest.mark.parametrize("code", [7, 8, 10, 11])
def test_codes_that_void_a_trade_cancel_ours(code: int) -> None:
    own = trades()
    table = corrections(own, Tape(own[1:], own[:1], np.array([code])))
    assert table[["change", "code", "id", "old_price"]].values.tolist() == [
        ["cancelled", code, 1, 10.0]
    ]
    assert table["new_price"].isna().all()


def test_a_correction_of_another_key_replaces_by_exchange_and_id() -> None:
    own = trades()
    later = own.copy()
    later[0]["sequence"], later[0]["price"], later[0]["time"] = 99, 10.5, NOON + 30 * S
    found = pair(own, Tape(later, later[:1], np.array([12])))
    assert found.replaced.tolist() == [0]
    assert found.replacing["price"].tolist() == [10.5]
    assert not len(found.added)
    assert not len(found.withdrawn)


def test_the_original_of_a_correction_counts_no_more() -> None:
    own = trades()
    new = own[:1].copy()
    new["sequence"], new["price"] = 99, 10.5
    told = np.concatenate([own, new])
    found = pair(own, Tape(told, told[[0, 4]], np.array([1, 12])))
    assert found.replaced.tolist() == [0]
    assert found.replacing["price"].tolist() == [10.5]
    # Without its correction it stands.
    assert not len(pair(own, Tape(own, own[:1], np.array([1]))).replaced)


def test_nothing_pairs_with_nothing() -> None:
    none = trades(0)
    found = pair(none, Tape(none))
    assert [len(part) for part in (found.added, found.cancelled, found.withdrawn)] == [0, 0, 0]
    assert pair(none, Tape(trades())).added["id"].tolist() == [1, 2, 3, 4]
    assert pair(trades(), Tape(none)).withdrawn.tolist() == [0, 1, 2, 3]


# -- fields ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "own", "other", "level"),
    [
        ("open", 0.1 + 0.2, 0.3, ROUNDED),
        ("open", 10.0, 10.0001, DIFFERS),
        ("vwap", 10.00006, 10.0, DIFFERS),
        ("vwap", 10.00004, 10.0, ROUNDED),
        ("vwap", 10.123449, 10.1234, ROUNDED),
        ("vwap", 10.12355, 10.1234, DIFFERS),
        ("vwap", 0.000012, 0.00001, DIFFERS),
        ("volume", 300.0, 301.0, DIFFERS),
        ("volume", 2.12345678912, 2.12345679, ROUNDED),
        ("count", 3.0, 3.0000000001, DIFFERS),
        ("count", 3.0, 3.0, EQUAL),
    ],
)
def test_only_what_is_told_shorter_is_rounded(
    field: str, own: float, other: float, level: int
) -> None:
    mine, theirs = np.ones((1, len(FIELDS))), np.ones((1, len(FIELDS)))
    mine[0, FIELDS.index(field)], theirs[0, FIELDS.index(field)] = own, other
    found = agreement(mine, theirs, np.ones(mine.shape, np.bool_))[0].tolist()
    assert found == [level if name == field else EQUAL for name in FIELDS]


def test_what_a_provider_does_not_tell_is_not_compared() -> None:
    own = bars(trades())
    theirs = own.copy()
    theirs["count"] = 0
    theirs["vwap"] = (theirs["high"] + theirs["low"] + theirs["close"]) / 3
    both = grid(own, theirs)
    assert both.told[0].tolist() == [True] * 5 + [False] * 2
    assert compare("BTC-USD", trades(), theirs).differences == 0


# -- results -----------------------------------------------------------------------------


def test_a_bar_of_one_side_is_one_line() -> None:
    rows = trades()
    found = compare("BTC-USD", rows, np.zeros(0, BAR))
    assert found.table[["field", "own", "reason"]].values.tolist() == [
        ["bar", 400.0, "unexplained"]
    ]
    other = compare("BTC-USD", rows[:0], bars(rows), Tape(rows))
    assert other.table[["field", "provider", "reason"]].values.tolist() == [
        ["bar", 400.0, "missing"]
    ]


def test_trades_that_all_came_long_after_are_not_late() -> None:
    rows = trades()
    rows["received"] = NOON + 86_400 * S  # fetched the day after
    assert compare("BTC-USD", rows, np.zeros(0, BAR)).reasons.index.tolist() == ["unexplained"]


def test_an_exchange_that_one_side_never_has_is_a_venue() -> None:
    rows = np.concatenate([trades(6), trades(6)])
    rows["time"][6:] += 60 * S
    rows["id"] = rows["sequence"] = np.arange(1, 13)
    rows["exchange"][[2, 3, 8]] = 4
    some = rows["exchange"] != 4
    found = compare("SPY", rows[some], bars(rows), Tape(rows))
    assert set(found.table["reason"]) == {"venue"}
    assert "exchange 4 is not among ours (2 trades)" in found.table["detail"].tolist()
    found = compare("SPY", rows, bars(rows[some]), Tape(rows[some]))
    assert set(found.table["reason"]) == {"venue"}
    assert found.agreed == 0


def test_the_summary_counts_bars_and_the_cell_escapes() -> None:
    rows = trades()
    found = compare("BTC-USD", rows[:3], bars(rows), Tape(rows))
    told = "1m: 0 of 1 bars agree; 1 differ: 1 missing; trades 1 added"
    assert found.summary == f"BTC-USD 2025-11-03 {told}"
    assert found.reasons.to_dict() == {"missing": 5}
    assert "<script" not in found._repr_html_()
    assert "missing" in found._repr_html_()
    assert str(Repair(cancelled=1)).endswith("1 cancelled; 0 bars revised")


def test_the_plot_has_a_layer_for_each_reason() -> None:
    assert set(COLORS) == set(REASONS)
    rows = trades()
    for found in (compare("BTC-USD", rows[:3], bars(rows), Tape(rows)),
                  compare("BTC-USD", rows, bars(rows))):  # fmt: skip
        overlay = found.plot()
        assert [layer.label for layer in overlay] == list(COLORS)
        marks = {layer.label: len(layer.dframe()) for layer in overlay}
        assert marks["missing"] == len(found.table)
        hv.render(overlay, backend="bokeh")


def test_the_command_wants_a_store_that_is_there(tmp_path: Path) -> None:
    place = str(tmp_path / "none.db")
    done = CliRunner().invoke(app, ["reconcile", "SPY", "2025-11-03", "--store", place])
    assert done.exit_code != 0
    assert not (tmp_path / "none.db").exists()


# -- real bars ---------------------------------------------------------------------------


def minute_bars(archive: Path) -> Rows:
    with zipfile.ZipFile(archive) as held:
        table = pd.read_csv(held.open(held.namelist()[0]), header=None)
    rows = np.zeros(len(table), BAR)
    midnight = pd.Timestamp("2013-10-07", tz="America/New_York").value
    rows["time"] = midnight + table[0].to_numpy(np.int64) * 1_000_000
    for column, name in enumerate(("open", "high", "low", "close"), 1):
        rows[name] = table[column] / 1e4
    rows["volume"] = table[5]
    rows["vwap"] = (rows["high"] + rows["low"] + rows["close"]) / 3
    return rows


def test_real_minutes_of_another_maker_agree_or_say_why(shared_data: Path) -> None:
    folder = shared_data / "equity"
    rows = read_trades(folder / "tick" / "ibm" / "20131007_trade.zip")[0].trades
    found = compare("IBM", rows, minute_bars(folder / "minute" / "ibm" / "20131007_trade.zip"))
    assert (found.bars, found.agreed) == (453, 240)
    counts = found.by_bar
    # Whoever made them let no intermarket sweep set a price.
    assert counts["condition"] > 180
    swept = found.table["detail"].str.contains("condition 14 sets volume only")
    assert swept.sum() > 250
    assert counts["unexplained"] < 40
