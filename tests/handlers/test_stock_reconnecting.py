"""Stock clients that come back under their id, in front of a server that lets go of ids slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from backend.handlers.comfyui_sockets import Sockets
from backend.handlers.comfyui_upstream import Upstream
from backend.handlers.keys import COMFYUI, SETTINGS

PATIENCE_S = 120.0


class SlowComfyUI:
    """``/ws`` as ComfyUI has it: an id is forgotten when a connection with it is over, which takes
    until `lets_go`, as in a process that is busy."""

    def __init__(self) -> None:
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.connections = 0
        self.lets_go = asyncio.Event()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(autoclose=False)
        await ws.prepare(request)
        sid = request.query["clientId"]
        self.sockets[sid] = ws
        self.connections += 1
        await ws.send_json({"type": "status", "data": {"sid": sid}})
        try:
            while (await ws.receive()).type is WSMsgType.TEXT:
                pass
            await self.lets_go.wait()
            await ws.close()
        finally:
            self.sockets.pop(sid, None)
        return ws


@pytest.fixture
async def comfyui() -> AsyncIterator[tuple[SlowComfyUI, int]]:
    """The server, and its port."""
    slow = SlowComfyUI()
    app = web.Application()
    app.router.add_get("/ws", slow.serve)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield slow, runner.addresses[0][1]
    slow.lets_go.set()
    await runner.cleanup()


@pytest.fixture
async def connect(
    open_door: Any, comfyui: tuple[SlowComfyUI, int]
) -> Callable[[], Awaitable[aiohttp.ClientWebSocketResponse]]:
    """``await connect()``: one more connection under the same id."""
    worker = SimpleNamespace(kind="comfy", is_ready=True, info={"server": {"port": comfyui[1]}})
    pool: Any = SimpleNamespace(processes=[worker], comfyui=None)

    async def stock(app: web.Application) -> AsyncIterator[None]:
        upstream = Upstream(app[SETTINGS], pool)
        stand_in: Any = SimpleNamespace(upstream=upstream, sockets=Sockets(upstream, lambda: 0))
        app[COMFYUI] = stand_in
        yield
        await upstream.close()

    door = await open_door(parts=(stock,))
    return lambda: door.client.ws_connect(door.url + "/comfy/ws?clientId=mine")


async def hears(comfyui: SlowComfyUI, client: aiohttp.ClientWebSocketResponse) -> bool:
    """Whether what ComfyUI says to the id reaches the client."""
    await comfyui.sockets["mine"].send_json({"type": "executed", "data": {}})
    while (await client.receive_json())["type"] != "executed":
        pass
    return True


async def test_who_comes_back_at_once_is_heard_again(comfyui: Any, connect: Any) -> None:
    """A page that is loaded anew has its old id: its connection is made only when the one before is
    over for ComfyUI, which forgets the id with that."""
    slow, _ = comfyui
    async with asyncio.timeout(PATIENCE_S):
        first = await connect()
        await first.receive_json()
        await first.close()
        coming = asyncio.create_task(connect())
        await asyncio.sleep(0.1)
        assert slow.connections == 1
        slow.lets_go.set()
        second = await coming
        assert (await second.receive_json())["data"] == {"sid": "mine"}
        assert await hears(slow, second)
        await second.close()


async def test_who_is_heard_is_not_connected_anew(comfyui: Any, connect: Any) -> None:
    """When an older connection with the id leaves, nothing that is said meanwhile is lost."""
    slow, _ = comfyui
    slow.lets_go.set()
    async with asyncio.timeout(PATIENCE_S):
        older = await connect()
        await older.receive_json()
        newer = await connect()
        await newer.receive_json()
        assert slow.connections == 2
        await older.close()
        await asyncio.sleep(0.1)
        assert slow.connections == 2
        assert await hears(slow, newer)
        await newer.close()
