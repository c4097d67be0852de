"""The way to ComfyUI's server, in front of stand-ins that listen on a port."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from backend.config import Settings
from backend.errors import OperationUnavailable
from backend.handlers import comfyui_catalogue
from backend.handlers.comfyui_catalogue import NodeCatalogue
from backend.handlers.comfyui_upstream import Upstream
from backend.handlers.keys import COMFYUI, SETTINGS


def pool_of(address: dict[str, Any]) -> Any:
    """Workers of which one serves at *address*."""
    worker = SimpleNamespace(kind="comfy", is_ready=True, info={"server": address})
    return SimpleNamespace(processes=[worker], comfyui=None)


@pytest.fixture
async def leaving() -> AsyncIterator[int]:
    """The port of a server that closes every connection without a word."""

    async def leave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(leave, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_a_packed_body_is_refused(open_door: Any, leaving: int) -> None:
    """It was unpacked on its way in, so its length and its encoding would be told wrongly."""

    async def stock(app: Any) -> AsyncIterator[None]:
        upstream = Upstream(app[SETTINGS], pool_of({"port": leaving}))
        sockets = SimpleNamespace(close=upstream.close)
        app[COMFYUI] = SimpleNamespace(upstream=upstream, sockets=sockets)
        yield

    door = await open_door(parts=(stock,))
    packed = gzip.compress(b"{}")
    said = await door.ask(
        "POST", "/comfy/prompt", data=packed, headers={"Content-Encoding": "gzip"}
    )
    assert said.status == 415
    assert (await door.ask("POST", "/comfy/prompt", data=b"{}")).status == 503


async def test_two_who_ask_a_new_worker_share_one_session(tmp_path: Any) -> None:
    """None is left open, whoever comes while the former one is closed."""
    pool = pool_of({"port": 1})
    upstream = Upstream(Settings(_env_file=None, data_dir=tmp_path), pool)
    former = await upstream.session()
    pool.processes[0].info = {"server": {"port": 2}}
    one, two = await asyncio.gather(upstream.session(), upstream.session())
    await upstream.close()
    assert one is two
    assert one is not former
    assert former.closed
    assert one.closed


async def test_a_worker_that_dies_while_it_lists_its_nodes(tmp_path: Any, leaving: int) -> None:
    """Whoever asked is told to come again."""
    settings = Settings(_env_file=None, data_dir=tmp_path)
    upstream = Upstream(settings, pool_of({"port": leaving, "listed": []}))
    try:
        with pytest.raises(OperationUnavailable) as refused:
            await NodeCatalogue(upstream).answer(SimpleNamespace(headers={}), "/object_info")  # type: ignore[arg-type]
    finally:
        await upstream.close()
    assert refused.value.extra["retry_after_s"] > 0


def test_a_folder_may_go_while_it_is_looked_at(tmp_path: Any, monkeypatch: Any) -> None:
    """It is no error that a folder among the models was removed just now."""
    monkeypatch.setattr(os, "walk", lambda folder: iter([(folder, [], [])]))
    gone = comfyui_catalogue._stamp([str(tmp_path / "gone")])
    (tmp_path / "gone").mkdir()
    assert comfyui_catalogue._stamp([str(tmp_path / "gone")]) != gone
