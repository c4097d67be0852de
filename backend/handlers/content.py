"""Sending a stored file: whole or a range, never as something a browser would run.

Knows: Range, conditional requests, RFC 6266 file names, and that a reader may stall.
Does not know: who may have the file, and where it came from.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import quote

from aiohttp import hdrs, web

from backend.errors import RequestRefused
from backend.handlers.problems import problem_response
from backend.handlers.sending import leaving

if TYPE_CHECKING:
    from backend.services.assets import Asset, Assets

BLOCK: Final = 1 << 20
SMALL: Final = 256 << 10
"""A file up to this size is read at once: a hop to a thread would cost more than the read."""

STALLED_S: Final = 60.0
"""A reader that takes no byte for so long is closed."""

_DIGITS: Final = re.compile(r"[0-9]{1,18}")
SANDBOX: Final = "default-src 'none'; sandbox"


def disposition(file_name: str) -> str:
    """``attachment`` with the name twice: plain ASCII for old clients, UTF-8 for the others."""
    plain = "".join(c if 32 <= ord(c) < 127 and c not in '"\\%' else "_" for c in file_name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"


async def send(request: web.Request, asset: Asset, assets: Assets) -> web.StreamResponse:
    """Answer with the asset's bytes. 206 for one range, 304 if the client has it, 416 beyond it."""
    etag = f'"{asset.reference.partition(":")[2]}"'
    headers = {
        hdrs.ETAG: etag,
        hdrs.ACCEPT_RANGES: "bytes",
        hdrs.CACHE_CONTROL: "private, max-age=31536000, immutable",
        hdrs.CONTENT_DISPOSITION: disposition(asset.file_name),
        "Content-Security-Policy": SANDBOX,
    }
    if _matches(request.headers.get(hdrs.IF_NONE_MATCH), etag):
        return web.Response(status=304, headers=headers)
    headers[hdrs.CONTENT_TYPE] = asset.media_type
    with assets.open(asset) as file:
        size = file.seek(0, os.SEEK_END)
        part = _part(request, etag, size)
        if part is None:
            return _unsatisfiable(size)
        first, count = part
        status = 200
        if request.headers.get(hdrs.RANGE) and count < size:
            status = 206
            headers[hdrs.CONTENT_RANGE] = f"bytes {first}-{first + count - 1}/{size}"
        if count <= SMALL:
            body = _read(file, first, count)
            return web.Response(status=status, headers=headers, body=body)
        return await _stream(
            request, file, first, count, web.StreamResponse(status=status, headers=headers)
        )


def _read(file: BinaryIO, first: int, count: int) -> bytes:
    """Bytes from a place; not by pread, which Windows lacks. One reader at a time."""
    file.seek(first)
    return file.read(count)


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    given = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in given or etag in given


def _part(request: web.Request, etag: str, size: int) -> tuple[int, int] | None:
    """First byte and count to send; everything if no single valid range applies; None beyond."""
    everything = (0, size)
    condition = request.headers.get(hdrs.IF_RANGE)
    if condition is not None and condition.strip() != etag:
        return everything
    unit, _, spec = request.headers.get(hdrs.RANGE, "").partition("=")
    begin, dash, end = (text.strip() for text in spec.partition("-"))
    digits = all(not text or _DIGITS.fullmatch(text) for text in (begin, end))
    if unit.strip().lower() != "bytes" or not dash or not digits or not (begin or end):
        return everything  # RFC 9110: a range that is not understood is ignored
    if not begin:
        count = min(int(end), size)
        return (size - count, count) if count else None
    first, last = int(begin), min(int(end) if end else size - 1, size - 1)
    if end and int(end) < first:
        return everything
    return (first, last - first + 1) if first < size else None


def _unsatisfiable(size: int) -> web.Response:
    return problem_response(
        RequestRefused(416, f"the range lies beyond the file's {size} bytes"),
        **{hdrs.CONTENT_RANGE: f"bytes */{size}"},
    )


async def _stream(
    request: web.Request, file: BinaryIO, first: int, count: int, response: web.StreamResponse
) -> web.StreamResponse:
    response.content_length = count
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    end = first + count
    with leaving(request):
        while first < end:
            block = await asyncio.to_thread(_read, file, first, min(BLOCK, end - first))
            if not block:
                raise OSError("the file is shorter than it was")
            first += len(block)
            async with asyncio.timeout(STALLED_S):
                await response.write(block)
        async with asyncio.timeout(STALLED_S):
            await response.write_eof()
    return response
