"""Direction, the Ichimoku cloud and trailing stops: golden values, TA-Lib, exact windows."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import talib

from workbench.analytics import Indicator, indicator
from workbench.errors import ConfigError
from workbench.kernels.columns import bars_type

Values = npt.NDArray[np.float64]

TRIED: list[tuple[str, dict[str, Any]]] = [
    ("adx", {}), ("adx", {"length": 1}), ("adx", {"start": "wilder", "length": 3}),
    ("adxr", {}), ("adxr", {"length": 1}), ("adxr", {"length": 40}),
    ("dmi", {}), ("dmi", {"length": 5, "start": "wilder"}),
    ("dx", {}), ("dx", {"length": 1, "start": "wilder"}),
    ("vortex", {}), ("vortex", {"length": 1}), ("vortex", {"length": 65}),
    ("ichimoku", {}), ("ichimoku", {"conversion": 1, "base": 2, "span": 3}),
    ("ichimoku", {"shift": "plotted"}), ("psar", {}), ("psar", {"rule": "extreme"}),
    ("psar", {"step": 0.05, "maximum": 0.5}), ("supertrend", {}),
    ("supertrend", {"length": 1, "width": 0.5, "start": "down"}),
]  # fmt: skip
CHOSEN = [indicator(name, **parameters) for name, parameters in TRIED]
each = pytest.mark.parametrize("chosen", CHOSEN, ids=repr)


def prices(n: int, seed: int = 1, step: float = 0.0) -> pd.DataFrame:
    """Bars of a random walk; rounded to a step, so that prices repeat, if it is not 0."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.004, n)))
    opened = np.concatenate([close[:1], close[:-1]])
    frame = pd.DataFrame({
        "open": opened,
        "high": np.maximum(opened, close) + 0.2 * rng.random(n),
        "low": np.minimum(opened, close) - 0.2 * rng.random(n),
        "close": close,
    })  # fmt: skip
    return (frame / step).round() * step if step else frame


def values(chosen: Indicator, frame: pd.DataFrame) -> Values:
    return chosen.values(*(frame[name] for name in chosen.inputs))


def golden(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "indicators" / name)


def close_to(ours: Any, theirs: Any, tolerance: float) -> int:
    """Assert that values agree wherever theirs are told; return how many those are."""
    expected = np.asarray(theirs, np.float64)
    told = ~np.isnan(expected)
    np.testing.assert_allclose(np.asarray(ours)[told], expected[told], rtol=0, atol=tolerance)
    return int(told.sum())


# -- golden values -------------------------------------------------------------------


def test_golden_adx_begins_as_wilder_does(shared_data: Path) -> None:
    frame = golden(shared_data, "adx14_cs.csv")
    ours = values(indicator("adx", start="wilder"), frame)
    columns = ("exp_adx", "exp_pdi", "exp_mdi")
    told = [close_to(ours[:, k], frame[name], 0.501e-7) for k, name in enumerate(columns)]
    assert sum(told) == 1457
    assert [int(np.isnan(ours[:, k]).sum()) for k in range(3)] == [27, 14, 14]


def test_golden_ichimoku(shared_data: Path) -> None:
    frame = golden(shared_data, "ichimoku_sk.csv")
    ours = values(indicator("ichimoku", shift="plotted"), frame)
    for k, name in enumerate(("exp_tenkan", "exp_kijun", "exp_spanA", "exp_spanB")):
        np.testing.assert_array_equal(ours[:, k], frame[name])
    np.testing.assert_array_equal(ours[26:, 4], frame["exp_chikou"][:-26])


def test_golden_psar(shared_data: Path) -> None:
    frame = golden(shared_data, "psar_002_skj.csv")
    ours = values(indicator("psar", rule="extreme"), frame)[:, 0]
    assert close_to(ours, frame["exp_sar"], 1e-11) == 488
    # Its first rows come from another start; from the first turn on it is TA-Lib's.
    frame = golden(shared_data, "psar_cs.csv")
    expected = frame["exp_up"].fillna(frame["exp_down"])[8:]
    assert close_to(values(indicator("psar"), frame)[8:, 0], expected, 1e-8) == 22


def test_golden_supertrend(shared_data: Path) -> None:
    frame = golden(shared_data, "supertrend14_sk.csv")
    ours = values(indicator("supertrend", length=14), frame)
    told = [
        close_to(ours[:, k], frame[name], 1e-11)
        for k, name in [(0, "exp_st"), (2, "exp_up"), (3, "exp_lo")]
    ]
    assert told == [488, 140, 348]
    rising = frame["exp_lo"].notna().to_numpy()[14:]
    np.testing.assert_array_equal(ours[14:, 1], np.where(rising, 1.0, -1.0))


# -- TA-Lib --------------------------------------------------------------------------

#: Of a function of TA-Lib: our indicator and its output.
PEERS: dict[str, tuple[str, int, Callable[..., Values]]] = {
    "ADX": ("adx", 0, talib.ADX),
    "ADXR": ("adxr", 0, talib.ADXR),
    "DX": ("dx", 0, talib.DX),
    "PLUS_DI": ("dmi", 0, talib.PLUS_DI),
    "MINUS_DI": ("dmi", 1, talib.MINUS_DI),
    "PLUS_DI of adx": ("adx", 1, talib.PLUS_DI),
}


def agree(ours: Values, theirs: Values) -> None:
    """Assert the same leading NaN, and 1e-10 relative, floored at 1e-3 of the range."""
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    told = ~np.isnan(theirs)
    if told.any():
        floor = 1e-3 * float(np.ptp(theirs[told]))
        error = np.abs(ours - theirs)[told]
        assert (error <= 1e-10 * np.maximum(np.abs(theirs[told]), floor)).all()


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("length", [2, 3, 14, 50, 400])
@pytest.mark.parametrize("step", [0.0, 0.25])
def test_direction_agrees_with_talib(peer: str, length: int, step: float) -> None:
    name, output, function = PEERS[peer]
    for n in (1500, 300):
        frame = prices(n, length, step)
        theirs = function(*(frame[c].to_numpy() for c in ("high", "low", "close")), length)
        agree(values(indicator(name, length=length), frame)[:, output], theirs)


def test_at_length_one_talib_forgets_the_per_cent() -> None:
    frame = prices(200)
    high, low, close = (frame[c].to_numpy() for c in ("high", "low", "close"))
    ours = values(indicator("dmi", length=1), frame)
    agree(ours[:, 0], 100.0 * talib.PLUS_DI(high, low, close, 1))
    agree(ours[:, 1], 100.0 * talib.MINUS_DI(high, low, close, 1))


@pytest.mark.parametrize(("step", "maximum"), [(0.02, 0.2), (0.1, 0.1), (0.003, 0.7)])
@pytest.mark.parametrize("tick", [0.0, 0.01, 0.25])
def test_psar_agrees_with_talib(step: float, maximum: float, tick: float) -> None:
    for seed in range(5):
        frame = prices(3000, seed, tick)
        theirs = talib.SAR(frame["high"].to_numpy(), frame["low"].to_numpy(), step, maximum)
        agree(values(indicator("psar", step=step, maximum=maximum), frame)[:, 0], theirs)


@pytest.mark.parametrize("file", ["spx.csv", "penny.csv", "zeros.csv", "bitcoin.csv"])
def test_real_bars_agree_with_talib(shared_data: Path, file: str) -> None:
    frame = mixed(shared_data / "bars_mixed" / file)
    high, low, close = (frame[c].to_numpy() for c in ("high", "low", "close"))
    for name, output, function in PEERS.values():
        agree(values(indicator(name), frame)[:, output], function(high, low, close, 14))
    agree(values(indicator("psar"), frame)[:, 0], talib.SAR(high, low, 0.02, 0.2))
    for length in (2, 9, 26, 52):
        ours = values(indicator("ichimoku", conversion=1, base=length), frame)
        agree(ours[:, 1], talib.MIDPRICE(high, low, length))


# -- dirty bars ----------------------------------------------------------------------


def mixed(file: Path) -> pd.DataFrame:
    frame = pd.read_csv(file)
    frame.columns = [name.lower().rsplit(".")[-1].strip() for name in frame.columns]
    columns = ("open", "high", "low", "close")
    numbers = {name: pd.to_numeric(frame[name], errors="coerce") for name in columns}
    return pd.DataFrame(numbers).dropna().reset_index(drop=True)


@pytest.mark.parametrize("file", ["_issue0859.adx.nan.csv", "bad.csv", "toobig.csv", "zeros.csv"])
@each
def test_dirty_bars_give_values_after_the_warm_up(
    shared_data: Path, file: str, chosen: Indicator
) -> None:
    frame = mixed(shared_data / "bars_mixed" / file)
    assert np.isfinite(values(chosen, frame)[chosen.warmup :]).all()


@each
def test_a_row_that_is_not_finite_is_passed_over(chosen: Indicator) -> None:
    frame = prices(300)
    holes = frame.copy()
    holes.loc[[0, 77, 200], "high"] = [math.nan, math.inf, -math.inf]
    kept = np.isfinite(holes["high"].to_numpy())
    with_holes = values(chosen, holes)
    assert np.isnan(with_holes[~kept]).all()
    np.testing.assert_array_equal(with_holes[kept], values(chosen, frame[kept]))


# -- what holds for all --------------------------------------------------------------


@each
@pytest.mark.parametrize("step", [0.0, 0.5])
def test_warm_up_is_as_told_and_lengths_need_not_fit(chosen: Indicator, step: float) -> None:
    frame = prices(chosen.warmup + 40, 3, step)
    ours = values(chosen, frame)
    complete: npt.NDArray[np.bool_] = np.asarray(np.isfinite(ours).all(axis=1))
    assert not complete[: chosen.warmup].any()
    assert complete[chosen.warmup :].all()
    assert not np.isfinite(values(chosen, frame[: chosen.warmup])).all(axis=1).any()


@each
@pytest.mark.parametrize("level", [0.0, 100.0, -7.5])
def test_constant_prices_give_defined_values(chosen: Indicator, level: float) -> None:
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), [level] * 300))
    ours = values(chosen, frame)[chosen.warmup :]
    flat = level if chosen.pane == "price" else 0.0
    allowed = {flat, 1.0, -1.0} if chosen.spec.name == "supertrend" else {flat}
    assert set(np.unique(ours)) <= allowed


@each
@pytest.mark.parametrize("step", [0.0, 0.5])
def test_any_split_and_the_python_twin_give_the_same_bits(chosen: Indicator, step: float) -> None:
    frame = prices(400, 5, step)
    columns = [frame[name].to_numpy().copy() for name in chosen.inputs]
    for column in columns:
        column.flags.writeable = False
    whole = chosen.values(*columns)
    for cuts in ([1, 2, 3, 64, 65, 200], [130, 131, 399], list(range(1, 400))):
        run = chosen.start()
        edges = zip([0, *cuts], [*cuts, 400], strict=True)
        parts = [run.columns([column[a:b] for column in columns]) for a, b in edges]
        assert np.concatenate(parts).tobytes() == whole.tobytes()
    run = chosen.start()
    out = np.empty_like(whole)
    bars = bars_type(chosen.spec.inputs)(*columns)
    twin: Any = chosen.spec.kernel
    twin.py_func(run._p, run._s, bars, out)
    assert out.tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", ["adx", "adxr", "dmi", "dx", "supertrend"])
def test_what_fades_ends_at_zero(name: str) -> None:
    """Two bars that move, then none: what is smoothed must not linger in denormal numbers."""
    frame = pd.DataFrame({"high": [2.0, 3.0], "low": [1.0, 1.5], "close": [1.5, 2.5]})
    still = pd.DataFrame({"high": [3.0] * 2000, "low": [3.0] * 2000, "close": [3.0] * 2000})
    moved = pd.concat([frame, still], ignore_index=True)
    run = indicator(name, length=2).start()
    run.columns([moved[c].to_numpy() for c in ("high", "low", "close")])
    fields = [f for f in ("plus", "minus", "range") if f in (run._s.dtype.names or ())]
    assert [float(run._s[0][field]) for field in fields] == [0.0] * len(fields)


# -- definitions ---------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 14, 200])
def test_vortex_is_exact_even_where_levels_jump(length: int) -> None:
    frame = prices(3000, 2, 0.01)
    frame += np.where(np.arange(3000) // 97 % 2, 1e6, 0.0)[:, None]
    high, low, close = (frame[c].to_numpy() for c in ("high", "low", "close"))
    plus = np.abs(high[1:] - low[:-1])
    minus = np.abs(low[1:] - high[:-1])
    reach = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
    ours = values(indicator("vortex", length=length), frame)
    for i in range(length, 3000, 7):
        window = slice(i - length, i)
        whole = math.fsum(reach[window])
        expected = [math.fsum(part[window]) / whole for part in (plus, minus)]
        np.testing.assert_allclose(ours[i], expected, rtol=1e-12)


@pytest.mark.parametrize("lengths", [(9, 26, 52), (1, 1, 1), (3, 64, 65), (2, 300, 301)])
def test_ichimoku_lines_are_middles_of_windows(lengths: tuple[int, int, int]) -> None:
    frame = prices(1000, 4)
    names = ("conversion", "base", "span")
    given: dict[str, Any] = dict(zip(names, lengths, strict=True))
    chosen = indicator("ichimoku", **given)
    ours = values(chosen, frame)
    for column, length in zip((0, 1, 3), lengths, strict=True):
        highest = frame["high"].rolling(length).max()
        lowest = frame["low"].rolling(length).min()
        np.testing.assert_array_equal(ours[:, column], (highest + lowest) * 0.5)
    np.testing.assert_array_equal(ours[:, 2], (ours[:, 0] + ours[:, 1]) * 0.5)
    np.testing.assert_array_equal(ours[:, 4], frame["close"])
    plotted = values(Indicator(chosen.spec, {**chosen.parameters, "shift": "plotted"}), frame)
    late = lengths[1]
    np.testing.assert_array_equal(plotted[late:, 2:4], ours[:-late, 2:4])
    np.testing.assert_array_equal(plotted[:, (0, 1, 4)], ours[:, (0, 1, 4)])


def test_supertrend_starts_as_told_and_only_tightens() -> None:
    frame = prices(500, 6)
    bar = frame.iloc[10]
    first = {s: values(indicator("supertrend", start=s), frame) for s in ("up", "down", "middle")}
    assert (first["up"][10, 1], first["down"][10, 1]) == (1.0, -1.0)
    assert first["middle"][10, 1] == (
        1.0 if bar["close"] >= (bar["high"] + bar["low"]) / 2 else -1.0
    )
    line, direction, upper, lower = values(indicator("supertrend", width=1.0), frame)[10:].T
    np.testing.assert_array_equal(line, np.where(direction > 0, lower, upper))
    rising = (direction[1:] > 0) & (direction[:-1] > 0)
    assert rising.any()
    assert (np.diff(line)[rising] >= 0).all()
    falling = (direction[1:] < 0) & (direction[:-1] < 0)
    assert (np.diff(line)[falling] <= 0).all()


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("ichimoku", {"conversion": 30}, "conversion must be at most base"),
        ("psar", {"step": 0.3}, "step must be at most maximum"),
        ("adx", {"length": 0}, "length must be a whole number from 1"),
        ("adx", {"start": "wildr"}, "did you mean 'wilder'"),
    ],
)
def test_what_cannot_be_is_refused(name: str, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        indicator(name, **parameters)
