"""Every error Workbench raises, in one tree.

::

    WorkbenchError
    ├── ConfigError            a setting is missing, malformed or out of range
    ├── UnknownSymbolError     a symbol is not spelled as any market spells it
    ├── UnknownTimeframeError  a timeframe is not "1m", "4h", ...
    ├── UnknownIndicatorError  no indicator of that name
    ├── ProviderError          a provider answered with a refusal
    │   ├── AuthError          the key is missing, wrong or not entitled (fatal)
    │   └── RateLimitError     too many requests
    ├── ConnectError           no connection, or it was lost for good
    ├── DecodeError            a frame is not what the protocol says
    ├── TapeError              a tape cannot be read
    ├── StoreError             the store refused
    │   ├── StoreSchemaError   written by a newer version
    │   ├── StoreFullError     no space left
    │   └── StoreBusyError     another process writes to it
    ├── PortTakenError         another program listens there
    └── FeedClosedError        the feed was closed
"""

from __future__ import annotations

__all__ = [
    "AuthError",
    "ConfigError",
    "ConnectError",
    "DecodeError",
    "FeedClosedError",
    "PortTakenError",
    "ProviderError",
    "RateLimitError",
    "StoreBusyError",
    "StoreError",
    "StoreFullError",
    "StoreSchemaError",
    "TapeError",
    "UnknownIndicatorError",
    "UnknownSymbolError",
    "UnknownTimeframeError",
    "WorkbenchError",
]


class WorkbenchError(Exception):
    """Tell what went wrong, and about what.

    Parameters
    ----------
    message : str
        What was wrong and what is allowed, for a person.
    symbol, source, status : optional
        What the error is about: our symbol, the source's name, the provider's status
        (an HTTP status, a close code or its status word). None where it does not apply.
    """

    def __init__(
        self,
        message: str,
        *,
        symbol: str | None = None,
        source: str | None = None,
        status: int | str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.symbol = symbol
        self.source = source
        self.status = status


class ConfigError(WorkbenchError):
    """A setting is missing, malformed or out of range."""


class UnknownSymbolError(WorkbenchError):
    """A symbol is not spelled as any market spells it, or the feed does not have it."""


class UnknownTimeframeError(WorkbenchError):
    """A timeframe is not a count and a unit such as "1m"."""


class UnknownIndicatorError(WorkbenchError):
    """No indicator has that name."""


class ProviderError(WorkbenchError):
    """A provider answered with a refusal."""


class AuthError(ProviderError):
    """The key is missing, wrong or not entitled; trying again cannot help."""


class RateLimitError(ProviderError):
    """The provider wants fewer requests."""


class ConnectError(WorkbenchError):
    """No connection could be made, or it was lost for good."""


class DecodeError(WorkbenchError):
    """A frame is not what the protocol says it is."""


class TapeError(WorkbenchError):
    """A tape cannot be read."""


class StoreError(WorkbenchError):
    """The store refused to read or write."""


class StoreSchemaError(StoreError):
    """The store was written by a newer version of Workbench."""


class StoreFullError(StoreError):
    """The disk that holds the store has no space left."""


class StoreBusyError(StoreError):
    """Another process holds the store for writing."""


class PortTakenError(WorkbenchError):
    """Another program listens on the port."""


class FeedClosedError(WorkbenchError):
    """The feed was closed and cannot be used any more."""
