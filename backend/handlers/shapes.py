"""The JSON that routes answer with, as models: what OpenAPI publishes of them.

Knows: the fields of jobs, assets, problems and lists.
Does not know: how they are made; ``tests/handlers`` checks real answers against these models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, Field

from backend.handlers.query import JobState
from backend.operations import Model


class Shape(BaseModel):
    """Base of all; further fields may be added in later versions."""

    model_config = ConfigDict(extra="allow")


class BrokenRule(Shape):
    """One broken rule of a request."""

    pointer: str = Field(description="Where: a JSON pointer (RFC 6901).")
    rule: str
    message: str


class Problem(Shape):
    """RFC 9457: why a request or a job did not succeed."""

    type: str = Field(description="A link that explains this kind of problem.")
    title: str
    status: int
    detail: str
    retryable: bool = Field(description="Whether the same request may succeed later.")
    remedy: str | None = None
    errors: list[BrokenRule] | None = None
    incident: str | None = Field(None, description="Find the cause in the log by this id.")


class Media(Shape):
    """A media value in a result; ``reference`` can be passed to another operation."""

    kind: str
    reference: str
    asset: str
    media_type: str
    file_name: str
    size: int
    href: str


class Asset(Shape):
    """A stored file."""

    id: str
    reference: str
    kind: str
    media_type: str
    file_name: str
    size: int
    details: dict[str, Any]
    created: str


class Job(Shape):
    """One run of an operation."""

    id: str
    operation: str
    version: int
    state: JobState
    priority: int
    attempt: int
    max_attempts: int
    params: dict[str, Any]
    inputs: list[str]
    metadata: dict[str, Any] | None
    progress: float | None = Field(description="0 to 1.")
    waiting_for: Any
    created: str
    started: str | None
    finished: str | None
    execution_s: float | None
    cached: bool = Field(description="The result is that of an equal job.")
    leader: str | None = Field(description="The equal job whose work this one shares.")
    batch: str | None
    error: Problem | None
    result: dict[str, Any] | None
    links: dict[str, str]


class JobPage(Shape):
    """Jobs, newest first."""

    items: list[Job]
    next_cursor: str | None


class JobChange(Model):
    """What may be changed of a job that waits."""

    priority: Annotated[int, Ge(-100), Le(100)] = Field(description="Higher runs first.")


class Batch(Shape):
    """Many jobs that were accepted together."""

    id: str
    operation: str
    state: JobState = Field(
        description="What its jobs are: the first that applies of running,"
        " queued, failed, cancelled, succeeded."
    )
    count: int
    counts: dict[str, int] = Field(description="Jobs by state.")
    cached: int = Field(description="Jobs whose result is that of an equal one.")
    progress: float = Field(description="0 to 1.")
    priority: int
    metadata: dict[str, Any]
    created: str
    finished: str | None
    links: dict[str, str]


class Cancelled(Shape):
    """What became of the jobs that were to be cancelled."""

    cancelled: int = Field(description="Jobs that have ended so.")
    stopping: int = Field(description="Jobs that run, and end within the grace.")
    ended: int = Field(description="Jobs that ended by themselves before it was their turn.")


class BatchPage(Shape):
    """Batches, newest first."""

    items: list[Batch]
    next_cursor: str | None


class QueueState(Shape):
    """Whether jobs are begun."""

    paused: bool
    since: str | None


class AssetPage(Shape):
    """Assets, newest first."""

    items: list[Asset]
    next_cursor: str | None


class Absence(Shape):
    """Why something cannot be used now, and what would help."""

    reason: str
    remedy: str


class Port(Shape):
    """A media input or output of an operation."""

    name: str
    kind: str
    arity: Literal["one", "list", "dict"]


class OperationDescription(Shape):
    """An operation: what it takes and gives, and whether it can run now."""

    name: str
    summary: str
    description: str
    plugin: str
    version: int
    pure: bool
    timeout_s: float
    needs: dict[str, Any]
    inputs: list[Port]
    outputs: list[Port]
    parameters: dict[str, Any] = Field(alias="schema", description="JSON Schema 2020-12.")
    node: str | None = Field(description="Its ComfyUI node; a stored workflow has none.")
    tool: str
    available: bool
    unavailable: Absence | None
    links: dict[str, str]


class OperationList(Shape):
    """All operations."""

    items: list[OperationDescription]


class WorkflowSummary(Shape):
    """A stored workflow."""

    name: str
    version: int
    operation: str = Field(description="The operation that runs it.")
    format: Literal["editor", "api"] = Field(description="Of the document that was stored.")
    created: str
    warnings: list[str]
    links: dict[str, str]


class WorkflowList(Shape):
    """All stored workflows."""

    items: list[WorkflowSummary]


class WantedModel(Shape):
    """A model file that somebody wants, and where it is published."""

    kind: str | None = Field(description="checkpoints, loras …; null where nobody says it.")
    name: str
    source: Literal["file", "plugin", "workflow", "catalogue"]
    url: str | None
    sha256: str | None = Field(description="Of the file, if it was worked out; else as published.")
    licence: str | None = Field(description="If it is known; else see the page.")
    page: str | None = Field(description="Where the publisher tells about the file.")
    wanted_by: list[str]


class Workflow(WorkflowSummary):
    """One version of a stored workflow."""

    versions: list[int]
    parameters: list[dict[str, Any]] = Field(description="Each with the places of its value.")
    missing_models: list[WantedModel] | None = Field(
        None, description="Files that its graph names and that are not here."
    )
    graph: dict[str, Any] = Field(description="The template, in the API format.")


class ResolvedWorkflow(Shape):
    """What a run would be."""

    name: str
    version: int
    params: dict[str, Any]
    graph: dict[str, Any]
    values: list[dict[str, Any]] = Field(
        description="For each value its node and input, the parameter, whether it was given, and"
        " the rule that leads it there."
    )
    warnings: list[str]


class RefusedModel(Shape):
    """Why a file will not be loaded."""

    rule: Literal["pickle", "unreadable_model"]
    reason: str
    remedy: str


class ModelEntry(WantedModel):
    """A model file that is here, or is wanted."""

    installed: bool
    architecture: str | None
    refused: RefusedModel | None = None
    root: str | None = Field(None, description="Which of the settings' folders holds it.")
    size: int | None = None
    modified: str | None = None
    format: str | None = None
    type: str | None = Field(None, description="checkpoint, lora, vae …, from the file's header.")
    links: dict[str, str]


class ModelHash(Shape):
    """The SHA-256 of a file, or how far it is."""

    state: Literal["absent", "waiting", "running", "done", "failed"]
    sha256: str | None = None
    done_bytes: int | None = None
    total_bytes: int | None = None
    reason: str | None = None


class ModelDetails(ModelEntry):
    """One model file."""

    hash: ModelHash | None = None


class ModelPage(Shape):
    """Models: those that are here first, then by kind and name."""

    items: list[ModelEntry]
    next_cursor: str | None


class ProblemKind(Shape):
    """One kind of problem, explained."""

    type: str
    slug: str
    title: str
    status: int | None
    retryable: bool
    description: str


class ProblemList(Shape):
    """All kinds of problems."""

    items: list[ProblemKind]


class Report(Shape):
    """A report about the service."""


class SignIn(Model):
    """What signs a browser in."""

    key: Annotated[str, MinLen(1), MaxLen(1024)] = Field(description="An API key.")
    next: str = Field("", description="Where a form leads to: a path of this service.")


class Session(Shape):
    """Who the caller is."""

    needs_key: bool = Field(description="Whether this service asks for a key at all.")
    key_name: str | None = Field(description="The name of the key that was shown.")
    expires: str | None = Field(description="When the session ends by itself; null for a key.")


PUBLISHED = (
    Problem, SignIn, Session, Media, Asset, Job, JobPage, JobChange, Cancelled, Batch, BatchPage,
    QueueState,
    AssetPage,
    OperationDescription, OperationList,
    WorkflowList, Workflow, ResolvedWorkflow, ModelPage, ModelDetails, ModelHash,
    ProblemKind, ProblemList, Report,
)  # fmt: skip
