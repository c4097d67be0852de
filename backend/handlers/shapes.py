"""The JSON that routes answer with, as models: what OpenAPI publishes of them.

Knows: the fields of jobs, assets, problems and lists.
Does not know: how they are made; ``tests/handlers`` checks real answers against these models.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from backend.handlers.query import JobState


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
    error: Problem | None
    result: dict[str, Any] | None
    links: dict[str, str]


class JobPage(Shape):
    """Jobs, newest first."""

    items: list[Job]
    next_cursor: str | None


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


class Workflow(WorkflowSummary):
    """One version of a stored workflow."""

    versions: list[int]
    parameters: list[dict[str, Any]] = Field(description="Each with the places of its value.")
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


PUBLISHED = (
    Problem, Media, Asset, Job, JobPage, AssetPage, OperationDescription, OperationList,
    WorkflowList, Workflow, ResolvedWorkflow, ProblemKind, ProblemList, Report,
)  # fmt: skip
