"""Frames between the API process and its worker processes.

Knows: one frame is ``u32 JSON length, u32 binary length`` (big endian), a JSON object, and bytes.
Does not know: what the messages mean (``services.worker_pool`` and ``worker`` do).

The socket is private (a socketpair), but a worker is expendable and may run foreign code, so
lengths are capped and anything that is not a JSON object ends the connection.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any, Final

HEADER: Final = struct.Struct(">II")
MAX_JSON: Final = 64 * 2**20
MAX_BINARY: Final = 64 * 2**20

_json: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
Message = dict[str, Any]


class WireError(ConnectionError):
    """The other side closed, or sent something that is not a frame."""


def pack(message: Message, binary: bytes = b"") -> bytes:
    """One frame. Raises ``ValueError`` for NaN and for what JSON cannot hold."""
    text = _json(message).encode()
    if len(text) > MAX_JSON or len(binary) > MAX_BINARY:
        raise ValueError("the message is larger than a frame may be")
    return HEADER.pack(len(text), len(binary)) + text + binary


def _lengths(header: bytes) -> tuple[int, int]:
    text, binary = HEADER.unpack(header)
    if text > MAX_JSON or binary > MAX_BINARY:
        raise WireError("a frame larger than allowed")
    return text, binary


def _parse(text: bytes) -> Message:
    try:
        message = json.loads(text)
    except ValueError as error:
        raise WireError("a frame that is not JSON") from error
    if not isinstance(message, dict):
        raise WireError("a frame that is not an object")
    return message


def unpack(data: bytes | bytearray) -> tuple[Message, bytes, int] | None:
    """The frame at the beginning of *data* and its length, or None while it is not whole.

    Raises `WireError` for what is not a frame.
    """
    if len(data) < HEADER.size:
        return None
    text, binary = _lengths(bytes(data[: HEADER.size]))
    middle, end = HEADER.size + text, HEADER.size + text + binary
    if len(data) < end:
        return None
    return _parse(bytes(data[HEADER.size : middle])), bytes(data[middle:end]), end


async def receive(reader: asyncio.StreamReader) -> tuple[Message, bytes]:
    """Wait for one frame. Raises `WireError` when the other side is gone."""
    try:
        text, binary = _lengths(await reader.readexactly(HEADER.size))
        return _parse(await reader.readexactly(text)), await reader.readexactly(binary)
    except (asyncio.IncompleteReadError, OSError) as error:
        raise WireError("the other side closed") from error


def receive_blocking(connection: socket.socket) -> tuple[Message, bytes]:
    """The same on a blocking socket, for the worker's reader thread."""
    text, binary = _lengths(_exactly(connection, HEADER.size))
    return _parse(_exactly(connection, text)), _exactly(connection, binary)


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        try:
            part = connection.recv(min(count - len(parts), 1 << 20))
        except OSError as error:
            raise WireError("the other side closed") from error
        if not part:
            raise WireError("the other side closed")
        parts += part
    return bytes(parts)
