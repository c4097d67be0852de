"""Outcomes: what becomes of a job after an attempt.

Knows: success, failure, retry with back-off, crashes, and the one log line of each attempt.
Does not know: how the attempt was run (``services.runner``).
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from backend.config import Limits
from backend.errors import DeadlineExceeded, WorkerCrashed
from backend.services import invocation, results
from backend.services.execution import Execution
from backend.services.job import Job, State
from backend.services.ledger import Statement
from backend.services.transitions import Transitions

if TYPE_CHECKING:
    from backend.services.assets import Assets

_LONGEST_BACK_OFF_S: Final = 30.0

StillIs = Callable[[Job], Awaitable[bool]]

_log = structlog.get_logger("kino.jobs")


class Outcomes:
    """Records outcomes. Every method returns after how many seconds the job shall be queued
    again, or ``None`` if it shall not."""

    def __init__(
        self, limits: Limits, assets: Assets, transitions: Transitions, still_is: StillIs
    ) -> None:
        """*still_is*: see `services.runner.Runner`."""
        self._still_is = still_is
        self._limits = limits
        self._assets = assets
        self._transitions = transitions

    async def record(
        self, execution: Execution, job: Job, done: Mapping[str, Any], folder: Path, seconds: float
    ) -> float | None:
        """Record the answer *done* of a worker (``state`` may also be ``lost``), which left its
        files in *folder* after *seconds*."""
        state, reason = done["state"], execution.reason
        if execution.recorded:
            self._say(execution, job, state, seconds)
            return None
        if state == "succeeded":
            return await self._succeeded(execution, job, done["result"], folder, seconds)
        if reason == "drain":
            await self._transitions.requeue(job.id, execution.token, error=None, refund=True)
            self._say(execution, job, "queued", seconds)
            return None
        if reason == "deadline":
            problem = DeadlineExceeded(
                f"{job.operation} did not end within {job.timeout_s:g} s",
                remedy="Ask for less, or give the job a longer time limit.",
            ).as_problem()
            return await self._finish(execution, job, "failed", seconds, error=problem)
        if reason == "cancel" or state == "cancelled":
            return await self._finish(execution, job, "cancelled", seconds)
        if state == "lost":
            problem = crash_of(execution.attempt).as_problem()
            return await self._retry_or_fail(execution, job, problem, seconds)
        problem = done["problem"]
        if done.get("retryable"):
            return await self._retry_or_fail(execution, job, problem, seconds)
        return await self._finish(execution, job, "failed", seconds, error=problem)

    async def _succeeded(
        self,
        execution: Execution,
        job: Job,
        result: dict[str, Any],
        folder: Path,
        seconds: float,
    ) -> float | None:
        try:
            adopted, rows = await results.adopt(result, job.id, folder, self._assets)
            # a model file that was replaced meanwhile: it is not known which one was read
            if job.work is not None and job.model is not None and not await self._still_is(job):
                unshared = "UPDATE job SET work = NULL WHERE id = ? OR leader = ?"
                rows = [*rows, (unshared, (job.id, job.id))]
        except Exception as error:  # noqa: BLE001 - a worker may answer anything; `problem_of` logs it
            problem = invocation.problem_of(error)
            if problem["retryable"]:
                return await self._retry_or_fail(execution, job, problem, seconds)
            return await self._finish(execution, job, "failed", seconds, error=problem)
        return await self._finish(execution, job, "succeeded", seconds, result=adopted, more=rows)

    async def _retry_or_fail(
        self, execution: Execution, job: Job, problem: dict[str, Any], seconds: float
    ) -> float | None:
        if execution.attempt >= job.max_attempts:
            return await self._finish(execution, job, "failed", seconds, error=problem)
        wait = self.back_off_s(execution.attempt)
        put_back = await self._transitions.requeue(
            job.id, execution.token, error=problem, wait_s=wait
        )
        self._say(execution, job, "queued", seconds, problem)
        return wait if put_back else None

    async def _finish(
        self,
        execution: Execution,
        job: Job,
        state: State,
        seconds: float,
        *,
        error: dict[str, Any] | None = None,
        result: dict[str, Any] | None = None,
        more: list[Statement] | None = None,
    ) -> float | None:
        finished = await self._transitions.finish(
            job.id,
            execution.token,
            state,
            result=result,
            error=error,
            execution_s=round(seconds, 4),
            more=more or (),
        )
        self._say(execution, job, state if finished else "fenced", seconds, error)
        return None

    def back_off_s(self, attempt: int) -> float:
        """Seconds before the next attempt: doubled each time, with jitter of half of it."""
        wait = min(self._limits.retry_backoff_s * 2.0 ** (attempt - 1), _LONGEST_BACK_OFF_S)
        return wait * random.uniform(0.5, 1.5)

    def _say(
        self,
        execution: Execution,
        job: Job,
        outcome: str,
        seconds: float,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        """The one line of each attempt."""
        _log.info(
            "attempt",
            job=job.id,
            operation=job.operation,
            outcome=outcome,
            attempt=execution.attempt,
            worker=execution.worker.name,
            seconds=round(seconds, 4),
            problem=None if problem is None else problem.get("type"),
        )


def crash_of(attempt: int) -> WorkerCrashed:
    """The error of an attempt that was cut short: its worker, or the whole service, has died."""
    return WorkerCrashed(
        f"the worker, or the whole service, died while attempt {attempt} ran",
        remedy="Retry the job; if only this one fails so, its operation or input breaks workers.",
    )
