"""The reconciler: makes the queue agree with the ledger, at the start and every 15 s.

Knows: which rows must be in the queue, which attempts have no owner, which followers no leader.
Does not know: how jobs run.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog

from backend.errors import KinoError
from backend.services.attachments import Attachments
from backend.services.events import Events
from backend.services.ledger import Ledger, Row
from backend.services.outcomes import crash_of
from backend.services.queue import JobQueue
from backend.services.runner import Runner
from backend.services.transitions import Transitions

_EVERY_S: Final = 15.0

_WAITING: Final = """
SELECT id, capability, model, coalesce(queued, created) AS since,
    max(priority, coalesce((SELECT max(follower.priority) FROM job AS follower
        WHERE follower.leader = job.id AND follower.state IN ('queued', 'running')), priority))
    AS priority
FROM job WHERE state = 'queued' AND leader IS NULL ORDER BY id
"""
"""Jobs that shall be in the queue, as urgent as the most urgent that waits for them."""

_log = structlog.get_logger("kino.jobs")


class Reconciler:
    """Runs from `start` to `stop`; `recover` comes first, before anything takes jobs."""

    def __init__(
        self,
        ledger: Ledger,
        queue: JobQueue,
        events: Events,
        runner: Runner,
        attachments: Attachments,
        *,
        every_s: float = _EVERY_S,
    ) -> None:
        self._ledger = ledger
        self._queue = queue
        self._events = events
        self._runner = runner
        self._attachments = attachments
        self._transitions = Transitions(ledger, events)
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    async def recover(self) -> None:
        """After a start: rebuild the queue from the ledger. Whatever was running has crashed."""
        rows = self._ledger.read("SELECT id FROM job WHERE state IN ('queued', 'running')")
        for row in rows:
            self._events.resume(row["id"])
        await self._queue.clear()
        latest = "SELECT max(coalesce(queued, created)) AS last FROM job WHERE state = 'queued'"
        self._queue.not_before(self._ledger.read(latest)[0]["last"] or 0.0)
        await self.reconcile()
        if rows:
            _log.info("recovered", jobs=len(rows))

    def start(self) -> None:
        """Begin to compare, every 15 s."""
        self._task = asyncio.create_task(self._run(), name="reconciler")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def reconcile(self) -> int:
        """Compare once; return how many jobs had to be put right."""
        changed = await self._attachments.reconcile()  # first: followers hear of the rest
        running = "SELECT id, attempt, max_attempts, token, cancel_requested FROM job"
        where = " WHERE state = 'running' AND leader IS NULL ORDER BY id"
        for row in self._ledger.read(running + where):
            if not self._runner.owns(row["id"]):
                changed += await self._bury(row)
        for row in self._ledger.read(_WAITING):
            if not self._runner.owns(row["id"]):
                changed += await self._queue.enqueue(
                    *(row["id"], row["capability"], row["priority"]),
                    since=row["since"],
                    model=row["model"],
                )
        return changed

    async def _bury(self, row: Row) -> bool:
        """An attempt whose owner is gone: its worker, or the service that ran it, has died."""
        problem: dict[str, Any] = crash_of(row["attempt"]).as_problem()
        if row["cancel_requested"]:
            return await self._transitions.finish(row["id"], row["token"], "cancelled")
        if row["attempt"] >= row["max_attempts"]:
            return await self._transitions.finish(row["id"], row["token"], "failed", error=problem)
        return await self._transitions.requeue(row["id"], row["token"], error=problem)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                changed = await self.reconcile()
            except KinoError as error:
                _log.error("cannot reconcile", error=error.detail)
                continue
            if changed:
                _log.warning("the queue was put right", jobs=changed)
