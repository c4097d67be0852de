"""Back-off: jobs that wait on the loop's clock before they are queued for another attempt.

Knows: timers.
Does not know: why a job is tried again, and how long it waits (``services.outcomes``).
"""

from __future__ import annotations

import asyncio
from typing import Any

from backend.services.job import Job
from backend.services.queue import JobQueue


class BackOff:
    """All jobs that wait so."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Future[Any]] = set()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._timers

    def enqueue_later(self, job: Job, seconds: float) -> None:
        """Queue the job again when *seconds* of the loop's clock have passed."""

        def enqueue() -> None:
            del self._timers[job.id]
            task = asyncio.ensure_future(
                self._queue.enqueue(
                    *(job.id, job.capability, job.priority), since=job.since, model=job.model
                )
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._timers[job.id] = asyncio.get_running_loop().call_later(seconds, enqueue)

    def forget(self, job_id: str) -> None:
        """The job was cancelled: it is not queued again."""
        timer = self._timers.pop(job_id, None)
        if timer is not None:
            timer.cancel()

    def stop(self) -> None:
        """Queue nothing any more; what waits is in the ledger."""
        for timer in self._timers.values():
            timer.cancel()
