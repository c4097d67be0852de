"""Equal work: who has done it, or is at it.

Knows: jobs by the hash of their work, and what is needed to give a result once more.
Does not know: what makes two works equal (``services.work``), and how jobs are followed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from backend.services import results
from backend.services.job import Job
from backend.services.ledger import Ledger

if TYPE_CHECKING:
    from backend.services.assets import Assets

_EQUAL: Final = (
    "SELECT id, state, result, leader, timeout_s FROM job INDEXED BY job_by_work"
    " WHERE work = ? AND state IN ('succeeded', 'running', 'queued') AND NOT cancel_requested"
    " ORDER BY state DESC, id DESC LIMIT 8"
)
"""What is done before what runs, and that before what waits, by the order of the alphabet. A few:
results whose assets were deleted are rare."""


@dataclass(frozen=True, slots=True)
class _Coming:
    """A job that is being written to the ledger."""

    job_id: str
    timeout_s: float
    over: asyncio.Event


class EqualWork:
    """Finds equal work in the ledger, and among the jobs that are on their way there."""

    def __init__(self, ledger: Ledger, assets: Assets) -> None:
        self._ledger = ledger
        self._assets = assets
        self._coming: dict[str, _Coming] = {}

    def shared(self, job: Job) -> Job:
        """A new job as it is if its work is done already (ended, with that result), or is being
        done (following the one that does it); else as it was."""
        if job.work is None:
            return job
        for row in self._ledger.read(_EQUAL, job.work):
            if row["state"] != "succeeded":
                if row["leader"] is None and row["timeout_s"] == job.timeout_s:
                    return replace(job, leader=row["id"])
                continue
            result = json.loads(row["result"])
            if all(self._assets.is_there(leaf["asset"]) for leaf in results.leaves(result)):
                return _ended(job, row["id"], result)
        coming = self._coming.get(job.work)
        if coming is not None and coming.timeout_s == job.timeout_s:
            return replace(job, leader=coming.job_id)
        return job

    @contextmanager
    def coming(self, job: Job) -> Iterator[None]:
        """Within this block *job* is written; equal jobs may follow it already."""
        if job.work is None or job.leader is not None or job.work in self._coming:
            yield
            return
        over = asyncio.Event()
        self._coming[job.work] = _Coming(job.id, job.timeout_s, over)
        try:
            yield
        finally:
            del self._coming[job.work]
            over.set()

    async def leader_written(self, job: Job) -> None:
        """Return when the job that *job* follows is not on its way to the ledger any more: those of
        a batch are for a while."""
        coming = None if job.work is None else self._coming.get(job.work)
        if coming is not None and coming.job_id == job.leader:
            await coming.over.wait()


def _ended(job: Job, source: str, result: dict[str, Any]) -> Job:
    """The job, ended with the result of *source*."""
    return replace(
        job,
        state="succeeded",
        result=results.readdressed(result, job.id),
        leader=source,
        cached=True,
        started=job.created,
        finished=job.created,
        execution_s=0.0,
        progress=1.0,
    )
