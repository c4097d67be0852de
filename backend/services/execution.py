"""One attempt at a job on one worker, from the claim to the worker's answer.

Knows: how an attempt is ended early: ask, wait a grace, kill; and why it was.
Does not know: what becomes of the job then (``services.runner``).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

from backend import wire
from backend.services.job import Job
from backend.services.worker_pool import Worker

Reason = Literal["cancel", "deadline", "drain"]


class Execution:
    """An attempt. ``reason`` says why it was ended early, if it was; ``recorded`` that its outcome
    is in the ledger already, before its worker has answered. ``job_id`` is what the worker calls
    it; its outcome is that of ``job``, which may be another one by then: a cancelled one's heir."""

    def __init__(self, job_id: str, worker: Worker, grace_s: float) -> None:
        self.job_id = job_id
        self.job: Job | None = None
        self.worker = worker
        self.reason: Reason | None = None
        self.attempt = 0
        self.token = ""
        self.started = 0.0
        self.recorded = False
        self.folder = Path()
        self._grace_s = grace_s
        self._timers: list[asyncio.TimerHandle] = []
        self._sent = False

    @property
    def owner(self) -> str:
        """The id of the job whose attempt this is now."""
        return self.job_id if self.job is None else self.job.id

    @property
    def is_running(self) -> bool:
        """Whether the worker has it."""
        return self._sent

    async def run(self, job: Job, files: dict[str, dict[str, Any]], scratch: Path) -> wire.Message:
        """Give the job to the worker; return its ``done`` message. Raises `WorkerLost`."""
        if self.reason is not None:
            return {"state": "cancelled"}
        loop = asyncio.get_running_loop()
        self.folder = scratch
        self._timers.append(loop.call_later(job.timeout_s, self.end, "deadline"))
        self._sent = True
        try:
            return await self.worker.run(
                {
                    "t": "run",
                    "job": job.id,
                    "attempt": self.attempt,
                    "operation": job.operation,
                    "params": job.params,
                    "files": files,
                    "scratch": str(scratch),
                }
            )
        finally:
            self._sent = False
            for timer in self._timers:
                timer.cancel()

    def end(self, reason: Reason) -> None:
        """Ask the worker to end the attempt, and kill it if it does not within the grace. The
        first reason counts."""
        if self.reason is not None:
            return
        self.reason = reason
        if self._sent:
            self.worker.cancel(self.job_id, self.attempt)
            loop = asyncio.get_running_loop()
            self._timers.append(loop.call_later(self._grace_s, self.worker.kill))
