"""Sending to a client that may stall or leave.

Knows: that a cut connection tells a part from the whole.
Does not know: what is sent.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import hdrs, web

_AT_ONCE: Final = 64 * 1024


@contextmanager
def leaving(request: web.Request) -> Iterator[None]:
    """Around the writing of a stream: a client that left, or that stalled until a time-out, ends
    the block quietly. The connection is cut, so that nobody takes a part for the whole."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()


async def send_object(
    request: web.Request, members: AsyncIterator[tuple[str, str]]
) -> web.StreamResponse:
    """Answer with the JSON object of these *members*, a name and its JSON each, as they come: one
    that is long is never held as a whole."""
    headers = {hdrs.CONTENT_TYPE: "application/json; charset=utf-8"}
    if request.method == hdrs.METH_HEAD:
        return web.Response(headers=headers)
    ready, between = bytearray(), "{"
    response = None
    with leaving(request):
        async for name, value in members:
            ready += f"{between}{json.dumps(name)}: {value}".encode()
            between = ", "
            if len(ready) > _AT_ONCE:
                if response is None:
                    response = web.StreamResponse(headers=headers)
                    await response.prepare(request)
                await response.write(bytes(ready))
                ready.clear()
        ready += b"}" if between == ", " else b"{}"
        if response is None:
            return web.Response(body=bytes(ready), headers=headers)
        await response.write(bytes(ready))
        await response.write_eof()
    return response
