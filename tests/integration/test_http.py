"""The page server: one process, one port, one feed; sessions that end are let go."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import panel as pn
import pytest
from fastapi import FastAPI

from workbench.api.http import create_app, listen, mount, serve
from workbench.errors import PortTakenError
from workbench.feeds import connect
from workbench.flow.feed import Feed

Poll = Callable[..., None]


@pytest.fixture
def feed() -> Iterator[Feed]:
    with connect("sim", simulator={"head_start": 5.0}) as feed:
        feed.subscribe("BTC-USD", ["1s"], timeout=300)
        yield feed


def test_health_is_told_and_the_root_leads_to_the_first_page(feed: Feed, poll_for: Poll) -> None:
    feed.wait("BTC-USD", timeout=300)
    made: list[Any] = []

    def page() -> pn.pane.Str:
        made.append(pn.pane.Str("hello"))
        return made[-1]

    app = create_app(feed, {"/monitor": page}, origins=["127.0.0.1:1"])

    async def ask(path: str) -> tuple[int, dict[str, str], bytes]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "GET", "path": path, "raw_path": path.encode(),
            "query_string": b"", "headers": [(b"host", b"127.0.0.1:1")], "scheme": "http",
            "server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2), "root_path": "",
            "http_version": "1.1", "asgi": {"version": "3.0"},
        }  # fmt: skip
        await app(scope, receive, send)
        headers = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], headers, b"".join(m.get("body", b"") for m in sent[1:])

    def figures() -> dict[str, Any]:
        status, _, body = asyncio.run(ask("/health"))
        assert status == 200
        told: dict[str, Any] = json.loads(body)
        assert (told["status"] == "ok") == (told["state"] == "connected"), told
        return told

    # A connection may be lost and come again at any time.
    poll_for(lambda: figures()["status"] == "ok", 300)
    assert figures()["trades_accepted"] > 0
    status, headers, _ = asyncio.run(ask("/"))
    assert status == 307
    assert headers["location"] == "/monitor"
    assert asyncio.run(ask("/favicon.ico"))[0] == 204


def test_any_origin_is_refused(feed: Feed) -> None:
    with pytest.raises(ValueError, match="origin"):
        create_app(feed, {"/": lambda: None}, origins=["*"])


def test_a_page_waits_for_a_browser_that_is_slow_to_load_it() -> None:
    app = FastAPI()
    mount(app, {"/": lambda: pn.pane.Str("hello")}, origins=[])
    (bokeh,) = [one.kwargs["bokeh"] for one in app.user_middleware if "bokeh" in one.kwargs]
    assert bokeh._unused_session_lifetime_milliseconds >= 60_000


def test_a_taken_port_is_named() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(PortTakenError, match=str(port)):
            listen("127.0.0.1", port)


def test_a_server_answers_and_runs_what_waits_for_its_start(feed: Feed, poll_for: Poll) -> None:
    """Bokeh lets sessions go from a task of the application's life: it must be run."""
    lived: list[str] = []
    app = create_app(feed, {"/monitor": lambda: pn.pane.Str("hello")}, origins=[])
    inner = app.router.lifespan_context

    def lifespan(application: Any) -> Any:
        lived.append("begun")
        return inner(application)

    app.router.lifespan_context = lifespan
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    ready = threading.Event()
    servers: list[Any] = []
    thread = threading.Thread(
        target=serve,
        args=(app, listener),
        kwargs={"on_ready": ready.set, "on_start": servers.append},
    )
    thread.start()
    assert ready.wait(300)

    def good() -> bool:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=300)  # through no proxy
        with closing(client):
            client.request("GET", "/health")
            return bool(json.load(client.getresponse())["status"] == "ok")

    poll_for(good, 300)
    servers[0].should_exit = True
    thread.join(300)
    assert not thread.is_alive()
    assert lived == ["begun"]
    assert listener.fileno() == -1  # who answers there now is another program
