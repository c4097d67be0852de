"""Batches: many jobs of one operation, accepted together, with one status and one stream of events.

Knows: the table ``batch``, and that all of its jobs are accepted, or none.
Does not know: HTTP, how a request becomes items (``services.sweeps``), how far a batch is
(``services.batch_progress``).
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

import blake3
from pydantic import ValidationError

from backend.config import Limits
from backend.errors import (
    Conflict,
    FieldError,
    InvalidParameters,
    UnknownName,
    refused,
)
from backend.media.reference import Resolver
from backend.operations import Checked, Operation, invalid, read_json
from backend.services import identifiers, sweeps
from backend.services.batch_progress import STATES, BatchProgress, state_of
from backend.services.cancelling import cancel_all
from backend.services.events import Events
from backend.services.job import ENDED, Job, rfc3339
from backend.services.ledger import Ledger, Row
from backend.services.submission import Submission, Wish
from backend.services.turns import Turns, from_thread

if TYPE_CHECKING:
    from backend.services.assets import Assets
    from backend.services.jobs import Jobs
    from backend.services.registry import Registry

_TOLD: Final = 100
"""Most errors of one refused batch that are told."""
_LOOK_UP_S: Final = 60.0
"""Time in which the loop must come to look up an asset for the thread that checks."""


class Batches:
    """All batches of the service."""

    def __init__(
        self,
        limits: Limits,
        ledger: Ledger,
        events: Events,
        registry: Registry,
        assets: Assets,
        jobs: Jobs,
        submission: Submission,
        progress: BatchProgress,
    ) -> None:
        self._limits = limits
        self._ledger = ledger
        self._events = events
        self._registry = registry
        self._assets = assets
        self._jobs = jobs
        self._submission = submission
        self._progress = progress
        self._checking = asyncio.Lock()

    # --- what a caller may do ---------------------------------------------------------------

    async def submit(
        self, body: bytes, idempotency_key: str | None = None
    ) -> tuple[dict[str, Any], bool]:
        """Accept all jobs of a batch, or none; its JSON, and whether it is new.

        Raises `UnknownName`, `OperationUnavailable`, `MalformedRequest`, `QueueFull`,
        `StorageFull`, `Conflict` for a used key, and `InvalidParameters` with a pointer into the
        request for each value that breaks a rule.
        """
        request, body_hash = await asyncio.to_thread(_read, body)
        if idempotency_key is not None:
            known = self._replayed(idempotency_key, body_hash)
            if known is not None:
                return known, False
        await self._submission.require_available(self._registry.get(request.operation))
        batch_id, created = identifiers.batch_id(), time.time()
        drafts = await self._drafts(request, batch_id)
        insert = (
            "INSERT INTO batch (id, operation, metadata, priority, count, idempotency_key,"
            " body_hash, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (idempotency_key) DO NOTHING RETURNING id",
            (
                *(batch_id, request.operation, json.dumps(request.metadata), request.priority),
                *(len(drafts), idempotency_key, body_hash, created),
            ),
        )
        told = {"operation": request.operation, "count": len(drafts)}
        event, statements = self._events.milestone(batch_id, "queued", told, first=True)
        self._progress.watch(batch_id, [draft.id for draft in drafts])
        try:
            jobs = await self._submission.admit_all(drafts, insert, statements, cache=request.cache)
        except BaseException:
            self._progress.unwatch(batch_id)
            self._events.forget(event)
            raise
        if jobs is None:  # another request with the same key was faster
            self._progress.unwatch(batch_id)
            self._events.forget(event)
            assert idempotency_key is not None
            known = self._replayed(idempotency_key, body_hash)
            if known is None:
                raise Conflict("the batch of this idempotency key was deleted just now")
            return known, False
        self._events.announce(event)
        turns = Turns()
        for job in jobs:
            await self._submission.enqueue(job)
            await turns.give()
        await self._progress.settled(batch_id)
        return self.get(batch_id), True

    def get(self, batch_id: str) -> dict[str, Any]:
        """A batch as JSON: its counts, how far it is, where the rest is. Raises `UnknownName`."""
        return self._as_json(self._row(batch_id))

    def page(self, cursor: str | None, limit: int) -> tuple[list[dict[str, Any]], str | None]:
        """A page of batches, newest first, and where the next one begins. Raises
        `InvalidParameters` for a cursor of no page."""
        if cursor is not None and not identifiers.BATCH_ID.fullmatch(cursor):
            raise refused("/query/cursor", "cursor", "a cursor is the next_cursor of a page")
        rows = self._ledger.read(
            "SELECT * FROM batch WHERE id < ? ORDER BY id DESC LIMIT ?", cursor or "c", limit + 1
        )
        shown = [self._as_json(row) for row in rows[:limit]]
        return shown, rows[limit - 1]["id"] if len(rows) > limit else None

    async def cancel(self, batch_id: str) -> dict[str, Any]:
        """End all jobs of the batch that have not ended. Raises `UnknownName`."""
        self._row(batch_id)
        rows = self._ledger.read(
            "SELECT id FROM job WHERE batch = ? AND state IN ('queued', 'running')", batch_id
        )
        await cancel_all(self._jobs, [row["id"] for row in rows])
        await self._progress.settled(batch_id)
        return self.get(batch_id)

    # --- inside -----------------------------------------------------------------------------

    async def _drafts(self, request: sweeps.BatchRequest, batch_id: str) -> list[Job]:
        """The jobs of the batch, checked; raises what is wrong with all of them together."""
        operation = self._registry.get(request.operation).operation
        wish = Wish(request.priority, request.metadata, cache=False, batch=batch_id)
        resolver = from_thread(self._assets.resolver(), _LOOK_UP_S)
        async with self._checking:  # one at a time: others want a thread now and then, too
            checked_items, errors = await asyncio.to_thread(
                _checked, request, operation, resolver, self._limits
            )
        drafts: list[Job] = []
        turns = Turns()
        for item, checked in checked_items:
            try:
                await self._submission.require_names(operation, checked)
            except InvalidParameters as error:
                errors |= dict.fromkeys(map(item.told, error.errors))
                continue
            if not errors:
                drafts.append(await self._submission.draft(operation, checked, wish))
            await turns.give()
        if errors:
            found = list(errors)[:_TOLD]
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            told = f"{found[0].pointer}: {found[0].message}{more}; no job was made"
            raise InvalidParameters(told, errors=found)
        return drafts

    def _row(self, batch_id: str) -> Row:
        rows = self._ledger.read("SELECT * FROM batch WHERE id = ?", batch_id)
        if not rows:
            raise UnknownName("there is no such batch")
        return rows[0]

    def _replayed(self, key: str, body_hash: str) -> dict[str, Any] | None:
        rows = self._ledger.read("SELECT * FROM batch WHERE idempotency_key = ?", key)
        if rows and rows[0]["body_hash"] != body_hash:
            raise Conflict(
                "this idempotency key was used for another batch",
                remedy="Use a new key for each different call.",
            )
        return self._as_json(rows[0]) if rows else None

    def _as_json(self, row: Row) -> dict[str, Any]:
        counted = self._ledger.read(
            "SELECT state, count(*) AS n, sum(cached) AS cached FROM job WHERE batch = ?"
            " GROUP BY state",
            row["id"],
        )
        counts = dict.fromkeys(STATES, 0) | {each["state"]: each["n"] for each in counted}
        state = state_of(counts)
        if state in ENDED and row["finished"] is None:  # its own end is being written
            state = "running"
            self._progress.end_if_over(row["id"])
        here = f"/v1/batches/{row['id']}"
        return {
            "id": row["id"],
            "operation": row["operation"],
            "state": state,
            "count": row["count"],
            "counts": counts,
            "cached": sum(each["cached"] for each in counted),
            "progress": self._progress.fraction(row["id"]),
            "priority": row["priority"],
            "metadata": json.loads(row["metadata"]),
            "created": rfc3339(row["created"]),
            "finished": rfc3339(row["finished"]),
            "links": {
                "self": here,
                "jobs": f"/v1/jobs?batch={row['id']}",
                "events": f"{here}/events",
                "cancel": f"{here}/cancel",
            },
        }


def _read(body: bytes) -> tuple[sweeps.BatchRequest, str]:
    """The request, and a hash of it. In a thread: a large one takes its time."""
    read_json(body)
    try:
        request = sweeps.BatchRequest.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error, "The batch breaks a rule") from error
    return request, blake3.blake3(request.model_dump_json().encode()).hexdigest()


def _checked(
    request: sweeps.BatchRequest,
    operation: Operation[..., Any],
    resolver: Resolver,
    limits: Limits,
) -> tuple[list[tuple[sweeps.Item, Checked]], dict[FieldError, None]]:
    """Every item that fits, and what is wrong with the others. In a thread: a batch may have 32 MiB
    of parameters. Raises `InvalidParameters` for more than the limits allow."""
    fitting: list[tuple[sweeps.Item, Checked]] = []
    errors: dict[FieldError, None] = {}
    size = 0
    for item in sweeps.items(request, limits.batch_jobs):
        try:
            checked = operation.check(item.params, resolver)
        except InvalidParameters as error:
            errors |= dict.fromkeys(map(item.told, error.errors))
            continue
        size += len(json.dumps(checked.params))
        if size > limits.batch_bytes:
            told = f"all parameters together have more than {limits.batch_bytes} bytes"
            raise refused("", "batch_bytes", f"{told} (limit batch_bytes)")
        fitting.append((item, checked))
    return fitting, errors
