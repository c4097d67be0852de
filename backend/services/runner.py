"""The runner: takes jobs from the queue, gives each to a worker, and records what became of it.

Knows: attempts, retries with back-off, crashes, time limits, draining.
Does not know: HTTP, submitting, how a worker works.

One task per worker: wait until it is ready, take one job, claim it with a new token, run it.
Another then keeps its files and finishes it in one transaction, beside the worker's next job.
The token fences: whatever an attempt does after it has lost the job changes nothing.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from backend import wire
from backend.config import Settings
from backend.services import identifiers, invocation
from backend.services.back_off import BackOff
from backend.services.events import Events
from backend.services.execution import Execution
from backend.services.invocation import InputFile
from backend.services.job import Job
from backend.services.ledger import Ledger
from backend.services.outcomes import Outcomes, StillIs
from backend.services.pausing import Pause
from backend.services.queue import JobQueue
from backend.services.reporting import report
from backend.services.transitions import Transitions
from backend.services.worker_pool import Worker, WorkerPool
from backend.services.worker_process import WorkerLost

_FRESH: Final = 16
_SETTLING: Final = 64
_SETTLE_S: Final = 5.0

if TYPE_CHECKING:
    from backend.services.assets import Assets

_log = structlog.get_logger("kino.jobs")


async def _always(_job: Job) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of an attempt: the worker's answer, its files in *scratch*, how long it took."""

    done: Mapping[str, Any]
    scratch: Path
    seconds: float


class Runner:
    """Runs jobs from `start` to `stop`."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        queue: JobQueue,
        events: Events,
        assets: Assets,
        pool: WorkerPool,
        prepare: Callable[[Job], Job] = lambda job: job,
        explain: Callable[[Job, wire.Message], wire.Message] = lambda job, done: done,
        choose: Callable[[str], str] = lambda job_id: job_id,
        pause: Pause | None = None,
        still_is: StillIs = _always,
    ) -> None:
        """*prepare* says as what a job is given to its worker (it raises what the job fails of),
        *explain* what the worker's answer means for the job as it was asked for, and *choose*
        which waiting job goes in place of the one whose turn it is. *still_is* says whether a
        job's result is still that of the work that it was accepted as."""
        self._pause = pause or Pause(ledger)
        self._prepare, self._explain, self._choose = prepare, explain, choose
        self._limits = settings.limits
        self._scratch = settings.data_dir / "scratch" / "jobs"
        self._ledger = ledger
        self._queue = queue
        self._events = events
        self._assets = assets
        self._pool = pool
        self._transitions = Transitions(ledger, events)
        self._executions: dict[str, Execution] = {}
        self._back_off = BackOff(queue)
        self._fresh: dict[str, Job] = {}
        self._lanes: dict[asyncio.Task[None], Worker] = {}
        self._outcomes = Outcomes(settings.limits, assets, self._transitions, still_is)
        self._holds: dict[Worker, tuple[int, str]] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._rooms: dict[Worker, Path] = {}
        self._numbers = count(1)
        self._draining = False

    # --- life -------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to take jobs."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True, exist_ok=True)
        for worker in self._pool.workers:
            worker.on_report = partial(self._report, worker)
            task = asyncio.create_task(self._serve(worker), name=f"lane of {worker.name}")
            self._lanes[task] = worker

    async def drain(self) -> None:
        """Take no more jobs, let the running ones finish within the drain time, and put back
        those that do not. Done once; `stop` does it too."""
        if self._draining:
            return
        self._draining = True
        self._back_off.stop()
        running = [execution for execution in self._executions.values() if execution.is_running]
        busy = {execution.worker for execution in running}
        for lane, worker in self._lanes.items():
            if worker not in busy:
                lane.cancel()
        if self._lanes:
            _, late = await asyncio.wait(self._lanes, timeout=self._limits.drain_s)
            for execution in list(self._executions.values()):
                execution.end("drain")
            if late:
                await asyncio.wait(late, timeout=self._limits.cancel_grace_s + 2)
        if self._settling:
            await asyncio.wait(self._settling, timeout=_SETTLE_S)

    async def stop(self) -> None:
        """Drain, then end."""
        await self.drain()
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        self._lanes.clear()

    def end(self, job_id: str) -> None:
        """End a running attempt because its job was cancelled."""
        execution = self._executions.get(job_id)
        if execution is not None:
            execution.end("cancel")

    def expect(self, job: Job) -> None:
        """Remember a job that was just submitted, to spare reading it. Only a few: they are big."""
        if len(self._fresh) < _FRESH:
            self._fresh[job.id] = job

    def forget(self, job_id: str) -> None:
        """A waiting job was cancelled: what is remembered of it is out of date."""
        self._fresh.pop(job_id, None)
        self._back_off.forget(job_id)

    def forget_fresh(self, job_id: str) -> None:
        """A waiting job was changed: it is read anew."""
        self._fresh.pop(job_id, None)

    def running(self, job_id: str) -> Execution | None:
        """The attempt that runs now; the ledger may learn of it a moment later."""
        execution = self._executions.get(job_id)
        return execution if execution is not None and execution.attempt else None

    def owns(self, job_id: str) -> bool:
        """Whether the job runs, or waits for its back-off to pass."""
        return job_id in self._executions or job_id in self._back_off

    async def bequeath(self, execution: Execution, heir: Job) -> None:
        """What comes of the attempt is another job's from now on; the one that it was may be
        queued again."""
        before, execution.job = execution.owner, heir
        if self._executions.get(before) is execution:  # else it is over already
            del self._executions[before]
            self._executions[heir.id] = execution
            await self._queue.pass_on(before, heir.id)

    # --- one lane ---------------------------------------------------------------------------

    async def _serve(self, worker: Worker) -> None:
        while not self._draining:
            await worker.wait_ready()
            await self._pause.wait_over()
            job_id = await self._queue.take(
                worker.kind, partial(self._wants, worker), partial(self._model_of, worker)
            )
            if job_id is None:
                continue
            job_id = await self._queue.exchange(job_id, self._chosen(job_id))
            execution = Execution(job_id, worker, self._limits.cancel_grace_s)
            self._executions[job_id] = execution
            settling = asyncio.create_task(self._settle(execution, await self._attempt(execution)))
            self._settling.add(settling)
            settling.add_done_callback(self._settling.discard)
            if len(self._settling) >= _SETTLING:
                await asyncio.wait(self._settling, return_when=asyncio.FIRST_COMPLETED)

    def _chosen(self, job_id: str) -> str:
        try:
            return self._choose(job_id)
        except Exception:  # noqa: BLE001 - the lane lives on
            _log.exception("no other job can be chosen", job=job_id)
            return job_id

    async def _attempt(self, execution: Execution) -> Attempt | None:
        """Run one attempt; what came of it, or ``None`` if there was nothing to run."""
        try:
            job = self._fresh.pop(execution.job_id, None) or self._read(execution.job_id)
            if job is None or job.state != "queued":
                return None
            execution.job = job
            execution.attempt = job.attempt + 1
            execution.token = identifiers.token()
            execution.started = time.time()
            self._transitions.claim(job, execution, partial(self._refused, execution))
        except Exception:  # noqa: BLE001 - the lane lives on, the reconciler finds the row
            _log.exception("job cannot be claimed", job=execution.job_id)
            return None
        scratch = self._rooms.pop(execution.worker, None) or self._new_room(execution.worker)
        begun = time.monotonic()
        if job.model is not None:
            self._holds[execution.worker] = execution.worker.starts, job.model
        try:
            files = self._files(job, scratch)
            done = self._explain(job, await execution.run(self._prepare(job), files, scratch))
            if done.get("clean"):
                self._rooms[execution.worker] = scratch
        except WorkerLost:
            done = {"state": "lost"}
        except Exception as error:  # noqa: BLE001 - becomes the job's problem; `problem_of` logs it
            problem = invocation.problem_of(error)
            done = {"state": "failed", "problem": problem, "retryable": problem["retryable"]}
        return Attempt(done, scratch, time.monotonic() - begun)

    async def _settle(self, execution: Execution, attempt: Attempt | None) -> None:
        """Record what came of an attempt, while its worker is busy with the next job."""
        wait: float | None = None
        job = execution.job
        try:
            if attempt is not None and job is not None:
                wait = await self._outcomes.record(
                    execution, job, attempt.done, attempt.scratch, attempt.seconds
                )
        except Exception:  # noqa: BLE001 - the row stays as it is; the reconciler puts it back
            _log.exception("outcome cannot be recorded", job=execution.job_id)
        finally:
            # at once, with nothing awaited since the outcome was told: it may be tried again
            if job is not None and wait is not None and not self._draining:
                self._back_off.enqueue_later(job, wait)
            self._executions.pop(execution.owner, None)
            await self._queue.finish(execution.owner)
            if attempt is not None and not attempt.done.get("clean"):
                await asyncio.to_thread(shutil.rmtree, attempt.scratch, ignore_errors=True)

    def _wants(self, worker: Worker) -> bool:
        return worker.is_ready and not self._draining and not self._pause.is_on

    def _model_of(self, worker: Worker) -> str | None:
        """The model of the last job that the worker's process was given."""
        starts, model = self._holds.get(worker, (0, None))
        return model if starts == worker.starts else None

    def _read(self, job_id: str) -> Job | None:
        rows = self._ledger.read("SELECT * FROM job WHERE id = ?", job_id)
        return Job.from_row(rows[0]) if rows else None

    def _refused(self, execution: Execution) -> None:
        """The job was cancelled in the moment in which it was taken."""
        execution.end("cancel")
        self._events.drop(execution.job_id)

    def _new_room(self, worker: Worker) -> Path:
        """A new scratch folder for a worker. It keeps one until it leaves something there."""
        room = self._scratch / f"{worker.name}-{next(self._numbers)}"
        room.mkdir()
        return room

    def _files(self, job: Job, scratch: Path) -> dict[str, dict[str, Any]]:
        """The file behind each reference. Raises `UnknownName` if an asset was deleted."""
        files = {}
        for reference in job.inputs:
            asset = self._assets.require(reference)
            path = self._assets.file(asset, scratch)
            files[reference] = InputFile(
                path, asset.kind, asset.media_type, asset.file_name
            ).as_json()
        return files

    def _report(self, worker: Worker, message: wire.Message, binary: bytes) -> None:
        """What a worker says of the job that it has; anything else is not listened to."""
        for execution in self._executions.values():  # by what the worker calls it: see `bequeath`
            if execution.worker is worker and execution.is_running:
                if execution.job_id == message["job"] and execution.reason is None:
                    report(self._events, execution.owner, message, binary)
                return  # it has one at a time; no word of another, and none after the answer
