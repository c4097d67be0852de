"""Pausing: an operator's word that no job be begun; those that run go on.

Knows: the pause, kept in the ledger over restarts, and who waits for its end.
Does not know: jobs. New ones are accepted while the queue is paused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from backend.services.job import rfc3339
from backend.services.ledger import Ledger


class Pause:
    """Whether the queue is paused. *on_change* is called after each change."""

    def __init__(self, ledger: Ledger, on_change: Callable[[], None] = lambda: None) -> None:
        self._ledger = ledger
        self._on_change = on_change
        self._since: float | None = None
        self._open = asyncio.Event()
        self._open.set()

    @property
    def is_on(self) -> bool:
        return self._since is not None

    def load(self) -> None:
        """Take up the pause of the time before the start, if there was one."""
        rows = self._ledger.read("SELECT since FROM queue_pause")
        self._become(rows[0]["since"] if rows else None)

    async def begin(self) -> None:
        """Begin no more jobs. Beginning it twice is the same as once."""
        if self.is_on:
            return
        now = time.time()
        self._become(now)
        await self._ledger.write(
            ("DELETE FROM queue_pause", ()),
            ("INSERT INTO queue_pause (since) VALUES (?)", (now,)),
        )

    async def end(self) -> None:
        """Go on."""
        await self._ledger.write(("DELETE FROM queue_pause", ()))
        self._become(None)

    async def wait_over(self) -> None:
        """Return when the queue is not paused."""
        await self._open.wait()

    def as_json(self) -> dict[str, Any]:
        return {"paused": self.is_on, "since": rfc3339(self._since)}

    def _become(self, since: float | None) -> None:
        self._since = since
        if since is None:
            self._open.set()
        else:
            self._open.clear()
        self._on_change()
