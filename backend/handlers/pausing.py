"""The queue over HTTP: whether it is paused, pause and resume.

Knows: the routes.
Does not know: what is in the queue.
"""

from __future__ import annotations

from aiohttp import web

from backend.handlers import body
from backend.handlers.keys import PAUSE
from backend.handlers.query import Nothing, read_query


async def show_queue(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    return web.json_response(request.app[PAUSE].as_json())


async def pause_queue(request: web.Request) -> web.Response:
    """Begin no more jobs; those that run go on, and new ones are accepted."""
    read_query(request, Nothing)
    await body.read_nothing(request)
    await request.app[PAUSE].begin()
    return web.json_response(request.app[PAUSE].as_json())


async def resume_queue(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    await body.read_nothing(request)
    await request.app[PAUSE].end()
    return web.json_response(request.app[PAUSE].as_json())


def routes() -> list[web.RouteDef]:
    return [
        web.get("/v1/queue", show_queue),
        web.post("/v1/queue/pause", pause_queue, expect_handler=body.continue_later),
        web.post("/v1/queue/resume", resume_queue, expect_handler=body.continue_later),
    ]
