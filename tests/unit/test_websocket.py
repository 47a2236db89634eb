"""What pages are sent: message by message, however slowly a browser reads."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from bokeh.document import Document
from bokeh.protocol import Protocol
from bokeh_fastapi.handler import WSHandler

from workbench.api.websocket import send_whole


class SlowSocket:
    """Take texts as a full socket does: each waits until others had their turn."""

    application_state = SimpleNamespace(name="CONNECTED")

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def send_text(self, text: str) -> None:
        await asyncio.sleep(0)
        self.taken.append(text)


def test_fragments_of_two_messages_never_mix() -> None:
    send_whole()
    handler = WSHandler.__new__(WSHandler)
    socket: Any = SlowSocket()
    handler._socket = socket
    messages = [Protocol().create("PULL-DOC-REPLY", str(n), Document()) for n in range(3)]

    async def send_all() -> None:
        await asyncio.gather(*map(handler.send_message, messages))

    asyncio.run(send_all())
    want = [[m.header_json, m.metadata_json, m.content_json] for m in messages]
    assert [socket.taken[k : k + 3] for k in range(0, 9, 3)] == want
