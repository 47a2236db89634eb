"""Messages to a page, each sent whole."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from bokeh_fastapi.handler import WSHandler

__all__ = ["send_whole"]

_plain = WSHandler.send_message
_locks: WeakKeyDictionary[WSHandler, asyncio.Lock] = WeakKeyDictionary()


async def _whole(self: WSHandler, message: Any) -> int:
    async with _locks.setdefault(self, asyncio.Lock()):
        sent: int = await _plain(self, message)
        return sent


def send_whole() -> None:
    """Let the fragments of each message follow one another on every websocket of pages.

    Bokeh's FastAPI bridge sends a message in several writes, and several tasks send at once.
    When a browser reads slowly each write waits, their fragments mix, and the page stands
    still from then on. Calling this again changes nothing.

    Examples
    --------
    >>> send_whole()
    >>> WSHandler.send_message.__name__
    '_whole'
    """
    WSHandler.send_message = _whole
