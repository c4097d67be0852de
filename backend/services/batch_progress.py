"""The progress of batches: how far all jobs of each have come together, and when it has ended.

Knows: the states of the jobs of live batches, in memory, and a batch's own events.
Does not know: how a batch came about, and what callers may do to it (``services.batches``).

A batch's events are numbered and kept like a job's, under the batch's id: ``queued``, ``progress``
with the counts, and one end: ``failed`` if any job failed, else ``cancelled`` if any was, else
``succeeded``. If a job of it is tried again, the batch goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Final

import structlog

from backend.errors import KinoError
from backend.services.event import Event, EventType
from backend.services.events import Events
from backend.services.job import ENDED, State
from backend.services.ledger import Ledger, Statement

STATES: Final[tuple[State, ...]] = ("queued", "running", "succeeded", "failed", "cancelled")
_END_S: Final = 5.0

_log = structlog.get_logger("kino.jobs")


class _Live:
    """A batch that has not ended: the states of its *count* jobs, and how far those that run are.
    Added up as they change: each job of a large batch tells of itself many times."""

    def __init__(self, count: int, states: Mapping[str, str]) -> None:
        self.states = dict(states)
        self.ending = False
        self._count = count
        self._tally = Counter(self.states.values())
        self._fractions: dict[str, float] = {}
        self._begun = 0.0  # their sum

    def become(self, job_id: str, state: str) -> None:
        self._tally[self.states[job_id]] -= 1
        self._tally[state] += 1
        self.states[job_id] = state
        self._begun -= self._fractions.pop(job_id, 0.0)

    def reach(self, job_id: str, fraction: float) -> None:
        self._begun += fraction - self._fractions.get(job_id, 0.0)
        self._fractions[job_id] = fraction

    def counts(self) -> dict[str, int]:
        return {state: self._tally[state] for state in STATES}

    @property
    def is_over(self) -> bool:
        return not self._left

    def fraction(self) -> float:
        return round((self._count - self._left + self._begun) / self._count, 4)

    @property
    def _left(self) -> int:
        return sum(self._tally[state] for state in STATES if state not in ENDED)


class BatchProgress:
    """All batches that have not ended."""

    def __init__(self, ledger: Ledger, events: Events) -> None:
        self._ledger = ledger
        self._events = events
        self._live: dict[str, _Live] = {}
        self._of: dict[str, str] = {}  # job -> batch, of live batches
        self._tasks: set[asyncio.Task[None]] = set()
        events.listen(self._hear)

    async def recover(self) -> None:
        """After a start: take up the batches that have not ended."""
        for row in self._ledger.read("SELECT id FROM batch WHERE finished IS NULL ORDER BY id"):
            self._events.resume(row["id"])
            self._take_up(row["id"])
            if self._live[row["id"]].is_over:
                await self._end(row["id"])

    async def stop(self) -> None:
        """Wait for what is being written."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5.0)

    def watch(self, batch_id: str, jobs: Iterable[str]) -> None:
        """Follow the jobs of a new batch."""
        states = dict.fromkeys(jobs, "queued")
        self._live[batch_id] = _Live(len(states), states)
        self._of |= dict.fromkeys(states, batch_id)

    def unwatch(self, batch_id: str) -> None:
        """Forget a batch that has ended, or never came about."""
        live = self._live.pop(batch_id, None)
        for job_id in live.states if live else ():
            self._of.pop(job_id, None)

    def end_if_over(self, batch_id: str) -> None:
        """Begin to write the end of a batch whose jobs have all ended, unless that has begun."""
        live = self._live.get(batch_id)
        if live is not None and live.is_over and not live.ending:
            live.ending = True
            self._begin(self._end(batch_id))

    async def settled(self, batch_id: str) -> None:
        """Return when the end of a batch whose jobs have all ended is kept; at once for others."""
        live = self._live.get(batch_id)
        if live is not None and live.ending:
            await self._events.ended(batch_id, _END_S)

    def fraction(self, batch_id: str) -> float:
        """How much of a batch is done, 0 to 1."""
        live = self._live.get(batch_id)
        return 1.0 if live is None else live.fraction()

    # --- inside -----------------------------------------------------------------------------

    def _take_up(self, batch_id: str) -> None:
        """Follow a batch that is in the ledger; jobs that were deleted had ended."""
        rows = self._ledger.read("SELECT id, state FROM job WHERE batch = ?", batch_id)
        count = self._ledger.read("SELECT count FROM batch WHERE id = ?", batch_id)[0]["count"]
        self._live[batch_id] = _Live(count, {row["id"]: row["state"] for row in rows})
        self._of |= {row["id"]: batch_id for row in rows}

    def _hear(self, event: Event) -> None:
        batch_id = self._of.get(event.job_id)
        if batch_id is None:
            if event.type == "queued" and event.data.get("again"):
                self._begin(self._reopen(event.job_id))
            return
        live = self._live[batch_id]
        if event.type == "progress":
            live.reach(event.job_id, float(event.data["fraction"]))
        elif event.type in _BECOMES:
            live.become(event.job_id, _BECOMES[event.type])
        else:
            return
        told = {"fraction": live.fraction(), "counts": live.counts()}
        self._events.publish(batch_id, "progress", told)
        self.end_if_over(batch_id)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        async def logged() -> None:
            try:
                await work
            except KinoError as error:  # its end is found when somebody asks, or at the next start
                _log.error("a batch cannot be kept", error=error.detail)

        task = asyncio.create_task(logged(), name="batch")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self, batch_id: str) -> None:
        """All jobs have ended: so has the batch."""
        counts = self._live[batch_id].counts()
        type_: Any = state_of(counts)
        event, statements = self._events.milestone(batch_id, type_, {"counts": counts})
        finish = (
            "UPDATE batch SET finished = coalesce((SELECT max(finished) FROM job WHERE batch = ?),"
            " ?) WHERE id = ? AND finished IS NULL RETURNING id",
            (batch_id, time.time(), batch_id),
        )
        try:
            await self._ledger.write(finish, *statements, fenced=True)
        except KinoError:  # whoever asks next has it written
            self._live[batch_id].ending = False
            self._events.forget(event)
            raise
        self.unwatch(batch_id)
        self._events.announce(event)

    async def _reopen(self, job_id: str) -> None:
        """A job of a batch that had ended is tried again."""
        rows = self._ledger.read("SELECT batch FROM job WHERE id = ?", job_id)
        batch_id = rows[0]["batch"] if rows else None
        if batch_id is None or batch_id in self._live:
            return
        self._take_up(batch_id)
        event, statements = self._events.milestone(batch_id, "queued", {"again": True})
        again: Statement = (
            "UPDATE batch SET finished = NULL WHERE id = ? RETURNING id",
            (batch_id,),
        )
        await self._ledger.write(again, *statements, fenced=True)
        self._events.announce(event)


_BECOMES: Final[Mapping[EventType, str]] = {
    "queued": "queued",
    "started": "running",
    "retry": "queued",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}
"""What a job is after each milestone."""


def state_of(counts: Mapping[str, int]) -> str:
    """What a batch is, by its jobs."""
    for state in ("running", "queued", "failed", "cancelled"):
        if counts[state]:
            return state
    return "succeeded"
