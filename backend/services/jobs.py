"""Jobs: submit, look, wait, list, cancel, retry, delete.

Knows: what a caller may do to a job, idempotency, limits, cursors.
Does not know: HTTP, and how a job is run (``services.runner``).
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import blake3

from backend.config import Settings
from backend.errors import (
    Conflict,
    OperationUnavailable,
    QueueFull,
    StorageFull,
    UnknownName,
)
from backend.operations import Checked, Operation
from backend.services import identifiers, job_search, results
from backend.services.events import Events
from backend.services.job import Job, State
from backend.services.ledger import Ledger, Row
from backend.services.queue import JobQueue
from backend.services.runner import Runner
from backend.services.transitions import Transitions
from backend.services.worker_pool import WorkerPool

if TYPE_CHECKING:
    from backend.services.assets import Asset, Assets
    from backend.services.registry import Entry, Registry

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
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._queue = queue
        self._events = events
        self._registry = registry
        self._assets = assets
        self._pool = pool
        self._runner = runner
        self._transitions = Transitions(ledger, events)
        self._submitting = 0

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
    ) -> tuple[Job, bool]:
        """Accept a job; returns it and whether it is new, after it is on the disk.

        Raises `UnknownName`, `OperationUnavailable`, `InvalidParameters`, `MalformedRequest`,
        `QueueFull`, `StorageFull`, and `Conflict` if *idempotency_key* was used for another call.
        """
        entry = self._registry.get(operation)
        if idempotency_key is None:
            self._require_available(entry)
        checked = entry.operation.check(body, self._assets.resolver())
        body_hash: str | None = None
        if idempotency_key is not None:
            body_hash = _hash(operation, checked)
            known = self._replayed(idempotency_key, body_hash)
            if known is not None:
                return known, False
            self._require_available(entry)
        self._require_room()
        job = self._new(entry.operation, checked, priority, metadata, timeout_s)
        self._submitting += 1
        try:
            accepted = await self._transitions.submit(job, idempotency_key, body_hash)
        finally:
            self._submitting -= 1
        if not accepted:  # another request with the same key was faster
            assert idempotency_key is not None
            assert body_hash is not None
            known = self._replayed(idempotency_key, body_hash)
            if known is None:
                raise Conflict("the job of this idempotency key was deleted just now")
            return known, False
        self._runner.expect(job)
        await self._queue.enqueue(job.id, job.capability, job.priority)
        return job, True

    def _new(
        self,
        operation: Operation[..., Any],
        checked: Checked,
        priority: int,
        metadata: Mapping[str, Any] | None,
        timeout_s: float | None,
    ) -> Job:
        return Job(
            id=identifiers.job_id(),
            operation=operation.name,
            version=operation.version,
            params=checked.params,
            inputs=list(checked.inputs),
            metadata=dict(metadata or {}),
            capability=operation.needs.runs_on,
            priority=priority,
            max_attempts=self._settings.limits.job_attempts,
            timeout_s=timeout_s or operation.timeout_s,
            created=time.time(),
        )

    def _require_available(self, entry: Entry) -> None:
        why = entry.unavailable
        if why is not None:
            raise OperationUnavailable(why.reason, remedy=why.remedy)
        runs_on = entry.operation.needs.runs_on
        if self._pool.engine(runs_on) == "absent":
            raise OperationUnavailable(
                f"this service runs no {runs_on!r} worker",
                remedy=f"Add {runs_on!r} to KINO_WORKERS.",
            )

    def _require_room(self) -> None:
        limits = self._settings.limits
        if self._queue.waiting() + self._submitting >= limits.queued_jobs:
            raise QueueFull(
                f"{limits.queued_jobs} jobs wait already",
                remedy="Try again in a moment.",
                extra={"retry_after_s": 1},
            )
        if shutil.disk_usage(self._settings.data_dir).free < limits.disk_floor_bytes:
            raise StorageFull("the disk is nearly full", remedy="Free some space.")

    def _replayed(self, key: str, body_hash: str) -> Job | None:
        """The job that was made with this idempotency key."""
        rows = self._ledger.read("SELECT * FROM job WHERE idempotency_key = ?", key)
        if not rows:
            return None
        if rows[0]["body_hash"] != body_hash:
            raise Conflict(
                "this idempotency key was used for another call",
                remedy="Use a new key for each different call.",
            )
        return self._job(rows[0])

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
        cursor: str | None = None,
        limit: int = 50,
        metadata: Mapping[str, Any] | None = None,
    ) -> Page:
        """Jobs that fit all filters, newest first. *metadata* names values that must be equal."""
        limit = max(1, min(limit, MOST_PER_PAGE))
        equal = {"state": state, "operation": operation}
        rows = job_search.newest(self._ledger, equal, metadata or {}, cursor, limit + 1)
        items = [self._job(row) for row in rows[:limit]]
        return Page(items, items[-1].id if len(rows) > limit else None)

    def output(self, job_id: str, name: str) -> Asset:
        """The asset of one output, by its flat name. Raises `UnknownName`."""
        found = results.find(self.get(job_id).result or {}, name)
        if found is None:
            raise UnknownName(f"the job has no output {name!r}")
        return self._assets.require(found["asset"])

    def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        rows = self._ledger.read("SELECT state, count(*) AS n FROM job GROUP BY state")
        counts = dict.fromkeys(("queued", "running", "succeeded", "failed", "cancelled"), 0)
        return counts | {row["state"]: row["n"] for row in rows}

    # --- change -----------------------------------------------------------------------------

    async def cancel(self, job_id: str) -> Job:
        """End the job: at once if it waits, soon if it runs. Raises `UnknownName`, and
        `Conflict` if it has succeeded or failed already."""
        while True:
            job = self.get(job_id)
            if job.state == "queued":
                await self._queue.cancel(job_id)  # first, so that nobody takes it meanwhile
                self._runner.forget(job_id)
                if await self._transitions.cancel_queued(job_id):
                    break
            elif job.state == "running":
                self._runner.end(job_id)
                if await self._transitions.request_cancel(job_id):
                    break
            elif job.state == "cancelled":
                break
            else:
                raise Conflict(f"the job has {job.state} already")
            await asyncio.sleep(0)
        return self.get(job_id)

    async def retry(self, job_id: str) -> Job:
        """Queue a failed or cancelled job again. Raises `UnknownName`, `Conflict`, `QueueFull`,
        `OperationUnavailable`."""
        job = self.get(job_id)
        if job.state not in ("failed", "cancelled"):
            raise Conflict(
                f"only a failed or cancelled job can be retried; this one is {job.state}"
            )
        self._require_available(self._registry.get(job.operation))
        self._require_room()
        if await self._transitions.resubmit(job_id, self._settings.limits.job_attempts):
            await self._queue.enqueue(job_id, job.capability, job.priority)
        return self.get(job_id)

    async def delete(self, job_id: str) -> None:
        """Forget a job that has ended; its assets stay. Raises `UnknownName`, `Conflict`."""
        state = self.get(job_id).state
        if not await self._transitions.delete(job_id):
            raise Conflict(f"the job is {state}; cancel it first")
        self._events.drop(job_id)

    # --- inside -----------------------------------------------------------------------------

    def _job(self, row: Row) -> Job:
        execution = self._runner.running(row["id"])
        if execution is not None and row["state"] == "queued":  # the claim is on its way
            begun = {"attempt": execution.attempt, "started": execution.started}
            row = {**row, "state": "running", **begun}
        waiting = self._waiting_for(row) if row["state"] == "queued" else None
        return Job.from_row(row, progress=self._events.progress(row["id"]), waiting_for=waiting)

    def _waiting_for(self, row: Row) -> dict[str, Any]:
        """Why a queued job does not run yet."""
        capability = row["capability"]
        ahead = job_search.ahead(self._ledger, row)
        waiting = {
            "position": ahead + 1,
            "capability": capability,
            "engine": self._pool.engine(capability),
        }
        stage = self._pool.stage(capability)
        return waiting if stage is None else {**waiting, "stage": stage}


def _hash(operation: str, checked: Checked) -> str:
    """What makes two calls the same: the operation and its canonical parameters."""
    text = json.dumps([operation, checked.params], sort_keys=True, separators=(",", ":"))
    return blake3.blake3(text.encode()).hexdigest()
