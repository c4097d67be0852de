"""A job's events as a stream (server-sent events), from any number on.

Knows: ``id:`` lines, ``Last-Event-ID``, heartbeats, and that a client may not read.
Does not know: how events are numbered and kept.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from aiohttp import web

from backend.errors import UnknownName
from backend.handlers.keys import EVENTS, JOBS, STOPPING
from backend.handlers.operations import ENDED
from backend.handlers.query import After, Nothing, Resume, read_headers, read_query

if TYPE_CHECKING:
    from backend.services.event import Event

HEARTBEAT_S: Final = 15.0
STALLED_S: Final = 20.0
"""A client that takes nothing for so long is closed; it may come back with its last number."""


async def follow(request: web.Request) -> web.StreamResponse:
    """Replay the events after ``Last-Event-ID`` or ``after``, then follow until the job's end.

    204 if the job has ended and nothing is left to replay: browsers then stop to reconnect.
    """
    after = read_query(request, After).after
    last_seen = read_headers(request, Resume).last_event_id
    after = after if last_seen is None else last_seen
    job = request.app[JOBS].get(request.match_info["id"])
    if job.state in ENDED and not request.app[EVENTS].replay(job.id, after):
        return web.Response(status=204)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    try:
        await _forward(request, response, job.id, after)
    except TimeoutError as error:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionError("the client does not read") from error
    await response.write_eof()
    return response


async def _forward(
    request: web.Request, response: web.StreamResponse, job_id: str, after: int
) -> None:
    stream = request.app[EVENTS].stream(job_id, after)
    stopping = asyncio.ensure_future(request.app[STOPPING].wait())
    step: asyncio.Future[Event] | None = None
    try:
        while not stopping.done():
            step = step or asyncio.ensure_future(anext(stream))
            await asyncio.wait(
                (step, stopping), timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED
            )
            line = b": the service lives\n\n"
            if step.done():
                try:
                    line = write_event(step.result())
                except StopAsyncIteration:
                    return
                step = None
            async with asyncio.timeout(STALLED_S):
                await response.write(line)
    finally:
        for task in (step, stopping):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()  # leaves the list of followers now, not when collected


def write_event(event: Event) -> bytes:
    """One event in the form of server-sent events."""
    time = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds")
    data = {"seq": event.seq, "type": event.type, "time": time.replace("+00:00", "Z")}
    text = json.dumps({**data, **event.data}, allow_nan=False)
    return f"id: {event.seq}\nevent: {event.type}\ndata: {text}\n\n".encode()


async def show_preview(request: web.Request) -> web.Response:
    """The newest preview of a running job."""
    read_query(request, Nothing)
    job = request.app[JOBS].get(request.match_info["id"])
    jpeg = request.app[EVENTS].preview(job.id)
    if jpeg is None:
        raise UnknownName("there is no preview of this job now")
    return web.Response(body=jpeg, content_type="image/jpeg")


def routes() -> list[web.RouteDef]:
    return [
        web.get("/v1/jobs/{id}/events", follow, allow_head=False),
        web.get("/v1/jobs/{id}/preview", show_preview),
    ]
