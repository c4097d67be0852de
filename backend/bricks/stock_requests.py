"""Clear answers where ComfyUI's own routes would only fail.

Knows: the routes that read a JSON object, those that take files, and what goes wrong in them.
Does not know: the routes themselves, which are ComfyUI's.

A stock client looks at the status, and at ``error`` and ``node_errors`` of a refused prompt; the
problem has both.
"""

from __future__ import annotations

import errno
import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from backend.bricks import old_formats
from backend.errors import (
    FieldError,
    KinoError,
    MalformedRequest,
    RequestRefused,
    StorageFull,
    json_pointer,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_OBJECTS: Final = frozenset({"/prompt", "/queue", "/history", "/interrupt", "/free"})
_UPLOADS: Final = frozenset({"/upload/image", "/upload/mask"})
_log = logging.getLogger("kino.engine")


@web.middleware
async def clear_answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check what ComfyUI's handler takes for granted; turn what it raises into a problem."""
    path = request.path.removeprefix("/api")
    try:
        if request.method == "POST" and path in _OBJECTS:
            await _check_object(request, path)
        return await handler(request)
    except web.HTTPException:
        raise
    except KinoError as error:
        return _answer(error, path)
    except Exception as error:  # noqa: BLE001 - foreign code; logged under an incident id
        if request.method == "POST" and path in _UPLOADS:
            return _answer(_of_upload(error), path)
        incident = secrets.token_hex(6)
        _log.exception("incident %s", incident)
        failed = KinoError(
            "ComfyUI's server failed at this; the log holds it under the incident id",
            extra={"incident": incident},
        )
        return _answer(failed, path)


async def _check_object(request: web.Request, path: str) -> None:
    """Raises 400 for what is no JSON object, or is no prompt."""
    try:
        text = await request.text()
        if not text and path == "/interrupt":
            return
        body = json.loads(text)
        if path == "/prompt":
            json.dumps(body, allow_nan=False)  # Python reads NaN; the ledger keeps none
    except (ValueError, LookupError) as error:  # a LookupError: there is no such charset
        raise MalformedRequest("the body is not JSON") from error
    except RecursionError as error:
        raise MalformedRequest("the JSON is nested too deeply") from error
    if not isinstance(body, dict):
        raise MalformedRequest("the body is not a JSON object")
    if path == "/prompt":
        broken = next(_broken_prompt(body), None)
        if broken is not None:
            raise RequestRefused(400, broken.message, errors=[broken])
        _refuse_files(body.get("prompt", {}))


def _refuse_files(prompt: dict[str, Any]) -> None:
    """Raises 400 for files that cannot be loaded; ``node_errors`` name them as ComfyUI's own
    validation names what it finds."""
    errors: list[FieldError] = []
    nodes: dict[str, Any] = {}
    for node_id, name, sentence in old_formats.unreadable(prompt):
        where = json_pointer("prompt", node_id, "inputs", name)
        errors.append(FieldError(where, old_formats.RULE, sentence))
        of_class = {"class_type": prompt[node_id]["class_type"], "dependent_outputs": []}
        told = {"type": old_formats.RULE, "message": sentence, "details": name}
        found = {**told, "extra_info": {"input_name": name}}
        nodes.setdefault(node_id, {**of_class, "errors": []})["errors"].append(found)
    if errors:
        raise RequestRefused(400, errors[0].message, errors=errors, extra={"node_errors": nodes})


def _broken_prompt(body: dict[str, Any]) -> Any:
    """What ComfyUI reads without a look."""
    number = body.get("number", 0)
    if isinstance(number, bool) or not isinstance(number, int | float):
        yield FieldError("/number", "number", "number must be a number")
    extra = body.get("extra_data", {})
    if not isinstance(extra, dict):
        yield FieldError("/extra_data", "object", "extra_data must be an object")
    elif not _can_be_id(extra.get("client_id")):
        yield FieldError("/extra_data/client_id", "string", "client_id must be a string")
    if not _can_be_id(body.get("client_id")):
        yield FieldError("/client_id", "string", "client_id must be a string")
    targets = body.get("partial_execution_targets")
    if targets is not None and not isinstance(targets, list):
        yield FieldError("/partial_execution_targets", "list", "the targets must be a list")
    prompt = body.get("prompt", {})
    if not isinstance(prompt, dict):
        yield FieldError("/prompt", "object", "a prompt is an object of nodes by their id")
        return
    for node_id, node in prompt.items():
        place = "/prompt/" + node_id.replace("~", "~0").replace("/", "~1")
        if not isinstance(node, dict):
            yield FieldError(place, "object", f"node {node_id} is not an object")
        elif not isinstance(node.get("inputs", {}), dict):
            yield FieldError(place + "/inputs", "object", f"the inputs of node {node_id} are none")
        elif not isinstance(node.get("class_type", ""), str):
            yield FieldError(place + "/class_type", "string", f"node {node_id} names no class")


def _can_be_id(given: Any) -> bool:
    """Whether ComfyUI can look a client up by it; it sends its messages to whatever it is given."""
    return given is None or (isinstance(given, str | int | float) and str(given).isprintable())


def _of_upload(error: Exception) -> KinoError:
    """What an upload failed of: the disk, or what was sent."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("the disk is full", remedy="Free some space.")
    _log.info("upload refused", exc_info=error)
    return MalformedRequest("the file, its name or its folder cannot be used")


def _answer(error: KinoError, path: str) -> web.Response:
    problem = error.as_problem()
    if path == "/prompt":
        first = error.errors[0].rule if error.errors else error.slug
        told = {"type": first, "message": error.detail, "details": "", "extra_info": {}}
        problem = {"node_errors": {}, **problem, "error": told}
    return web.Response(
        body=json.dumps(problem).encode(),
        status=error.http_status,
        content_type="application/problem+json",
    )
