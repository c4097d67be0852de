"""Listening: addresses, sockets, and the connections that come in on them.

Knows: which addresses may be listened on without a key, and how a busy port is said.
Does not know: which application answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from backend.handlers.access import is_loopback
from backend.handlers.connection import KEEPALIVE_S, LINGER_S, AccessLog, Connection

if TYPE_CHECKING:
    from backend.config import Settings

DEFAULT_HOST: Final = "127.0.0.1"
BACKLOG: Final = 512


class CannotListen(Exception):
    """The address cannot be used; the text is one sentence with its remedy."""


def check(settings: Settings) -> None:
    """Refuse to be reached from other machines without a key. Raises `CannotListen`."""
    if not settings.api_keys and not is_loopback(settings.host):
        raise CannotListen(
            f"KINO_HOST={settings.host} can be reached from other machines, and there is no API "
            "key. Set KINO_API_KEYS, or listen on 127.0.0.1."
        )


def bind(settings: Settings) -> list[socket.socket]:
    """The sockets to listen on; port 0 takes a free one. Raises `CannotListen`."""
    return _bind(settings, settings.port, "KINO_PORT")


def bind_stock(settings: Settings) -> list[socket.socket]:
    """The sockets of ComfyUI's own API, where it is asked for. Raises `CannotListen`."""
    port = settings.comfyui.port
    return [] if port is None else _bind(settings, port, "KINO_COMFYUI__PORT")


def _bind(settings: Settings, port: int, variable: str) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(
            settings.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        sockets = [_bound(family, address) for family, _, _, _, address in found[:1]]
    except OSError as error:
        remedy = f"Choose another with {variable}."
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(f"port {port} is in use. {remedy}") from error
        if error.errno == errno.EACCES:
            raise CannotListen(f"port {port} may not be used. {remedy}") from error
        raise CannotListen(
            f"KINO_HOST={settings.host} is no address of this machine. Choose another."
        ) from error
    if settings.host == DEFAULT_HOST:
        port = sockets[0].getsockname()[1]
        with contextlib.suppress(OSError):  # there may be no IPv6 here
            sockets.append(_bound(socket.AF_INET6, ("::1", port)))
    return sockets


def _bound(family: int, address: Any) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there, the option would let two services share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


async def listen(
    runner: web.AppRunner, sockets: Sequence[socket.socket]
) -> list[asyncio.AbstractServer]:
    """Accept connections for the runner's application, which has been set up."""
    loop = asyncio.get_running_loop()
    manager = runner.server
    if manager is None:
        raise RuntimeError("the application has not been set up")

    def connection() -> Connection:
        return Connection(
            manager,
            loop=loop,
            access_log_class=AccessLog,
            keepalive_timeout=KEEPALIVE_S,
            lingering_time=LINGER_S,
            auto_decompress=False,
        )

    return [await loop.create_server(connection, sock=each, backlog=BACKLOG) for each in sockets]


def address(bound: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
