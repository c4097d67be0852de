"""A job's live events as the Comfy API v2 streams them: what is now, then what changes.

Knows: its events status, progress, preview and output, each a whole snapshot.
Does not know: how events are numbered and kept; nothing here can be replayed.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

from aiohttp import web

from backend.handlers.comfy_v2 import shapes
from backend.handlers.comfy_v2.jobs import find, origin_of
from backend.handlers.events import HEARTBEAT, STALLED_S, followed
from backend.handlers.keys import EVENTS
from backend.handlers.sending import leaving
from backend.services.job import Job


async def follow(request: web.Request) -> web.StreamResponse:
    """The state now, then every change, until the job has ended."""
    job = find(request)
    past = request.app[EVENTS].replay(job.id)
    last = past[-1].seq if past else 0
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    with leaving(request):
        await _write(response, b"".join(_snapshot(request, job)))
        if not job.has_ended:
            async with aclosing(followed(request, job.id, last)) as events:
                async for event in events:
                    told = HEARTBEAT if event is None else b"".join(_told(request, event.type))
                    await _write(response, told)
        async with asyncio.timeout(STALLED_S):
            await response.write_eof()
    return response


async def _write(response: web.StreamResponse, line: bytes) -> None:
    if line:
        async with asyncio.timeout(STALLED_S):
            await response.write(line)


def _snapshot(request: web.Request, job: Job) -> Iterator[bytes]:
    """Outputs, progress and preview as far as there are any; the state last, as it may end all."""
    for output in shapes.outputs(job, origin_of(request)):
        yield _event("output", output)
    if not job.has_ended:
        yield from _progress(request, job)
        yield from _preview(request, job)
    position = (job.waiting_for or {}).get("position")
    yield _event("status", {"status": shapes.status_of(job), "queue_position": position})


def _told(request: web.Request, kind: str) -> Iterator[bytes]:
    """What an event of ours is there; the job is read anew, so that no snapshot is old."""
    if kind == "log":
        return
    job = find(request)
    if kind == "progress":
        yield from _progress(request, job)
    elif kind == "preview":
        yield from _preview(request, job)
    else:
        yield from _snapshot(request, job)


def _progress(request: web.Request, job: Job) -> Iterator[bytes]:
    latest = shapes.progress(job, request.app[EVENTS].latest_progress(job.id))
    if latest is not None:
        yield _event("progress", latest)


def _preview(request: web.Request, job: Job) -> Iterator[bytes]:
    jpeg = request.app[EVENTS].preview(job.id)
    if jpeg is not None:
        latest = request.app[EVENTS].latest_progress(job.id) or {}
        picture = base64.b64encode(jpeg).decode()
        node = latest.get("node") or ""
        data = {"node_id": node, "content_type": "image/jpeg", "data_base64": picture}
        yield _event("preview", data)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, allow_nan=False)}\n\n".encode()


def routes() -> list[web.RouteDef]:
    return [web.get("/api/v2/jobs/{id}/events", follow, allow_head=False)]
