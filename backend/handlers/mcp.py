"""Operations as MCP tools: the Model Context Protocol over stateless streamable HTTP.

Knows: JSON-RPC 2.0, the four methods that a tool server needs, and the protocol's versions.
Does not know: sessions (there are none: every request stands alone).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from backend.errors import KinoError, MalformedRequest
from backend.handlers import body
from backend.handlers.keys import CATALOGUE, JOBS
from backend.handlers.query import MAX_WAIT_S, Nothing, read_query
from backend.handlers.system import kino_version

if TYPE_CHECKING:
    from backend.handlers.catalogue import Catalogue
    from backend.services.registry import Entry

PROTOCOLS: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Revisions that begin with ``initialize``, newest first."""

INVALID_REQUEST: Final = -32600
UNKNOWN_METHOD: Final = -32601
INVALID_PARAMS: Final = -32602
INSTRUCTIONS: Final = (
    "Each tool runs one operation. Media are given by reference: upload a file with "
    "POST /v1/assets and pass the 'reference' that comes back. Results name their media by "
    "'reference' and 'href'."
)


class RpcError(Exception):
    """An error of the protocol itself, as opposed to a tool's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


async def receive(request: web.Request) -> web.Response:
    """Take one JSON-RPC message; answer a request, accept a notification."""
    read_query(request, Nothing)
    given = request.headers.get("Mcp-Protocol-Version")
    if given is not None and given not in PROTOCOLS:
        raise MalformedRequest(f"the MCP protocol versions spoken here are {', '.join(PROTOCOLS)}")
    message = await body.read_value(request)
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return _error(None, INVALID_REQUEST, "one JSON-RPC 2.0 message is needed", status=400)
    if "method" not in message or "id" not in message:
        return web.Response(status=202)  # a notification, or an answer to nothing that we asked
    number, params = message["id"], message.get("params") or {}
    if not isinstance(message["method"], str) or not isinstance(params, dict):
        return _error(number, INVALID_REQUEST, "a method is a name, its params an object")
    try:
        result = await _call(request.app, message["method"], params)
    except RpcError as error:
        return _error(number, error.code, str(error))
    return web.json_response({"jsonrpc": "2.0", "id": number, "result": result})


def _error(number: Any, code: int, message: str, *, status: int = 200) -> web.Response:
    error = {"code": code, "message": message}
    return web.json_response({"jsonrpc": "2.0", "id": number, "error": error}, status=status)


async def _call(app: web.Application, method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        wanted = params.get("protocolVersion")
        return {
            "protocolVersion": wanted if wanted in PROTOCOLS else PROTOCOLS[0],
            "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": {"name": "kino", "title": "Kino", "version": kino_version()},
            "instructions": INSTRUCTIONS,
        }
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": app[CATALOGUE].kept("mcp", lambda: tools(app[CATALOGUE]))}
    if method == "tools/call":
        return await _run(app, params.get("name"), params.get("arguments") or {})
    raise RpcError(UNKNOWN_METHOD, f"there is no method {method[:80]!r}")


def tools(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Every operation as a tool; one that cannot run now says so in its description."""
    return [_tool(catalogue, entry) for entry in catalogue.entries()]


def _tool(catalogue: Catalogue, entry: Entry) -> dict[str, Any]:
    operation, words = entry.operation, entry.operation.description
    if entry.unavailable is not None:
        words += f"\n\nNot available now: {entry.unavailable.reason} {entry.unavailable.remedy}"
    return {
        "name": operation.slug,
        "title": operation.name,
        "description": words,
        "inputSchema": catalogue.schema(operation),
        "annotations": {"destructiveHint": False, "idempotentHint": operation.pure},
    }


async def _run(app: web.Application, name: object, arguments: object) -> dict[str, Any]:
    """Run a tool as a job and wait for it, no longer than the operation's own time limit."""
    found = [entry for entry in app[CATALOGUE].entries() if entry.operation.slug == name]
    if not found:
        raise RpcError(INVALID_PARAMS, "there is no tool of this name; tools/list names them")
    if not isinstance(arguments, dict):
        raise RpcError(INVALID_PARAMS, "the arguments of a tool are an object")
    operation = found[0].operation
    patience = min(operation.timeout_s, MAX_WAIT_S)
    try:
        job, _ = await app[JOBS].submit(operation.name, arguments)
        job = await app[JOBS].wait(job.id, patience)
    except KinoError as error:
        return _content(error.as_problem(), is_error=True)
    shown = job.as_json()
    if job.state == "succeeded":
        return _content({"job": job.id, **(shown["result"] or {})}, is_error=False)
    if job.has_ended:
        return _content(shown["error"] or {"detail": f"the job was {job.state}"}, is_error=True)
    return _content({"job": job.id, "state": job.state, "links": shown["links"]}, is_error=False)


def _content(value: dict[str, Any], *, is_error: bool) -> dict[str, Any]:
    text = json.dumps(value, allow_nan=False)
    return {
        "content": [{"type": "text", "text": text}],
        "structuredContent": value,
        "isError": is_error,
    }


def routes() -> list[web.RouteDef]:
    return [web.post("/mcp", receive, expect_handler=body.continue_later)]
