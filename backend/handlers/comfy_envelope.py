"""Errors as the Comfy API v2 has them: ``{"error": {"code", "message", "details"}}``.

Knows: its codes, and which problem of ours has which.
Does not know: who raised the problem.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from backend.errors import FieldError, KinoError

PREFIX: Final = "/api/v2"
RETRY_AFTER_S: Final = 2
_CODES: Final[Mapping[str, str]] = {
    "unauthorised": "unauthorized",
    "forbidden": "forbidden",
    "unknown-name": "not_found",
    "queue-full": "queue_full",
    "invalid-parameters": "invalid_request",
    "malformed-request": "invalid_request",
    "internal-error": "upstream_error",
}
"""Slug of a problem → code; any other slug is its own code, with underscores."""


class Refused(KinoError):
    """What the contract names by a code of its own."""

    def __init__(
        self, status: int, code: str, message: str, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.details, self._status = code, details, status

    @property
    def http_status(self) -> int:
        return self._status


def respond(error: KinoError, **headers: str) -> web.Response:
    """Any error as a response of this surface."""
    status = error.http_status
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="kino"'
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers["Retry-After"] = str(error.extra.get("retry_after_s", RETRY_AFTER_S))
    if isinstance(error, Refused):
        code, details = error.code, error.details
    else:
        code = _CODES.get(error.slug, error.slug.replace("-", "_"))
        details = {"errors": [each.as_json() for each in error.errors]} if error.errors else None
    told: dict[str, Any] = {"code": code, "message": error.detail}
    if details is not None:
        told["details"] = details
    body = json.dumps({"error": told}, allow_nan=False).encode()
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def of_workflow(error: KinoError) -> KinoError:
    """An error about a submitted graph, under the code that says what is wrong with it."""
    rules = {each.rule for each in error.errors}
    if error.slug != "invalid-parameters" or not rules:
        return error
    code = "invalid_workflow"
    if "graph_format" in rules:
        code = "workflow_format_ui"
    elif all(_names_asset(each) for each in error.errors):
        code = "missing_asset"
    return Refused(422, code, error.errors[0].message, {"node_errors": _by_node(error.errors)})


def _names_asset(error: FieldError) -> bool:
    return error.rule in ("asset", "reference") or error.pointer.endswith("/inputs/asset")


def _by_node(errors: Iterable[FieldError]) -> dict[str, list[dict[str, str]]]:
    """``/graph/12/inputs/model`` as a field of node 12."""
    found: dict[str, list[dict[str, str]]] = {}
    for error in errors:
        parts = [p.replace("~1", "/").replace("~0", "~") for p in error.pointer.split("/")[1:]]
        node, rest = (parts[1], parts[2:]) if len(parts) > 1 else ("", parts)
        field = "/".join(part for part in rest if part != "inputs")
        told = {"field": field, "reason": error.rule, "message": error.message}
        found.setdefault(node, []).append(told)
    return found
