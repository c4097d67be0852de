"""Model files over HTTP: the list and its search, one of them, and its SHA-256.

Knows: the routes. Nothing here fetches a file: the operator does (``kino models download``).
Does not know: where files lie; clients see the label of a root and never a path.
"""

from __future__ import annotations

from aiohttp import web

from backend.handlers import body
from backend.handlers.keys import MODELS
from backend.handlers.query import ModelFilter, Nothing, Wait, read_query
from backend.services.model_listing import Question


async def list_models(request: web.Request) -> web.Response:
    asked = read_query(request, ModelFilter)
    question = Question(asked.q, asked.kind, asked.architecture, asked.installed, asked.source)
    page = await request.app[MODELS].search(question, asked.cursor, asked.limit)
    return web.json_response({"items": page.items, "next_cursor": page.next_cursor})


async def show_model(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    return web.json_response(await request.app[MODELS].get(*_place(request)))


async def hash_model(request: web.Request) -> web.Response:
    """200 with the hash if it is known within ``wait`` seconds, else 202 with how far it is."""
    wait = read_query(request, Wait).wait
    await body.read_nothing(request)
    state = await request.app[MODELS].hash(*_place(request), wait)
    return web.json_response(state, status=200 if state["state"] in ("done", "failed") else 202)


async def cancel_hash(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    await request.app[MODELS].cancel_hash(*_place(request))
    return web.Response(status=204)


def _place(request: web.Request) -> tuple[str, str]:
    return request.match_info["kind"], request.match_info["name"]


def routes() -> list[web.RouteDef]:
    one = "/v1/models/{kind}/{name:.+}"  # names may lead into folders
    return [
        web.get("/v1/models", list_models),
        web.get(one, show_model),
        web.post(f"{one}/hash", hash_model, expect_handler=body.continue_later),
        web.delete(f"{one}/hash", cancel_hash),
    ]
