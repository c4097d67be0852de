"""Followers: who reads a job's events live, and who waits for its end.

Knows: bounded queues (a reader that does not read is dropped and harms nobody) and wake-ups.
Does not know: the ledger, numbering, HTTP.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from backend.services.event import Event

_LIMIT: Final = 512


class Follower:
    """One live reader: a bounded queue of the events that it has not read."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._dropped = False

    def give(self, event: Event) -> None:
        if len(self._events) < _LIMIT:
            self._events.append(event)
            self._news.set()
        else:
            self.drop()

    def drop(self) -> None:
        """End the reader's stream after what it was given."""
        self._dropped = True
        self._news.set()

    async def events(self) -> AsyncIterator[Event]:
        while True:
            while self._events:
                yield self._events.popleft()
            if self._dropped:
                return
            self._news.clear()
            await self._news.wait()


class Followers:
    """All live readers and waiters, by job."""

    def __init__(self) -> None:
        self._followers: dict[str, set[Follower]] = {}
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}

    def give(self, event: Event) -> None:
        for follower in self._followers.get(event.job_id, ()):
            follower.give(event)

    def end(self, job_id: str) -> None:
        """Wake everybody who waits for the end of the job."""
        for waiter in self._waiters.get(job_id, ()):
            _wake(waiter)

    def drop_all(self) -> None:
        """End every stream and every wait."""
        for job_id in self._waiters:
            self.end(job_id)
        for followers in self._followers.values():
            for follower in followers:
                follower.drop()

    @contextmanager
    def following(self, job_id: str) -> Iterator[Follower]:
        """A follower of the job for the length of the block."""
        follower = Follower()
        self._followers.setdefault(job_id, set()).add(follower)
        try:
            yield follower
        finally:
            self._followers[job_id].discard(follower)
            if not self._followers[job_id]:
                del self._followers[job_id]

    async def ended(self, job_id: str, seconds: float) -> None:
        """Return when `end` is called for the job, or after *seconds*."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.setdefault(job_id, set()).add(waiter)
        late = loop.call_later(seconds, _wake, waiter)
        try:
            await waiter
        finally:
            late.cancel()
            self._waiters[job_id].discard(waiter)
            if not self._waiters[job_id]:
                del self._waiters[job_id]


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
