"""Frames as they arrive: cut at any byte, and ended by whatever is not a frame."""

from __future__ import annotations

import asyncio
import socket

import pytest

from backend import wire
from backend.services.frames import Frames


@pytest.fixture
async def pair():
    """Frames over one end of a socketpair, what was heard, and the other end."""
    here, there = socket.socketpair()
    here.setblocking(False)
    heard: list[tuple[dict, bytes]] = []

    def hear(message, binary) -> None:
        heard.append((message, binary))
        if message.get("t") == "bad":
            raise KeyError("job")

    frames = await Frames.over(here, hear)
    yield frames, heard, there
    frames.close()
    there.close()


async def settle(frames: Frames) -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_frames_are_cut_from_any_pieces(pair) -> None:
    """Two frames that arrive byte by byte are heard whole and in order."""
    frames, heard, there = pair
    data = wire.pack({"t": "one"}) + wire.pack({"t": "two"}, b"\x00binary")
    for n in range(len(data)):
        there.send(data[n : n + 1])
        await asyncio.sleep(0)
    await settle(frames)
    assert heard == [({"t": "one"}, b""), ({"t": "two"}, b"\x00binary")]
    there.send(data + data)
    await settle(frames)
    assert len(heard) == 6


async def test_what_is_sent_can_be_read(pair) -> None:
    """The worker's blocking reader understands what the parent sends."""
    frames, _, there = pair
    frames.send({"t": "run", "params": {"text": "é"}})
    await settle(frames)
    assert wire.receive_blocking(there) == ({"t": "run", "params": {"text": "é"}}, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        wire.HEADER.pack(4, 0) + b"nope",
        wire.HEADER.pack(2, 0) + b"[]",
        wire.pack({"t": "bad"}),
    ],
)
async def test_what_is_not_a_frame_ends_the_connection(pair, data) -> None:
    """A worker that does not keep to the protocol is not listened to any longer."""
    frames, _, there = pair
    there.send(data)
    assert isinstance(await asyncio.wait_for(frames.closed, 120), Exception)
    assert not frames.is_open
    with pytest.raises(ConnectionError):
        frames.send({"t": "run"})


async def test_the_end_of_the_other_side_is_the_end(pair) -> None:
    """An orderly end is no error."""
    frames, _, there = pair
    there.close()
    assert await asyncio.wait_for(frames.closed, 120) is None
