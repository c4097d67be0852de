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
from backend.handlers.keys import EVENTS, JOBS
from backend.handlers.query import After, Nothing, Resume, read_headers, read_query
from backend.handlers.sending import leaving

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
    if job.has_ended and not request.app[EVENTS].replay(job.id, after):
        return web.Response(status=204)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    with leaving(request):
        await _forward(request, response, job.id, after)
        async with asyncio.timeout(STALLED_S):
            await response.write_eof()
    return response


async def _forward(
    request: web.Request, response: web.StreamResponse, job_id: str, after: int
) -> None:
    """Write events until the stream ends: with the job, or because the service stops."""
    stream = request.app[EVENTS].stream(job_id, after)
    step: asyncio.Future[Event] | None = None
    try:
        while True:
            step = step or asyncio.ensure_future(anext(stream))
            await asyncio.wait((step,), timeout=HEARTBEAT_S)
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
        if step is not None:
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
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
