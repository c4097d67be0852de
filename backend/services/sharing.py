"""Sharing: every change of state of jobs that follow another one, which does their work.

Knows: the SQL of following, of taking over, and of ending with another's result.
Does not know: when that is due (``services.attachments``), and how a job runs by itself
(``services.transitions``).

A follower is ``queued`` or ``running`` as its leader is, has no token, and is in no queue. Each
change is conditional on ``leader``, so of two that meet only one happens.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final

from backend.services.events import Events
from backend.services.execution import Execution
from backend.services.job import Job
from backend.services.ledger import Ledger, Statement
from backend.services.transitions import Transitions

_LIVE: Final = "state IN ('queued', 'running')"


class Sharing:
    """Changes followers. Asynchronous methods return whether the change happened."""

    def __init__(self, ledger: Ledger, events: Events, transitions: Transitions) -> None:
        self._ledger = ledger
        self._events = events
        self._transitions = transitions

    def begin(self, follower: str, leader: str, data: dict[str, Any], started: float) -> None:
        """The leader's attempt *data* has begun; nobody waits for this write."""
        update = (
            "UPDATE job SET state = 'running', attempt = ?, owner = ?, started = ?"
            f" WHERE id = ? AND leader = ? AND {_LIVE} RETURNING id"
        )
        args = (data["attempt"], data["worker"], started, follower, leader)
        self._ledger.write_soon((update, args), _nothing)
        self._events.note(follower, "started", data)

    def put_back(self, follower: str, leader: str, data: dict[str, Any]) -> None:
        """The leader waits again; nobody waits for this write."""
        update = (
            "UPDATE job SET state = 'queued', owner = NULL, started = NULL"
            " WHERE id = ? AND leader = ? AND state = 'running' RETURNING id"
        )
        self._ledger.write_soon((update, (follower, leader)), _nothing)
        self._events.note(follower, "retry", data)

    async def succeed(self, follower: str, leader: str, result: dict[str, Any]) -> bool:
        """End with the leader's *result*, which must name the follower's own outputs."""
        update = (
            "UPDATE job SET state = 'succeeded', result = ?, finished = ?, execution_s = 0,"
            " started = coalesce(started, ?), cached = 1"
            f" WHERE id = ? AND leader = ? AND {_LIVE} RETURNING id"
        )
        now = time.time()
        args = (json.dumps(result, separators=(",", ":")), now, now, follower, leader)
        data = {"execution_s": 0.0, "cached": True, "leader": leader}
        return await self._transitions.change(follower, "succeeded", data, (update, args))

    async def fail(self, follower: str, leader: str, error: dict[str, Any]) -> bool:
        """End as the leader did."""
        update = (
            "UPDATE job SET state = 'failed', error = ?, finished = ?, execution_s = 0"
            f" WHERE id = ? AND leader = ? AND {_LIVE} RETURNING id"
        )
        args = (json.dumps(error, separators=(",", ":")), time.time(), follower, leader)
        data = {"execution_s": 0.0, "error": error, "leader": leader}
        return await self._transitions.change(follower, "failed", data, (update, args))

    async def leave(self, follower: str) -> bool:
        """End because it was cancelled; the leader goes on."""
        update = (
            "UPDATE job SET state = 'cancelled', finished = ?, cancel_requested = 1"
            f" WHERE id = ? AND leader IS NOT NULL AND {_LIVE} RETURNING id"
        )
        return await self._transitions.change(
            follower, "cancelled", {}, (update, (time.time(), follower))
        )

    async def promote(self, heir: str, leader: str) -> list[str] | None:
        """A leader has ended without having done the work: *heir* does it, the others follow it;
        returned are those. ``None``: *heir* is no follower any more.
        Not durable: a follower of an ended job is found at the next start."""
        update = (
            "UPDATE job SET leader = NULL, state = 'queued', attempt = 0, owner = NULL,"
            f" started = NULL WHERE id = ? AND leader = ? AND {_LIVE} RETURNING id, state"
        )
        follow = (
            "UPDATE job SET leader = ?, state = 'queued', owner = NULL, started = NULL"
            f" WHERE leader = ? AND {_LIVE} RETURNING id",
            (heir, leader),
        )
        rows = await self._ledger.write(
            (update, (heir, leader)), follow, durable=False, fenced=True
        )
        return sorted(row["id"] for row in rows[1]) if rows[0] else None

    async def hand_over(self, leader: Job, heir: str, execution: Execution) -> bool:
        """Cancel a leader in the middle of its attempt, which is the heir's from now on."""
        update = (
            "UPDATE job SET state = 'cancelled', finished = ?, cancel_requested = 1, token = NULL"
            " WHERE id = ? AND token = ? AND state = 'running' RETURNING id",
            (time.time(), leader.id, execution.token),
        )
        inherit: Statement = (
            "UPDATE job SET leader = NULL, state = 'running', attempt = ?, token = ?, owner = ?,"
            f" started = ? WHERE id = ? AND leader = ? AND {_LIVE}",
            (
                *(execution.attempt, execution.token, execution.worker.name, execution.started),
                *(heir, leader.id),
            ),
        )
        follow: Statement = (
            f"UPDATE job SET leader = ? WHERE leader = ? AND {_LIVE}",
            (heir, leader.id),
        )
        return await self._transitions.change(
            leader.id, "cancelled", {"heir": heir}, update, more=[inherit, follow]
        )


def _nothing() -> None:
    """It has changed meanwhile, and whoever changed it has told of it."""
