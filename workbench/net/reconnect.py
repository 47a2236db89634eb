"""When to connect again: policies, and the state that turns outcomes into delays."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from workbench.errors import ConfigError

__all__ = ["CRYPTO", "FIXED", "GENTLE", "PATIENT", "PRESETS", "Backoff", "Reconnect"]

#: Times that displacements in a row wait the plain `displaced` seconds, before each doubles it.
_PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Reconnect:
    """How long to wait between attempts to connect.

    Attributes
    ----------
    first : float
        Seconds before the second attempt in a row, > 0.
    factor : float
        What each further failure multiplies the delay by, >= 1.
    longest : float
        Seconds that no delay exceeds, >= first.
    attempts : int or None
        Attempts in a row before giving up, >= 1; None never gives up.
    jitter : float
        Part of each delay that is left to chance, 0 < jitter <= 1: a delay d becomes one
        between d * (1 - jitter) and d, so that clients do not come back in step.
    quick : float
        Seconds before the first attempt after a connection that had settled.
    settled : float
        Seconds a connection must have lived, after its login, to count as a success. Longer
        than a server needs to accept, log in and kick a client, so that one which does
        that over and over sees attempts grow rarer.
    displaced : float
        Seconds to wait when another connection took our place.

    Examples
    --------
    >>> [GENTLE.ceiling(n) for n in (1, 2, 3, 9)]
    [5.0, 7.5, 11.25, 30.0]
    """

    first: float
    factor: float
    longest: float
    attempts: int | None = None
    jitter: float = 0.5
    quick: float = 0.5
    settled: float = 10.0
    displaced: float = 60.0

    def __post_init__(self) -> None:
        if not (0 < self.first <= self.longest and self.factor >= 1 and 0 < self.jitter <= 1):
            raise ConfigError(
                f"reconnect policy {self}: wanted is 0 < first <= longest, factor >= 1 and "
                "0 < jitter <= 1"
            )
        if self.attempts is not None and self.attempts < 1:
            raise ConfigError(f"reconnect policy {self}: attempts must be at least 1, or None")
        if min(self.quick, self.settled, self.displaced) <= 0:
            raise ConfigError(
                f"reconnect policy {self}: quick, settled and displaced must be above 0"
            )

    def ceiling(self, failures: int) -> float:
        """Return the longest delay after a number of failures in a row, seconds."""
        delay = self.first
        for _ in range(failures - 1):
            if delay >= self.longest or self.factor == 1:
                break
            delay *= self.factor
        return min(delay, self.longest)


#: 1 s doubling to 30 s, ten attempts.
PATIENT = Reconnect(1.0, 2.0, 30.0, attempts=10)
#: 5 s doubling to 60 s, for ever: a market without closing hours.
CRYPTO = Reconnect(5.0, 2.0, 60.0)
#: 5 s growing by half to 30 s, ten attempts.
GENTLE = Reconnect(5.0, 1.5, 30.0, attempts=10)
#: Every 30 s, for ever.
FIXED = Reconnect(30.0, 1.0, 30.0, jitter=0.1)

#: The policies by the name that the setting `reconnect` uses.
PRESETS: Mapping[str, Reconnect] = MappingProxyType(
    {"patient": PATIENT, "crypto": CRYPTO, "gentle": GENTLE, "fixed": FIXED}
)


class Backoff:
    """Tell how long to wait after each connection that ended.

    Parameters
    ----------
    policy : Reconnect
    rng : random.Random
        Source of the jitter.

    Examples
    --------
    >>> backoff = Backoff(PATIENT, random.Random(1))
    >>> 0.5 <= backoff.failed(0.0) <= 1.0, 1.0 <= backoff.failed(0.0) <= 2.0
    (True, True)
    >>> backoff.attempts, backoff.failed(3600.0) <= 0.5, backoff.attempts
    (2, True, 1)
    """

    def __init__(self, policy: Reconnect, rng: random.Random) -> None:
        self.policy = policy
        self._rng = rng
        self._attempts = 0
        self._failures = 0
        self._displacements = 0

    @property
    def attempts(self) -> int:
        """Attempts granted since a connection last settled."""
        return self._attempts

    def failed(self, lived: float, displaced: bool = False, at_least: float = 0.0) -> float | None:
        """Return the seconds to wait before the next attempt.

        Parameters
        ----------
        lived : float
            Seconds from the end of the login to the end of the connection; 0 if it was never
            logged in.
        displaced : bool
            Another connection took our place. Such a connection never counts as settled,
            however long it lived: two programs would displace each other for ever.
        at_least : float
            Seconds that the server asked us to wait; may exceed the policy's longest.

        Returns
        -------
        float or None
            None if the attempts are used up.
        """
        policy = self.policy
        settled = lived >= policy.settled and not displaced
        if settled:
            self._attempts = self._failures = self._displacements = 0
        elif displaced:
            self._displacements += 1
        else:
            self._failures += 1
        if policy.attempts is not None and self._attempts >= policy.attempts:
            return None
        self._attempts += 1
        if displaced:
            # Not jittered downwards: the server has to see the other connection settle.
            further = min(max(0, self._displacements - _PATIENCE), 4)
            delay = policy.displaced * 2.0**further * self._rng.uniform(1.0, 1.1)
        elif settled:
            delay = self._spread(min(policy.quick, policy.longest))
        else:
            delay = self._spread(policy.ceiling(self._failures))
        return max(delay, at_least)

    def _spread(self, delay: float) -> float:
        return delay * (1.0 - self.policy.jitter * self._rng.random())
