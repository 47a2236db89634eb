"""One process, one port: pages, health and the way to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, RedirectResponse
from panel.io.fastapi import add_applications

from workbench.api.websocket import send_whole
from workbench.errors import PortTakenError
from workbench.flow.feed import Feed

__all__ = ["create_app", "listen", "mount", "serve"]

#: A page whose browser takes longer than this from its first byte to its websocket stays empty.
_LOADING_MS = 120_000


def create_app(
    feed: Feed, pages: Mapping[str, Callable[[], Any]], *, origins: Sequence[str] = ()
) -> FastAPI:
    """Return an application that serves Panel pages and the feed's health.

    Parameters
    ----------
    feed : Feed
    pages : mapping of path to callable
        Each call makes the page for one browser session; the first is where "/" leads.
    origins : sequence of str
        "host:port" from which pages may open their websocket; "*" is refused.

    Returns
    -------
    FastAPI
    """
    if "*" in origins:
        raise ValueError('origin "*" would let any web page read the feed; name the hosts')
    app = FastAPI(title="Workbench", docs_url=None, redoc_url=None, openapi_url=None)
    first = next(iter(pages))

    @app.get("/", include_in_schema=False)
    def root() -> RedirectResponse:
        return RedirectResponse(first)

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> Response:
        return Response(status_code=204)  # browsers ask before they read that a page has none

    @app.get("/health")
    def health() -> JSONResponse:
        figures = feed.health.numbers()
        good = figures["state"] in ("connected", "replaying", "finished", "idle")
        return JSONResponse({"status": "ok" if good else "degraded", **figures})

    # Bokeh's own resources come from this server: a page works without the internet.
    mount(app, pages, origins=origins)
    return app


def mount(
    app: FastAPI, pages: Mapping[str, Callable[[], Any]], *, origins: Sequence[str], **options: Any
) -> None:
    """Add Panel pages to an application, with sessions that end when their page is left.

    Parameters
    ----------
    app : FastAPI
    pages : mapping of path to callable
    origins : sequence of str
        "host:port" from which pages may open their websocket.
    **options
        Of the Bokeh application, such as `unused_session_lifetime_milliseconds`, which is two
        minutes unless told.
    """
    send_whole()
    options.setdefault("unused_session_lifetime_milliseconds", _LOADING_MS)
    bokeh = add_applications(
        dict(pages), app=app, websocket_origin=list(origins), liveness="liveness", **options
    )
    app.add_middleware(_Hangup, bokeh=bokeh)


class _Hangup:
    """Tell Bokeh of websockets that are gone.

    Its FastAPI bridge waits for an exception where Starlette returns a message, so it would
    keep the session of each page that was closed, and go on feeding it.
    """

    def __init__(self, app: Any, bokeh: Any) -> None:
        self._app = app
        self._bokeh = bokeh

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        gone = False

        async def listen_for_end() -> Any:
            nonlocal gone
            message = await receive()
            gone = gone or message["type"] == "websocket.disconnect"
            return message

        try:
            await self._app(scope, listen_for_end, send)
        except RuntimeError:
            if not gone:
                raise
        finally:
            for connection in list(self._bokeh._clients):
                if connection._socket._socket.scope.get("path") == scope["path"] and (
                    connection._socket._socket.client_state.name == "DISCONNECTED"
                ):
                    self._bokeh.client_lost(connection)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Parameters
    ----------
    host : str
    port : int
        0 takes a free one.

    Raises
    ------
    PortTakenError
        If another program listens there.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"port {port} on {host} cannot be used ({error.strerror}): "
            f"stop what listens there or choose another with --port",
            status=error.errno,
        ) from None
    listener.listen(128)
    return listener


def serve(
    app: FastAPI,
    listener: socket.socket,
    *,
    on_ready: Callable[[], None] | None = None,
    on_start: Callable[[uvicorn.Server], None] | None = None,
) -> None:
    """Serve an application in the calling thread until Ctrl+C.

    Parameters
    ----------
    app : FastAPI
    listener : socket
        From :func:`listen`; closed at the end.
    on_ready : callable or None
        Called once requests are answered.
    on_start : callable or None
        Called first with the server, whose `should_exit` ends it from another thread.
    """

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if on_ready is not None and self.started:
                on_ready()

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, lifespan="on"
    )
    server = Server(config)
    if on_start is not None:
        on_start(server)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
