"""Every answer that is not a success, as RFC 9457 ``application/problem+json``.

Knows: how errors of the tree, aiohttp's own statuses and unexpected exceptions become problems.
Does not know: what caused them; a traceback goes to the log under an incident id, never out.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import structlog
from aiohttp import web

from backend.errors import (
    KinoError,
    MalformedRequest,
    RequestRefused,
    UnknownName,
    problem_classes,
)
from backend.handlers import comfy_envelope
from backend.handlers.keys import REQUEST_ID
from backend.services.identifiers import incident_id

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PROBLEM_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2
log = structlog.get_logger("kino.http")

_SENTENCES: Final = {
    404: "there is nothing at this path; GET /openapi.json lists all paths",
    405: "this path does not take this method; the Allow header names those it takes",
    408: "the body did not arrive in time",
    411: "a Content-Length is needed",
    413: "the body is larger than allowed",
    417: "the only expectation that can be met is 100-continue",
}


def problem_response(error: KinoError, **headers: str) -> web.Response:
    """An error as a response."""
    return problem_answer(error.as_problem(), **headers)


def problem_answer(problem: dict[str, Any], **headers: str) -> web.Response:
    """A problem object as a response, with the headers that its status asks for."""
    status = int(problem["status"])
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="kino"'
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers["Retry-After"] = str(problem.get("retry_after_s", RETRY_AFTER_S))
    return web.Response(
        body=json.dumps(problem, allow_nan=False).encode(),
        status=status,
        content_type=PROBLEM_TYPE,
        headers=headers,
    )


def refusal(status: int, detail: str | None = None) -> KinoError:
    """The problem of a status that the HTTP layer itself answers."""
    sentence = detail or _SENTENCES.get(status) or HTTPStatus(status).phrase.lower()
    if status == HTTPStatus.NOT_FOUND:
        return UnknownName(sentence)
    if status == HTTPStatus.BAD_REQUEST:
        return MalformedRequest(sentence)
    return RequestRefused(status, sentence)


def incident(error: BaseException, **known: Any) -> KinoError:
    """Log an unexpected error under a new incident id; return the problem that names the id."""
    number = incident_id()
    log.error("unexpected error", incident=number, exc_info=error, **known)
    return KinoError(
        "an unexpected error; the log holds it under the incident id",
        extra={"incident": number},
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn everything that a handler raises into a problem."""
    headers: dict[str, str] = {}
    try:
        return await handler(request)
    except KinoError as error:
        problem = error
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        problem = refusal(error.status)
        if "Allow" in error.headers:
            headers["Allow"] = error.headers["Allow"]
    except Exception as error:  # noqa: BLE001 - the last door: logged under an incident id
        problem = incident(error, method=request.method, request_id=request.get(REQUEST_ID))
    if request.writer.output_size > 0:
        # a part of another answer is on its way; cut it, so that nobody takes it for the whole
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionError(problem.detail)
    if request.path.startswith(comfy_envelope.PREFIX):
        return comfy_envelope.respond(problem, **headers)
    return problem_response(problem, **headers)


def _explain(cls: type[KinoError]) -> dict[str, Any]:
    return {
        "type": f"/v1/problems/{cls.slug}",
        "slug": cls.slug,
        "title": cls.title,
        "status": None if cls is RequestRefused else cls.status,
        "retryable": cls.retryable,
        "description": " ".join((cls.__doc__ or "").split()),
    }


async def list_problems(_request: web.Request) -> web.Response:
    return web.json_response({"items": [_explain(cls) for cls in problem_classes()]})


async def explain_problem(request: web.Request) -> web.Response:
    slug = request.match_info["slug"]
    for cls in problem_classes():
        if cls.slug == slug:
            return web.json_response(_explain(cls))
    raise UnknownName("there is no problem of this name; GET /v1/problems lists them")


def routes() -> list[web.RouteDef]:
    return [
        web.get("/v1/problems", list_problems),
        web.get("/v1/problems/{slug}", explain_problem),
    ]
