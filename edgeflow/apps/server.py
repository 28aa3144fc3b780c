"""The server of the live page: files of the package and one WebSocket, for this computer alone."""

import asyncio
import contextlib
import errno
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from edgeflow.apps.player import Player
from edgeflow.errors import AppError

#: Files of the page.
PAGE = Path(__file__).resolve().parent / "page"
#: The only address that is listened at.
ADDRESS = "127.0.0.1"
#: Names of this computer that a browser may have asked for; the port may be a forwarded one.
_OWN = ("127.0.0.1", "localhost", "::1")
#: Bytes of a message of the page.
_MOST = 4096
#: Close codes: of a page that was not served here, and of one that reads too slowly.
_REFUSED, _SLOW = 4403, 1013
_HEADERS = {
    "content-security-policy": "default-src 'self'; connect-src 'self' ws://127.0.0.1:* "
    "ws://localhost:*; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}


class _OwnPagesOnly:
    """Answers requests to this computer's own names, and sockets of pages served here.

    Another site that a browser shows may send requests here, also under a name of its own that
    leads to this address; neither gets anything.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        host, origin = headers.get("host", ""), headers.get("origin")
        own = _name(f"//{host}") in _OWN
        if scope["type"] == "websocket":
            if own and origin == f"http://{host}":
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": _REFUSED})
            return
        if not own or (origin is not None and origin != f"http://{host}"):
            refusal = PlainTextResponse("this page is for this computer alone\n", 403)
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = [(k.encode(), v.encode()) for k, v in _HEADERS.items()]
                message["headers"] = [*message["headers"], *found]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def make_app(player: Player) -> Starlette:
    """Return the application that shows what a player steps."""

    async def live(page: WebSocket) -> None:
        await page.accept()
        queue = player.watch()
        sending = asyncio.create_task(_send(page, queue))
        try:
            while True:
                await _obey(page, player, await page.receive_text())
        except (WebSocketDisconnect, KeyError, RuntimeError):
            pass  # it went away, or sent what is no text
        finally:
            player.leave(queue)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await sending

    return Starlette(
        routes=[
            WebSocketRoute("/live", live),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[Middleware(_OwnPagesOnly)],
    )


async def _send(page: WebSocket, queue: asyncio.Queue[str | None]) -> None:
    while (text := await queue.get()) is not None:
        await page.send_text(text)
    await page.close(_SLOW, "the page reads too slowly")


async def _obey(page: WebSocket, player: Player, text: str) -> None:
    try:
        message = json.loads(text)
        if not isinstance(message, dict) or message.get("type") != "set":
            raise AppError("a message is an object of the type 'set'")
        player.ask(message)
    except (ValueError, RecursionError, AppError) as error:
        await page.send_text(json.dumps({"type": "error", "text": str(error)}))


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a port of this computer alone; 0: on any free one.

    Raises
    ------
    AppError
        If the port is taken or not allowed.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen()
    except OSError as error:
        listener.close()
        why = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror
        raise AppError(
            f"port {port} of {ADDRESS}: {why}: stop it, or let the system choose a free port with "
            "--http-port 0"
        ) from None
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the address of the page."""
    return f"http://{ADDRESS}:{listener.getsockname()[1]}/"


async def serve(player: Player, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve the page of an open player until a signal ends it; `ready` is called when it answers.

    Raises
    ------
    KeyboardInterrupt
        When all is closed, after some signals.
    """
    config = uvicorn.Config(
        make_app(player),
        log_config=None,
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=_MOST,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    stepping = asyncio.create_task(player.run())
    # it never ends but by an error, which ends the server
    stepping.add_done_callback(lambda task: setattr(server, "should_exit", True))

    async def wait_until_it_answers() -> None:
        while not server.started:
            await asyncio.sleep(0.01)
        ready()

    waiting = asyncio.create_task(wait_until_it_answers())
    try:
        await server.serve(sockets=[listener])
    finally:
        waiting.cancel()
        stepping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await stepping
