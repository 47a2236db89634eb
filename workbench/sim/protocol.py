"""The provider's side of one websocket session: messages in, frames out, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from workbench.sim.wire import CHANNELS, status
from workbench.symbols import asset_class

__all__ = ["SILENT", "Entitlement", "Reply", "Session"]

#: Channels that are known, and acknowledged, but on which this provider never has events.
SILENT = {
    "stocks": frozenset({"LULD", "NOI", "FMV", "LV"}),
    "crypto": frozenset({"XL2", "FMV", "LV", "AM"}),
}
POLICY_VIOLATION = 1008


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What the owner of a key may use.

    Attributes
    ----------
    clusters : frozenset of str or None
        Markets such as "stocks"; None for all. Both interfaces refuse the others.
    channels : frozenset of str or None
        Websocket channels such as "AM"; None for all.
    websocket, rest : bool
        Whether the plan includes the interface.
    connections : int
        Websocket connections at a time in one cluster; 0 is no limit.
    per_minute : int
        REST requests a minute; 0 is no limit.
    """

    clusters: frozenset[str] | None = None
    channels: frozenset[str] | None = None
    websocket: bool = True
    rest: bool = True
    connections: int = 1
    per_minute: int = 0

    def allows(self, cluster: str) -> bool:
        """Return whether the plan covers a market."""
        return self.clusters is None or cluster in self.clusters


@dataclass(slots=True)
class Reply:
    """What to do after a message.

    Attributes
    ----------
    frames : list of bytes
        To be sent in this order.
    close : int or None
        Close code, after the frames; None to go on.
    changed : bool
        True if the session's topics changed.
    entered : bool
        True if the session has just logged in.
    """

    frames: list[bytes] = field(default_factory=list)
    close: int | None = None
    changed: bool = False
    entered: bool = False


class Session:
    """Hold one connection's login and topics.

    Parameters
    ----------
    cluster : str
        "stocks" or "crypto".
    keys : mapping or None
        Entitlement of each key; None accepts any key, even an empty one.
    symbols : sequence of str
        The market's symbols, in the order of topic numbers.
    batched : bool
        Answer all topics of a request in one frame, else one frame for each.

    Examples
    --------
    >>> session = Session("stocks", None, ["SPY", "BRK.B"])
    >>> session.receive('{"action":"auth","params":"k"}').frames
    [b'[{"ev":"status","status":"auth_success","message":"authenticated"}]']
    >>> session.receive('{"action":"subscribe","params":"T.BRK.B, ZZ.SPY"}').frames
    [b'[{"ev":"status","status":"success","message":"subscribed to: T.BRK.B"}]']
    >>> sorted(session.demand())
    [4]
    """

    def __init__(
        self,
        cluster: str,
        keys: Mapping[str, Entitlement] | None,
        symbols: Sequence[str],
        *,
        batched: bool = True,
    ) -> None:
        self.cluster = cluster
        self.key: str | None = None
        self.entitlement = Entitlement(connections=0)
        self.topics: dict[tuple[str, str], None] = {}
        self._keys = keys
        self._symbols = symbols
        self._batched = batched
        self._channels = CHANNELS[cluster]

    @property
    def entered(self) -> bool:
        """Whether the client has logged in."""
        return self.key is not None

    @property
    def topic_count(self) -> int:
        """How many topics the market has."""
        return 4 * len(self._symbols)

    def greet(self) -> bytes:
        """Return the first frame of a connection."""
        return _frame([status("connected", "Connected Successfully")])

    def receive(self, text: str | bytes) -> Reply:
        """Answer a message of the client."""
        try:
            message = _DECODER.decode(text)
        except msgspec.DecodeError:
            return Reply([_frame([status("error", "message is not a JSON object we know")])])
        if message.action == "auth":
            return self._auth(message.params)
        if message.action not in ("subscribe", "unsubscribe"):
            return Reply([_frame([status("error", "unknown action")])])
        if not self.entered:
            return Reply([_frame([status("auth_required", "authentication is required")])])
        topics = [
            (channel, ticker)
            for part in message.params.split(",")
            # Only the first dot separates: BRK.B is a ticker.
            for channel, dot, ticker in [part.strip().partition(".")]
            if dot and ticker and (channel in self._channels or channel in SILENT[self.cluster])
        ]
        change = self._subscribe if message.action == "subscribe" else self._unsubscribe
        return change(topics)

    def _auth(self, key: str) -> Reply:
        granted = Entitlement(connections=0) if self._keys is None else self._keys.get(key)
        if granted is None:
            return _refusal("authentication failed")
        if not (granted.websocket and granted.allows(self.cluster)):
            return _refusal(
                "Your plan does not include websocket access here; see the pricing page"
            )
        self.key, self.entitlement = key, granted
        frame = _frame([status("auth_success", "authenticated")])
        return Reply([frame], entered=True)

    def _subscribe(self, topics: list[tuple[str, str]]) -> Reply:
        allowed = self.entitlement.channels
        events = []
        changed = False
        for topic in topics:
            if topic in self.topics:
                continue
            if allowed is not None and topic[0] not in allowed:
                events.append(status("error", "not authorized"))
                continue
            self.topics[topic] = None
            changed = True
            events.append(status("success", f"subscribed to: {'.'.join(topic)}"))
        return Reply(self._frames(events), changed=changed)

    def _unsubscribe(self, topics: list[tuple[str, str]]) -> Reply:
        before = len(self.topics)
        for channel, ticker in topics:
            gone = [
                topic
                for topic in self.topics
                # Giving up the wildcard gives up the whole channel.
                if topic == (channel, ticker) or (ticker == "*" and topic[0] == channel)
            ]
            for topic in gone:
                del self.topics[topic]
        events = [status("success", f"unsubscribed to: {'.'.join(topic)}") for topic in topics]
        return Reply(self._frames(events), changed=len(self.topics) != before)

    def _frames(self, events: list[bytes]) -> list[bytes]:
        if self._batched:
            return [_frame(events)] if events else []
        return [_frame([event]) for event in events]

    def demand(self) -> frozenset[int]:
        """Return the numbers of the market's topics this session wants."""
        wanted = set()
        for number, symbol in enumerate(self._symbols):
            if asset_class(symbol) != self.cluster:
                continue
            for kind, channel in enumerate(self._channels):
                if (channel, symbol) in self.topics or (channel, "*") in self.topics:
                    wanted.add(4 * number + kind)
        return frozenset(wanted)


class _Message(msgspec.Struct):
    action: str
    params: str = ""


_DECODER = msgspec.json.Decoder(_Message)


def _frame(events: Sequence[bytes]) -> bytes:
    return b"[%b]" % b",".join(events)


def _refusal(message: str) -> Reply:
    return Reply([_frame([status("auth_failed", message)])], close=POLICY_VIOLATION)
