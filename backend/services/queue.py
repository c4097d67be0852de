"""The queue: which job is next, by capability and priority.

Knows: PgQueuer's in-memory adapter, used directly, and how to wait on it without polling.
Does not know: what a job is; it carries identifiers. The ledger is the truth, the queue is
rebuilt from it at every start.

PgQueuer reads the wall clock, which may jump. So every row is enqueued as due since a century
and no pick ever goes stale; a job that shall wait is enqueued when its time has come.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, Protocol

from pgqueuer.adapters.inmemory import InMemoryDriver, InMemoryQueries
from pgqueuer.ports.repository import EntrypointExecutionParameter

_ALWAYS_DUE: Final = timedelta(days=-36500)
_NEVER_STALE: Final = timedelta(days=36500)
_CLEAR_LOG_EVERY: Final = 500
"""PgQueuer keeps a log row for each step of each job, for ever, unless it is cleared."""


class JobQueue(Protocol):
    """The eight calls that Kino needs of a queue."""

    async def enqueue(self, job_id: str, capability: str, priority: int) -> bool:
        """Add a job unless it is there already; say whether it was added."""
        ...

    async def take(self, capability: str, wanted: Callable[[], bool]) -> str | None:
        """Wait for the next job of *capability*; ``None`` as soon as *wanted* says no."""
        ...

    async def finish(self, job_id: str) -> None:
        """Forget a job that was taken."""
        ...

    async def cancel(self, job_id: str) -> bool:
        """Forget a job that waits; say whether it did."""
        ...

    async def promote(self, job_id: str, capability: str, priority: int) -> None:
        """Raise the priority of a job that waits (never lower it)."""
        ...

    def exists(self, job_id: str) -> bool:
        """Whether the job waits or is taken."""
        ...

    def waiting(self) -> int:
        """How many jobs wait."""
        ...

    async def clear(self) -> None:
        """Forget everything."""
        ...

    def wake(self) -> None:
        """Let every `take` ask its *wanted* again."""
        ...


class InMemoryQueue:
    """`JobQueue` over PgQueuer's ``InMemoryQueries``: higher priority first, then the older."""

    def __init__(self) -> None:
        self._queries = InMemoryQueries(InMemoryDriver())
        self._owner = uuid.uuid4()
        self._rows: dict[str, tuple[Any, str]] = {}  # waiting: PgQueuer's row id, capability
        self._count: Counter[str] = Counter()  # of those, by capability
        self._taken: dict[str, Any] = {}  # job id -> PgQueuer's job, taken
        self._added: dict[str, asyncio.Event] = {}
        self._finished = 0

    async def enqueue(self, job_id: str, capability: str, priority: int) -> bool:
        (row,) = await self._queries.enqueue(
            capability,
            job_id.encode(),
            priority,
            execute_after=_ALWAYS_DUE,
            dedupe_key=job_id,
            on_conflict="skip",
        )
        if row is None:
            return False
        self._rows[job_id] = (row, capability)
        self._count[capability] += 1
        self._event(capability).set()
        return True

    async def take(self, capability: str, wanted: Callable[[], bool]) -> str | None:
        event = self._event(capability)
        routes = {capability: EntrypointExecutionParameter(concurrency_limit=0)}
        while wanted():
            event.clear()  # before looking, so that nothing added meanwhile is slept over
            found = None
            if self._count[capability]:
                found = await self._queries.dequeue(1, routes, self._owner, None, _NEVER_STALE)
            if found:
                job_id: str = found[0].payload.decode()
                self._forget(job_id)
                self._taken[job_id] = found[0]
                return job_id
            await event.wait()
        return None

    async def finish(self, job_id: str) -> None:
        taken = self._taken.pop(job_id, None)
        if taken is not None:
            await self._queries.log_jobs([(taken, "successful", None)])
            self._finished += 1
            if self._finished % _CLEAR_LOG_EVERY == 0:
                await self._queries.clear_queue_log()

    async def cancel(self, job_id: str) -> bool:
        if job_id not in self._rows:
            return False
        await self._queries.mark_job_as_cancelled([self._forget(job_id)])
        return True

    async def promote(self, job_id: str, capability: str, priority: int) -> None:
        if job_id in self._rows:
            await self._queries.enqueue(
                capability,
                job_id.encode(),
                priority,
                execute_after=_ALWAYS_DUE,
                dedupe_key=job_id,
                on_conflict="update_priority",
            )

    def exists(self, job_id: str) -> bool:
        return job_id in self._rows or job_id in self._taken

    def waiting(self) -> int:
        return len(self._rows)

    async def clear(self) -> None:
        await self._queries.clear_queue()
        await self._queries.clear_queue_log()
        self._rows.clear()
        self._count.clear()
        self._taken.clear()

    def wake(self) -> None:
        for event in self._added.values():
            event.set()

    def _forget(self, job_id: str) -> Any:
        """The job no longer waits; its row id in PgQueuer, if it did."""
        row, capability = self._rows.pop(job_id, (None, ""))
        self._count[capability] -= row is not None
        return row

    def _event(self, capability: str) -> asyncio.Event:
        return self._added.setdefault(capability, asyncio.Event())
