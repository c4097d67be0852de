"""One job: the record that the ledger keeps, and how callers see it.

Knows: the columns of the table ``job`` and the JSON of a job.
Does not know: how a job changes (``services.transitions``) or runs (``services.runner``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from backend.services.ledger import Row

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when it was read. Times are unix seconds."""

    id: str
    operation: str
    version: int
    params: dict[str, Any]
    inputs: list[str]
    metadata: dict[str, Any]
    capability: str
    priority: int
    max_attempts: int
    timeout_s: float
    created: float
    state: State = "queued"
    attempt: int = 0
    token: str | None = None
    cancel_requested: bool = False
    error: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    started: float | None = None
    finished: float | None = None
    execution_s: float | None = None
    work: str | None = None
    """Hash of all that the result depends on; ``None`` if it may differ, or is not to be shared."""
    model: str | None = None
    """The model file that a worker had better hold already, as kind/name."""
    leader: str | None = None
    """The equal job whose work this one shares: it runs, or this job was given its result."""
    cached: bool = False
    batch: str | None = None
    queued: float | None = None
    """When its wait began, in the steady seconds of `services.queue`."""
    progress: float | None = None
    waiting_for: dict[str, Any] | None = None

    @classmethod
    def from_row(
        cls, row: Row, *, progress: float | None = None, waiting_for: dict[str, Any] | None = None
    ) -> Job:
        """From a row with all columns; *progress* and *waiting_for* are known in memory only."""
        return cls(
            id=row["id"],
            operation=row["operation"],
            version=row["version"],
            params=json.loads(row["params"]),
            inputs=json.loads(row["inputs"]),
            metadata=json.loads(row["metadata"]),
            capability=row["capability"],
            priority=row["priority"],
            max_attempts=row["max_attempts"],
            timeout_s=row["timeout_s"],
            created=row["created"],
            state=row["state"],
            attempt=row["attempt"],
            token=row["token"],
            cancel_requested=bool(row["cancel_requested"]),
            error=None if row["error"] is None else json.loads(row["error"]),
            result=None if row["result"] is None else json.loads(row["result"]),
            started=row["started"],
            finished=row["finished"],
            execution_s=row["execution_s"],
            work=row["work"],
            model=row["model"],
            leader=row["leader"],
            cached=bool(row["cached"]),
            batch=row["batch"],
            queued=row["queued"],
            progress=1.0 if row["state"] == "succeeded" else progress,
            waiting_for=waiting_for,
        )

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def follows(self) -> bool:
        """Whether the job waits for another one to do its work."""
        return self.leader is not None and not self.has_ended

    @property
    def since(self) -> float:
        """When its wait began."""
        return self.created if self.queued is None else self.queued

    def as_json(self) -> dict[str, Any]:
        """The job as every door shows it."""
        here = f"/v1/jobs/{self.id}"
        return {
            "id": self.id,
            "operation": self.operation,
            "version": self.version,
            "state": self.state,
            "priority": self.priority,
            "attempt": self.attempt,
            "max_attempts": self.max_attempts,
            "params": self.params,
            "inputs": self.inputs,
            "metadata": self.metadata,
            "progress": self.progress,
            "waiting_for": self.waiting_for,
            "created": rfc3339(self.created),
            "started": rfc3339(self.started),
            "finished": rfc3339(self.finished),
            "execution_s": self.execution_s,
            "cached": self.cached,
            "leader": self.leader,
            "batch": self.batch,
            "error": self.error,
            "result": self.result,
            "links": {"self": here, "events": f"{here}/events", "cancel": f"{here}/cancel"},
        }


def rfc3339(seconds: float | None) -> str | None:
    """Unix seconds as RFC 3339 in UTC with milliseconds."""
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
