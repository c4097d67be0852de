"""Transitions: every change of a job's state, each in one transaction and at this one place.

Knows: which change is allowed from which state, what must be durable, and the event of each.
Does not know: why a job changes (``services.jobs`` and ``services.runner`` do).

A change is a conditional update; if it matches no row, nothing is written and nobody is told.
Whoever runs an attempt proves it by its token: a late or woken worker changes nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from backend.services.event import Event, EventType
from backend.services.events import Events
from backend.services.execution import Execution
from backend.services.job import ENDED, Job, State
from backend.services.ledger import Ledger, Statement

_json: Final = json.JSONEncoder(separators=(",", ":")).encode


_INSERT: Final = (
    "INSERT INTO job (id, operation, version, params, inputs, metadata, capability, priority,"
    " state, max_attempts, timeout_s, created, queued, work, model, leader, batch, cached, result,"
    " started, finished, execution_s, idempotency_key, body_hash)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING RETURNING id"
)


def _insert(
    job: Job, idempotency_key: str | None = None, body_hash: str | None = None
) -> Statement:
    """The statement that writes a new job."""
    return _INSERT, (
        *(job.id, job.operation, job.version, _json(job.params), _json(job.inputs)),
        *(_json(job.metadata), job.capability, job.priority, job.state, job.max_attempts),
        *(job.timeout_s, job.created, job.queued, job.work, job.model, job.leader, job.batch),
        *(job.cached, None if job.result is None else _json(job.result), job.started),
        *(job.finished, job.execution_s, idempotency_key, body_hash),
    )


def _beginning(job: Job) -> list[tuple[EventType, dict[str, Any]]]:
    """The events with which a job begins; one whose work was done already ends at once."""
    shared = {} if job.leader is None else {"leader": job.leader}
    queued: dict[str, Any] = {"operation": job.operation, "priority": job.priority, **shared}
    if job.has_ended:
        ended = {"execution_s": job.execution_s, "cached": job.cached, **shared}
        return [("queued", queued), (job.state, ended)]  # type: ignore[list-item]
    return [("queued", queued)]


class Transitions:
    """Changes jobs. Asynchronous methods return whether the change happened."""

    def __init__(self, ledger: Ledger, events: Events) -> None:
        self._ledger = ledger
        self._events = events

    async def submit(
        self,
        job: Job,
        idempotency_key: str | None = None,
        body_hash: str | None = None,
        more: Sequence[Statement] = (),
    ) -> bool:
        """Write a new job, together with *more*; one may have ended already, or follow another.
        False if the idempotency key is taken."""
        return await self._add([job], [_insert(job, idempotency_key, body_hash), *more])

    async def submit_all(
        self, batch: Statement, more: Sequence[Statement], jobs: list[Job]
    ) -> bool:
        """Write all jobs of a batch, or none; false if *batch*, which inserts its row, did not."""
        # in a thread: the texts of their parameters may have 32 MiB
        inserts = await asyncio.to_thread(lambda: [_insert(job) for job in jobs])
        return await self._add(jobs, [batch, *more, *inserts])

    def claim(self, job: Job, execution: Execution, refused: Callable[[], None]) -> None:
        """Begin the next attempt; *refused* is called if the job is not queued any more.

        Nobody waits for this write: it is done before any later one, so what the attempt gives is
        fenced by it all the same, and a claim that a crash swallows is claimed again.
        """
        update = (
            "UPDATE job SET state = 'running', attempt = ?, token = ?, owner = ?, started = ?"
            " WHERE id = ? AND state = 'queued' AND attempt = ? RETURNING id"
        )
        worker = execution.worker.name
        args = (execution.attempt, execution.token, worker, execution.started)
        self._ledger.write_soon((update, (*args, job.id, job.attempt)), refused)
        data = {"attempt": execution.attempt, "max_attempts": job.max_attempts, "worker": worker}
        self._events.note(job.id, "started", data)

    async def finish(
        self,
        job_id: str,
        token: str | None,
        state: State,
        *,
        result: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
        execution_s: float | None = None,
        more: Sequence[Statement] = (),
    ) -> bool:
        """End a running job, together with *more* (the rows of its assets)."""
        update = (
            "UPDATE job SET state = ?, result = ?, error = ?, finished = ?, execution_s = ?,"
            " token = NULL WHERE id = ? AND token IS ? AND state = 'running' RETURNING id"
        )
        args = (
            *(state, None if result is None else _json(result)),
            *(None if error is None else _json(error), time.time(), execution_s, job_id, token),
        )
        data: dict[str, Any] = {"execution_s": execution_s}
        if error is not None:
            data["error"] = error
        event: Any = state
        return await self.change(job_id, event, data, (update, args), more=more)

    async def requeue(
        self,
        job_id: str,
        token: str | None,
        *,
        error: dict[str, Any] | None,
        wait_s: float = 0.0,
        refund: bool = False,
    ) -> bool:
        """Put a running job back. *refund*: the attempt was none of its own and does not count.
        A job that was asked to end is not put back, it is cancelled.
        Not durable: a job that is still 'running' at the next start is put back then."""
        update = (
            "UPDATE job SET state = 'queued', token = NULL, owner = NULL, started = NULL,"
            " attempt = attempt - ?"
            " WHERE id = ? AND token IS ? AND state = 'running' AND NOT cancel_requested"
            " RETURNING id"
        )
        data: dict[str, Any] = {"in_s": round(wait_s, 3)}
        if error is not None:
            data["error"] = error
        put_back = await self.change(
            job_id, "retry", data, (update, (int(refund), job_id, token)), durable=False
        )
        if not put_back:  # somebody was told that it will end; if the attempt is ours, it does
            await self.finish(job_id, token, "cancelled")
        return put_back

    async def cancel_queued(self, job_id: str) -> bool:
        """End a job that waits."""
        update = (
            "UPDATE job SET state = 'cancelled', finished = ?, cancel_requested = 1"
            " WHERE id = ? AND state = 'queued' RETURNING id"
        )
        return await self.change(job_id, "cancelled", {}, (update, (time.time(), job_id)))

    async def set_priority(self, job_id: str, priority: int) -> bool:
        """Give a job that has not begun another priority."""
        sql = "UPDATE job SET priority = ? WHERE id = ? AND state = 'queued' RETURNING id"
        return bool((await self._ledger.write((sql, (priority, job_id))))[0])

    async def request_cancel(self, job_id: str) -> bool:
        """Remember, over a crash, that a running job shall end."""
        rows = await self._ledger.write(
            (
                "UPDATE job SET cancel_requested = 1 WHERE id = ? AND state = 'running'"
                " RETURNING id",
                (job_id,),
            )
        )
        return bool(rows[0])

    async def resubmit(self, job_id: str, max_attempts: int, since: float) -> bool:
        """Queue a failed or cancelled job again, with all its attempts, as from *since*. It works
        for itself: what it was equal to may have changed."""
        update = (
            "UPDATE job SET state = 'queued', attempt = 0, max_attempts = ?, error = NULL,"
            " cancel_requested = 0, started = NULL, finished = NULL, execution_s = NULL,"
            " queued = ?, work = NULL, leader = NULL, cached = 0"
            " WHERE id = ? AND state IN ('failed', 'cancelled') RETURNING id"
        )
        return await self.change(
            job_id, "queued", {"again": True}, (update, (max_attempts, since, job_id))
        )

    async def delete(self, job_id: str) -> bool:
        """Remove a job that has ended, and its events."""
        rows = await self._ledger.write(
            (
                "DELETE FROM job WHERE id = ? AND state IN ('succeeded', 'failed', 'cancelled')"
                " RETURNING id",
                (job_id,),
            ),
            ("DELETE FROM job_event WHERE job_id = ? RETURNING seq", (job_id,)),
            fenced=True,
        )
        return bool(rows[0])

    def _drop_ended(self, job_id: str) -> None:
        """Keep nothing in memory of a job that has ended without us."""
        rows = self._ledger.read("SELECT state FROM job WHERE id = ?", job_id)
        if not rows or rows[0]["state"] in ENDED:
            self._events.drop(job_id)

    async def _add(self, jobs: list[Job], statements: list[Statement]) -> bool:
        """Write new jobs with their first events; nothing if the first statement returns no row."""
        events: list[Event] = []
        for job in jobs:
            for type_, data in _beginning(job):
                first = type_ == "queued"
                event, made = self._events.milestone(job.id, type_, data, first=first)
                events.append(event)
                statements += made
        try:
            rows = await self._ledger.write(*statements, fenced=True)
        except Exception:
            self._take_back(events)
            raise
        if not rows[0]:
            self._take_back(events)
            return False
        for event in events:
            self._events.announce(event)
        return True

    def _take_back(self, events: list[Event]) -> None:
        for event in reversed(events):
            self._events.forget(event)

    async def change(
        self,
        job_id: str,
        type_: EventType,
        data: dict[str, Any],
        update: Statement,
        *,
        more: Sequence[Statement] = (),
        durable: bool = True,
    ) -> bool:
        """Make *update*, and *more* with it, if it returns a row; then tell of the event."""
        event, statements = self._events.milestone(job_id, type_, data)
        try:
            rows = await self._ledger.write(
                update, *more, *statements, durable=durable, fenced=True
            )
        except Exception:
            self._events.forget(event)
            raise
        if not rows[0]:
            self._events.forget(event)
            self._drop_ended(job_id)
            return False
        self._events.announce(event)
        return True
