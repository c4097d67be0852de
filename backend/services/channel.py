"""Channels: the private connection between the API process and one worker process.

Knows: socketpairs, and for Windows a loopback connection that is opened with a one-time token.
Does not know: what is said over it (``backend.wire`` frames it).

The worker is told how to connect by one argument: ``fd:<number>`` or ``tcp:<port>``; the token
of the latter comes over its standard input, as arguments can be seen by other users.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import socket
import sys
from dataclasses import dataclass, field
from typing import Final, Protocol

_TOKEN_BYTES: Final = 32
_CONNECT_S: Final = 60.0
_TOKEN_S: Final = 5.0


class Channel(Protocol):
    """What the parent needs: an argument, descriptors and input for the child, then the socket."""

    @property
    def argument(self) -> str: ...

    @property
    def pass_fds(self) -> tuple[int, ...]: ...

    @property
    def stdin(self) -> bytes: ...

    async def connect(self) -> socket.socket:
        """After the child was started: the connection to it. Raises ``OSError``."""
        ...

    def close(self) -> None:
        """Close what the parent holds of the child's side."""
        ...


def open_channel() -> Channel:
    """A channel of the best kind that this system has."""
    if sys.platform == "win32":
        return LoopbackChannel()
    return SocketPairChannel()


@dataclass
class SocketPairChannel:
    """Two connected sockets; the child inherits the second."""

    _sockets: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)
    stdin: bytes = b""
    _is_given: bool = False

    @property
    def argument(self) -> str:
        return f"fd:{self._sockets[1].fileno()}"

    @property
    def pass_fds(self) -> tuple[int, ...]:
        return (self._sockets[1].fileno(),)

    async def connect(self) -> socket.socket:
        self._sockets[1].close()
        self._sockets[0].setblocking(False)
        self._is_given = True
        return self._sockets[0]

    def close(self) -> None:
        self._sockets[1].close()
        if not self._is_given:
            self._sockets[0].close()


class LoopbackChannel:
    """A listening socket on 127.0.0.1; the child must say the token first."""

    pass_fds: tuple[int, ...] = ()

    def __init__(self) -> None:
        self._token = secrets.token_bytes(_TOKEN_BYTES)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self._listener.setblocking(False)

    @property
    def argument(self) -> str:
        return f"tcp:{self._listener.getsockname()[1]}"

    @property
    def stdin(self) -> bytes:
        return self._token

    async def connect(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_S):
            while True:
                connection, _ = await loop.sock_accept(self._listener)
                connection.setblocking(False)
                if hmac.compare_digest(await _said(connection), self._token):
                    self._listener.close()
                    return connection
                connection.close()

    def close(self) -> None:
        self._listener.close()


async def _said(connection: socket.socket) -> bytes:
    """The first bytes of a stranger, as many as a token has; fewer if they do not come."""
    said = b""
    try:
        async with asyncio.timeout(_TOKEN_S):
            while len(said) < _TOKEN_BYTES:
                part = await asyncio.get_running_loop().sock_recv(
                    connection, _TOKEN_BYTES - len(said)
                )
                if not part:
                    break
                said += part
    except (TimeoutError, OSError):
        return b""
    return said


def join(argument: str) -> socket.socket:
    """In the worker: the connection that *argument* names, blocking. Raises ``OSError``."""
    kind, _, number = argument.partition(":")
    if kind == "fd":
        connection = socket.socket(fileno=int(number))
        connection.set_inheritable(False)
    else:
        connection = socket.create_connection(("127.0.0.1", int(number)), _CONNECT_S)
        connection.sendall(sys.stdin.buffer.read(_TOKEN_BYTES))
    connection.setblocking(True)
    return connection
