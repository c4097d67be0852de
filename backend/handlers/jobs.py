"""Jobs over HTTP: list, look, change, cancel, retry, delete, and fetch what they made.

Knows: the routes, filters, cursors, and what of a job may be changed.
Does not know: how a job runs.
"""

from __future__ import annotations

from aiohttp import web

from backend.handlers import body
from backend.handlers.content import send
from backend.handlers.keys import ASSETS, JOBS
from backend.handlers.operations import present
from backend.handlers.query import JobFilter, LiveJobs, Nothing, Wait, read_metadata, read_query
from backend.handlers.shapes import JobChange


async def list_jobs(request: web.Request) -> web.Response:
    asked = read_query(request, JobFilter)
    page = request.app[JOBS].list(
        state=asked.state,
        operation=asked.operation,
        batch=asked.batch,
        cursor=asked.cursor,
        limit=asked.limit,
        metadata=read_metadata(asked.metadata, "/query/metadata"),
    )
    return web.json_response(
        {"items": [job.as_json() for job in page.items], "next_cursor": page.next_cursor}
    )


async def show_job(request: web.Request) -> web.Response:
    """The job now, or as soon as it has ended within ``wait`` seconds."""
    wait = read_query(request, Wait).wait
    jobs, job_id = request.app[JOBS], request.match_info["id"]
    return present(await jobs.wait(job_id, wait) if wait else jobs.get(job_id))


async def change_job(request: web.Request) -> web.Response:
    """Another priority for a job that waits."""
    read_query(request, Nothing)
    change = await body.read_model(request, JobChange)
    job = await request.app[JOBS].set_priority(request.match_info["id"], change.priority)
    return present(job)


async def cancel_job(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    await body.read_nothing(request)
    return present(await request.app[JOBS].cancel(request.match_info["id"]))


async def cancel_jobs(request: web.Request) -> web.Response:
    """Cancel all jobs that fit a filter; how many it were."""
    asked = read_query(request, LiveJobs)
    await body.read_nothing(request)
    told = await request.app[JOBS].cancel_fitting(
        state=asked.state,
        operation=asked.operation,
        batch=asked.batch,
        metadata=read_metadata(asked.metadata, "/query/metadata"),
    )
    return web.json_response(told)


async def retry_job(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    await body.read_nothing(request)
    return present(await request.app[JOBS].retry(request.match_info["id"]), 202)


async def delete_job(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    await request.app[JOBS].delete(request.match_info["id"])
    return web.Response(status=204)


async def fetch_output(request: web.Request) -> web.StreamResponse:
    read_query(request, Nothing)
    asset = request.app[JOBS].output(request.match_info["id"], request.match_info["name"])
    return await send(request, asset, request.app[ASSETS])


def routes() -> list[web.RouteDef]:
    return [
        web.get("/v1/jobs", list_jobs),
        web.get("/v1/jobs/{id}", show_job),
        web.patch("/v1/jobs/{id}", change_job, expect_handler=body.continue_later),
        web.delete("/v1/jobs/{id}", delete_job),
        web.post("/v1/jobs/cancel", cancel_jobs, expect_handler=body.continue_later),
        web.post("/v1/jobs/{id}/cancel", cancel_job, expect_handler=body.continue_later),
        web.post("/v1/jobs/{id}/retry", retry_job, expect_handler=body.continue_later),
        web.get("/v1/jobs/{id}/outputs/{name}", fetch_output),
    ]
