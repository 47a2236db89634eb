"""The faults a simulator can be given: their names, what they do, what can be chosen."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from workbench.errors import ConfigError
from workbench.sim.faultparameter import Parameter, Value

__all__ = ["CATALOGUE", "SCHEDULE", "FaultKind", "checked", "kind", "parse"]

Chance = Literal["frame", "trade", "greeting", "login", "connection", "request"]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A fault of the catalogue.

    Attributes
    ----------
    name : str
    chance : str
        What it may strike: each frame of data, each trade, each greeting, each answer to a
        login, each new connection or each REST request.
    what : str
        What it does, for a person.
    parameters : tuple of Parameter
        Its own; those of :data:`SCHEDULE` come on top.
    """

    name: str
    chance: Chance
    what: str
    parameters: tuple[Parameter, ...] = ()


#: When a fault strikes; every fault has these.
SCHEDULE = (
    Parameter("every", 1, "strike at each n-th chance", 1, whole=True),
    Parameter("rate", 1.0, "probability that such a chance is taken, by the seed", 0.0, 1.0),
    Parameter("after", 0, "chances that pass unharmed first", whole=True),
    Parameter("count", None, "strikes until it switches itself off", 1, whole=True),
    Parameter("duration", None, "seconds until it switches itself off", 0.0, 1e6),
    Parameter("interval", 0.0, "seconds from one strike to the next, at least", 0.0, 1e6),
    Parameter("seed", 7, "another seed is another run of luck", whole=True),
)


def _pick(name: str, what: str, *words: str) -> Parameter:
    return Parameter(name, words[0], what, choices=words)


def _seconds(default: float | None, what: str, name: str = "seconds") -> Parameter:
    return Parameter(name, default, what, 0.0, 86_400.0)


_PATH = Parameter("path", "", "only requests whose path holds this text")

_KINDS = (
    FaultKind(
        "drop",
        "frame",
        "close the connection in place of a frame",
        (
            Parameter("code", 1006, "close code; 1006 is no close frame at all", 1000, 4999),
            Parameter("reason", "", "text of the close frame"),
            _pick(
                "how",
                "for 1006: cut the line at once, end it in order, or end it within the frame"
                " or within its header",
                "abort",
                "fin",
                "frame",
                "header",
            ),
        ),
    ),
    FaultKind(
        "half-open",
        "frame",
        "keep the socket open and say nothing; pings are not answered either",
        (_seconds(None, "length of the silence; none is for ever"),),
    ),
    FaultKind("stall", "frame", "send nothing for a while, then all", (_seconds(1.0, "wait"),)),
    FaultKind(
        "outage",
        "frame",
        "cut the connection and refuse new ones with 503 for a while",
        (_seconds(1.0, "length of the outage"),),
    ),
    FaultKind(
        "kick",
        "frame",
        "say why, and close with 1008",
        (_pick("status", "which", "slow_consumer", "force_disconnect", "max_connections"),),
    ),
    FaultKind("burst", "frame", "hold frames back and send them at once",
              (Parameter("factor", 10, "frames sent together", 2, 10_000),)),
    FaultKind(
        "framing",
        "frame",
        "send a frame as binary, in fragments, with an opcode that is none, or followed by"
        " text that is not UTF-8",
        (_pick("how", "which", "binary", "fragments", "opcode", "utf8"),),
    ),
    FaultKind("big", "frame", "fill a frame up with blanks",
              (Parameter("megabytes", 3.0, "size of the frame", 0.0, 60.0),)),
    FaultKind(
        "garble",
        "frame",
        "flip bits of some bytes of a frame, its first one among them",
        (
            Parameter("bytes", 8, "bytes changed", 1, 100_000),
            Parameter("ascii", True, "whether all bytes stay ASCII"),
        ),
    ),
    FaultKind("truncate", "frame", "leave out the end of a frame",
              (Parameter("part", 0.5, "share that is sent", 0.0, 1.0),)),
    FaultKind(
        "nonsense",
        "frame",
        "send a frame more that is no list of events",
        (_pick("what", "which", "html", "text", "object", "numbers", "empty", "deep"),),
    ),
    FaultKind("unknown", "frame", "add an event, or a status, of a type nobody knows",
              (_pick("what", "which", "event", "status"),)),
    FaultKind(
        "wrong",
        "trade",
        "put a wrong value into a trade",
        (
            _pick("field", "which value", "any", "price", "size", "time", "symbol"),
            _pick("value", "what it becomes", "any", "null", "text", "bool", "list", "missing",
                  "zero", "negative", "huge", "nan", "infinity"),
        ),
    ),
    FaultKind(
        "skew",
        "frame",
        "shift the times of all events of a frame",
        (Parameter("seconds", 5.0, "shift; negative is the past", -1e10, 1e10),),
    ),
    FaultKind("units", "frame", "write times in another unit",
              (_pick("unit", "which", "s", "us", "ns"),)),
    FaultKind("crossed", "frame", "swap bid and ask of all quotes of a frame"),
    FaultKind(
        "duplicate",
        "frame",
        "send trades twice: the same frame again, or the trades in a later frame",
        (
            _pick("how", "which", "frame", "later"),
            Parameter("distance", 3, "frames until the trades come again", 1, 10_000),
        ),
    ),
    FaultKind(
        "reorder",
        "frame",
        "shuffle trades, and hold some back until the next frame",
        (Parameter("window", 10, "trades among which one may move", 2, 10_000),),
    ),
    FaultKind("late", "trade", "hold a trade back", (_seconds(1.0, "delay"),)),
    FaultKind(
        "hello",
        "greeting",
        "spoil the greeting: nothing, a close, or text that is not JSON",
        (_pick("how", "which", "silent", "close", "garbage"),),
    ),
    FaultKind(
        "login",
        "login",
        "spoil the answer to a good login: refuse it, say nothing, answer garbage, or say"
        " that there are too many connections",
        (_pick("how", "which", "refuse", "silent", "garbage", "limit"),),
    ),
    FaultKind(
        "refuse",
        "connection",
        "refuse the websocket with an HTTP status",
        (
            Parameter("status", 503, "HTTP status", 400, 599),
            _seconds(None, "Retry-After; none leaves it out", "retry_after"),
        ),
    ),
    FaultKind(
        "random",
        "frame",
        "strike with another fault each time, drawn by the seed, with its default parameters",
        (Parameter("among", "", "names with + between them; none takes all that a client"
                   " recovers from"),),
    ),
    FaultKind("rest-throttle", "request", "answer 429 with Retry-After",
              (_seconds(1.0, "Retry-After, rounded up", "retry_after"), _PATH)),
    FaultKind("rest-error", "request", "answer an error",
              (Parameter("status", 500, "HTTP status", 400, 599), _PATH)),
    FaultKind("rest-slow", "request", "answer late", (_seconds(1.0, "delay"), _PATH)),
    FaultKind(
        "rest-cut",
        "request",
        "end the body early",
        (Parameter("part", 0.5, "share that is sent", 0.0, 1.0), _PATH),
    ),
    FaultKind(
        "rest-garble",
        "request",
        "answer 200 with a body that is not what was asked for",
        (_pick("how", "which", "half", "html", "empty", "bytes", "no-results", "null-results",
               "error"), _PATH),
    ),
    FaultKind(
        "rest-pages",
        "request",
        "make next_url lead back to this page, to another host, or to rows shown already",
        (_pick("how", "which", "loop", "foreign", "overlap"), _PATH),
    ),
    FaultKind(
        "rest-correction",
        "request",
        "mark trades as corrected or cancelled, the same ones each time",
        (
            Parameter("share", 0.01, "share of trades marked", 0.0, 1.0),
            Parameter("code", 10, "correction code: 7, 8, 10 and 11 void a trade", 1, 255),
            Parameter("shift", 0.0, "part of the price that is added, as with code 12", -0.9, 9.0),
            _PATH,
        ),
    ),
)  # fmt: skip

#: All faults by name.
CATALOGUE: Mapping[str, FaultKind] = MappingProxyType({item.name: item for item in _KINDS})


def kind(name: str) -> FaultKind:
    """Return a fault of the catalogue.

    Raises
    ------
    ConfigError
        If there is none of that name; the nearest names are suggested.

    Examples
    --------
    >>> kind("drp")
    Traceback (most recent call last):
        ...
    workbench.errors.ConfigError: there is no fault 'drp'; did you mean drop?
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    raise ConfigError(f"there is no fault {name[:40]!r}; {_nearest(name, CATALOGUE)}")


def checked(name: str, given: Mapping[str, Value]) -> dict[str, Value]:
    """Return all parameters of a fault: those given, and the defaults of the others.

    Parameters
    ----------
    name : str
    given : mapping
        Values, or their texts, by name.

    Raises
    ------
    ConfigError
        If there is no such fault or parameter, or a value is not allowed.

    Examples
    --------
    >>> checked("stall", {"seconds": "2"})["seconds"]
    2.0
    """
    known = {item.name: item for item in (*kind(name).parameters, *SCHEDULE)}
    for word in given:
        if word not in known:
            hint = _nearest(word, known)
            raise ConfigError(f"fault {name} has no parameter {word[:40]!r}; {hint}")
    values = {word: item.default for word, item in known.items()}
    for word, value in given.items():
        try:
            values[word] = known[word].read(value)
        except ConfigError as error:
            raise ConfigError(f"fault {name}: {error.message}") from None
    if name == "drop" and values["code"] in (1004, 1005, 1015):
        raise ConfigError(f"fault drop: code {values['code']} never travels; 1006 is no code")
    return values


def parse(text: str) -> tuple[str, dict[str, Value]]:
    """Read a fault as written on a command line: ``NAME`` or ``NAME:PARAMETER=VALUE,...``.

    Parameters
    ----------
    text : str

    Returns
    -------
    name : str
    parameters : dict
        Only those that were given, as values.

    Raises
    ------
    ConfigError
        If there is no such fault or parameter, or a value is not allowed.

    Examples
    --------
    >>> parse("drop:code=1008,every=30")
    ('drop', {'code': 1008, 'every': 30})
    >>> parse("crossed")
    ('crossed', {})
    """
    name, _, rest = text.strip().partition(":")
    given: dict[str, Value] = {}
    for part in rest.split(",") if rest else ():
        word, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not word:
            raise ConfigError(
                f"fault {name}: {part.strip()[:40]!r} is not of the form PARAMETER=VALUE"
            )
        if word in given:
            raise ConfigError(f"fault {name}: {word} is given twice")
        given[word] = value
    values = checked(name.strip(), given)
    return name.strip(), {word: values[word] for word in given}


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(known)}"
