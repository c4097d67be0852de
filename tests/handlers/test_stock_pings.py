"""A stock client whose network is gone is noticed, and what was held for it is let go."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from aiohttp import web

from backend.config import Settings
from backend.errors import OperationUnavailable
from backend.handlers import comfyui_sockets, listening
from backend.handlers.comfyui_sockets import Sockets

PATIENCE_S = 60.0


class NoServer:
    """Stands in for the way to ComfyUI's server, which is not there."""

    async def session(self) -> Any:
        raise OperationUnavailable("there is none", remedy="None is needed.")


async def test_who_answers_no_ping_is_given_up(monkeypatch: Any) -> None:
    """Of two clients that say nothing, the one that answers pings stays and hears on; the other is
    gone, and so is all that was kept under its id."""
    monkeypatch.setattr(comfyui_sockets, "PING_S", 3.0)
    upstream: Any = NoServer()
    sockets = Sockets(upstream, lambda: 0)
    app = web.Application()
    app.router.add_get("/ws", sockets.serve)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    bound = listening.bind(Settings(_env_file=None, port=0))
    servers = await listening.listen(runner, bound)
    url = listening.address(bound[0]) + "/ws?clientId="
    async with aiohttp.ClientSession() as client, asyncio.timeout(PATIENCE_S):
        # autoping off: it is as if nothing reached its program any more
        lost = await client.ws_connect(url + "lost", autoping=False)
        there = await client.ws_connect(url + "there")
        assert sockets.has("lost") and sockets.has("there")
        first = (await there.receive()).json()
        assert first["data"]["sid"] == "there"
        hearing = asyncio.create_task(there.receive())  # as a client does, that waits
        while sockets.has("lost"):
            await asyncio.sleep(0.01)
        assert sockets.has("there")  # it was asked at the same time
        sockets.tell("there", "executing", {"node": None})
        assert (await hearing).json()["type"] == "executing"
        await there.close()
        await lost.close()
    await sockets.close()
    for server in servers:
        server.close()
    await runner.cleanup()
    for each in bound:
        each.close()
