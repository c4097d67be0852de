"""The floor of the bench: aiohttp in front of ComfyUI's PromptExecutor, and nothing else.

Knows: how to import the ComfyUI of a folder and to run one graph for one request.
Does not know: queues, jobs, assets, cancelling, or what to do after a crash.

Run as ``python floor.py TREE PORT [ComfyUI's flags]``; POST a graph, get the bytes of its picture.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiohttp import web


class Silent:
    """What a PromptExecutor needs of a server: somewhere to send events to."""

    client_id = last_node_id = last_prompt_id = None
    sockets_metadata: dict[str, Any] = {}  # noqa: RUF012 — read by ComfyUI, never written

    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None: ...


def boot(tree: str, flags: list[str]) -> None:
    """Import the ComfyUI in *tree* with *flags*."""
    sys.path.insert(0, tree)
    import comfy.options

    sys.argv = ["floor", *flags]
    comfy.options.enable_args_parsing()
    import nodes
    import server

    async def register() -> None:
        server.PromptServer(asyncio.get_running_loop())
        await nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False)

    asyncio.run(register())


def executor() -> Any:
    import execution

    return execution.PromptExecutor(
        Silent(),
        cache_type=execution.CacheType.CLASSIC,
        cache_args={"lru": 0, "ram": 2.0, "ram_inactive": 8.0},
    )


def run(prompt_executor: Any, graph: dict[str, Any]) -> bytes:
    """Validate and run *graph*; the bytes of its first picture."""
    import execution
    import folder_paths

    valid = asyncio.run(execution.validate_prompt("floor", graph, None))
    prompt_executor.execute(graph, "floor", {}, valid[2])
    outputs = prompt_executor.history_result["outputs"]
    image = next(iter(outputs.values()))["images"][0]
    folder = Path(folder_paths.get_output_directory())
    path: Path = folder / image["subfolder"] / image["filename"]
    return path.read_bytes()


def main() -> None:
    tree, port, *flags = sys.argv[1:]
    boot(tree, flags)
    prompt_executor = executor()
    lane = ThreadPoolExecutor(1)

    async def post(request: web.Request) -> web.Response:
        graph = await request.json()
        loop = asyncio.get_running_loop()
        return web.Response(body=await loop.run_in_executor(lane, run, prompt_executor, graph))

    async def alive(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/", post), web.get("/", alive)])
    web.run_app(app, host="127.0.0.1", port=int(port), print=None)


if __name__ == "__main__":
    main()
