"""Sending to a client that may stall or leave.

Knows: that a cut connection tells a part from the whole.
Does not know: what is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web


@contextmanager
def leaving(request: web.Request) -> Iterator[None]:
    """Around the writing of a stream: a client that left, or that stalled until a time-out, ends
    the block quietly. The connection is cut, so that nobody takes a part for the whole."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
