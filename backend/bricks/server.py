"""ComfyUI's own web server, in this process, for stock clients and the graph editor.

Knows: how ``PromptServer`` is set up, its thread, the private address that it listens on.
Does not know: who may ask: the API process is the only one that can reach the address, and
passes on what it lets in.

The one place outside of the handlers where ``aiohttp.web`` is imported: the server is ComfyUI's.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from backend.bricks import session, stock_requests
from backend.bricks._comfy import module
from backend.bricks.prompt_queue import Call, LedgerQueue
from backend.bricks.prompt_run import PromptRunner

TOKEN_HEADER: Final = "Kino-Token"
_LONGEST_PATH: Final = 100
"""What every system allows as the path of a socket, in bytes."""

_START_S: Final = 250.0
_STOP_S: Final = 3.0
_CLIENT_S: Final = 10.0
_log = logging.getLogger("kino.engine")


class Host:
    """Hosts the server of the ComfyUI that was booted. *between* does work on the lane, between
    two jobs."""

    def __init__(
        self, call: Call, between: Callable[[Callable[[], None]], None], prompts: PromptRunner
    ) -> None:
        self._server = session.booted().server
        self._prompts = prompts
        self._between = between
        self.queue = LedgerQueue(self._server, call, self._flagged)
        self._loop = asyncio.new_event_loop()
        self._started: threading.Event = threading.Event()
        self._failure: BaseException | None = None
        self._closed: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="comfyui server", daemon=True)
        self._listener: socket.socket | None = None
        self._token: str | None = None

    def start(self, folder: Path) -> dict[str, Any]:
        """Serve; returns the private address: ``{"unix": path}``, or ``{"port", "token"}`` where
        there are no such sockets, or *folder* lies too deep for one.

        Raises whatever keeps ComfyUI's server from starting.
        """
        self._listener, address = _listen(folder)
        self._token = address.get("token")
        self._thread.start()
        if not self._started.wait(_START_S) or self._failure is not None:
            raise self._failure or TimeoutError("ComfyUI's server did not start")
        return {**address, "listed": _listed_folders()}

    def await_client(self, client_id: str) -> None:
        """Return as soon as the client hears us, which takes a moment where we have just started;
        no longer than `_CLIENT_S`."""
        end = time.monotonic() + _CLIENT_S
        while client_id not in self._server.sockets and time.monotonic() < end:
            time.sleep(0.01)

    def ended(self, prompt_id: str, remaining: int) -> None:
        """A prompt has ended, and that is on record: tell its client what ``prompt_worker`` in
        ComfyUI's ``main.py`` tells."""
        self.queue.counted(remaining)
        server = self._server
        if server.client_id is not None:
            done = {"node": None, "prompt_id": prompt_id}
            server.send_sync("executing", done, server.client_id)

    def stop(self) -> None:
        """Close every connection."""
        if self._closed is not None:
            self._loop.call_soon_threadsafe(self._closed.set)
            self._thread.join(_STOP_S)

    # --- the server's thread ----------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:  # noqa: BLE001 - foreign code; logged, and raised by `start`
            _log.exception("ComfyUI's server ended")
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        server = self._server
        server.loop, server.messages = self._loop, asyncio.Queue()
        server.prompt_queue = self.queue
        self._closed = asyncio.Event()
        session.booted().audience.admit()
        _keep_own_folders()
        server.app.middlewares.append(stock_requests.clear_answers)
        server.app.middlewares.insert(0, self._only_ours)
        server.add_routes()
        await server.setup()
        runner = web.AppRunner(server.app, access_log=None, shutdown_timeout=_STOP_S)
        await runner.setup()
        assert self._listener is not None
        await web.SockSite(runner, self._listener).start()
        publishing = asyncio.create_task(_publish(server))
        self._started.set()
        try:
            await self._closed.wait()
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)
            await server.client_session.close()
            await runner.cleanup()

    @web.middleware
    async def _only_ours(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Where others could connect as well, the one-time token tells the API process apart."""
        given = request.headers.get(TOKEN_HEADER, "")
        if self._token is not None and not hmac.compare_digest(
            given.encode(), self._token.encode()
        ):
            return web.Response(status=403)
        return await handler(request)

    # --- work on the lane -------------------------------------------------------------------

    def _flagged(self) -> None:
        self._between(self._free)

    def _free(self) -> None:
        """What ComfyUI's worker thread does with the flags of ``/free``."""
        try:
            flags = self.queue.get_flags()
            free_memory = flags.get("free_memory", False)
            management = module("comfy.model_management")
            if flags.get("unload_models", free_memory):
                management.unload_all_models()
            if free_memory:
                self._prompts.reset()
            if flags:
                management.soft_empty_cache()
        except Exception:  # noqa: BLE001 - foreign code; logged, and the lane goes on
            _log.exception("memory cannot be freed")


async def _publish(server: Any) -> None:
    """ComfyUI's ``publish_loop``, begun again after a message that cannot be sent (a node may show
    anything): that message is lost, and clients hear the next ones."""
    while True:
        try:
            await server.publish_loop()
        except Exception:  # noqa: BLE001 - foreign code; logged, and the others are heard
            _log.exception("a message to clients cannot be sent")


def _listen(folder: Path) -> tuple[socket.socket, dict[str, Any]]:
    """A listening socket that only this user can reach, and how."""
    path = folder / "server.sock"
    if sys.platform != "win32" and len(os.fsencode(path)) <= _LONGEST_PATH:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        return listener, {"unix": str(path)}
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, {"port": listener.getsockname()[1], "token": secrets.token_urlsafe(32)}


def _listed_folders() -> list[str]:
    """The folders whose files stand as choices in ``/object_info``."""
    folder_paths = module("folder_paths")
    found = {folder_paths.get_input_directory()}
    for folders, _ in folder_paths.folder_names_and_paths.values():
        found.update(folders)
    return sorted(found)


def _keep_own_folders() -> None:
    """Let the calling thread, which answers clients, see ComfyUI's own folders even while a graph
    of Kino's own writes into that of its job."""
    folder_paths, here = module("folder_paths"), threading.get_ident()

    def kept(read: Callable[[], str]) -> Callable[[], str]:
        own = read()

        def directory() -> str:
            return own if threading.get_ident() == here else read()

        return directory

    for name in ("get_output_directory", "get_temp_directory"):
        setattr(folder_paths, name, kept(getattr(folder_paths, name)))
