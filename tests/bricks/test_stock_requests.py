"""Requests that ComfyUI's routes would fail of, or harm others by: told so before they see them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from backend.bricks import server, stock_requests

NODE = {"class_type": "PreviewAny", "inputs": {}}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A server that takes any prompt, behind the check."""

    async def accept(request: web.Request) -> web.Response:
        return web.json_response(await request.json())

    app = web.Application(middlewares=[stock_requests.clear_answers])
    app.router.add_post("/prompt", accept)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/prompt"
    await runner.cleanup()


async def post(url: str, body: bytes, kind: str = "application/json") -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": kind}
    async with (
        aiohttp.ClientSession() as client,
        client.post(url, data=body, headers=headers) as said,
    ):
        return said.status, json.loads(await said.read())


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"prompt": "\xff"}', "application/json"),
        (b"{}", "application/json; charset=nowhere"),
        (b'{"prompt": {}, "number": NaN}', "application/json"),
        (b'{"prompt": {"1": {"class_type": "A", "inputs": {"x": 1e999}}}}', "application/json"),
    ],
)
async def test_what_is_no_json_is_refused(url: str, body: bytes, kind: str) -> None:
    """Bytes that are no text, an unknown charset, numbers that JSON has not: 400, no incident."""
    status, problem = await post(url, body, kind)
    assert (status, problem["detail"]) == (400, "the body is not JSON")


@pytest.mark.parametrize(
    ("pointer", "more"),
    [
        ("/client_id", {"client_id": {"a": 1}}),
        ("/client_id", {"client_id": ["a"]}),
        ("/extra_data/client_id", {"extra_data": {"client_id": {}}}),
        ("/prompt/1/class_type", {"prompt": {"1": {"class_type": ["A"], "inputs": {}}}}),
    ],
)
async def test_what_nothing_can_be_looked_up_by_is_refused(
    url: str, pointer: str, more: dict[str, Any]
) -> None:
    """ComfyUI looks clients and classes up by these, and an object cannot be looked up by."""
    status, problem = await post(url, json.dumps({"prompt": {"1": NODE}, **more}).encode())
    assert (status, problem["errors"][0]["pointer"]) == (400, pointer)


@pytest.mark.parametrize("client_id", ["a", None, 5])
async def test_a_prompt_passes(url: str, client_id: Any) -> None:
    """What ComfyUI takes is passed on."""
    body = {"prompt": {"1": NODE}, "client_id": client_id}
    assert await post(url, json.dumps(body).encode()) == (200, body)


async def test_a_message_that_cannot_be_sent_silences_nobody() -> None:
    """A node may show what no JSON holds; that message is lost, and the next ones are heard."""
    heard: list[str] = []

    class Server:
        """ComfyUI's loop (``PromptServer.publish_loop``), with what it would send."""

        def __init__(self) -> None:
            self.messages: asyncio.Queue[Any] = asyncio.Queue()

        async def publish_loop(self) -> None:
            while True:
                heard.append(json.dumps(await self.messages.get()))

    stand_in = Server()
    publishing = asyncio.create_task(server._publish(stand_in))
    for message in ("before", object(), "after"):
        stand_in.messages.put_nowait(message)
    async with asyncio.timeout(120):
        while len(heard) < 2:
            await asyncio.sleep(0.01)
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    assert heard == ['"before"', '"after"']
