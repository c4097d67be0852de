"""Gives each request a number, which stands in its log lines and in the answer.

Knows: the number's form. A caller's own number is not taken over: it could say anything.
Does not know: what is logged.
"""

from __future__ import annotations

import secrets

import structlog
from aiohttp import web

from backend.handlers.keys import REQUEST_ID
from backend.handlers.problems import Handler


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Number the request; every line logged below carries the number."""
    number = "req_" + secrets.token_hex(8)
    request[REQUEST_ID] = number
    before = structlog.contextvars.bind_contextvars(request_id=number)
    try:
        return await handler(request)
    finally:
        structlog.contextvars.reset_contextvars(**before)
