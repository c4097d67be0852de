"""Batches over HTTP: submit, list, look, cancel, follow.

Knows: the routes.
Does not know: how a request becomes jobs.
"""

from __future__ import annotations

from aiohttp import web

from backend.handlers import body, events
from backend.handlers.keys import BATCHES
from backend.handlers.query import Cursor, Nothing, Retriable, read_headers, read_query


async def submit_batch(request: web.Request) -> web.Response:
    """201 with the batch, whose jobs are all kept; 200 if the key made it before."""
    read_query(request, Nothing)
    key = read_headers(request, Retriable).idempotency_key
    batch, is_new = await request.app[BATCHES].submit(await body.read_object(request), key)
    location = {"Location": batch["links"]["self"]} if is_new else None
    return web.json_response(batch, status=201 if is_new else 200, headers=location)


async def list_batches(request: web.Request) -> web.Response:
    asked = read_query(request, Cursor)
    items, following = request.app[BATCHES].page(asked.cursor, asked.limit)
    return web.json_response({"items": items, "next_cursor": following})


async def show_batch(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    return web.json_response(request.app[BATCHES].get(request.match_info["id"]))


async def cancel_batch(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    await body.read_nothing(request)
    return web.json_response(await request.app[BATCHES].cancel(request.match_info["id"]))


async def follow_batch(request: web.Request) -> web.StreamResponse:
    batch = request.app[BATCHES].get(request.match_info["id"])
    return await events.stream(request, batch["id"], has_ended=batch["finished"] is not None)


def routes() -> list[web.RouteDef]:
    one = "/v1/batches/{id}"
    return [
        web.post("/v1/batches", submit_batch, expect_handler=body.continue_later),
        web.get("/v1/batches", list_batches),
        web.get(one, show_batch),
        web.post(f"{one}/cancel", cancel_batch, expect_handler=body.continue_later),
        web.get(f"{one}/events", follow_batch, allow_head=False),
    ]
