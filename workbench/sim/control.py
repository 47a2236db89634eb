"""Switching faults on and off over HTTP, while the simulator runs."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from workbench.errors import ConfigError
from workbench.sim.faultlist import CATALOGUE, SCHEDULE, FaultKind
from workbench.sim.faultparameter import Parameter
from workbench.sim.faultplan import FaultPlan
from workbench.sim.rest import Answer

__all__ = ["CONTROL", "Control"]

#: What every path of the control begins with.
CONTROL = "/control/"
_FAULTS = "/control/faults"


class _Refusal(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Control:
    """Answer requests that ask about faults or switch them.

    Only this machine is answered, and no page of another origin that a browser shows.

    Parameters
    ----------
    plan : FaultPlan or None
        None if the simulator's faults cannot be switched.

    Examples
    --------
    >>> control = Control(FaultPlan())
    >>> control.answer("POST", "/control/faults/drop?code=1008&every=30", {}, "127.0.0.1").body
    b'{"status":"OK","number":1}'
    >>> control.answer("DELETE", "/control/faults/drop", {}, "127.0.0.1").body
    b'{"status":"OK","switched_off":1}'
    """

    def __init__(self, plan: FaultPlan | None) -> None:
        self._plan = plan

    def answer(self, method: str, target: str, headers: Mapping[str, str], peer: str) -> Answer:
        """Answer a request.

        Parameters
        ----------
        method : str
            GET lists, POST switches on, DELETE switches off.
        target : str
            Path and query.
        headers : mapping
            With names in lower case.
        peer : str
            Address of the client.
        """
        try:
            _guard(headers, peer)
            if self._plan is None:
                raise _Refusal(409, "this simulator's faults cannot be switched")
            status, body = 200, {"status": "OK", **self._done(self._plan, method, target)}
        except (_Refusal, ConfigError) as error:
            status = error.status if isinstance(error, _Refusal) else 400
            body = {"status": "ERROR", "error": str(error)}
        data = msgspec.json.encode(body)
        return Answer(status, data, {"Content-Type": "application/json"})

    def _done(self, plan: FaultPlan, method: str, target: str) -> dict[str, Any]:
        parts = urlsplit(target)
        path = unquote(parts.path).rstrip("/")
        name = path.removeprefix(_FAULTS + "/")
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        query = dict(pairs)
        if len(query) < len(pairs):
            raise _Refusal(400, "a parameter is given twice")
        if path == _FAULTS:
            if method == "GET":
                return plan.state(_limit(query))
            if method == "DELETE":
                return {"switched_off": plan.clear()}
            raise _Refusal(405, f"{method} is not allowed here; use GET or DELETE")
        if not path.startswith(_FAULTS + "/") or "/" in name:
            raise _Refusal(404, f"there is nothing at {path[:100]}; there is {_FAULTS}")
        match method:
            case "GET" if name == "catalogue":
                return {"faults": [_told(item) for item in CATALOGUE.values()]}
            case "POST":
                return {"number": plan.on(name, **query)}
            case "DELETE":
                return {"switched_off": plan.off(int(name) if name.isdecimal() else name)}
        raise _Refusal(405, f"{method} is not allowed here; use POST or DELETE")


def _guard(headers: Mapping[str, str], peer: str) -> None:
    """Refuse other machines, and pages of other origins."""
    try:
        near = ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        near = False
    if not near:
        raise _Refusal(403, "faults are switched from this machine only")
    if "origin" in headers or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise _Refusal(403, "faults are not switched by web pages")


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", "100")
    if not (text.isdecimal() and len(text) < 7):
        raise _Refusal(400, f"limit is {text[:40]!r}; allowed: a whole number from 0 to 999999")
    return int(text)


def _told(item: FaultKind) -> dict[str, Any]:
    return {
        "name": item.name,
        "strikes_at": item.chance,
        "what": item.what,
        "parameters": [_parameter(each) for each in (*item.parameters, *SCHEDULE)],
    }


def _parameter(item: Parameter) -> dict[str, Any]:
    told = {"name": item.name, "default": item.default, "what": item.what}
    return told | {"allowed": item.allowed}
