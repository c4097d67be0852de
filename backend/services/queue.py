"""The queue: which job is next, by capability, priority, waiting time and model.

Knows: PgQueuer's in-memory adapter, used directly, and how to wait on it without polling.
Does not know: what a job is; it carries identifiers. The ledger is the truth, the queue is
rebuilt from it at every start.

Ageing: a point of priority is worth a fixed time of waiting. Two jobs that wait age alike, so
which of them comes first never changes: a job's rank is fixed when it is enqueued, and nothing
that waits has to be looked at again. A job of priority 0 is passed by jobs of priority p only if
they come within p times that time, however many come: nothing starves.

Affinity: a worker that holds a model is given a job for it before an older one of the same
priority that needs another, but each job is passed in this way only so many times.

PgQueuer reads the wall clock, which may jump. So every row is enqueued as due since a century
and no pick ever goes stale; a job that shall wait is enqueued when its time has come.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, Protocol

from pgqueuer.adapters.inmemory import InMemoryDriver, InMemoryQueries
from pgqueuer.ports.repository import EntrypointExecutionParameter

_ALWAYS_DUE: Final = timedelta(days=-36500)
_NEVER_STALE: Final = timedelta(days=36500)
_CLEAR_LOG_EVERY: Final = 500
"""PgQueuer keeps a log row for each step of each job, for ever, unless it is cleared."""

_MS: Final = 1000
_FIRST: Final = 10**15
"""A rank before all others: more than the milliseconds of thirty thousand years."""


class JobQueue(Protocol):
    """The thirteen calls that Kino needs of a queue."""

    async def enqueue(
        self,
        job_id: str,
        capability: str,
        priority: int,
        *,
        since: float | None = None,
        model: str | None = None,
    ) -> bool:
        """Add a job unless it is there already; say whether it was added. *since* is the steady
        time when its wait began, now by default; *model* is what its worker had better hold."""
        ...

    async def take(
        self,
        capability: str,
        wanted: Callable[[], bool],
        holds: Callable[[], str | None] = lambda: None,
    ) -> str | None:
        """Wait for the next job of *capability*; ``None`` as soon as *wanted* says no. *holds*
        says which model the one who takes it has loaded."""
        ...

    async def exchange(self, taken: str, waiting: str) -> str:
        """Take *waiting* instead of *taken*, which waits in its place then. Returns which one it
        is: *taken* again, if the other does not wait."""
        ...

    async def pass_on(self, taken: str, heir: str) -> None:
        """What was taken as one job goes on as another one's; the first may be added again."""
        ...

    async def finish(self, job_id: str) -> None:
        """Forget a job that was taken."""
        ...

    async def cancel(self, job_id: str) -> bool:
        """Forget a job that waits; say whether it did."""
        ...

    async def move(self, job_id: str, priority: int) -> None:
        """Give a job that waits another priority; it keeps the time that it has waited."""
        ...

    def exists(self, job_id: str) -> bool:
        """Whether the job waits or is taken."""
        ...

    def waiting(self) -> int:
        """How many jobs wait."""
        ...

    def depth(self) -> Mapping[tuple[str, int], int]:
        """How many jobs wait, by capability and priority."""
        ...

    async def clear(self) -> None:
        """Forget everything."""
        ...

    def wake(self) -> None:
        """Let every `take` ask its *wanted* again."""
        ...

    def now(self) -> float:
        """Steady seconds: unix time that never jumps while the service lives."""
        ...

    def not_before(self, since: float) -> None:
        """Let the steady time begin after *since*: the clock was set back while nobody ran."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A job that waits. ``row`` is PgQueuer's id of it; a higher ``rank`` is earlier."""

    row: Any
    capability: str
    priority: int
    since: float
    model: str | None
    rank: int

    @property
    def order(self) -> tuple[int, int]:
        return -self.rank, self.row


class InMemoryQueue:
    """`JobQueue` over PgQueuer's ``InMemoryQueries``."""

    def __init__(self, ageing_s: float = 60.0, same_model_run: int = 8) -> None:
        """A point of priority is worth *ageing_s* of waiting; at most *same_model_run* jobs pass
        one that needs another model."""
        self._ageing_s = ageing_s
        self._same_model_run = same_model_run
        self._queries = InMemoryQueries(InMemoryDriver())
        self._owner = uuid.uuid4()
        self._rows: dict[str, _Waiting] = {}
        self._count: Counter[str] = Counter()  # of those, by capability
        self._models: Counter[str] = Counter()  # of those with a model, by capability
        self._passed: Counter[str] = Counter()  # how often a job that waits was passed
        self._taken: dict[str, Any] = {}  # job id -> PgQueuer's job, taken
        self._added: dict[str, asyncio.Event] = {}
        self._finished = 0
        self._steady = time.time() - time.monotonic()

    def now(self) -> float:
        return self._steady + time.monotonic()

    def not_before(self, since: float) -> None:
        self._steady = max(self._steady, since - time.monotonic())

    async def enqueue(
        self,
        job_id: str,
        capability: str,
        priority: int,
        *,
        since: float | None = None,
        model: str | None = None,
    ) -> bool:
        if self.exists(job_id):
            return False
        since = self.now() if since is None else since
        rank = int((priority * self._ageing_s - since) * _MS)
        row = await self._put(job_id, capability, rank, "skip")
        if row is None:
            return False
        self._rows[job_id] = _Waiting(row, capability, priority, since, model, rank)
        self._count[capability] += 1
        self._models[capability] += model is not None
        self._event(capability).set()
        return True

    async def take(
        self,
        capability: str,
        wanted: Callable[[], bool],
        holds: Callable[[], str | None] = lambda: None,
    ) -> str | None:
        event = self._event(capability)
        routes = {capability: EntrypointExecutionParameter(concurrency_limit=0)}
        while wanted():
            event.clear()  # before looking, so that nothing added meanwhile is slept over
            found = None
            if self._count[capability]:
                await self._prefer(capability, holds())
                found = await self._queries.dequeue(1, routes, self._owner, None, _NEVER_STALE)
            if found:
                job_id: str = found[0].payload.decode()
                self._forget(job_id)
                self._taken[job_id] = found[0]
                return job_id
            await event.wait()
        return None

    async def exchange(self, taken: str, waiting: str) -> str:
        found = self._rows.get(waiting)
        if taken == waiting or found is None:
            return taken
        await self.cancel(waiting)
        await self.finish(taken)
        self._taken[waiting] = None  # PgQueuer has no row of it any more
        await self.enqueue(
            taken, found.capability, found.priority, since=found.since, model=found.model
        )
        return waiting

    async def pass_on(self, taken: str, heir: str) -> None:
        if taken in self._taken:
            self._taken[heir] = None  # PgQueuer has no row of it any more
            await self.finish(taken)

    async def finish(self, job_id: str) -> None:
        taken = self._taken.pop(job_id, None)
        if taken is not None:
            await self._queries.log_jobs([(taken, "successful", None)])
            self._finished += 1
            if self._finished % _CLEAR_LOG_EVERY == 0:
                await self._queries.clear_queue_log()

    async def cancel(self, job_id: str) -> bool:
        found = self._forget(job_id)
        if found is None:
            return False
        await self._queries.mark_job_as_cancelled([found.row])
        return True

    async def move(self, job_id: str, priority: int) -> None:
        found = self._rows.get(job_id)
        if found is not None and found.priority != priority:
            await self.cancel(job_id)
            await self.enqueue(
                job_id, found.capability, priority, since=found.since, model=found.model
            )

    def exists(self, job_id: str) -> bool:
        return job_id in self._rows or job_id in self._taken

    def waiting(self) -> int:
        return len(self._rows)

    def depth(self) -> Mapping[tuple[str, int], int]:
        return Counter((each.capability, each.priority) for each in self._rows.values())

    async def clear(self) -> None:
        await self._queries.clear_queue()
        await self._queries.clear_queue_log()
        for kept in (self._rows, self._count, self._models, self._passed, self._taken):
            kept.clear()

    def wake(self) -> None:
        for event in self._added.values():
            event.set()

    # --- inside -----------------------------------------------------------------------------

    async def _prefer(self, capability: str, model: str | None) -> None:
        """Bring a job for *model* to the front, if it may pass the one that is there."""
        if model is None or not self._models[capability]:
            return
        waiting = [item for item in self._rows.items() if item[1].capability == capability]
        first_id, first = min(waiting, key=lambda item: item[1].order)
        if first.model in (None, model) or self._passed[first_id] >= self._same_model_run:
            return
        alike = [
            item
            for item in waiting
            if item[1].model == model and item[1].priority == first.priority
        ]
        if alike:
            job_id, found = min(alike, key=lambda item: item[1].order)
            self._passed[first_id] += 1
            self._rows[job_id] = replace(found, rank=_FIRST)
            await self._put(job_id, capability, _FIRST, "update_priority")

    async def _put(self, job_id: str, capability: str, rank: int, on_conflict: Any) -> Any:
        """Tell PgQueuer; its id of the job, ``None`` if it was there."""
        (row,) = await self._queries.enqueue(
            capability,
            job_id.encode(),
            rank,
            execute_after=_ALWAYS_DUE,
            dedupe_key=job_id,
            on_conflict=on_conflict,
        )
        return row

    def _forget(self, job_id: str) -> _Waiting | None:
        """The job no longer waits; what was known of it, if it did."""
        found = self._rows.pop(job_id, None)
        self._passed.pop(job_id, None)
        if found is not None:
            self._count[found.capability] -= 1
            self._models[found.capability] -= found.model is not None
        return found

    def _event(self, capability: str) -> asyncio.Event:
        return self._added.setdefault(capability, asyncio.Event())
