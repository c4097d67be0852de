"""Reading what a request carries: JSON whole, files in chunks, both with limits and deadlines.

Knows: content types, sizes, ``Expect: 100-continue``, and how long a silent client is awaited.
Does not know: what the body means.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp import HttpVersion11, hdrs, web
from pydantic import ValidationError

from backend.errors import MalformedRequest, RequestRefused
from backend.handlers.keys import SETTINGS
from backend.handlers.problems import problem_response, refusal
from backend.operations import Model, invalid, read_json

if TYPE_CHECKING:
    from aiohttp import BodyPartReader, MultipartReader

M = TypeVar("M", bound=Model)
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
JSON_DEADLINE_S: Final = 30.0
CHUNK: Final = 256 * 1024
GONE: Final = (web.RequestPayloadError, ConnectionError)
"""What reading raises when the client left in the middle of its body."""

BROKEN_OFF: Final = "the body ended before it was whole"
BROKEN_FORM: Final = "the multipart body is broken"


async def continue_later(request: web.Request) -> web.StreamResponse | None:
    """aiohttp's hook for ``Expect``: say nothing yet, so that a refusal comes before any byte."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        return None
    return problem_response(refusal(417))


async def go_on(request: web.Request) -> None:
    """Tell a client that waits for it that the body is wanted now."""
    if hdrs.EXPECT in request.headers and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the response has not begun; aiohttp's own handler does so


async def read_object(request: web.Request) -> bytes:
    """The JSON body as it came, checked for type and size; an absent body is ``{}``.

    Raises 400, 408, 413 or 415.
    """
    if request.content_type != JSON or (request.charset or "utf-8").lower() != "utf-8":
        raise RequestRefused(415, "the body must be sent as Content-Type: application/json")
    return await _read(request)


async def read_any_object(request: web.Request) -> dict[str, Any]:
    """The JSON object of a client that may call it by another type, as ComfyUI's clients do; an
    absent body is ``{}``. Raises 400, 408, 413 or 415."""
    body = await _read(request)
    value = read_json(body) if body else {}
    if not isinstance(value, dict):
        raise MalformedRequest("the body is not a JSON object")
    return value


async def read_small(request: web.Request, limit: int) -> bytes:
    """A body of at most *limit* bytes, whatever its type. Raises 400, 408, 413 or 415."""
    return await _read_within(
        request,
        limit,
        RequestRefused(413, f"the body may have {limit} bytes here", extra={"limit": limit}),
    )


async def _read(request: web.Request) -> bytes:
    limit = request.app[SETTINGS].limits.json_bytes
    too_large = RequestRefused(
        413,
        f"a JSON body may have {limit} bytes (limit json_bytes); media are uploaded to /v1/assets",
        remedy="An operator raises it with KINO_LIMITS__JSON_BYTES.",
        extra={"limit": limit},
    )
    return await _read_within(request, limit, too_large)


async def _read_within(request: web.Request, limit: int, too_large: RequestRefused) -> bytes:
    refuse_encoding(request)
    if (request.content_length or 0) > limit:
        raise too_large
    await go_on(request)
    body = bytearray()
    try:
        async with asyncio.timeout(JSON_DEADLINE_S):
            async for chunk in request.content.iter_chunked(CHUNK):
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError as error:
        raise refusal(408) from error
    except GONE as error:
        raise MalformedRequest(BROKEN_OFF) from error
    return bytes(body)


async def read_model(request: web.Request, model: type[M]) -> M:
    """The JSON body as *model*. Raises 400 or 422 besides."""
    raw = await read_object(request)
    read_json(raw)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise invalid(error, "The body breaks a rule") from error


class _Nothing(Model):
    """A body that says nothing."""


async def read_nothing(request: web.Request) -> None:
    """Of a route that needs no body: an absent one, or ``{}``. Raises as `read_model` does."""
    if request.can_read_body:
        await read_model(request, _Nothing)


async def read_value(request: web.Request) -> Any:
    """The JSON body as a value."""
    return read_json(await read_object(request))


def refuse_encoding(request: web.Request) -> None:
    """A packed body could unpack to any size, so none is accepted."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise RequestRefused(415, "a body with a Content-Encoding is not accepted")


async def raw_chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body in chunks; the first step asks the client to go on. The reader has the patience."""
    await go_on(request)
    try:
        while chunk := await request.content.readany():
            yield chunk
    except GONE as error:
        raise MalformedRequest(BROKEN_OFF) from error


async def first_part(request: web.Request) -> tuple[MultipartReader, object]:
    """The form and its first part, or None. Raises 408 when the client is silent."""
    await go_on(request)
    try:
        async with asyncio.timeout(request.app[SETTINGS].limits.body_inactivity_s):
            form = await request.multipart()
            return form, await form.next()
    except TimeoutError as error:
        raise refusal(408) from error
    except GONE as error:
        raise MalformedRequest(BROKEN_OFF) from error
    except (ValueError, AssertionError) as error:  # aiohttp asserts the boundary
        raise MalformedRequest(BROKEN_FORM) from error


async def only_part_chunks(form: MultipartReader, part: BodyPartReader) -> AsyncIterator[bytes]:
    """The file of a form in chunks. Raises 400 when the form is broken or holds a second part."""
    try:
        while chunk := await part.read_chunk(CHUNK):
            yield bytes(chunk)
        if await form.next() is not None:
            raise MalformedRequest("the form holds more than one field; send one file")
    except GONE as error:
        raise MalformedRequest(BROKEN_OFF) from error
    except ValueError as error:
        raise MalformedRequest(BROKEN_FORM) from error
