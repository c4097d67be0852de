"""ComfyUI's own HTTP API and WebSocket, for stock clients and the graph editor.

Knows: which paths the service answers itself (queue, history, interruption: they are jobs), and
that everything else is ComfyUI's.
Does not know: how a prompt is kept (`services.prompts`), how a request reaches ComfyUI
(`comfyui_upstream`).

The same routes stand below ``/comfy``, below ``/editor`` for people, and at the root of a port of
their own when asked for; each also below ``/api``, as ComfyUI has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiohttp import hdrs, web

from backend.errors import refused
from backend.handlers.body import read_any_object
from backend.handlers.comfyui_catalogue import NodeCatalogue
from backend.handlers.comfyui_sockets import Sockets
from backend.handlers.comfyui_upstream import Upstream
from backend.handlers.keys import COMFYUI, PROMPTS
from backend.handlers.sending import send_object

if TYPE_CHECKING:
    from backend.config import Settings
    from backend.services.prompts import Prompts
    from backend.services.worker_pool import WorkerPool

PREFIX: Final = "/comfy"
EDITOR: Final = "/editor"
"""Where people open the graph editor: the same server, under the name that they look for."""


class Stock:
    """What the routes share: the way to ComfyUI, its clients, its catalogue."""

    def __init__(self, settings: Settings, pool: WorkerPool, prompts: Prompts) -> None:
        self.upstream = Upstream(settings, pool)
        self.sockets = Sockets(self.upstream, prompts.lists.remaining)
        self.catalogue = NodeCatalogue(self.upstream)
        self._pool = pool
        prompts.on_end.append(self.sockets.tell)
        prompts.on_change.append(self._changed)
        prompts.listens = self.sockets.has

    async def close(self) -> None:
        """Say goodbye to every client."""
        await self.sockets.close()
        await self.upstream.close()

    def _changed(self, remaining: int) -> None:
        """The worker that serves clients tells them; where there is none, we do."""
        if self.upstream.address is None:
            self.sockets.changed()
        for worker in self._pool.processes:
            if worker.kind == "comfy":
                worker.tell("prompts", {"remaining": remaining})


# --- what the service answers itself --------------------------------------------------------


async def queue(request: web.Request) -> web.Response:
    lists = request.app[PROMPTS].lists.queue()
    return web.json_response({"queue_running": lists["running"], "queue_pending": lists["waiting"]})


async def change_queue(request: web.Request) -> web.Response:
    body, prompts = await read_any_object(request), request.app[PROMPTS]
    if body.get("clear"):
        await prompts.delete_waiting(None)
    if "delete" in body:
        await prompts.delete_waiting(body["delete"])
    return web.Response()


async def history(request: web.Request) -> web.StreamResponse:
    asked = {name: _whole(request, name) for name in ("max_items", "offset")}
    offset = -1 if asked["offset"] is None else asked["offset"]
    prompt_id = request.match_info.get("prompt_id")
    found = request.app[PROMPTS].lists.history(prompt_id, asked["max_items"], offset)
    return await send_object(request, found)


async def change_history(request: web.Request) -> web.Response:
    body, prompts = await read_any_object(request), request.app[PROMPTS]
    if body.get("clear"):
        await prompts.forget(None)
    if "delete" in body:
        await prompts.forget(body["delete"])
    return web.Response()


async def remaining(request: web.Request) -> web.Response:
    return web.json_response(request.app[COMFYUI].sockets.status()["status"])


async def interrupt(request: web.Request) -> web.Response:
    prompt_id = (await read_any_object(request)).get("prompt_id") or None
    if prompt_id is not None and not isinstance(prompt_id, str):
        raise refused("/prompt_id", "string", "prompt_id must be a string")
    await request.app[PROMPTS].interrupt(prompt_id)
    return web.Response()


async def websocket(request: web.Request) -> web.StreamResponse:
    return await request.app[COMFYUI].sockets.serve(request)


# --- what ComfyUI answers -------------------------------------------------------------------


async def object_info(request: web.Request) -> web.StreamResponse:
    return await request.app[COMFYUI].catalogue.answer(request, "/object_info")


async def slash(request: web.Request) -> web.Response:
    """The editor's page names its files relative to a folder."""
    target = request.rel_url.with_path(request.path + "/", keep_query=True)
    return web.Response(status=308, headers={hdrs.LOCATION: str(target)})


def routes(prefix: str = PREFIX) -> list[web.RouteDef]:
    """All routes below *prefix*."""

    async def anything(request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path_qs.removeprefix(prefix)
        return await request.app[COMFYUI].upstream.forward(request, path)

    found: list[web.RouteDef] = []
    for each in (prefix, prefix + "/api"):
        found += [
            web.get(each + "/queue", queue),
            web.post(each + "/queue", change_queue),
            web.get(each + "/history", history),
            web.get(each + "/history/{prompt_id}", history),
            web.post(each + "/history", change_history),
            web.get(each + "/prompt", remaining),
            web.post(each + "/interrupt", interrupt),
            web.get(each + "/object_info", object_info),
            web.get(each + "/ws", websocket),
        ]
    if prefix:
        found.append(web.get(prefix, slash))
    return [*found, web.route("*", prefix + "/{path:.*}", anything)]


def _whole(request: web.Request, name: str) -> int | None:
    given: Any = request.query.get(name)
    if given is None:
        return None
    try:
        return int(given)
    except ValueError as error:
        raise refused(f"/{name}", "integer", f"{name} must be a whole number") from error
