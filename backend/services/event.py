"""One event of one job: the record that is kept, replayed and followed.

Knows: the types of events and which of them end a job.
Does not know: how events are numbered and delivered (``services.events``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from backend.services.ledger import Statement

EventType = Literal[
    "queued", "started", "progress", "preview", "log", "retry", "succeeded", "failed", "cancelled"
]
TERMINAL: Final = frozenset({"succeeded", "failed", "cancelled"})
_json: Final = json.JSONEncoder(separators=(",", ":")).encode
_COLUMNS: Final = "INTO job_event (job_id, seq, time, type, data) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of one job. ``time`` is unix seconds."""

    job_id: str
    seq: int
    type: EventType
    time: float
    data: dict[str, Any]

    @property
    def is_terminal(self) -> bool:
        return self.type in TERMINAL

    def insert(self, *, unless_written: bool = False) -> Statement:
        """The statement that keeps it. A milestone that stands already is an error; what
        happens in between may be on its way to the ledger twice."""
        verb = "INSERT OR IGNORE " if unless_written else "INSERT "
        return verb + _COLUMNS, (self.job_id, self.seq, self.time, self.type, _json(self.data))
