"""Reporting: what a worker says while a job runs, as events of that job.

Knows: the messages ``progress``, ``preview`` and ``log``.
Does not know: attempts and workers (``services.runner`` says whose message counts).
"""

from __future__ import annotations

from backend import wire
from backend.services import invocation
from backend.services.events import Events


def report(events: Events, job_id: str, message: wire.Message, binary: bytes) -> None:
    """Publish a worker's *message* about the job that it has."""
    if message["t"] == "preview":
        events.show(job_id, binary)
    elif message["t"] == "log":
        said = invocation.readable(str(message["message"]))
        events.publish(job_id, "log", {"message": said})
    elif message["t"] == "progress":
        done, total = float(message["done"]), float(message["total"])
        fraction = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
        data = {"fraction": fraction, "done": done, "total": total, "node": message["node"]}
        events.publish(job_id, "progress", data)
