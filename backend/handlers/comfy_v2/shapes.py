"""Jobs, outputs and assets in the form of the Comfy API v2.

Knows: its field names, and where each stands in a job of ``workflows.run``.
Does not know: HTTP, beyond the origin that links begin with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from backend.services.job import rfc3339

if TYPE_CHECKING:
    from backend.services.assets import Asset
    from backend.services.job import Job

OPERATION: Final = "workflows.run"
NEVER: Final = "9999-01-01T00:00:00Z"
"""When a job, an asset or a link expires: what is kept is kept until it is deleted."""

_TYPES: Final[Mapping[str, str]] = {
    "images": "image", "masks": "image", "audio": "audio", "videos": "video", "midi": "file",
    "automation": "file", "files": "file",
}  # fmt: skip
"""List of a result → the type of its outputs."""

_STATES: Final[Mapping[str, str]] = {"cancelled": "canceled"}
TEXT: Final = "text_"
"""Begins the id of an output that is a text and lies in the job itself: ``text_<job>_<number>``."""


def status_of(job: Job) -> str:
    """The state under its name there; one that was asked to end and still runs is canceling."""
    if job.state == "running" and job.cancel_requested:
        return "canceling"
    return _STATES.get(job.state, job.state)


def job(job: Job, latest: Mapping[str, Any] | None, origin: str) -> dict[str, Any]:
    """The whole job. *latest* is the data of its newest progress; *origin* begins its links."""
    here = f"/api/v2/jobs/{job.id}"
    waiting = job.waiting_for or {}
    return {
        "id": job.id,
        "status": status_of(job),
        "created_at": rfc3339(job.created),
        "started_at": rfc3339(job.started),
        "completed_at": rfc3339(job.finished),
        "expires_at": NEVER,
        "queue_position": waiting.get("position"),
        "progress": progress(job, latest),
        "outputs": list(outputs(job, origin)),
        "error": None if job.error is None else _error(job.error),
        "metrics": {
            "queue_ms": _ms(job.created, job.started),
            "execution_ms": _ms(job.started, job.finished),
        },
        "metadata": labels(job),
        "urls": {"self": here, "events": f"{here}/events", "cancel": f"{here}/cancel"},
    }


def summary(job: Job) -> dict[str, Any]:
    """The job as a list shows it."""
    return {
        "id": job.id,
        "status": status_of(job),
        "create_time": rfc3339(job.created),
        "update_time": rfc3339(job.finished or job.started or job.created),
        "metadata": labels(job),
    }


def created_at(job: Job) -> str | None:
    """When the job, and with it what it gave, came to be known."""
    return rfc3339(job.finished or job.created)


def labels(job: Job) -> dict[str, str]:
    """The caller's metadata, as far as they are labels: texts."""
    return {key: value for key, value in job.metadata.items() if isinstance(value, str)}


def progress(job: Job, latest: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How far the job is, in nodes; ``None`` as long as nothing is known."""
    graph = job.params["graph"]
    total = len(graph)
    if job.state == "succeeded":
        return {"value": 1.0, "nodes_done": total, "nodes_total": total}
    if latest is None or job.state != "running":
        return None
    node = latest.get("node")
    kind = graph[node]["class_type"] if node in graph else None
    return {
        "value": latest["fraction"],
        "nodes_done": min(int(latest["fraction"] * total), total),
        "nodes_total": total,
        "current_node": node,
        "current_node_class": kind,
        "message": kind,
    }


def outputs(job: Job, origin: str) -> Iterator[dict[str, Any]]:
    """Everything that the job gave, texts included."""
    result = job.result or {}
    nodes = {name: node for node, names in result.get("nodes", {}).items() for name in names}
    for field, kind in _TYPES.items():
        places: Counter[str] = Counter()
        for number, item in enumerate(result.get(field, ()), 1):
            node = nodes.get(f"{field}_{number}", "")
            places[node] += 1
            name = _stock_name(job, node, places[node], item["file_name"])
            named = {**item, "file_name": name}
            yield _output(job, node, _kind(kind, item), named, origin)
    for number, text in enumerate(result.get("text", ()), 1):
        item = {
            "asset": f"{TEXT}{job.id}_{number}",
            "file_name": f"text_{number}.txt",
            "media_type": "text/plain",
            "size": len(text.encode()),
            "reference": None,
        }
        yield _output(job, nodes.get(f"text_{number}", ""), "text", item, origin)


def _output(job: Job, node: str, kind: str, item: Mapping[str, Any], origin: str) -> dict[str, Any]:
    return {
        "node_id": node,
        "name": item["file_name"],
        "type": kind,
        "content_type": item["media_type"],
        "size_bytes": item["size"],
        "id": item["asset"],
        "hash": item["reference"],
        "url": content_url(origin, item["asset"]),
        "url_expires_at": NEVER,
        "job_id": job.id,
    }


def asset(asset: Asset, origin: str, created_new: bool | None = None) -> dict[str, Any]:
    """An asset; *created_new* says, of one just made, whether its bytes were new."""
    told = {
        "id": asset.id,
        "hash": asset.reference,
        "size_bytes": asset.size,
        "content_type": asset.media_type,
        "file_path": asset.file_name,
        "created_at": rfc3339(asset.created),
        "url": content_url(origin, asset.id),
        "url_expires_at": NEVER,
        "expires_at": None,
    }
    return told if created_new is None else {**told, "created_new": created_new}


def content_url(origin: str, asset_id: str) -> str:
    return f"{origin}/api/v2/assets/{asset_id}/content"


def _stock_name(job: Job, node: str, place: int, file_name: str) -> str:
    """The name that ComfyUI gives a file in an empty folder: its prefix, its number, its suffix."""
    prefix = job.params["graph"].get(node, {}).get("inputs", {}).get("filename_prefix")
    if not isinstance(prefix, str) or not PurePosixPath(prefix).name:
        return file_name
    return f"{PurePosixPath(prefix).name}_{place:05}_{PurePosixPath(file_name).suffix}"


def _kind(kind: str, item: Mapping[str, Any]) -> str:
    return "latent" if str(item["file_name"]).endswith(".latent") else kind


def _error(problem: Mapping[str, Any]) -> dict[str, Any]:
    """A failed job's problem; a traceback stays in the log."""
    slug = str(problem["type"]).rpartition("/")[2]
    node = problem.get("node_id")
    code = "node_execution_error" if node is not None else slug.replace("-", "_")
    return {
        "code": code,
        "message": problem["detail"],
        "node_id": node,
        "class_type": problem.get("node_type"),
    }


def _ms(first: float | None, last: float | None) -> int | None:
    return None if first is None or last is None else round(1000 * (last - first))
