"""Waiting on behalf of a client, without holding up the end of the service.

Knows: that a wait ends when the service stops.
Does not know: what is awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web

from backend.handlers.keys import STOPPING

T = TypeVar("T")


async def unless_stopping(app: web.Application, work: Coroutine[Any, Any, T]) -> T | None:
    """What *work* returns, or None when the service begins to close its connections."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(app[STOPPING].wait())
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for each in (task, stopping):
            each.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)
