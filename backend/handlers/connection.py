"""One TCP connection: what happens to requests that never reach a handler, and the access log.

Knows: that a request line or header may be garbage, and that such an answer is a problem too.
Does not know: any route.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from backend.handlers.access import add_fixed_headers
from backend.handlers.keys import KEY_NAME, REQUEST_ID
from backend.handlers.problems import incident, problem_response, refusal

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

KEEPALIVE_S = 30.0
LINGER_S = 2.0


class AccessLog(AbstractAccessLogger):
    """One structured line per request; the path without its query, which may hold a secret."""

    lines = structlog.get_logger("kino.access")

    def log(self, request: BaseRequest, response: web.StreamResponse, time: float) -> None:
        line: dict[str, Any] = {
            "method": request.method,
            "path": request.path[:200],
            "status": response.status,
            "bytes": response.body_length if response.prepared else 0,
            "ms": round(time * 1000, 2),
            "remote": request.remote,
        }
        if isinstance(request, web.Request):
            line["request_id"] = request.get(REQUEST_ID)
            line["key_name"] = request.get(KEY_NAME)
        self.lines.info("request", **{key: value for key, value in line.items() if value})


class Connection(web.RequestHandler):
    """aiohttp's connection, whose own errors are problems as well."""

    __slots__ = ()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun; the connection can only be closed")
        if status == 500 and exc is not None:
            response = problem_response(incident(exc, method=request.method))
        else:
            # the parser's message quotes what the client sent: for the log, not for the answer
            structlog.get_logger("kino.access").info("unreadable", status=status, reason=message)
            response = problem_response(refusal(status, "the request is not HTTP as it should be"))
        add_fixed_headers(response)
        response.force_close()
        return response

    async def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException) and resp.status >= 400:
            resp = problem_response(refusal(resp.status))
        return await super().finish_response(request, resp, start_time)
