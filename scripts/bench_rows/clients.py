"""One client a server: a graph goes in, the bytes of its picture come out.

Knows: how each server is asked, as its own documentation says.
Does not know: what is measured meanwhile.
"""

from __future__ import annotations

import json
import uuid
from contextlib import AsyncExitStack
from typing import Any, Protocol, Self

import aiohttp

from bench_rows.servers import Served

PNG = b"\x89PNG\r\n\x1a\n"


def graph(colour: int) -> dict[str, Any]:
    """A 64x64 picture of one colour, saved. Another colour is another request: no cache helps."""
    empty = {"width": 64, "height": 64, "batch_size": 1, "color": colour}
    return {
        "1": {"class_type": "EmptyImage", "inputs": empty},
        "2": {
            "class_type": "SaveImage",
            "inputs": {"images": ["1", 0], "filename_prefix": "bench"},
        },
    }


class Client(Protocol):
    """Anything that can be asked for the picture of a graph."""

    async def run_graph(self, graph: dict[str, Any]) -> bytes: ...


class _Connected:
    """A client with its own connections, closed on leaving the ``async with`` block."""

    def __init__(self, served: Served) -> None:
        self.url = served.url
        self._stack = AsyncExitStack()
        self.session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self.session = await self._stack.enter_async_context(
            aiohttp.ClientSession(raise_for_status=True)
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def get(self, path: str, **query: str) -> bytes:
        async with self.session.get(self.url + path, params=query) as answer:
            return await answer.read()

    async def post(self, path: str, body: Any) -> bytes:
        async with self.session.post(self.url + path, json=body) as answer:
            return await answer.read()


class KinoClient(_Connected):
    """Kino: one POST that waits for the job, one GET for the bytes. Every job is worked for."""

    async def run_graph(self, graph: dict[str, Any]) -> bytes:
        job = await self.run("workflows.run", {"graph": graph})
        return await self.get(first_href(job["result"]))

    async def run(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Run *operation* to its end; the job as JSON."""
        path = f"/v1/operations/{operation}?wait=30&cache=false"
        job: dict[str, Any] = json.loads(await self.post(path, params))
        if job["state"] != "succeeded":
            raise RuntimeError(f"{operation} {job['state']}: {job['error']}")
        return job


class StockClient(_Connected):
    """ComfyUI's server as its own script_examples/websockets_api_example.py asks it."""

    def __init__(self, served: Served, mount: str = "") -> None:
        super().__init__(served)
        self.url += mount
        self._client_id = uuid.uuid4().hex
        self._socket: aiohttp.ClientWebSocketResponse

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._socket = await self._stack.enter_async_context(
            self.session.ws_connect(self.url + "/ws", params={"clientId": self._client_id})
        )
        return self

    async def run_graph(self, graph: dict[str, Any]) -> bytes:
        body = {"prompt": graph, "client_id": self._client_id}
        prompt_id = json.loads(await self.post("/prompt", body))["prompt_id"]
        await self._ended(prompt_id)
        history = json.loads(await self.get(f"/history/{prompt_id}"))[prompt_id]
        image = next(iter(history["outputs"].values()))["images"][0]
        return await self.get(
            "/view",
            filename=image["filename"],
            subfolder=image["subfolder"],
            type=image["type"],
        )

    async def _ended(self, prompt_id: str) -> None:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            event = json.loads(message.data)
            data = event["data"]
            if event["type"] == "execution_error":
                raise RuntimeError(f"the stock server failed: {data}")
            ended = event["type"] == "executing" and data["node"] is None
            if ended and data["prompt_id"] == prompt_id:
                return
        raise RuntimeError("the stock server closed the connection")


class FloorClient(_Connected):
    """The floor: one POST, and the bytes come back."""

    async def run_graph(self, graph: dict[str, Any]) -> bytes:
        return await self.post("/", graph)


def first_href(result: Any) -> str:
    """The link of the first file in a job's result."""
    if isinstance(result, dict):
        if "href" in result:
            return str(result["href"])
        result = list(result.values())
    for item in result if isinstance(result, list) else []:
        if found := first_href(item):
            return found
    return ""
