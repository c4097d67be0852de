"""Jobs: submit, look, wait, list, cancel, retry, delete.

Knows: what a caller may do to a job, idempotency, limits, cursors.
Does not know: HTTP, and how a job is run (``services.runner``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from backend.config import Settings
from backend.errors import (
    Conflict,
    UnknownName,
    refused,
)
from backend.services import job_search, results
from backend.services.attachments import Attachments
from backend.services.cancelling import cancel_all
from backend.services.events import Events
from backend.services.job import Job, State
from backend.services.ledger import Ledger, Row, Statement
from backend.services.pausing import Pause
from backend.services.queue import JobQueue
from backend.services.runner import Runner
from backend.services.submission import Submission, Wish
from backend.services.transitions import Transitions
from backend.services.worker_pool import WorkerPool

if TYPE_CHECKING:
    from backend.services.assets import Asset, Assets
    from backend.services.registry import Registry

__all__ = ["Job", "Jobs", "Page", "State"]

MOST_PER_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and where the next page begins (``None``: nowhere)."""

    items: list[Job]
    next_cursor: str | None


class Jobs:
    """All jobs of the service."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        queue: JobQueue,
        events: Events,
        registry: Registry,
        assets: Assets,
        pool: WorkerPool,
        runner: Runner,
        attachments: Attachments,
        submission: Submission,
        pause: Pause,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._queue = queue
        self._events = events
        self._registry = registry
        self._assets = assets
        self._pool = pool
        self._runner = runner
        self._attachments = attachments
        self._submission = submission
        self._pause = pause
        self._transitions = Transitions(ledger, events)

    # --- submit -----------------------------------------------------------------------------

    async def submit(
        self,
        operation: str,
        body: bytes | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        priority: int = 0,
        metadata: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        cache: bool = True,
    ) -> tuple[Job, bool]:
        """Accept a job; returns it and whether it is new, after it is on the disk.

        With *cache*, a job whose work was done already has succeeded at once, and one whose work
        is being done follows the job that does it.

        Raises `UnknownName`, `OperationUnavailable`, `InvalidParameters`, `MalformedRequest`,
        `QueueFull`, `StorageFull`, and `Conflict` if *idempotency_key* was used for another call.
        """
        wish = Wish(priority, metadata, timeout_s, cache)
        found, is_new = await self._submission.submit(operation, body, wish, idempotency_key)
        return (self.get(found) if isinstance(found, str) else found), is_new

    async def admit(self, job: Job, more: Sequence[Statement]) -> None:
        """Keep a job that another door has checked, together with *more*; whoever asks for it
        then gives it to `enqueue`. Raises `QueueFull`, `StorageFull`."""
        await self._submission.admit(job, more)

    async def enqueue(self, job: Job) -> None:
        """Let a job that was admitted be taken."""
        await self._submission.enqueue(job)

    # --- look -------------------------------------------------------------------------------

    def get(self, job_id: str) -> Job:
        """The job now. Raises `UnknownName`."""
        rows = self._ledger.read("SELECT * FROM job WHERE id = ?", job_id)
        if not rows:
            raise UnknownName("there is no such job")
        return self._job(rows[0])

    async def wait(self, job_id: str, seconds: float) -> Job:
        """The job as soon as it has ended, or as it is after *seconds*. Raises `UnknownName`."""
        if self._events.is_live(job_id) or not self.get(job_id).has_ended:
            await self._events.ended(job_id, seconds)
        return self.get(job_id)

    def list(
        self,
        *,
        state: str | None = None,
        operation: str | None = None,
        batch: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        metadata: Mapping[str, Any] | None = None,
    ) -> Page:
        """Jobs that fit all filters, newest first. *metadata* names values that must be equal."""
        limit = max(1, min(limit, MOST_PER_PAGE))
        equal = {"state": state, "operation": operation, "batch": batch}
        rows = job_search.newest(self._ledger, equal, metadata or {}, cursor, limit + 1)
        items = [self._job(row) for row in rows[:limit]]
        return Page(items, items[-1].id if len(rows) > limit else None)

    def output(self, job_id: str, name: str) -> Asset:
        """The asset of one output, by its flat name. Raises `UnknownName`."""
        rows = self._ledger.read("SELECT result FROM job WHERE id = ?", job_id)
        if not rows:
            raise UnknownName("there is no such job")
        found = results.find(json.loads(rows[0]["result"] or "{}"), name)
        if found is None:
            raise UnknownName(f"the job has no output {name!r}")
        return self._assets.require(found["asset"])

    def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        rows = self._ledger.read("SELECT state, count(*) AS n FROM job GROUP BY state")
        counts = dict.fromkeys(("queued", "running", "succeeded", "failed", "cancelled"), 0)
        return counts | {row["state"]: row["n"] for row in rows}

    @property
    def submitted(self) -> Mapping[str, int]:
        """Jobs accepted since the start, by what equal work did for them: ``hit``, ``attached``,
        ``miss``, ``off``."""
        return self._submission.accepted

    def depth(self) -> dict[tuple[str, ...], int]:
        """How many jobs wait in the queue, by capability and ``high``, ``normal`` or ``low``
        priority; all of them, so that none is missing from a graph."""
        kinds = {worker.kind for worker in self._pool.workers}
        depth: dict[tuple[str, ...], int] = {
            (kind, level): 0 for kind in kinds for level in ("high", "normal", "low")
        }
        for (kind, priority), count in self._queue.depth().items():
            level = "high" if priority > 0 else "low" if priority < 0 else "normal"
            depth[kind, level] = depth.get((kind, level), 0) + count
        return depth

    # --- change -----------------------------------------------------------------------------

    async def cancel(self, job_id: str) -> Job:
        """End the job: at once if it waits, soon if it runs. What other jobs have of its work
        goes on. Raises `UnknownName`, and `Conflict` if it has succeeded or failed already."""
        while True:
            job = self.get(job_id)
            if job.follows:
                if await self._attachments.leave(job):
                    break
            elif job.state == "queued":
                await self._queue.cancel(job_id)  # first, so that nobody takes it meanwhile
                self._runner.forget(job_id)
                if await self._transitions.cancel_queued(job_id):
                    break
            elif job.state == "running":
                if await self._attachments.hand_over(job):
                    break
                self._runner.end(job_id)
                if await self._transitions.request_cancel(job_id):
                    break
            elif job.state == "cancelled":
                break
            else:
                raise Conflict(f"the job has {job.state} already")
            await asyncio.sleep(0)
        return self.get(job_id)

    async def cancel_fitting(
        self,
        *,
        state: str | None = None,
        operation: str | None = None,
        batch: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> dict[str, int]:
        """End all jobs that fit all filters and have not ended; see `cancelling.cancel_all` for
        what is counted. Raises `InvalidParameters` without any filter: that may be a slip."""
        equal = {"state": state, "operation": operation, "batch": batch}
        if not metadata and not any(equal.values()):
            told = "say which jobs: by state, operation, batch or metadata (state=queued: all"
            raise refused("/query", "filter", f"{told} that wait)")
        return await cancel_all(self, job_search.live(self._ledger, equal, metadata or {}))

    async def retry(self, job_id: str) -> Job:
        """Queue a failed or cancelled job again, as it was accepted: one of a stored workflow runs
        in its version, even if that was deleted. Raises `UnknownName`, `Conflict`, `QueueFull`,
        `OperationUnavailable`."""
        job = self.get(job_id)
        if job.state not in ("failed", "cancelled"):
            raise Conflict(
                f"only a failed or cancelled job can be retried; this one is {job.state}"
            )
        await self._submission.require_available(self._registry.ran_by(job.operation))
        self._submission.require_room()
        since, attempts = self._queue.now(), self._settings.limits.job_attempts
        if await self._transitions.resubmit(job_id, attempts, since):
            await self._queue.enqueue(
                *(job_id, job.capability, job.priority), since=since, model=job.model
            )
        return self.get(job_id)

    async def set_priority(self, job_id: str, priority: int) -> Job:
        """Let a job that waits go sooner or later. Raises `UnknownName`, `Conflict`."""
        if not await self._transitions.set_priority(job_id, priority):
            state = self.get(job_id).state
            raise Conflict(f"only a job that waits can be moved; this one is {state}")
        job = self.get(job_id)
        works = self.get(job.leader) if job.follows and job.leader else job
        self._runner.forget_fresh(works.id)
        await self._queue.move(works.id, self._attachments.priority(works))
        return job

    async def delete(self, job_id: str) -> None:
        """Forget a job that has ended; its assets stay. Raises `UnknownName`, `Conflict`."""
        state = self.get(job_id).state
        if not await self._transitions.delete(job_id):
            raise Conflict(f"the job is {state}; cancel it first")
        self._events.drop(job_id)

    # --- inside -----------------------------------------------------------------------------

    def _job(self, row: Row) -> Job:
        execution = self._runner.running(row["leader"] or row["id"])
        if execution is not None and row["state"] == "queued":  # the claim is on its way
            begun = {"attempt": execution.attempt, "started": execution.started}
            row = {**row, "state": "running", **begun}
        waiting = self._waiting_for(row) if row["state"] == "queued" else None
        return Job.from_row(row, progress=self._events.progress(row["id"]), waiting_for=waiting)

    def _waiting_for(self, row: Row) -> dict[str, Any]:
        """Why a queued job does not run yet."""
        if row["leader"] is not None:
            leader = self._ledger.read("SELECT * FROM job WHERE id = ?", row["leader"])
            told = self._waiting_for(leader[0]) if leader else {}
            return {**told, "leader": row["leader"]}
        capability = row["capability"]
        ahead = job_search.ahead(self._ledger, row, self._settings.limits.ageing_s)
        waiting = {
            "position": ahead + 1,
            "capability": capability,
            "engine": self._pool.engine(capability),
        }
        if self._pause.is_on:
            waiting["paused"] = True
        stage = self._pool.stage(capability)
        return waiting if stage is None else {**waiting, "stage": stage}
