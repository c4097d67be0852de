"""Frames as they arrive: the parent's end of a worker's connection.

Knows: how to cut a byte stream into frames without a task for each.
Does not know: what the messages mean.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from backend import wire

OnMessage = Callable[[wire.Message, bytes], None]


class Frames(asyncio.Protocol):
    """Calls *on_message* for each frame, in order; ``closed`` is done at the end, with the error
    if the other side did not keep to the protocol."""

    def __init__(self, on_message: OnMessage) -> None:
        self.closed: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._on_message = on_message
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def over(cls, connection: socket.socket, on_message: OnMessage) -> Frames:
        """Frames over a connected socket. Raises ``OSError``."""
        loop = asyncio.get_running_loop()
        _, frames = await loop.create_connection(lambda: cls(on_message), sock=connection)
        return frames

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, message: wire.Message) -> None:
        """Send one frame. Raises ``ConnectionError`` if the connection is gone."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the other side is gone")
        self._transport.write(wire.pack(message))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- what asyncio calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # not checked with isinstance: uvloop's transports do not derive from asyncio's
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while (frame := wire.unpack(self._buffer)) is not None:
                message, binary, length = frame
                del self._buffer[:length]
                self._on_message(message, binary)
        except (wire.WireError, KeyError, TypeError, ValueError) as error:
            self._end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(error)
        self.close()
