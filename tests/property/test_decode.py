"""Decoding whatever a socket may bring: it never raises, and accounts for every event."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.records import KINDS
from workbench.sources.massive import MARKETS, MassiveSource
from workbench.sources.massive_wire import id_number, pack, sequences, shorts, times_ns
from workbench.sources.source import Decoded, Frame

markets = st.sampled_from(sorted(MARKETS))
numbers = st.one_of(
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
)
junk: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = {
    "T": ["sym", "p", "t", "s", "x", "i", "q", "c", "ds"],
    "Q": ["sym", "t", "bp", "ap", "bs", "as", "bx", "ax", "q"],
    "XT": ["pair", "p", "t", "s", "x", "i", "c"],
    "XQ": ["pair", "t", "bp", "ap", "bs", "as", "x"],
    "A": ["sym", "s", "o", "h", "l", "c", "v", "vw", "z"],
    "XA": ["pair", "s", "o", "h", "l", "c", "v", "vw", "z"],
    "status": ["status", "message"],
}


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """An event of some kind whose fields may be anything, or missing."""
    ev = draw(st.sampled_from([*KEYS, "AM", "XAS", "LULD", 3, None]))
    keys = KEYS.get({"AM": "A", "XAS": "XA"}.get(str(ev), str(ev)), KEYS["T"])
    event: dict[str, Any] = {"ev": ev}
    for key in keys:
        sane: st.SearchStrategy[Any] = numbers
        if key in ("sym", "pair", "status", "message", "ds"):
            sane = st.one_of(st.text(max_size=6), st.sampled_from(["AAPL", "BTC-USD", "1.5"]))
        elif key == "i":
            sane = st.one_of(st.text(max_size=6), st.integers(-5, 2**70))
        elif key == "t" or (key == "s" and ev in ("A", "AM", "XA", "XAS")):
            sane = st.integers(-10, 2 * 10**18)
        if draw(st.integers(0, 9)):
            event[key] = draw(sane if draw(st.integers(0, 9)) else junk)
    return event


def counted(decoded: Decoded) -> int:
    rows = sum(len(batch) for batch in decoded.batches)
    return rows + len(decoded.statuses) + len(decoded.rejects)


@settings(max_examples=100, deadline=None)
@given(markets, st.lists(st.binary(max_size=60), max_size=4))
@example("stocks", [b'[{"ev":"T","sym":"A\xff","p":1,"t":1}]', b"[" * 100_000])
def test_any_bytes_end_as_refusals(market: str, payloads: list[bytes]) -> None:
    decoded = MassiveSource(market).decode([Frame(7, data) for data in payloads])
    assert all(reject.received == 7 for reject in decoded.rejects)
    assert all(len(reject.raw) <= 1000 for reject in decoded.rejects)
    assert all(len(reject.detail) <= 200 for reject in decoded.rejects)


@settings(max_examples=100, deadline=None)
@given(markets, st.lists(st.lists(events(), max_size=4), max_size=3))
def test_every_event_is_a_row_a_status_or_a_refusal(
    market: str, frames: list[list[dict[str, Any]]]
) -> None:
    payloads = [json.dumps(frame).encode() for frame in frames]
    decoded = MassiveSource(market).decode(
        [Frame(10**9 + n, data) for n, data in enumerate(payloads)]
    )
    assert counted(decoded) == sum(map(len, frames))
    for batch in decoded.batches:
        assert batch.rows.dtype == KINDS[batch.kind]
        assert (batch.rows["symbol"] >= 0).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(events(), max_size=3), st.lists(events(), max_size=3), junk)
def test_a_bad_event_does_not_cost_its_neighbours(
    before: list[dict[str, Any]], after: list[dict[str, Any]], bad: Any
) -> None:
    good = {"ev": "T", "sym": "GOOD", "p": 1.5, "s": 2, "t": 1_723_161_255_342, "i": "9"}
    frame = json.dumps([*before, bad, good, *after]).encode()
    source = MassiveSource("stocks")
    decoded = source.decode([Frame(1, frame)])
    number = source.table.find("GOOD")
    rows = [b.rows[b.rows["symbol"] == number] for b in decoded.batches if b.kind == "trade"]
    assert next(row.tolist() for row in rows if len(row))[0][2:4] == (1.5, 2.0)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(["T", "Q", "A", "XT", "XQ", "XA"]), st.integers(1, 5))
def test_how_frames_gather_does_not_change_the_rows(data: Any, ev: str, width: int) -> None:
    some = data.draw(st.lists(events(), max_size=8))
    frames = [
        Frame(n, json.dumps([{**e, "ev": ev, "sym": "A", "pair": "B-USD"}]).encode())
        for n, e in enumerate(some)
    ]
    together, apart = MassiveSource("crypto"), MassiveSource("crypto")
    whole = together.decode(frames)
    parts = [apart.decode(frames[n : n + width]) for n in range(0, len(frames), width)]
    split = b"".join(b.rows.tobytes() for part in parts for b in part.batches)
    assert b"".join(b.rows.tobytes() for b in whole.batches) == split
    assert whole.rejects == [reject for part in parts for reject in part.rejects]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**70), 2**70), max_size=8))
def test_numbers_of_any_size_fit_their_columns(values: list[int]) -> None:
    for ms, ns in zip(values, times_ns(values).tolist(), strict=True):
        assert ns == (ms * 1_000_000 if 0 < ms < 9 * 10**12 else 0)
    for value, number in zip(values, sequences(values).tolist(), strict=True):
        assert number == (value if 0 <= value < 2**64 else 0)
    for value, number in zip(values, shorts(values).tolist(), strict=True):
        assert number == (value if 0 <= value < 2**15 else 0)
    packed = pack(tuple(values))
    assert [packed >> 8 * n & 0xFF for n in range(min(4, len(values)))] == [
        value & 0xFF for value in values[:4]
    ]


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(max_size=40), st.integers(-(2**70), 2**70)))
def test_ids_are_numbers_of_their_own(i: str | int) -> None:
    number = id_number(i)
    assert 0 <= number < 2**64
    assert number == id_number(i)
    if isinstance(i, int) and 0 <= i < 2**64:
        assert number == i == id_number(str(i))
