"""Calls of a REST interface against a server that answers what it is told to."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from workbench.errors import AuthError, ConnectError, DecodeError, ProviderError, RateLimitError
from workbench.net.rest import Rest

KEY = "s3cret-key"
JSON = "application/json"
Reply = tuple[int, bytes, dict[str, str]]
#: Seconds to connect and to read: what is counted here are tries, and a stop makes none.
PATIENT = (500.0, 500.0)


@dataclass
class Script:
    """Answers in turn; the last one again and again."""

    replies: list[Reply]
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    base: str = ""
    asked: threading.Event = field(default_factory=threading.Event)

    def next(self, path: str, headers: dict[str, str]) -> Reply:
        self.seen.append((path, headers))
        self.asked.set()
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@pytest.fixture
def serve() -> Iterator[Callable[..., Script]]:
    servers = []

    def start(*replies: Reply) -> Script:
        script = Script(list(replies))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body, headers = script.next(self.path, dict(self.headers))
                if status == 0:  # cut the connection
                    self.connection.close()
                    return
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        script.base = f"http://127.0.0.1:{server.server_port}"
        return script

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


def good(body: bytes = b'{"status":"OK"}') -> Reply:
    return 200, body, {"Content-Type": JSON}


def bad(status: int, body: bytes = b"{}", **headers: str) -> Reply:
    return status, body, {"Content-Type": JSON, **headers}


def opened(script: Script, **more: object) -> tuple[Rest, list[float]]:
    waits: list[float] = []
    rest = Rest(script.base, key=KEY, wait=waits.append, timeouts=PATIENT, **more)  # type: ignore[arg-type]
    return rest, waits


class Counted:
    """A limit that lets all pass and counts."""

    per_minute = 1

    def __init__(self) -> None:
        self.places = 0
        self.open: set[int] = set()

    def taken(self) -> int:
        self.places += 1
        self.open.add(self.places)
        return self.places

    def done(self, number: int) -> None:
        self.open.remove(number)


def test_the_key_travels_in_the_header_only(serve: Callable[..., Script]) -> None:
    script = serve(good())
    rest, _ = opened(script)
    with rest:
        assert rest.get("/v2/x", {"limit": "5"}).body == b'{"status":"OK"}'
        rest.follow(f"https://elsewhere.example/v2/next?cursor=ab%3D&apiKey={KEY}")
    (first, headers), (second, _) = script.seen
    assert (first, headers["Authorization"]) == ("/v2/x?limit=5", f"Bearer {KEY}")
    assert second == "/v2/next?cursor=ab%3D"
    assert KEY not in repr(rest)


def test_without_a_key_none_is_sent_and_no_netrc_is_asked(
    serve: Callable[..., Script], tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"  # type: ignore[operator]
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    script = serve(good())
    with Rest(script.base, timeouts=PATIENT) as rest:
        rest.get("/x")
    assert "Authorization" not in script.seen[0][1]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_troubles_are_tried_again(serve: Callable[..., Script], status: int) -> None:
    script, limit = serve(bad(status), bad(status), bad(status), good()), Counted()
    rest, waits = opened(script, limit=limit)
    with rest:
        assert rest.get("/x").status == 200
    assert len(script.seen) == 4
    assert limit.places == 4
    assert not limit.open
    assert len(waits) == 3
    assert waits[-1] > 0


def test_retry_after_is_honoured(serve: Callable[..., Script]) -> None:
    script = serve(bad(429, **{"Retry-After": "7"}), good())
    rest, waits = opened(script)
    with rest:
        rest.get("/x")
    assert waits == [7.0]


def test_what_stays_is_told_with_its_status(serve: Callable[..., Script]) -> None:
    cases: list[tuple[Reply, type[ProviderError], str]] = [
        (bad(429, b'{"error":"too many"}'), RateLimitError, "answered 429: too many"),
        (bad(503, b"<html>"), ProviderError, "answered 503"),
        (bad(401, b'{"error":"Unknown API Key"}'), AuthError, "Unknown API Key"),
        (bad(403, b'{"status":"NOT_AUTHORIZED","message":"plan"}'), AuthError, "403: plan"),
        (bad(404, b'{"error":"Ticker not found."}'), ProviderError, "Ticker not found"),
        (bad(302, b"", Location="http://elsewhere.example/"), ProviderError, "302"),
    ]
    for reply, kind, text in cases:
        script = serve(reply)
        rest, _ = opened(script)
        with rest, pytest.raises(kind, match=text) as caught:
            rest.get("/x")
        assert caught.value.status == reply[0]
        assert caught.value.source in script.base
        assert len(script.seen) == (4 if reply[0] in (429, 503) else 1)


def test_an_echoed_key_is_struck_out(
    serve: Callable[..., Script], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    script = serve(bad(401, f'{{"error":"no such key: {KEY}"}}'.encode()))
    rest, _ = opened(script)
    with rest, pytest.raises(AuthError) as caught:
        rest.get("/x")
    assert KEY not in str(caught.value)
    assert "***" in str(caught.value)
    assert caught.value.__cause__ is None
    assert KEY not in caplog.text


def test_cut_answers_are_tried_again(serve: Callable[..., Script]) -> None:
    cut = (200, b'{"sta', {"Content-Type": JSON, "Content-Length": "500", "Connection": "close"})
    script, limit = serve(cut, (0, b"", {}), good()), Counted()
    rest, _ = opened(script, limit=limit)
    with rest:
        assert rest.get("/x").body == b'{"status":"OK"}'
    assert limit.places == 3
    assert not limit.open


def test_endlessly_cut_answers_end_in_an_error(serve: Callable[..., Script]) -> None:
    cut = (200, b'{"sta', {"Content-Type": JSON, "Content-Length": "500", "Connection": "close"})
    script = serve(cut)
    rest, waits = opened(script)
    with rest, pytest.raises(ConnectError, match="no whole answer"):
        rest.get("/x")
    assert len(script.seen) == 4
    assert len(waits) == 3


def test_nobody_listening_is_told() -> None:
    waits: list[float] = []
    with socket.socket() as held:  # nobody else can listen there
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        rest = Rest(f"http://{address}", key=KEY, wait=waits.append, timeouts=PATIENT)
        with rest, pytest.raises(ConnectError, match=re.escape(address)):
            rest.get("/x")
    assert len(waits) == 3


def test_what_is_not_json_is_refused(serve: Callable[..., Script]) -> None:
    script = serve((200, b"<html>login</html>", {"Content-Type": "text/html; charset=utf-8"}))
    rest, _ = opened(script)
    with rest, pytest.raises(DecodeError, match="text/html where JSON"):
        rest.get("/x")


@pytest.mark.parametrize("url", ["", "x", "javascript:alert(1)"])
def test_what_is_no_address_is_not_followed(url: str) -> None:
    with Rest("http://127.0.0.1:9") as rest, pytest.raises(DecodeError, match="not the address"):
        rest.follow(url)


class Endless(threading.Event):
    """Waits for as long as it takes: a wait that ends was ended."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait()


def test_cancel_ends_waits_and_calls(serve: Callable[..., Script]) -> None:
    script = serve(bad(503, **{"Retry-After": "30"}))
    rest = Rest(script.base, stop=Endless(), timeouts=PATIENT)

    def cancel() -> None:
        script.asked.wait(500)
        rest.cancel()

    other = threading.Thread(target=cancel)
    other.start()
    with rest:
        with pytest.raises(CancelledError):
            rest.get("/x")
        with pytest.raises(CancelledError):
            rest.get("/x")
    other.join()
    assert len(script.seen) == 1


def test_a_session_of_the_callers_own_is_used(serve: Callable[..., Script]) -> None:
    class Recording(requests.Session):
        calls = 0

        def send(self, *args: object, **kwargs: object) -> requests.Response:
            self.calls += 1
            return super().send(*args, **kwargs)  # type: ignore[arg-type]

    script, session = serve(good()), Recording()
    with Rest(script.base, session=session, timeouts=PATIENT) as rest:
        rest.get("/x")
    assert session.calls == 1


def test_no_cookie_is_kept(serve: Callable[..., Script]) -> None:
    script = serve((200, b"{}", {"Content-Type": JSON, "Set-Cookie": "a=b; Path=/"}))
    rest, _ = opened(script)
    with rest:
        rest.get("/x")
        rest.get("/x")
    assert "Cookie" not in script.seen[1][1]
