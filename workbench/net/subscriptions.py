"""What a stream wants, what it has asked for, and what was refused."""

from __future__ import annotations

import re
from collections.abc import Iterable

from workbench.sources.source import Source, Status, Topic

__all__ = ["Subscriptions"]

_TOKEN = re.compile(r'[^\s",\[\]{}\\]+')


class Subscriptions:
    """Keep the topics of one source, and tell what to send so that the provider agrees.

    Parameters
    ----------
    source : Source
        Writes the messages.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._wanted: frozenset[Topic] = frozenset()
        self._held: set[Topic] = set()
        self._refused: dict[Topic, str] = {}
        self._unanswered: set[Topic] = set()
        self._nameless: list[str] = []
        # Which topic a provider's name stands for; None if it is not plain.
        self._names: dict[str, Topic | None] = {}
        self._named: set[Topic] = set()

    @property
    def wanted(self) -> frozenset[Topic]:
        """The topics wished for."""
        return self._wanted

    @property
    def held(self) -> frozenset[Topic]:
        """The topics asked for on this connection and not refused."""
        return frozenset(self._held)

    @property
    def settled(self) -> bool:
        """Whether all that was asked for on this connection has been answered."""
        return not self._unanswered

    @property
    def refused(self) -> dict[Topic, str]:
        """The topics not granted, with the provider's words."""
        return dict(self._refused)

    def want(self, topics: Iterable[Topic]) -> None:
        """Set the whole desired set.

        A refused topic is asked for again after it was left out once.

        Raises
        ------
        ValueError
            For a channel that the source lacks; then nothing changes.
        """
        wanted = frozenset(topics)
        if wanted:
            self._source.subscribe(sorted(wanted))
        self._wanted = wanted
        for topic in self._refused.keys() - wanted:
            del self._refused[topic]

    def begin(self) -> None:
        """Forget what was asked for: a new connection holds nothing."""
        self._held.clear()
        self._unanswered.clear()
        self._nameless.clear()

    def changes(self) -> list[str]:
        """Return the messages that turn what is held into what is wanted."""
        gone = self._held - self._wanted
        new = self._wanted - self._held - self._refused.keys()
        messages: list[str] = []
        if gone:
            messages += self._source.unsubscribe(sorted(gone))
        if new:
            messages += self._source.subscribe(sorted(new))
        self._held = (self._held - gone) | new
        self._unanswered = (self._unanswered - gone) | new
        return messages

    def answered(self, status: Status) -> list[Topic]:
        """Take the provider's answer and return the topics that turn out to be refused.

        Some providers do not say which topic they refuse. As soon as there are as many such
        refusals as topics without an answer, those are the ones.
        """
        topic = self._topic(status.topic)
        if topic is not None:
            self._unanswered.discard(topic)
            if status.kind == "subscribed":
                self._refused.pop(topic, None)
        if status.kind != "refused":
            return self._by_elimination()
        if topic is not None:
            return self._refuse([topic], status.text) + self._by_elimination()
        if status.topic is None and self._unanswered:
            self._nameless.append(status.text)
        return self._by_elimination()

    def _by_elimination(self) -> list[Topic]:
        if not self._unanswered or len(self._nameless) < len(self._unanswered):
            return []
        text = self._nameless[-1]
        self._nameless.clear()
        return self._refuse(sorted(self._unanswered), text)

    def _refuse(self, topics: list[Topic], text: str) -> list[Topic]:
        for topic in topics:
            self._held.discard(topic)
            self._unanswered.discard(topic)
            if topic in self._wanted:
                self._refused[topic] = text
        return topics

    def _topic(self, name: str | None) -> Topic | None:
        if name is None:
            return None
        for topic in self._held - self._named:
            self._named.add(topic)
            for token in _TOKEN.findall(" ".join(self._source.subscribe([topic]))):
                known = self._names.setdefault(token, topic)
                if known != topic:
                    self._names[token] = None
        return self._names.get(name)
