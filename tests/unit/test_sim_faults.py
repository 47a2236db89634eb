"""Faults without a socket: what each makes of frames and answers, and when it strikes."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from workbench.clock import ManualClock
from workbench.errors import ConfigError
from workbench.sim.faultlist import CATALOGUE, SCHEDULE, checked, parse
from workbench.sim.faultplan import FaultPlan
from workbench.sim.faults import Abort, Action, Close, Deaf, Raw, Send, Wait
from workbench.sim.faultswitch import EFFECTS, RECOVERED
from workbench.sim.rest import Answer
from workbench.sim.wire import status

T0 = 1_723_161_255_000
HELLO = b"[%b]" % status("connected", "Connected Successfully")
LOGIN = b"[%b]" % status("auth_success", "authenticated")


def trade(i: int, sym: str = "SPY") -> dict[str, Any]:
    return {"ev": "T", "sym": sym, "p": 10.0 + i, "s": 100, "t": T0 + i, "q": i, "i": str(i)}


def frame(*events: dict[str, Any]) -> bytes:
    return json.dumps(events, separators=(",", ":")).encode()


def is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def ids(actions: Sequence[Action]) -> list[str]:
    """Return the ids of the trades that are sent, in order."""
    sent = [json.loads(action.data) for action in actions if isinstance(action, Send)]
    return [event["i"] for events in sent for event in events if event["ev"] == "T"]


def run(plan: FaultPlan, n: int, per_frame: int = 1) -> list[list[Action]]:
    """Offer frames with consecutive trades to one connection."""
    return [
        list(plan.on_frame(1, frame(*(trade(k * per_frame + j) for j in range(per_frame)))))
        for k in range(n)
    ]


def flat(parts: list[list[Action]]) -> list[Action]:
    return [action for part in parts for action in part]


def one(text: str, data: bytes | None = None) -> list[Action]:
    return list(FaultPlan([text]).on_frame(1, frame(trade(1)) if data is None else data))


# -- the catalogue -----------------------------------------------------------------------


def test_every_fault_of_the_catalogue_can_be_switched_on() -> None:
    assert set(CATALOGUE) == {*EFFECTS, "random"}
    assert set(RECOVERED) < set(CATALOGUE)
    plan = FaultPlan()
    for number, name in enumerate(CATALOGUE, 1):
        assert plan.on(name) == number
        assert all(item.what for item in CATALOGUE[name].parameters)
    assert [switch.name for switch in plan.switches()] == list(CATALOGUE)
    assert plan.clear() == len(CATALOGUE)
    assert plan.switches() == []
    assert repr(plan) == "FaultPlan(nothing on)"


def test_defaults_are_allowed_values() -> None:
    for item in CATALOGUE.values():
        values = checked(item.name, {})
        for parameter in (*item.parameters, *SCHEDULE):
            assert parameter.read(values[parameter.name]) == values[parameter.name]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no fault ''; there is drop"),
        ("dorp", "did you mean drop"),
        ("rest-eror:status=500", "did you mean rest-error"),
        ("drop:cod=1006", "no parameter 'cod'; did you mean code"),
        ("drop:code", "'code' is not of the form PARAMETER=VALUE"),
        ("drop:code=1,", "'' is not of the form"),
        ("drop:code=12", "code is '12'; allowed: a whole number from 1000 to 4999"),
        ("drop:code=1005", "never travels"),
        ("drop:code=1006,code=1008", "code is given twice"),
        ("drop:how=gently", "allowed: abort, fin, frame, header"),
        ("drop:rate=1.5", "allowed: a number from 0 to 1"),
        ("drop:rate=nan", "rate is 'nan'"),
        ("drop:every=0", "a whole number from 1"),
        ("drop:every=1.5", "a whole number from 1"),
        ("stall:seconds=soon", "seconds is 'soon'"),
        ("stall:seconds=none", "seconds is 'none'"),
        ("half-open:seconds=-1", "a number from 0 to 86400, or none"),
        ("garble:ascii=perhaps", "true or false"),
    ],
)
def test_what_cannot_be_read_is_explained(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert words in str(caught.value)


def test_values_are_read() -> None:
    given = " drop : code=1008, reason=enough ,rate=0.5,count=none,seed=3 "
    assert parse(given) == (
        "drop",
        {"code": 1008, "reason": "enough", "rate": 0.5, "count": None, "seed": 3},
    )
    assert parse("garble:ascii=no") == ("garble", {"ascii": False})
    with pytest.raises(ConfigError, match="status is 'True'"):
        FaultPlan().on("refuse", status=True)
    with pytest.raises(ConfigError, match="draws from faults of frames, and hello is not one"):
        FaultPlan(["random:among=drop+hello"])


@given(st.text(max_size=40))
@examples(max_examples=60, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        name, values = parse(text)
    except ConfigError:
        return
    assert FaultPlan().on(name, **values) == 1


# -- when a fault strikes ----------------------------------------------------------------


def strikes(plan: FaultPlan, n: int) -> list[int]:
    return [k for k, actions in enumerate(run(plan, n)) if len(actions) == 2]


def test_schedule_by_number() -> None:
    assert strikes(FaultPlan(["duplicate:every=3"]), 10) == [2, 5, 8]
    assert strikes(FaultPlan(["duplicate:every=3,after=4,count=1"]), 10) == [6]
    plan = FaultPlan(["duplicate:rate=0.3,seed=5"])
    struck = strikes(plan, 200)
    assert 30 < len(struck) < 90
    assert struck == strikes(FaultPlan(["duplicate:rate=0.3,seed=5"]), 200)
    assert struck != strikes(FaultPlan(["duplicate:rate=0.3,seed=6"]), 200)
    assert plan.counts() == {"duplicate": len(struck)}
    assert len(plan.log) == len(struck)


def test_schedule_by_time() -> None:
    clock = ManualClock(10**18)
    plan = FaultPlan(["duplicate:interval=2", "stall:duration=3"], clock=clock)
    kinds = []
    for _ in range(5):
        kinds.append([type(action) for action in plan.on_frame(1, frame(trade(1)))])
        clock.advance(1.0)
    twice = [Wait, Send] * 2
    assert kinds == [twice, [Wait, Send], twice, [Send], [Send, Send]]
    assert [strike.time - 10**18 for strike in plan.log if strike.name == "duplicate"] == [
        0,
        2 * 10**9,
        4 * 10**9,
    ]
    assert [switch.name for switch in plan.switches()] == ["duplicate"]


def test_off_by_name_and_number() -> None:
    plan = FaultPlan(["stall", "stall", "drop:after=100"])
    assert plan.off("stall") == 2
    assert plan.off("stall") == 0
    assert plan.off(3) == 1
    assert plan.off(99) == 0
    with pytest.raises(ConfigError, match="did you mean stall"):
        plan.off("stal")
    assert run(plan, 1) == [[Send(frame(trade(0)))]]


def test_nothing_on_costs_nothing_and_counts_nothing() -> None:
    plan = FaultPlan()
    run(plan, 3)
    assert plan.ledger() == {}
    assert plan.due(1) is None
    assert plan.release(1) == []


def test_a_frame_that_comes_as_the_last_fault_goes_is_not_counted() -> None:
    sent: list[Sequence[Action]] = []

    class Meanwhile(ManualClock):
        """Let a frame come while the plan is busy with what asked for the time."""

        thread: threading.Thread | None = None

        def monotonic(self) -> float:
            thread, self.thread = self.thread, None
            if thread is not None:
                thread.start()
                thread.join(0.05)
            return super().monotonic()

    clock = Meanwhile()
    plan = FaultPlan(["duplicate:after=1000"], clock=clock)
    came = threading.Thread(target=lambda: sent.append(plan.on_frame(1, frame(trade(1)))))
    clock.thread = came
    assert plan.off("duplicate") == 1
    came.join()
    assert sent == [(Send(frame(trade(1))),)]
    assert plan.ledger() == {}


# -- the line ----------------------------------------------------------------------------


def test_ends_of_a_connection() -> None:
    data = frame(trade(1))
    assert one("drop") == [Abort()]
    assert one("drop:code=1000") == [Close(1000)]
    assert one("drop:code=1011,reason=bye") == [Close(1011, "bye")]
    assert one("drop:how=fin") == [Raw(b"", end=True)]
    assert one("drop:how=header") == [Raw(b"\x81", end=True)]
    (cut,) = one("drop:how=frame")
    assert isinstance(cut, Raw)
    assert cut.end
    assert cut.data[0] == 0x81
    assert cut.data[1] == len(data)
    assert data.startswith(cut.data[2:])
    assert 0 < len(cut.data) - 2 < len(data)
    reason, close = one("kick:status=force_disconnect")
    assert isinstance(reason, Send)
    assert b"force_disconnect" in reason.data
    assert close == Close(1008)


def test_words_about_the_connection_are_left_alone() -> None:
    for name in CATALOGUE:
        if name not in ("hello", "login"):
            assert one(name, LOGIN) == [Send(LOGIN)]
            assert one(name, HELLO) == [Send(HELLO)]


def test_after_the_end_nothing_is_sent_and_all_is_counted() -> None:
    plan = FaultPlan(["drop:after=1,count=1"])
    assert [len(actions) for actions in run(plan, 4)] == [1, 1, 0, 0]
    assert plan.ledger() == {
        "offered": 4,
        "offered_trades": 4,
        "suppressed": 3,
        "suppressed_trades": 3,
    }
    plan.on_end(1)
    assert run(plan, 1) == [[Send(frame(trade(0)))]]


def test_half_open_line_is_deaf_and_silent_for_its_time() -> None:
    clock = ManualClock()
    plan = FaultPlan(["half-open:seconds=2,count=1"], clock=clock)
    assert run(plan, 2) == [[Deaf()], []]
    assert plan.on_frame(1, LOGIN) == []
    assert len(plan.on_frame(2, frame(trade(9)))) == 1
    assert plan.due(1) == 2.0
    assert plan.due(2) is None
    clock.advance(2.0)
    assert plan.release(1) == [Deaf(on=False)]
    assert len(flat(run(plan, 1))) == 1
    for_ever = FaultPlan(["half-open:count=1"], clock=clock)
    run(for_ever, 1)
    clock.advance(1e6)
    assert for_ever.due(1) is None
    assert run(for_ever, 1) == [[]]
    number = FaultPlan(["half-open"], clock=clock)
    run(number, 1)
    number.off("half-open")
    assert flat(run(number, 1))[0] == Deaf(on=False)


def test_outage_cuts_all_and_refuses_for_its_time() -> None:
    clock = ManualClock()
    plan = FaultPlan(["outage:seconds=2,count=1"], clock=clock)
    assert asyncio.run(plan.on_connect("stocks")) is None
    assert plan.on_frame(1, frame(trade(1))) == [Abort()]
    assert plan.on_frame(2, HELLO) == [Abort()]
    refusal = asyncio.run(plan.on_connect("stocks"))
    assert refusal is not None
    assert refusal.status == 503
    clock.advance(2.0)
    assert asyncio.run(plan.on_connect("stocks")) is None
    assert plan.on_frame(3, HELLO) == [Send(HELLO)]


def test_handshake() -> None:
    assert one("hello", HELLO) == []
    assert one("hello:how=close", HELLO) == [Send(HELLO), Close(1000)]
    for name, data in (("hello", HELLO), ("login", LOGIN)):
        (garbage,) = one(f"{name}:how=garbage", data)
        assert isinstance(garbage, Send)
        assert garbage.data.startswith(b"<html>")
    assert one("login:how=silent", LOGIN) == []
    for how, word in (("refuse", b"auth_failed"), ("limit", b"max_connections")):
        said, close = one(f"login:how={how}", LOGIN)
        assert isinstance(said, Send)
        assert word in said.data
        assert close == Close(1008)
    plan = FaultPlan(["refuse:status=429,retry_after=1.2,count=1"])
    refusal = asyncio.run(plan.on_connect("stocks"))
    assert refusal is not None
    assert (refusal.status, refusal.headers["Retry-After"]) == (429, "2")
    assert asyncio.run(plan.on_connect("stocks")) is None


def test_forms_of_frames() -> None:
    data = frame(trade(1))
    assert one("framing") == [Send(data, text=False, final=True)]
    (pieces,) = one("framing:how=fragments")
    assert isinstance(pieces, Raw)
    assert [byte for byte in pieces.data if byte in (0x01, 0x00, 0x80)][:3] == [1, 0, 0x80]
    assert one("framing:how=opcode") == [Raw(b"\x8b\x00")]
    whole, broken = one("framing:how=utf8")
    assert whole == Send(data)
    assert isinstance(broken, Send)
    with pytest.raises(UnicodeDecodeError):
        broken.data.decode()
    (big,) = one("big:megabytes=2")
    assert isinstance(big, Send)
    assert len(big.data) == 2 * 2**20
    assert json.loads(big.data) == json.loads(data)


# -- content -----------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.booleans(), st.integers(1, 50))
@examples(max_examples=60, deadline=None)
def test_a_garbled_frame_is_never_taken_for_a_list(seed: int, ascii: bool, count: int) -> None:
    data = frame(trade(1), trade(2))
    (sent,) = one(f"garble:bytes={count},ascii={ascii},seed={seed}", data)
    assert isinstance(sent, Send)
    assert sent.final
    assert len(sent.data) == len(data)
    assert sum(a != b for a, b in zip(sent.data, data, strict=True)) <= count
    assert sent.data.isascii() == ascii
    assert not is_json(sent.data)


@given(st.floats(0, 1))
@examples(max_examples=30, deadline=None)
def test_a_truncated_frame_lacks_its_end(part: float) -> None:
    data = frame(trade(1))
    (sent,) = one(f"truncate:part={part}")
    assert isinstance(sent, Send)
    assert data.startswith(sent.data)
    assert len(sent.data) < len(data)


def test_what_is_added_is_added_only() -> None:
    data = frame(trade(1))
    for what in ("html", "text", "object", "numbers", "empty", "deep"):
        nonsense, whole = one(f"nonsense:what={what}")
        assert whole == Send(data)
        assert isinstance(nonsense, Send)
    plan = FaultPlan(["unknown"])
    (sent,) = plan.on_frame(1, data)
    assert isinstance(sent, Send)
    assert json.loads(sent.data)[:-1] == json.loads(data)
    assert plan.ledger() == {"added": 1, "offered": 1, "offered_trades": 1}
    (sent,) = one("unknown:what=status")
    assert isinstance(sent, Send)
    assert json.loads(sent.data)[-1]["ev"] == "status"


@pytest.mark.parametrize("field", ["price", "size", "time", "symbol"])
@pytest.mark.parametrize(
    "value",
    ["null", "text", "bool", "list", "missing", "zero", "negative", "huge", "nan", "infinity"],
)
def test_one_value_is_wrong_and_the_rest_is_not(field: str, value: str) -> None:
    plan = FaultPlan([f"wrong:field={field},value={value},every=2"])
    actions = plan.on_frame(1, frame(trade(1), trade(2), trade(3)))
    sent = [json.loads(action.data) for action in actions if isinstance(action, Send)]
    events = {event.get("i"): event for events in sent for event in events}
    assert {i: events[i] for i in ("1", "3")} == {"1": trade(1), "3": trade(3)}
    name = {"price": "p", "size": "s", "time": "t", "symbol": "sym"}[field]
    wrong = events["2"]
    if value == "missing":
        assert name not in wrong
    elif value == "nan":
        assert math.isnan(wrong[name])
    else:
        assert wrong[name] != trade(2)[name] or isinstance(wrong[name], bool)
    assert {k: v for k, v in wrong.items() if k != name} == {
        k: v for k, v in trade(2).items() if k != name
    }
    assert len(sent) == (2 if value in ("nan", "infinity") else 1)
    assert plan.ledger()["spoiled_trades"] == 1
    assert plan.log[0].detail == f"{field} {value}"


def test_times_and_quotes_are_altered() -> None:
    quote = {"ev": "Q", "sym": "SPY", "bp": 1.0, "ap": 2.0, "t": T0}
    bar = {"ev": "AM", "sym": "SPY", "s": T0, "e": T0 + 60_000, "c": 1.5}
    data = frame(trade(0), quote, bar)
    (sent,) = one("skew:seconds=-2.5", data)
    assert isinstance(sent, Send)
    a, b, c = json.loads(sent.data)
    assert (a["t"], b["t"], c["s"], c["e"]) == (T0 - 2500, T0 - 2500, T0 - 2500, T0 + 57_500)
    assert (a["s"], a["p"]) == (100, 10.0)
    for unit, t in (("s", T0 // 1000), ("us", T0 * 1000), ("ns", T0 * 10**6)):
        (sent,) = one(f"units:unit={unit}", data)
        assert isinstance(sent, Send)
        assert [event.get("t", event.get("s")) for event in json.loads(sent.data)] == [t] * 3
    # Both at once would cut ms to seconds, which nobody can tell from a true time.
    (sent,) = FaultPlan(["units:unit=s", "units:unit=us"]).on_frame(1, data)
    assert isinstance(sent, Send)
    assert [event.get("t", event.get("s")) for event in json.loads(sent.data)] == [T0 // 1000] * 3
    plan = FaultPlan(["crossed"])
    (sent,) = plan.on_frame(1, data)
    assert isinstance(sent, Send)
    assert json.loads(sent.data)[1] == quote | {"bp": 2.0, "ap": 1.0}
    assert plan.ledger()["altered"] == 1


# -- order -------------------------------------------------------------------------------


def test_duplicates() -> None:
    plan = FaultPlan(["duplicate:every=2"])
    assert ids(flat(run(plan, 4))) == ["0", "1", "1", "2", "3", "3"]
    assert plan.ledger()["repeated_trades"] == 2
    later = FaultPlan(["duplicate:how=later,distance=2,every=3"], clock=ManualClock())
    assert [ids(part) for part in run(later, 6)] == [
        ["0"], ["1"], ["2"], ["3"], ["4", "2"], ["5"]
    ]  # fmt: skip
    assert later.off("duplicate") == 1
    assert later.due(1) == 0.0
    assert ids(later.release(1)) == ["5"]
    assert later.due(1) is None


def test_late_trades_come_later_and_others_pass() -> None:
    clock = ManualClock()
    plan = FaultPlan(["late:seconds=2,every=2"], clock=clock)
    assert [ids(part) for part in run(plan, 2, 3)] == [["0", "2"], ["4"]]
    assert plan.due(1) == 2.0
    assert plan.due(2) is None
    clock.advance(1.9)
    assert plan.release(1) == []
    clock.advance(0.1)
    assert ids(plan.release(1)) == ["1", "3", "5"]
    assert plan.due(1) is None


def test_burst_sends_frames_together() -> None:
    clock = ManualClock()
    plan = FaultPlan(["burst:factor=4,every=3"], clock=clock)
    assert [len(part) for part in run(plan, 8)] == [1, 1, 0, 0, 0, 4, 1, 1]
    run(plan, 1)
    assert plan.due(1) == 1.0
    clock.advance(1.0)
    assert ids(plan.release(1)) == ["0"]


@given(
    st.lists(st.integers(1, 8), min_size=1, max_size=20),
    st.integers(2, 20),
    st.floats(0, 1),
    st.integers(0, 1000),
)
@examples(max_examples=60, deadline=None)
def test_what_is_held_is_all_sent_in_the_end(
    sizes: list[int], window: int, rate: float, seed: int
) -> None:
    """Whatever shuffles, delays and bunches: each trade is sent once, near its place."""
    clock = ManualClock()
    rates = f"rate={rate},seed={seed}"
    plan = FaultPlan(
        [f"reorder:window={window},{rates}", f"late:seconds=0.3,{rates}", f"burst:{rates}"],
        clock=clock,
    )
    sent: list[str] = []
    number = 0
    for size in sizes:
        events = [trade(number + j) for j in range(size)]
        number += size
        sent += ids(plan.on_frame(1, frame(*events)))
        clock.advance(0.1)
    assert plan.clear() == 3
    while (due := plan.due(1)) is not None:
        clock.advance(due)
        sent += ids(plan.release(1))
    assert sorted(sent, key=int) == [str(k) for k in range(number)]
    assert plan.ledger() == {"offered": number, "offered_trades": number}
    assert plan.due(1) is None


def test_what_is_held_for_a_connection_that_ends_is_counted() -> None:
    plan = FaultPlan(["late", "burst:after=1"], clock=ManualClock())
    run(plan, 3, 2)
    plan.on_end(1)
    assert plan.ledger()["suppressed_trades"] == 6
    assert plan.due(1) is None


@given(st.lists(st.sampled_from(sorted(RECOVERED)), min_size=1, max_size=5), st.integers(0, 99))
@examples(max_examples=60, deadline=None)
def test_any_combination_accounts_for_every_trade(names: list[str], seed: int) -> None:
    clock = ManualClock()
    plan = FaultPlan([f"{name}:rate=0.3,seed={seed}" for name in names], clock=clock)
    sent = 0
    for connection in range(1, 6):
        for k in range(8):
            actions = list(plan.on_frame(connection, frame(trade(2 * k), trade(2 * k + 1))))
            for action in actions:
                if isinstance(action, Send) and not action.final:
                    sent += action.data.count(b'"ev":"T"')
                elif isinstance(action, Send) and action.data.startswith(b"[{"):
                    # Binary frames are whole; of those with wrong trades the good ones count.
                    sent += action.data.count(b'"ev":"T"') if not action.text else 0
            clock.advance(0.05)
        plan.on_end(connection)
    ledger = plan.ledger()
    assert ledger["offered_trades"] == 80
    gone = ledger.get("suppressed_trades", 0) + ledger.get("spoiled_trades", 0)
    held_back = 80 + ledger.get("repeated_trades", 0) - gone
    assert held_back >= 0
    if "wrong" not in names:
        assert sent == held_back


def test_random_draws_from_what_it_is_told() -> None:
    plan = FaultPlan(["random:among=duplicate+late+drop,rate=0.5"], clock=ManualClock())
    for connection in range(1, 60):
        plan.on_frame(connection, frame(trade(1)))
    assert {strike.detail for strike in plan.log} == {"duplicate", "late", "drop"}
    assert plan.counts() == {"random": len(plan.log)}
    again = FaultPlan(["random:rate=0.2"], clock=ManualClock())
    for connection in range(400):
        again.on_frame(connection, frame(trade(1)))
    assert {strike.detail for strike in again.log} == set(RECOVERED)


# -- REST --------------------------------------------------------------------------------

TARGET = "/v3/trades/SPY?limit=2&apiKey=s3cret"
NEXT = "http://127.0.0.1:8200/v3/trades/SPY?cursor=abc"
ROWS = [{"id": str(i), "exchange": 4, "price": 1.0} for i in range(4)]


def asked(text: str, target: str = TARGET, **more: Any) -> Answer:
    body = json.dumps({"results": ROWS, "status": "OK", **more}).encode()
    plan = FaultPlan([text], clock=ManualClock())
    return asyncio.run(plan.on_request(target, Answer(200, body)))


def test_rest_refusals_and_delays() -> None:
    answer = asked("rest-throttle:retry_after=2.5")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "3")
    assert asked("rest-error:status=502").status == 502
    assert asked("rest-error:path=/v2/aggs").status == 200
    clock = ManualClock()
    plan = FaultPlan(["rest-slow:seconds=4"], clock=clock)
    whole = Answer(200, b"{}")
    assert asyncio.run(plan.on_request(TARGET, whole)) == whole
    assert clock.monotonic() == 4.0
    assert "s3cret" not in repr(plan.log)
    assert plan.log[0].detail == "/v3/trades/SPY"


def test_rest_bodies() -> None:
    cut = asked("rest-cut:part=0.5")
    assert len(cut.body) < int(cut.headers["Content-Length"])
    assert asked("rest-garble:how=empty").body == b""
    for how in ("half", "html", "bytes"):
        assert not is_json(asked(f"rest-garble:how={how}").body)
    assert "results" not in json.loads(asked("rest-garble:how=no-results").body)
    assert json.loads(asked("rest-garble:how=null-results").body)["results"] is None
    assert json.loads(asked("rest-garble:how=error").body)["status"] == "ERROR"
    zipped = Answer(200, gzip.compress(b'{"results":[]}'), {"Content-Encoding": "gzip"})
    plain = asyncio.run(FaultPlan(["rest-garble:how=half"]).on_request(TARGET, zipped))
    assert plain.body == b'{"resul'
    assert "Content-Encoding" not in plain.headers


def test_rest_pages() -> None:
    assert json.loads(asked("rest-pages").body) == {"results": ROWS, "status": "OK"}
    here = json.loads(asked("rest-pages", next_url=NEXT).body)["next_url"]
    assert here == f"http://127.0.0.1:8200{TARGET}"
    away = json.loads(asked("rest-pages:how=foreign", next_url=NEXT).body)["next_url"]
    assert away == "http://elsewhere.invalid/v3/trades/SPY?cursor=abc"
    plan = FaultPlan(["rest-pages:how=overlap,count=1"])
    body = json.dumps({"results": ROWS, "next_url": NEXT}).encode()
    asyncio.run(plan.on_request(TARGET, Answer(200, body)))
    last = Answer(200, b'{"results":[{"id":"9"}]}')
    shown = asyncio.run(plan.on_request("/v3/trades/SPY?cursor=abc", last))
    assert json.loads(shown.body)["results"] == [*ROWS[-3:], {"id": "9"}]


def test_corrections_strike_the_same_trades_each_time() -> None:
    def marked(text: str) -> list[str]:
        rows = json.loads(asked(text).body)["results"]
        return [row["id"] for row in rows if row.get("correction") == 10]

    assert marked("rest-correction:share=1") == ["0", "1", "2", "3"]
    assert marked("rest-correction:share=0") == []
    chosen = [marked(f"rest-correction:share=0.5,seed={seed}") for seed in range(8)]
    assert chosen == [marked(f"rest-correction:share=0.5,seed={seed}") for seed in range(8)]
    assert len({tuple(some) for some in chosen}) > 2
    assert asked("rest-correction:share=1", "/v2/aggs/x").status == 200


def test_a_correction_may_tell_another_price() -> None:
    body = b'{"results":[{"id":"1","exchange":4,"price":10.0},{"id":"2","exchange":4}]}'
    plan = FaultPlan(["rest-correction:share=1,code=12,shift=0.05"])
    answer = asyncio.run(plan.on_request(TARGET, Answer(200, body)))
    assert json.loads(answer.body)["results"] == [
        {"id": "1", "exchange": 4, "price": 10.5, "correction": 12},
        {"id": "2", "exchange": 4, "correction": 12},
    ]


def test_faults_of_rest_meet_what_others_left() -> None:
    texts = ["rest-garble:how=html", "rest-correction:share=1", "rest-pages", "rest-cut"]
    answer = asyncio.run(FaultPlan(texts).on_request(TARGET, Answer(200, b'{"results":[]}')))
    assert answer.body.startswith(b"<html>")


def test_any_two_faults_of_rest_strike_one_zipped_answer() -> None:
    some = [f"rest-garble:how={how}" for how in ("half", "html", "empty", "bytes", "no-results")]
    some += ["rest-cut:part=0.5", "rest-cut:part=0", "rest-pages:how=overlap", "rest-correction"]
    body = gzip.compress(json.dumps({"results": ROWS, "next_url": NEXT}).encode())
    for texts in itertools.permutations(some, 2):
        zipped = Answer(200, body, {"Content-Encoding": "gzip"})
        answer = asyncio.run(FaultPlan(list(texts)).on_request(TARGET, zipped))
        assert answer.status == 200, texts


def test_page_names_every_fault_and_parameter() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "faults.md").read_text("utf-8")
    rows: dict[str, str] = {}
    for line in page.splitlines():
        if line.startswith("| `"):
            rows.setdefault(line.split("`")[1], line)
    for item in CATALOGUE.values():
        assert item.what in rows[item.name]
        for parameter in item.parameters:
            assert f"`{parameter.name}`" in rows[item.name]
            assert all(word in rows[item.name] for word in parameter.choices)
    assert all(item.what in rows[item.name] for item in SCHEDULE)
