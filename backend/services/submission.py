"""Submission: from a call to a job that is on the disk.

Knows: what is refused before anything is written, idempotency, and the work that a job is.
Does not know: HTTP, what a caller may do to a job later (``services.jobs``), how it is run.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import blake3

from backend.config import Settings
from backend.errors import Conflict, OperationUnavailable, QueueFull, StorageFull
from backend.operations import Checked, Operation
from backend.services import identifiers
from backend.services.attachments import Attachments
from backend.services.equal_work import EqualWork
from backend.services.events import Events
from backend.services.job import Job
from backend.services.known_names import KnownNames
from backend.services.ledger import Ledger, Statement
from backend.services.queue import JobQueue
from backend.services.runner import Runner
from backend.services.transitions import Transitions
from backend.services.turns import Turns
from backend.services.work import Works
from backend.services.worker_pool import WorkerPool

if TYPE_CHECKING:
    from backend.services.assets import Assets
    from backend.services.registry import Entry, Registry


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller says of a job besides its parameters."""

    priority: int = 0
    metadata: Mapping[str, Any] | None = None
    timeout_s: float | None = None
    cache: bool = True
    """Whether the result of equal work will do."""
    batch: str | None = None


class Submission:
    """Accepts jobs."""

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
        works: Works,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._queue = queue
        self._assets = assets
        self._registry = registry
        self._pool = pool
        self._runner = runner
        self._attachments = attachments
        self._works = works
        self._equal = EqualWork(ledger, assets)
        self._names = KnownNames(settings, pool)
        self._transitions = Transitions(ledger, events)
        self._submitting = 0
        self.accepted = dict.fromkeys(("hit", "attached", "miss", "off"), 0)

    async def submit(
        self,
        operation: str,
        body: bytes | Mapping[str, Any],
        wish: Wish,
        idempotency_key: str | None,
    ) -> tuple[Job | str, bool]:
        """See `Jobs.submit`; a job that was known already is told by its id."""
        entry = self._registry.get(operation)
        if idempotency_key is None:
            await self.require_available(entry)
        checked = entry.operation.check(body, self._assets.resolver())
        body_hash: str | None = None
        if idempotency_key is not None:
            body_hash = _hash(operation, checked)
            known = self._replayed(idempotency_key, body_hash)
            if known is not None:
                return known, False
            await self.require_available(entry)
        await self.require_names(entry.operation, checked)
        job = await self.draft(entry.operation, checked, wish)
        if not job.has_ended:
            self.require_room()
        self._submitting += 1
        try:
            with self._equal.coming(job):
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
        self._count(job, wish.cache)
        await self.enqueue(job)
        return job, True

    async def draft(self, operation: Operation[..., Any], checked: Checked, wish: Wish) -> Job:
        """The job that a checked call is: new, or ended or following where its work is done."""
        work = await self._works.of(operation, checked)
        job = Job(
            id=identifiers.job_id(),
            operation=operation.name,
            version=operation.version,
            params=checked.params,
            inputs=list(checked.inputs),
            metadata=dict(wish.metadata or {}),
            capability=operation.needs.runs_on,
            priority=wish.priority,
            max_attempts=self._settings.limits.job_attempts,
            timeout_s=min(wish.timeout_s or operation.timeout_s, operation.timeout_s),
            created=time.time(),
            queued=self._queue.now(),
            work=work.hash,
            model=work.model,
            batch=wish.batch,
        )
        return self._equal.shared(job) if wish.cache else job

    async def admit(self, job: Job, more: Sequence[Statement]) -> None:
        """See `Jobs.admit`."""
        self.require_room()
        self._submitting += 1
        try:
            await self._transitions.submit(job, more=more)
        finally:
            self._submitting -= 1
        self._count(job, cache=False)

    async def admit_all(
        self, drafts: Iterable[Job], batch: Statement, more: Sequence[Statement], *, cache: bool
    ) -> list[Job] | None:
        """Keep all jobs of a batch with its rows, or none; ``None`` if *batch* inserted nothing.
        Whoever asks for it then gives them to `enqueue`. Raises `QueueFull`, `StorageFull`."""
        jobs: list[Job] = []
        with ExitStack() as coming:
            turns = Turns()
            for draft in drafts:  # one at a time, so that an equal one follows the one before
                jobs.append(self._equal.shared(draft) if cache else draft)
                coming.enter_context(self._equal.coming(jobs[-1]))
                await turns.give()
            waiting = sum(not job.has_ended for job in jobs)
            if waiting:
                self.require_room(waiting)
            self._submitting += waiting
            try:
                accepted = await self._transitions.submit_all(batch, more, jobs)
            finally:
                self._submitting -= waiting
        if not accepted:
            return None
        for job in jobs:
            self._count(job, cache)
        return jobs

    async def enqueue(self, job: Job) -> None:
        """Let a job that was admitted be taken, or follow its leader."""
        if job.follows:
            await self._equal.leader_written(job)  # else it would not be found
            await self._attachments.attach(job)
        elif not job.has_ended:
            self._runner.expect(job)
            await self._queue.enqueue(
                *(job.id, job.capability, job.priority), since=job.queued, model=job.model
            )

    async def require_names(self, operation: Operation[..., Any], checked: Checked) -> None:
        """Raises `InvalidParameters` for a model, sampler … that is not there, as far as is known
        before the run, and `OperationUnavailable` for a plugin's model that can be fetched."""
        await self._names.require(operation, checked.params)
        if operation.needs.model_kind is not None and checked.models:
            why = await self._registry.missing_models(checked.models)
            if why is not None:
                raise OperationUnavailable(why.reason, remedy=why.remedy)

    async def require_available(self, entry: Entry) -> None:
        """Raises `OperationUnavailable`."""
        why = entry.unavailable
        if why is not None:  # a model file may have come this moment
            await self._registry.look_for_models()
            why = self._registry.get(entry.operation.name).unavailable
        if why is not None:
            raise OperationUnavailable(why.reason, remedy=why.remedy)
        runs_on = entry.operation.needs.runs_on
        if self._pool.engine(runs_on) == "absent":
            raise OperationUnavailable(
                f"this service runs no {runs_on!r} worker",
                remedy=f"Add {runs_on!r} to KINO_WORKERS.",
            )

    def require_room(self, count: int = 1) -> None:
        """Raises `QueueFull` unless *count* more jobs may wait, and `StorageFull`."""
        limits = self._settings.limits
        waiting = self._queue.waiting() + len(self._attachments) + self._submitting
        if waiting + count > limits.queued_jobs:
            few = f"{limits.queued_jobs} jobs wait already"
            many = f"{count} jobs are too many: {waiting} of {limits.queued_jobs} wait already"
            raise QueueFull(
                few if count == 1 else many,
                remedy="Try again in a moment.",
                extra={"retry_after_s": 1},
            )
        if shutil.disk_usage(self._settings.data_dir).free < limits.disk_floor_bytes:
            raise StorageFull("the disk is nearly full", remedy="Free some space.")

    def _count(self, job: Job, cache: bool) -> None:
        """A job was accepted: what equal work did for it."""
        looked = cache and job.work is not None
        shared = "hit" if job.cached else "attached" if job.leader is not None else "miss"
        self.accepted[shared if looked else "off"] += 1

    def _replayed(self, key: str, body_hash: str) -> str | None:
        """The job that was made with this idempotency key."""
        rows = self._ledger.read("SELECT id, body_hash FROM job WHERE idempotency_key = ?", key)
        if not rows:
            return None
        if rows[0]["body_hash"] != body_hash:
            raise Conflict(
                "this idempotency key was used for another call",
                remedy="Use a new key for each different call.",
            )
        return str(rows[0]["id"])


def _hash(operation: str, checked: Checked) -> str:
    """What makes two calls the same: the operation and its canonical parameters."""
    text = json.dumps([operation, checked.params], sort_keys=True, separators=(",", ":"))
    return blake3.blake3(text.encode()).hexdigest()
