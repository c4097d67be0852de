"""Frames survive the socket, and a broken peer is noticed."""

from __future__ import annotations

import asyncio
import socket

import pytest

from backend import wire


async def test_a_frame_crosses_both_ways() -> None:
    """JSON and bytes arrive unchanged, in the asynchronous and in the blocking reader."""
    left, right = socket.socketpair()
    left.sendall(wire.pack({"t": "preview", "n": 1}, b"\x00\xffjpeg"))
    left.sendall(wire.pack({"t": "bye"}))
    assert wire.receive_blocking(right) == ({"t": "preview", "n": 1}, b"\x00\xffjpeg")
    reader, writer = await asyncio.open_connection(sock=right)
    assert await asyncio.wait_for(wire.receive(reader), 120) == ({"t": "bye"}, b"")
    left.close()
    with pytest.raises(wire.WireError):
        await asyncio.wait_for(wire.receive(reader), 120)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xff\xff\xff\x00\x00\x00\x00",
        b"\x00\x00\x00\x02\x00\x00\x00\x00[]",
        b"\x00\x00\x00\x02\x00\x00\x00\x00{x",
        b"\x00\x00",
    ],
)
def test_rubbish_ends_the_connection(raw: bytes) -> None:
    """A length over the cap, JSON that is no object, and a cut header are errors, not waits."""
    left, right = socket.socketpair()
    left.sendall(raw)
    left.close()
    with pytest.raises(wire.WireError):
        wire.receive_blocking(right)
    right.close()


def test_nan_does_not_cross() -> None:
    """A value that JSON cannot hold is refused at the sender."""
    with pytest.raises(ValueError, match="Out of range"):
        wire.pack({"x": float("nan")})
