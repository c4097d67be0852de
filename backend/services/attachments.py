"""Attachments: jobs whose work is being done by an equal one, the leader.

Knows: who follows whom, what followers hear, and what becomes of them when a leader ends.
Does not know: which works are equal (``services.equal_work``), and the SQL (``services.sharing``).

A follower is told all that its leader is told, under its own numbers. When the leader succeeds its
followers succeed with the same result; when it fails they fail alike, for the same work fails the
same way, and one that kills workers shall not kill one for each of them. When it is cancelled the
work goes on: an attempt that runs becomes the oldest follower's, else that one is queued.

The ledger is the truth: what is held here is read from it at the start, and `reconcile` finds what
a crash left between a leader's end and its followers'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from backend.errors import KinoError
from backend.services import results
from backend.services.event import Event
from backend.services.events import Events
from backend.services.job import Job
from backend.services.ledger import Ledger
from backend.services.queue import JobQueue
from backend.services.runner import Runner
from backend.services.sharing import Sharing
from backend.services.transitions import Transitions

_FOLLOWING: Final = "leader IS NOT NULL AND state IN ('queued', 'running')"

_log = structlog.get_logger("kino.jobs")


class Attachments:
    """All followers of all live jobs."""

    def __init__(self, ledger: Ledger, queue: JobQueue, events: Events, runner: Runner) -> None:
        self._ledger = ledger
        self._queue = queue
        self._events = events
        self._runner = runner
        self._sharing = Sharing(ledger, events, Transitions(ledger, events))
        self._followers: dict[str, list[str]] = {}  # by leader, oldest first
        self._tasks: set[asyncio.Task[None]] = set()
        events.listen(self._hear)

    def __len__(self) -> int:
        """How many jobs follow another one."""
        return sum(map(len, self._followers.values()))

    async def attach(self, follower: Job) -> None:
        """Let a job that was written follow its leader, or end with it if that has."""
        now = self._read(follower.id)
        if now is None or not now.follows or now.leader is None:
            return  # it was put in another's place, or ended, since it was written
        known = self._followers.setdefault(now.leader, [])
        if now.id not in known:  # the reconciler may have read it from the ledger already
            known.append(now.id)
        leader = self._read(now.leader)
        if leader is None or leader.has_ended:
            await self._settle(now.leader)
            return
        await self.raise_to(leader, follower.priority)
        execution = self._runner.running(leader.id)
        if execution is not None:
            data = {
                "attempt": execution.attempt,
                "max_attempts": leader.max_attempts,
                "worker": execution.worker.name,
            }
            self._sharing.begin(follower.id, leader.id, data, execution.started)

    async def raise_to(self, leader: Job, priority: int) -> None:
        """The work is as urgent as the most urgent of those that wait for it."""
        if priority > leader.priority:
            await self._queue.move(leader.id, priority)

    def priority(self, leader: Job) -> int:
        """The highest priority among a job and its followers."""
        sql = "SELECT max(priority) AS most FROM job WHERE id = ? OR (leader = ? AND {})"
        rows = self._ledger.read(sql.format(_FOLLOWING), leader.id, leader.id)
        return int(rows[0]["most"])

    async def leave(self, follower: Job) -> bool:
        """End a follower because it was cancelled; whether it still was one."""
        assert follower.leader is not None
        self._forget(follower.leader, follower.id)  # now: it must not become the heir
        return await self._sharing.leave(follower.id)

    async def hand_over(self, leader: Job) -> bool:
        """Cancel a leader while its attempt goes on for its oldest follower; whether that was
        possible: it has followers, and its worker has not answered yet."""
        execution = self._runner.running(leader.id)
        followers = self._followers.get(leader.id)
        if not followers or execution is None or not execution.is_running or execution.reason:
            return False
        heir = self._read(followers[0])
        if heir is None:
            return False
        del self._followers[leader.id]
        if followers[1:]:
            self._followers[heir.id] = followers[1:]
        await self._runner.bequeath(execution, heir)
        if await self._sharing.hand_over(leader, heir.id, execution):
            return True
        await self._runner.bequeath(execution, leader)  # it has ended in this very moment
        self._followers.pop(heir.id, None)
        self._followers[leader.id] = followers
        await self._settle_if_ended(leader.id)
        return False

    # --- agreement with the ledger ----------------------------------------------------------

    async def reconcile(self) -> int:
        """Follow what the ledger says; how many followers had to be put right."""
        rows = self._ledger.read(f"SELECT id, leader FROM job WHERE {_FOLLOWING} ORDER BY id")
        found: dict[str, list[str]] = {}
        for row in rows:
            found.setdefault(row["leader"], []).append(row["id"])
        for leader, followers in found.items():
            known = self._followers.setdefault(leader, [])
            known += [each for each in followers if each not in known]
        changed = 0
        for leader in found:
            changed += await self._settle_if_ended(leader)
        return changed

    async def stop(self) -> None:
        """Wait for what is being written."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5.0)

    # --- inside -----------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        """Tell the followers what their leader was told."""
        followers = self._followers.get(event.job_id)
        if not followers:
            return
        if event.is_terminal:
            self._begin(self._settle(event.job_id))
            return
        for follower in followers:
            if event.type == "started":
                self._sharing.begin(follower, event.job_id, event.data, event.time)
            elif event.type == "retry":
                self._sharing.put_back(follower, event.job_id, event.data)
            elif event.type == "preview":
                jpeg = self._events.preview(event.job_id)
                if jpeg is not None:
                    self._events.show(follower, jpeg)
            elif event.type != "queued":
                self._events.publish(follower, event.type, event.data)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        async def logged() -> None:
            try:
                await work
            except KinoError as error:  # the reconciler does it later
                _log.error("followers cannot be settled", error=error.detail)

        task = asyncio.create_task(logged(), name="followers")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle_if_ended(self, leader: str) -> int:
        job = self._read(leader)
        if job is not None and not job.has_ended:
            return 0
        count = len(self._followers.get(leader, ()))
        await self._settle(leader)
        return count

    async def _settle(self, leader: str) -> None:
        """A leader has ended: its followers end with it, or one of them takes its place."""
        followers = self._followers.pop(leader, [])
        job = self._read(leader)
        if job is not None and job.state == "succeeded":
            result = job.result or {}
            settled = await asyncio.gather(
                *(
                    self._sharing.succeed(each, leader, results.readdressed(result, each))
                    for each in followers
                )
            )
        elif job is not None and job.state == "failed":
            error = job.error or {}
            settled = await asyncio.gather(
                *(self._sharing.fail(each, leader, error) for each in followers)
            )
        else:
            settled = await self._promote(leader, followers)
        for each, is_settled in zip(followers, settled, strict=True):
            moved = None if is_settled else self._read(each)
            if moved is not None and moved.leader != leader:
                await self.attach(moved)  # it had come to follow another one meanwhile

    async def _promote(self, leader: str, followers: list[str]) -> list[bool]:
        """Give the work of a leader that was cancelled, or is gone, to the oldest follower; for
        each whether it was still one."""
        for heir in followers:
            others = await self._sharing.promote(heir, leader)
            if others is None:
                continue
            for each in others:  # those too that came to the leader while this was written
                self._forget(leader, each)
            known = self._followers.setdefault(heir, [])
            known += [each for each in others if each not in known]
            job = self._read(heir)
            if job is not None and job.state == "queued":
                await self._queue.enqueue(
                    *(job.id, job.capability, self.priority(job)),
                    since=job.since,
                    model=job.model,
                )
            return [each == heir or each in others for each in followers]
        return [False] * len(followers)

    def _forget(self, leader: str, follower: str) -> None:
        followers = self._followers.get(leader, [])
        if follower in followers:
            followers.remove(follower)
        if not followers:
            self._followers.pop(leader, None)

    def _read(self, job_id: str) -> Job | None:
        rows = self._ledger.read("SELECT * FROM job WHERE id = ?", job_id)
        return Job.from_row(rows[0]) if rows else None
