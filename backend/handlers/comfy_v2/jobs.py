"""Jobs of the Comfy API v2: submit a graph, look, list, cancel, and get the graph back.

Knows: the body of a submit, single-use idempotency keys, labels.
Does not know: how a graph is run; a job here is one of ``workflows.run``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from aiohttp import web
from annotated_types import Ge, Le, MaxLen
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.errors import Conflict, KinoError, UnknownName
from backend.handlers import body
from backend.handlers.comfy_envelope import Refused, of_workflow
from backend.handlers.comfy_v2 import shapes
from backend.handlers.comfy_v2.shapes import OPERATION
from backend.handlers.keys import EVENTS, JOBS, WORKERS
from backend.services.job import Job

MOST_LABELS: Final = 16
_LABEL: Final = re.compile(r"metadata\[(.{1,200})\]")
_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")


class _Extra(BaseModel):
    """What may go along with a graph. Nodes in front of hosted services are off, so their key is
    taken as the contract says, and neither kept nor used."""

    model_config = ConfigDict(extra="forbid")
    api_key_comfy_org: str | None = None


class _Submit(BaseModel):
    model_config = ConfigDict(extra="forbid")
    workflow: dict[str, Any]
    extra_data: _Extra | None = None
    metadata: Annotated[dict[str, Annotated[str, MaxLen(500)]], MaxLen(MOST_LABELS)] = {}


class _Page(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: Annotated[int, Ge(1), Le(200)] = 50
    cursor: Annotated[str, MaxLen(200)] | None = Field(None)


def origin_of(request: web.Request) -> str:
    """What absolute links begin with: the address that the caller used, which was checked."""
    return f"{request.scheme}://{request.host}"


def present(request: web.Request, job: Job, status: int = 200) -> web.Response:
    latest = request.app[EVENTS].latest_progress(job.id)
    return web.json_response(shapes.job(job, latest, origin_of(request)), status=status)


def find(request: web.Request) -> Job:
    """The job of the path. Raises `UnknownName`, also for a job of another operation."""
    job = request.app[JOBS].get(request.match_info["id"])
    if job.operation != OPERATION:
        raise UnknownName("there is no such job")
    return job


async def submit(request: web.Request) -> web.Response:
    """Take a graph as a job: 201 once it is on the disk."""
    asked = _read(await body.read_value(request))
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise Refused(422, "invalid_request", "an Idempotency-Key has 1 to 255 ASCII characters")
    _check_classes(asked.workflow, request.app[WORKERS].node_classes)
    reused = Refused(422, "idempotency_key_reuse", "this Idempotency-Key has been used already")
    try:
        job, is_new = await request.app[JOBS].submit(
            OPERATION,
            {"graph": asked.workflow},
            idempotency_key=None if key is None else f"api/v2 {key}",
            metadata=asked.metadata,
        )
    except Conflict as error:
        raise reused from error
    except KinoError as error:
        raise of_workflow(error) from error
    if not is_new:
        raise reused
    return present(request, request.app[JOBS].get(job.id), 201)  # with its place in the queue


def _read(value: Any) -> _Submit:
    if isinstance(value, Mapping):
        for reserved in ("webhook_url", "inputs"):
            if reserved in value:
                raise Refused(422, "invalid_request", f"'{reserved}' is not served here")
    try:
        return _Submit.model_validate(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        code = "metadata_invalid" if place.startswith("metadata") else "invalid_request"
        raise Refused(422, code, f"{place}: {first['msg']}") from error


def _check_classes(graph: Mapping[str, Any], known: frozenset[str]) -> None:
    """Raise for node classes that nobody has; a worker that never was ready cannot say."""
    if not known:
        return
    wrong: dict[str, list[dict[str, str]]] = {}
    for node_id, node in graph.items():
        kind = node.get("class_type") if isinstance(node, Mapping) else None
        if isinstance(kind, str) and kind not in known:
            told = f"there is no node class {kind!r} here"
            wrong[node_id] = [{"field": "class_type", "reason": "unknown_class", "message": told}]
    if wrong:
        node, (first, *_) = next(iter(wrong.items()))
        message = f"Node {node}: {first['message']}"
        raise Refused(422, "invalid_workflow", message, {"node_errors": wrong})


async def show(request: web.Request) -> web.Response:
    return present(request, find(request))


async def show_workflow(request: web.Request) -> web.Response:
    """The graph that the job runs, assets in Kino's own nodes."""
    graph = find(request).params["graph"]
    return web.json_response({"workflow": graph, "format": "api"})


async def list_jobs(request: web.Request) -> web.Response:
    """Jobs, newest first; ``metadata[name]=value`` finds those with a label."""
    labels: dict[str, str] = {}
    given: dict[str, str] = {}
    for name, value in request.query.items():
        label = _LABEL.fullmatch(name)
        (labels if label else given)[label[1] if label else name] = value
    try:
        page = _Page.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        told = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise Refused(422, "invalid_request", told) from error
    found = request.app[JOBS].list(
        operation=OPERATION, cursor=page.cursor, limit=page.limit, metadata=labels
    )
    answer: dict[str, Any] = {"jobs": [shapes.summary(job) for job in found.items]}
    if found.next_cursor is not None:
        answer["next_cursor"] = found.next_cursor
    return web.json_response(answer)


async def cancel(request: web.Request) -> web.Response:
    """Ask the job to end; one that has ended stays as it is."""
    job = find(request)
    if not job.has_ended:
        try:
            job = await request.app[JOBS].cancel(job.id)
        except Conflict:  # it ended in this very moment
            job = find(request)
    return present(request, job)


def routes() -> list[web.RouteDef]:
    return [
        web.post("/api/v2/jobs", submit, expect_handler=body.continue_later),
        web.get("/api/v2/jobs", list_jobs),
        web.get("/api/v2/jobs/{id}", show),
        web.get("/api/v2/jobs/{id}/workflow", show_workflow),
        web.post("/api/v2/jobs/{id}/cancel", cancel),
    ]
