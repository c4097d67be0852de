"""Operations over HTTP: the list, one of them, and running it as a job.

Knows: the routes, ``?wait=``, and the headers of a submit.
Does not know: what any operation does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from backend.handlers import body
from backend.handlers.keys import CATALOGUE, JOBS, REGISTRY
from backend.handlers.query import (
    Nothing,
    Submission,
    Wait,
    read_headers,
    read_metadata,
    read_query,
)
from backend.handlers.waiting import unless_stopping

if TYPE_CHECKING:
    from backend.services.jobs import Job

ENDED = frozenset({"succeeded", "failed", "cancelled"})


async def list_operations(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    catalogue = request.app[CATALOGUE]
    items = catalogue.kept(
        "list", lambda: [catalogue.describe(entry) for entry in catalogue.entries()]
    )
    return web.json_response({"items": items})


async def describe_operation(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    entry = request.app[REGISTRY].get(request.match_info["name"])
    return web.json_response(request.app[CATALOGUE].describe(entry))


async def run_operation(request: web.Request) -> web.Response:
    """Submit a job; 200 with the ended job if it ends within ``wait`` seconds, else 202."""
    wait = read_query(request, Wait).wait
    headers = read_headers(request, Submission)
    metadata = read_metadata(headers.metadata, "/headers/Kino-Metadata")
    operation = request.app[REGISTRY].get(request.match_info["name"]).operation
    job, _ = await request.app[JOBS].submit(
        operation.name,
        await body.read_object(request),
        idempotency_key=headers.idempotency_key,
        priority=headers.priority,
        metadata=metadata,
    )
    if wait and job.state not in ENDED:
        job = await unless_stopping(request.app, request.app[JOBS].wait(job.id, wait)) or job
    return present(job, 200 if job.state in ENDED and wait else 202)


def present(job: Job, status: int = 200) -> web.Response:
    """A job as a response; 201 and 202 say where it can be followed."""
    location = {"Location": f"/v1/jobs/{job.id}"} if status in (201, 202) else None
    return web.json_response(job.as_json(), status=status, headers=location)


def routes() -> list[web.RouteDef]:
    return [
        web.get("/v1/operations", list_operations),
        web.get("/v1/operations/{name}", describe_operation),
        web.post("/v1/operations/{name}", run_operation, expect_handler=body.continue_later),
    ]
