"""Events of a job or a batch as a stream, from any number on: server-sent, or over a WebSocket.

Knows: ``id:`` lines, ``Last-Event-ID``, heartbeats, and that a client may not read.
Does not know: how events are numbered and kept.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from backend.errors import UnknownName
from backend.handlers import event_socket
from backend.handlers.keys import EVENTS, JOBS
from backend.handlers.query import After, Nothing, Resume, read_headers, read_query
from backend.handlers.sending import leaving

if TYPE_CHECKING:
    from backend.services.event import Event

HEARTBEAT_S: Final = 15.0
HEARTBEAT: Final = b": the service lives\n\n"
STALLED_S: Final = 20.0
"""A client that takes nothing for so long is closed; it may come back with its last number."""


async def follow(request: web.Request) -> web.StreamResponse:
    """The events of a job; see `stream`."""
    job = request.app[JOBS].get(request.match_info["id"])
    return await stream(request, job.id, has_ended=job.has_ended)


async def stream(request: web.Request, job_id: str, *, has_ended: bool) -> web.StreamResponse:
    """Replay the events of a job or a batch after ``Last-Event-ID`` or ``after``, then follow until
    its end; over a WebSocket if the client asks for one.

    204 if it has ended and nothing is left to replay: browsers then stop to reconnect.
    """
    after = read_query(request, After).after
    last_seen = read_headers(request, Resume).last_event_id
    after = after if last_seen is None else last_seen
    if event_socket.is_asked_for(request):
        return await event_socket.forward(request, followed(request, job_id, after), as_json)
    if has_ended and not request.app[EVENTS].replay(job_id, after):
        return web.Response(status=204)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    with leaving(request):
        async with aclosing(followed(request, job_id, after)) as events:
            async for event in events:
                async with asyncio.timeout(STALLED_S):
                    await response.write(HEARTBEAT if event is None else write_event(event))
        async with asyncio.timeout(STALLED_S):
            await response.write_eof()
    return response


async def followed(request: web.Request, job_id: str, after: int) -> AsyncGenerator[Event | None]:
    """The events of a job after a number, until the stream ends: with the job, or because the
    service stops. ``None`` whenever nothing happened for `HEARTBEAT_S`."""
    stream = request.app[EVENTS].stream(job_id, after)
    step: asyncio.Future[Event] | None = None
    try:
        while True:
            step = step or asyncio.ensure_future(anext(stream))
            await asyncio.wait((step,), timeout=HEARTBEAT_S)
            if not step.done():
                yield None
                continue
            try:
                event = step.result()
            except StopAsyncIteration:
                return
            step = None
            yield event
    finally:
        if step is not None:
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()  # leaves the list of followers now, not when collected


def as_json(event: Event) -> dict[str, Any]:
    """One event as it is sent."""
    time = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds")
    data = {"seq": event.seq, "type": event.type, "time": time.replace("+00:00", "Z")}
    return {**data, **event.data}


def write_event(event: Event) -> bytes:
    """One event in the form of server-sent events."""
    text = json.dumps(as_json(event), allow_nan=False)
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
