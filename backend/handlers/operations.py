"""Operations over HTTP: the list, one of them, and running it as a job.

Knows: the routes, ``?wait=``, and the headers of a submit.
Does not know: what any operation does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from backend.handlers import body
from backend.handlers.keys import CATALOGUE, JOBS, REGISTRY
from backend.handlers.problems import problem_answer
from backend.handlers.query import (
    Nothing,
    Run,
    Submission,
    read_headers,
    read_metadata,
    read_query,
)

if TYPE_CHECKING:
    from backend.services.jobs import Job


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
    """Submit a job. If it ends within ``wait`` seconds: 200 with the job, or its problem if it
    failed, under the problem's own status; else 202 with the job as it is. A job whose work was
    done already has ended: 200."""
    asked = read_query(request, Run)
    wait = asked.wait
    headers = read_headers(request, Submission)
    metadata = read_metadata(headers.metadata, "/headers/Kino-Metadata")
    operation = request.app[REGISTRY].get(request.match_info["name"]).operation
    job, _ = await request.app[JOBS].submit(
        operation.name,
        await body.read_object(request),
        idempotency_key=headers.idempotency_key,
        priority=headers.priority,
        metadata=metadata,
        timeout_s=headers.timeout_s,
        cache=asked.cache and headers.cache == "yes",
    )
    if wait and not job.has_ended:
        job = await request.app[JOBS].wait(job.id, wait)
    if wait and job.state == "failed":
        return failure(job)
    return present(job, 200 if job.has_ended and (wait or job.cached) else 202)


def present(job: Job, status: int = 200) -> web.Response:
    """A job as a response; 201 and 202 say where it can be followed."""
    location = {"Location": f"/v1/jobs/{job.id}"} if status in (201, 202) else None
    return web.json_response(job.as_json(), status=status, headers=location)


def failure(job: Job) -> web.Response:
    """The problem of a job that failed, which also says where the job is."""
    problem = {**(job.error or {}), "job": job.id}
    return problem_answer(problem, Location=f"/v1/jobs/{job.id}")


def routes() -> list[web.RouteDef]:
    return [
        web.get("/v1/operations", list_operations),
        web.get("/v1/operations/{name}", describe_operation),
        web.post("/v1/operations/{name}", run_operation, expect_handler=body.continue_later),
    ]
