"""Stored workflows over HTTP: put, look, delete, and the dry run.

Knows: the routes. Running one is the operation ``workflow.<name>`` (``handlers.operations``).
Does not know: graphs.
"""

from __future__ import annotations

from aiohttp import web

from backend.handlers import body
from backend.handlers.keys import MODELS, TEMPLATES, WORKFLOWS
from backend.handlers.query import Nothing, Storing, Version, read_query


async def list_workflows(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    return web.json_response({"items": request.app[WORKFLOWS].list()})


async def show_workflow(request: web.Request) -> web.Response:
    """The workflow, and which model files it still needs."""
    version = read_query(request, Version).version
    name = request.match_info["name"]
    shown = request.app[WORKFLOWS].get(name, version)
    missing = await request.app[MODELS].missing_in(request.app[TEMPLATES].get(name, version))
    return web.json_response({**shown, "missing_models": missing})


async def show_original(request: web.Request) -> web.Response:
    """The document, offered as a file: it is somebody's, and no page of ours."""
    version = read_query(request, Version).version
    name = request.match_info["name"]
    return web.Response(
        body=request.app[WORKFLOWS].original(name, version),
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}.json"'},
    )


async def put_workflow(request: web.Request) -> web.Response:
    """201 for a new version; 200 if the document is the newest version already."""
    bypass_missing = read_query(request, Storing).bypass_missing
    name = request.match_info["name"]
    document = await body.read_object(request)
    stored, is_new = await request.app[WORKFLOWS].put(name, document, bypass_missing=bypass_missing)
    location = {"Location": f"/v1/workflows/{name}"} if is_new else None
    return web.json_response(stored, status=201 if is_new else 200, headers=location)


async def delete_workflow(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    await request.app[WORKFLOWS].delete(request.match_info["name"])
    return web.Response(status=204)


async def resolve_workflow(request: web.Request) -> web.Response:
    version = read_query(request, Version).version
    given = await body.read_object(request)
    name = request.match_info["name"]
    return web.json_response(request.app[WORKFLOWS].resolve(name, given, version))


def routes() -> list[web.RouteDef]:
    one = "/v1/workflows/{name}"
    return [
        web.get("/v1/workflows", list_workflows),
        web.get(one, show_workflow),
        web.put(one, put_workflow, expect_handler=body.continue_later),
        web.delete(one, delete_workflow),
        web.get(f"{one}/original", show_original),
        web.post(f"{one}/resolve", resolve_workflow, expect_handler=body.continue_later),
    ]
