"""Availability: looks now and then whether the model files that operations need have come or gone.

Knows: when to look.
Does not know: what an operation needs (``services.needs``).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from backend.services.registry import Registry

_EVERY_S: Final = 2.0


class Availability:
    """Looks from `start` to `stop`."""

    def __init__(self, registry: Registry, every_s: float = _EVERY_S) -> None:
        self._registry = registry
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch(), name="availability")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self._registry.look_for_models()
