"""Studies: any split gives the same bits, and no later bar changes what was known before."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.records import BAR
from workbench.study import CATALOGUE, Study, StudyRun, study

Rows = npt.NDArray[Any]
MINUTE = 60 * 10**9
#: A Friday evening, so that short series cross days and a week.
START = 1_762_551_000 * 10**9

#: Small windows and few open zones, so that short series reach every rule.
SMALL: dict[str, list[dict[str, Any]]] = {
    "structure": [{"left": 2, "right": 1, "atr": 3}, {"left": 1, "right": 2, "ties": "any"}],
    "trend": [{"length": 3}, {"length": 8, "alpha": 0.2}],
    "profile": [
        {"length": 5, "bins": 8, "smooth": 0},
        {"length": 12, "tick": 0.5, "quantile": 0.6, "bins": 16},
    ],
    "order_blocks": [
        {"swing": 1, "atr": 3, "displacement": 0.5, "max_open": 2},
        {"swing": 2, "atr": 4, "displacement": 0.0, "zone": "body", "mitigation": "wick"},
    ],
    "fair_value_gaps": [
        {"max_open": 2},
        {"mitigation": "close", "middle": "directional"},
        {"mitigation": "touch", "min_size": 0.5},
    ],
    "liquidity": [
        {"swing": 1, "atr": 3, "tolerance": 0.5, "max_open": 2},
        {"swing": 2, "atr": 2, "tolerance": 1.0, "sweep": "close"},
    ],
}
EVERY = [study(name, **given) for name, cases in SMALL.items() for given in cases]
every = pytest.mark.parametrize("chosen", EVERY, ids=repr)


def market(seed: int, n: int, decimals: int) -> Rows:
    """Bars of a minute with jumps, ties, gaps in time and bars without volume."""
    rng = np.random.default_rng(seed)
    bars = np.zeros(n, BAR)
    bars["time"] = START + np.cumsum(rng.choice([1, 1, 1, 7, 400], n)) * MINUTE
    steps = rng.normal(0, 1, n) * rng.choice([0.0, 0.3, 1.0, 4.0], n)
    close = np.round(100 + np.cumsum(steps), decimals)
    open_ = np.round(np.concatenate([[100.0], close[:-1]]) + rng.choice([0, 0, 0.5], n), decimals)
    bars["open"], bars["close"] = open_[:n], close
    wick = np.round(np.abs(rng.normal(0, 0.5, (2, n))), decimals)
    bars["high"] = np.maximum(bars["open"], close) + wick[0]
    bars["low"] = np.minimum(bars["open"], close) - wick[1]
    bars["volume"] = rng.integers(0, 4, n) * 1.1
    bars["timeframe"] = 60
    bars["state"] = 2
    return bars


@st.composite
def series(draw: st.DrawFn, most: int = 150) -> Rows:
    n = draw(st.integers(0, most))
    return market(draw(st.integers(0, 2**32)), n, draw(st.integers(0, 3)))


def same(a: Rows, b: Rows) -> bool:
    """Bit for bit."""
    return a.tobytes() == b.tobytes()


@every
@settings(max_examples=25, deadline=None)
@given(bars=series(), data=st.data())
def test_any_split_gives_the_same_events(chosen: Study, bars: Rows, data: Any) -> None:
    whole = chosen.start("SPY")
    whole.add(bars)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(bars)), max_size=6)))
    run = chosen.start("SPY")
    parts = [run.add(bars[a:b]) for a, b in zip([0, *cuts], [*cuts, len(bars)], strict=True)]
    assert same(np.concatenate(parts), whole.events())
    assert same(run.events(), whole.events())
    by_row = chosen.start("SPY")
    for at in range(len(bars)):
        by_row.add(bars[at : at + 1])
    assert same(by_row.events(), whole.events())


@every
@settings(max_examples=25, deadline=None)
@given(bars=series(100), data=st.data())
def test_what_was_known_then_is_what_was_known_then(chosen: Study, bars: Rows, data: Any) -> None:
    n = data.draw(st.integers(0, len(bars)))
    whole = chosen.start("SPY")
    whole.add(bars)
    then = chosen.over(bars[:n], "SPY")
    end = int(bars["time"][n - 1]) + MINUTE if n else 0
    pd.testing.assert_frame_equal(whole.table(end), then)
    # Said another way: rows confirmed by then, with what happened later blanked.
    now = whole.table()
    now = now[now["confirmed"] <= pd.Timestamp(end, tz="UTC")]
    fixed = [c for c in now.columns if c not in (*chosen.spec.changing, "reason")]
    for column in ("touched", "mitigated"):
        if column in fixed:
            now[column] = now[column].where(now[column] <= pd.Timestamp(end, tz="UTC"))
    pd.testing.assert_frame_equal(now[fixed], then[fixed], check_index_type=False)


@every
@settings(max_examples=20, deadline=None)
@given(bars=series(100), data=st.data())
def test_a_run_goes_on_from_a_checkpoint(chosen: Study, bars: Rows, data: Any) -> None:
    n = data.draw(st.integers(0, len(bars)))
    other = market(data.draw(st.integers(0, 99)), 40, 2)
    other["time"] += int(bars["time"][n - 1]) - START if n else 0
    run = chosen.start("SPY")
    run.add(bars[:n])
    kept = run.checkpoint()
    run.add(other)  # a bar that is revised, and what came after it
    later = run.checkpoint()
    wrong = run.events().copy()
    run.restore(kept)
    run.add(bars[n:])
    assert same(run.events(), fresh(chosen, bars).events())
    run.restore(later)
    assert same(run.events(), wrong)
    second = chosen.start("SPY")
    second.restore(kept)
    second.add(bars[n:])
    assert same(second.events(), fresh(chosen, bars).events())
    assert second.count == len(bars)


@every
@settings(max_examples=20, deadline=None)
@given(bars=series())
def test_rows_are_in_order_and_their_times_make_sense(chosen: Study, bars: Rows) -> None:
    run = fresh(chosen, bars)
    table = run.table()
    assert table["confirmed"].is_monotonic_increasing
    assert (table["formed"] < table["confirmed"]).all()
    assert (table["first"] <= table["last"]).all()
    assert (table["last"] < table["confirmed"]).all()
    assert (np.diff(run.events()["time"]) >= 0).all()
    assert list(table.columns) == list(chosen.columns)
    if chosen.spec.ends:
        assert not (table["mitigated"] < table["confirmed"]).any()
        assert (table["mitigated"].isna() == (table["reason"] == "")).all()
        assert run.live().index.tolist() == table.index[table["mitigated"].isna()].tolist()
        if "max_open" in chosen.parameters:
            assert len(run.live()) <= chosen.parameters["max_open"] + 4


def fresh(chosen: Study, bars: Rows) -> StudyRun:
    run = chosen.start("SPY")
    run.add(bars)
    return run


def test_real_bars_split_anywhere_give_the_same_events(shared_data: Path) -> None:
    frame = real(shared_data)
    for name in CATALOGUE:
        whole = study(name).start(timeframe="15m")
        whole.add(frame)
        run = study(name).start(timeframe="15m")
        for part in (frame[:1], frame[1:199], frame[199:200], frame[200:1777], frame[1777:]):
            run.add(part)
        assert same(run.events(), whole.events()), name
        then = frame.index[1500] + pd.Timedelta("15min")
        known = study(name).over(frame[:1501], timeframe="15m")
        pd.testing.assert_frame_equal(whole.table(then), known)


def real(folder: Path) -> pd.DataFrame:
    frame = pd.read_csv(folder / "smc" / "EURUSD_15M.csv", nrows=3000)
    frame.columns = frame.columns.str.lower()
    frame.index = pd.to_datetime(frame.pop("date"), format="%Y.%m.%d %H:%M:%S")
    return frame.assign(volume=frame["tickvol"])


def digest() -> str:
    """Return a hash over the events of all studies over the same bars."""
    found = hashlib.sha256()
    bars = market(7, 250, 2)
    for chosen in EVERY:
        found.update(fresh(chosen, bars).events().tobytes())
    return found.hexdigest()


def test_the_loops_give_the_same_bits_without_the_compiler() -> None:
    code = f"import runpy, sys; print(runpy.run_path({str(Path(__file__))!r})['digest']())"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == digest()
