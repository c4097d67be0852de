"""What waits for a stock client: one that reads may be behind, one that does not is dropped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backend.handlers import comfyui_sockets
from backend.handlers.comfyui_sockets import Client

PICTURE = bytes(5_000_000)


class Reader:
    """Stands in for a WebSocket whose other side reads slowly, or not at all."""

    def __init__(self, pause_s: float) -> None:
        self.pause_s = pause_s
        self.taken = 0

    async def send_bytes(self, message: bytes) -> None:
        await asyncio.sleep(self.pause_s)
        self.taken += 1


@pytest.mark.parametrize(("pause_s", "dropped", "taken"), [(0.02, 0, 6), (600.0, 1, 0)])
async def test_only_who_does_not_read_is_dropped(
    monkeypatch: Any, pause_s: float, dropped: int, taken: int
) -> None:
    """A batch of large pictures comes at once: 30 MB wait, and whoever takes them gets them all."""
    monkeypatch.setattr(comfyui_sockets, "SLOW_S", 0.1)
    told: list[None] = []
    client, reader = Client(lambda: told.append(None)), Reader(pause_s)
    writing = asyncio.create_task(client.write_to(reader))  # type: ignore[arg-type]
    for _ in range(6):
        client.give(PICTURE)
    async with asyncio.timeout(60):
        while reader.taken < 6 and not told:
            await asyncio.sleep(0.01)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert (len(told), reader.taken) == (dropped, taken)


async def test_no_buffer_grows_for_ever(monkeypatch: Any) -> None:
    """What is more than the most is refused at once, whoever reads."""
    monkeypatch.setattr(comfyui_sockets, "MOST_BYTES", 12_000_000)
    told: list[None] = []
    client = Client(lambda: told.append(None))
    for _ in range(3):
        client.give(PICTURE)
    assert len(told) == 1
