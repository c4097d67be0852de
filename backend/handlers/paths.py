"""Every route that is the same in each service, as OpenAPI shows it.

Knows: templates, queries, shapes and statuses; a test compares them with the real routes.
Does not know: the operations' own paths, which depend on the plugins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from backend.handlers import shapes
from backend.handlers.body import FORM, JSON
from backend.handlers.query import (
    After,
    AssetFilter,
    Cursor,
    FileName,
    JobFilter,
    LiveJobs,
    ModelFilter,
    Nothing,
    Query,
    Resume,
    Retriable,
    Storing,
    Version,
    Wait,
    Wanted,
)
from backend.services.sweeps import BatchRequest

BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
ANY: Final = "application/octet-stream"
UPLOAD: Final[dict[str, Any]] = {
    ANY: BINARY,
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": {"type": "string", "format": "binary"}},
        }
    },
}
BATCH: Final[dict[str, Any]] = {"application/json": {"schema": BatchRequest.model_json_schema()}}
CHANGE: Final[dict[str, Any]] = {
    "application/json": {"schema": {"$ref": "#/components/schemas/JobChange"}}
}
SIGN_IN: Final[dict[str, Any]] = {
    media_type: {"schema": {"$ref": "#/components/schemas/SignIn"}} for media_type in (JSON, FORM)
}
MESSAGE: Final[dict[str, Any]] = {"application/json": {"schema": {"type": "object"}}}


@dataclass(frozen=True, slots=True)
class Path:
    """One method of one path."""

    method: str
    template: str
    id: str
    summary: str
    answer: str
    shape: type[BaseModel] | None = None
    media_type: str | None = None
    status: int = 200
    query: type[Query] = Nothing
    headers: type[Query] | None = None
    problems: tuple[int, ...] = (404,)
    body: dict[str, Any] | None = None

    @property
    def names(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.template)

    @property
    def tag(self) -> str:
        parts = self.template.split("/")
        return parts[2] if self.template.startswith("/v1/") else "service"


_JOB: Final = "/v1/jobs/{id}"
_BATCH: Final = "/v1/batches/{id}"
_ASSET: Final = "/v1/assets/{id}"
_OPERATIONS: Final = "/v1/operations"
_MODEL: Final = "/v1/models/{kind}/{name}"
_WORKFLOW: Final = "/v1/workflows/{name}"

_UNREAD: Final = (400, 408, 413, 415, 422)
"""What a body is refused with, where none is asked for."""

FIXED: Final = (
    Path("get", _OPERATIONS, "list_operations", "Every operation.", "All operations.",
         shapes.OperationList),
    Path("get", _OPERATIONS + "/{name}", "describe_operation", "One operation.",
         "The operation.", shapes.OperationDescription),
    Path("get", "/v1/jobs", "list_jobs", "Jobs, newest first.", "A page of jobs.",
         shapes.JobPage, query=JobFilter, problems=(400, 422)),
    Path("get", _JOB, "get_job", "One job, or wait for its end.", "The job.", shapes.Job,
         query=Wait, problems=(404, 422)),
    Path("patch", _JOB, "change_job", "Change the priority of a job that waits.", "The job.",
         shapes.Job, problems=(400, 404, 408, 409, 413, 415, 422), body=CHANGE),
    Path("delete", _JOB, "delete_job", "Forget a job that has ended.", "Deleted.",
         status=204, problems=(404, 409)),
    Path("post", _JOB + "/cancel", "cancel_job", "Ask a job to stop.", "The job.", shapes.Job,
         problems=(404, *_UNREAD)),
    Path("post", "/v1/jobs/cancel", "cancel_jobs", "Cancel all jobs that fit a filter.",
         "How many.", shapes.Cancelled, query=LiveJobs, problems=(400, 408, 413, 415, 422)),
    Path("post", _JOB + "/retry", "retry_job", "Run a job that failed once more.", "The job.",
         shapes.Job, status=202, problems=(404, 409, *_UNREAD)),
    Path("get", _JOB + "/events", "follow_job", "The job's events, replayed and live.",
         "Server-sent events; with Upgrade: websocket the same events, each as one JSON text.",
         media_type="text/event-stream", query=After, headers=Resume, problems=(404, 422)),
    Path("get", _JOB + "/preview", "get_preview", "The newest preview of a running job.",
         "A JPEG.", media_type="image/jpeg"),
    Path("get", _JOB + "/outputs/{name}", "get_output", "A file that a job made.", "The file.",
         media_type=ANY, problems=(404, 416)),
    Path("post", "/v1/batches", "submit_batch", "Make many jobs at once, or none.",
         "The batch that this key made before; 201 for a new one.", shapes.Batch,
         headers=Retriable, problems=(400, 404, 408, 409, 413, 415, 422, 429, 503, 507),
         body=BATCH),
    Path("get", "/v1/batches", "list_batches", "Batches, newest first.", "A page of batches.",
         shapes.BatchPage, query=Cursor, problems=(422,)),
    Path("get", _BATCH, "get_batch", "One batch: its counts and how far it is.", "The batch.",
         shapes.Batch),
    Path("post", _BATCH + "/cancel", "cancel_batch", "Cancel all jobs of a batch.", "The batch.",
         shapes.Batch, problems=(404, *_UNREAD)),
    Path("get", _BATCH + "/events", "follow_batch", "The batch's events, replayed and live.",
         "Server-sent events; with Upgrade: websocket the same events, each as one JSON text.",
         media_type="text/event-stream", query=After, headers=Resume, problems=(404, 422)),
    Path("get", "/v1/queue", "get_queue", "Whether the queue is paused.", "The queue.",
         shapes.QueueState, problems=()),
    Path("post", "/v1/queue/pause", "pause_queue", "Begin no more jobs.", "The queue.",
         shapes.QueueState, problems=_UNREAD),
    Path("post", "/v1/queue/resume", "resume_queue", "Begin jobs again.", "The queue.",
         shapes.QueueState, problems=_UNREAD),
    Path("post", "/v1/assets", "upload_asset", "Upload one file.", "The asset.", shapes.Asset,
         status=201, query=FileName, problems=(400, 408, 413, 415, 422, 507), body=UPLOAD),
    Path("get", "/v1/assets", "list_assets", "Assets, newest first.", "A page of assets.",
         shapes.AssetPage, query=AssetFilter, problems=(422,)),
    Path("get", _ASSET, "get_asset", "One asset.", "The asset.", shapes.Asset),
    Path("delete", _ASSET, "delete_asset", "Delete an asset.", "Deleted.", status=204,
         problems=(404, 409)),
    Path("get", _ASSET + "/content", "get_content", "The file of an asset.", "The file.",
         media_type=ANY, problems=(404, 416)),
    Path("get", "/v1/workflows", "list_workflows", "Every stored workflow.", "All workflows.",
         shapes.WorkflowList, problems=()),
    Path("get", _WORKFLOW, "get_workflow", "One workflow: its graph and its parameters.",
         "The workflow.", shapes.Workflow, query=Version, problems=(404, 422)),
    Path("put", _WORKFLOW, "put_workflow", "Store a workflow, as the editor saves or exports it.",
         "The workflow as it is stored already; 201 if this is a new version.", shapes.Workflow,
         query=Storing, problems=(400, 408, 409, 413, 415, 422, 503, 504, 507), body=MESSAGE),
    Path("delete", _WORKFLOW, "delete_workflow", "Delete a workflow; its jobs go on.", "Deleted.",
         status=204),
    Path("get", _WORKFLOW + "/original", "get_original", "The document as it was stored.",
         "The document, byte for byte.", media_type="application/json", query=Version,
         problems=(404, 422)),
    Path("post", _WORKFLOW + "/resolve", "resolve_workflow",
         "What a run with these parameters would be.", "The graph, and where each value came from.",
         shapes.ResolvedWorkflow, query=Version, problems=(400, 404, 408, 413, 415, 422),
         body=MESSAGE),
    Path("get", "/v1/models", "list_models", "Model files that are here, and such as are wanted.",
         "A page of models.", shapes.ModelPage, query=ModelFilter, problems=(422, 504)),
    Path("get", _MODEL, "get_model", "One model file; its name may lead into folders.",
         "The model.", shapes.ModelDetails, problems=(404, 504)),
    Path("post", _MODEL + "/hash", "hash_model", "Work out the SHA-256 of a model file.",
         "The hash; 202 if it takes longer.", shapes.ModelHash, query=Wait,
         problems=(404, 429, 504, *_UNREAD)),
    Path("delete", _MODEL + "/hash", "cancel_hash", "Stop working out a SHA-256.", "Stopped.",
         status=204, problems=(404, 504)),
    Path("get", "/v1/plugins", "list_plugins", "Every plugin, and why any is absent.",
         "All plugins.", shapes.Report, problems=()),
    Path("get", "/v1/system", "get_system", "Versions, workers, devices, queue and disk.",
         "The system.", shapes.Report, problems=()),
    Path("get", "/v1/problems", "list_problems", "Every kind of problem.", "All kinds.",
         shapes.ProblemList, problems=()),
    Path("get", "/v1/problems/{slug}", "explain_problem", "One kind of problem.", "The kind.",
         shapes.ProblemKind),
    Path("get", "/healthz", "healthz", "Whether the process lives.", "It lives.",
         shapes.Report, problems=()),
    Path("get", "/readyz", "readyz", "Whether every worker is ready.", "All are ready.",
         shapes.Report, problems=(503,)),
    Path("get", "/metrics", "metrics", "Figures for Prometheus.", "The figures.",
         media_type="text/plain", problems=()),
    Path("post", "/mcp", "mcp", "Operations as MCP tools.", "A JSON-RPC answer.",
         shapes.Report, problems=(400, 415), body=MESSAGE),
    Path("get", "/openapi.json", "openapi", "This document.", "OpenAPI 3.1.",
         shapes.Report, problems=()),
    Path("get", "/v1/session", "get_session", "Which key the caller has shown.", "The session.",
         shapes.Session, problems=(401,)),
    Path("post", "/v1/session", "sign_in",
         "Sign a browser in with a key: a cookie stands for it from now on.",
         "Signed in; a form of a page is led on by 303 instead.", shapes.Session, status=201,
         problems=(400, 401, 403, 408, 409, 413, 415, 422, 429), body=SIGN_IN),
    Path("delete", "/v1/session", "end_session", "Sign out.", "Signed out.", status=204,
         problems=(403,)),
    Path("get", "/signin", "sign_in_page", "The page to sign in and out on.", "A page.",
         media_type="text/html", query=Wanted, problems=(422,)),
    Path("post", "/signout", "sign_out", "Sign out, as a form does.", "Signed out.", status=303,
         problems=(403,)),
    Path("get", "/docs", "docs", "The operations as a page.", "A page.",
         media_type="text/html", problems=()),
    Path("get", "/", "welcome", "Where things are.", "Links.", shapes.Report, problems=()),
)  # fmt: skip
