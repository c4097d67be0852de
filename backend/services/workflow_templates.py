"""The templates: every version of every stored workflow, in the ledger; the newest as operations.

Knows: the table ``workflow``, and what the registry offers of it.
Does not know: HTTP, and how a document becomes a template (``services.workflows``).

A version is never removed, only marked: jobs name the version that they run, and a job that was
accepted is run as it was accepted. What comes with Kino steps back behind a workflow of somebody's
own that has the same name, and is there again when that is deleted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backend.errors import Conflict, FieldError, UnknownName
from backend.services import workflow_notes
from backend.services.workflow_operation import (
    FAMILY,
    RUN,
    Template,
    WorkflowOperation,
    operation_of,
)

if TYPE_CHECKING:
    from backend.services.assets import Assets
    from backend.services.job import Job
    from backend.services.ledger import Ledger, Row
    from backend.services.registry import Registry


@dataclass(frozen=True, slots=True)
class Described:
    """What is stored of a document: the template's parts, and the document as it was given."""

    original: bytes
    format: str
    graph: dict[str, Any]
    parameters: list[dict[str, Any]]
    warnings: list[str]


class Templates:
    """All stored workflows."""

    def __init__(self, ledger: Ledger, registry: Registry, assets: Assets) -> None:
        self._ledger = ledger
        self._registry = registry
        self._assets = assets
        self._newest: dict[str, Template] = {}

    def load(self) -> None:
        """Offer what the ledger holds. Call once, when plugins are loaded."""
        self._registry.adopt(FAMILY, RUN)
        self._offer_kept()

    def _offer_kept(self, name: str | None = None) -> None:
        """Offer what is kept: of *name*, or of every name."""
        rows = self._ledger.read(
            "SELECT *, max(version) FROM workflow WHERE deleted IS NULL AND name = ifnull(?, name)"
            " GROUP BY name, shipped_for IS NULL",
            name,
        )
        for row in rows:
            self._offer(_template(row))

    # --- look -------------------------------------------------------------------------------

    def all(self) -> list[Template]:
        """The newest version of each, by name."""
        return [self._newest[name] for name in sorted(self._newest)]

    def get(self, name: str, version: int | None = None) -> Template:
        """One version, by default the newest. Raises `UnknownName`."""
        newest = self._newest.get(name)
        if newest is None:
            raise UnknownName(
                f"there is no workflow {name[:80]!r}", remedy="See GET /v1/workflows."
            )
        if version is None or version == newest.version:
            return newest
        return _template(self._row(name, version))

    def versions(self, name: str) -> list[int]:
        """The versions of a workflow, oldest first."""
        sql = "SELECT version FROM workflow WHERE name = ? AND deleted IS NULL ORDER BY version"
        return [row["version"] for row in self._ledger.read(sql, name)]

    def original(self, template: Template) -> bytes:
        """What was stored, byte for byte."""
        return bytes(self._row(template.name, template.version)["original"])

    def holds(self, name: str, original: bytes) -> bool:
        """Whether any version of *name*, also of one that was deleted, is this document."""
        sql = "SELECT 1 FROM workflow WHERE name = ? AND original = ?"
        return bool(self._ledger.read(sql, name, original))

    def same(self, name: str, described: Described) -> Template | None:
        """The newest version of *name*, if it is just this."""
        newest = self._newest.get(name)
        if newest is None or self.original(newest) != described.original:
            return None
        kept = (newest.graph, list(newest.parameters), list(newest.warnings))
        told = (described.graph, described.parameters, described.warnings)
        return newest if kept == told else None

    def operation(self, template: Template) -> WorkflowOperation:
        """A template as an operation. Raises `UnknownName` if no plugin runs graphs."""
        return operation_of(template, self._registry.get(RUN).operation)

    # --- change -----------------------------------------------------------------------------

    async def add(
        self, name: str, described: Described, shipped_for: str | None = None
    ) -> Template:
        """Keep a new version and offer it. *shipped_for* says that it comes with Kino, and which
        ComfyUI it was described for."""
        rows = await self._ledger.write(
            (
                "INSERT INTO workflow"
                " (name, version, original, format, graph, parameters, warnings, created,"
                " shipped_for)"
                " SELECT ?, coalesce(max(version), 0) + 1, ?, ?, ?, ?, ?, ?, ?"
                " FROM workflow WHERE name = ? RETURNING *",
                (
                    *(name, described.original, described.format, _json(described.graph)),
                    *(_json(described.parameters), _json(described.warnings), time.time()),
                    *(shipped_for, name),
                ),
            )
        )
        template = _template(rows[0][0])
        self._offer(template)
        return template

    def is_shipped(self, name: str, original: bytes, comfyui: str) -> bool:
        """Whether *name* comes with Kino as this document, described for this ComfyUI."""
        sql = (
            "SELECT original, shipped_for FROM workflow WHERE name = ? AND deleted IS NULL"
            " AND shipped_for IS NOT NULL ORDER BY version DESC LIMIT 1"
        )
        return any(
            (bytes(row["original"]), row["shipped_for"]) == (original, comfyui)
            for row in self._ledger.read(sql, name)
        )

    async def delete(self, name: str) -> None:
        """Forget somebody's own workflow; jobs that have it go on, and if one that comes with Kino
        has the same name, that is offered again. Raises `UnknownName`, and `Conflict` for one that
        comes with Kino."""
        if self.get(name).shipped:
            raise Conflict(
                f"the workflow {name!r} comes with Kino and stays",
                remedy="PUT one of your own under its name to have that instead.",
            )
        await self._withdraw(name, "shipped_for IS NULL")

    async def keep_shipped(self, names: Collection[str]) -> None:
        """Forget what came with an earlier Kino and is none of *names*."""
        sql = "SELECT DISTINCT name FROM workflow WHERE shipped_for IS NOT NULL AND deleted IS NULL"
        for row in self._ledger.read(sql):
            if row["name"] not in names:
                await self._withdraw(row["name"], "shipped_for IS NOT NULL")

    async def _withdraw(self, name: str, which: str) -> None:
        sql = f"UPDATE workflow SET deleted = ? WHERE name = ? AND deleted IS NULL AND {which}"
        await self._ledger.write((sql, (time.time(), name)))
        self._newest.pop(name, None)
        self._registry.withdraw(FAMILY + name)
        self._offer_kept(name)

    # --- run --------------------------------------------------------------------------------

    def prepare(self, job: Job) -> Job:
        """The job as its worker gets it: one of a stored workflow becomes a run of its graph.

        Raises `InvalidParameters` if an asset that the graph names is gone.
        """
        if not job.operation.startswith(FAMILY):
            return job
        graph = self.operation(self._of(job)).graph(job.params, self._assets.resolver())
        return replace(job, operation=RUN, params=graph.params)

    def explain(self, job: Job, done: dict[str, Any]) -> dict[str, Any]:
        """A worker's answer to the job, in which errors in the graph point to the parameters."""
        problem = done.get("problem") or {}
        if not job.operation.startswith(FAMILY) or not problem.get("errors"):
            return done
        errors = self._of(job).in_own_words(tuple(FieldError(**each) for each in problem["errors"]))
        return {**done, "problem": {**problem, "errors": [each.as_json() for each in errors]}}

    def _of(self, job: Job) -> Template:
        """The template of a job, in the version that the job names."""
        name = job.operation.removeprefix(FAMILY)
        newest = self._newest.get(name)
        if newest is not None and newest.version == job.version:
            return newest
        return _template(self._row(name, job.version, deleted=True))

    # --- inside -----------------------------------------------------------------------------

    def _offer(self, template: Template) -> None:
        known = self._newest.get(template.name)
        if known is not None and _precedence(known) > _precedence(template):
            return  # somebody's own goes first; or two were stored at once
        self._newest[template.name] = template
        if any(entry.operation.name == RUN for entry in self._registry.all()):
            self._registry.offer(self.operation(template), RUN)

    def _row(self, name: str, version: int, *, deleted: bool = False) -> Row:
        sql = "SELECT * FROM workflow WHERE name = ? AND version = ?"
        rows = self._ledger.read(sql + ("" if deleted else " AND deleted IS NULL"), name, version)
        if not rows:
            raise UnknownName(f"the workflow {name!r} has no version {version}")
        return rows[0]


def _precedence(template: Template) -> tuple[bool, int]:
    return not template.shipped, template.version


def _template(row: Row) -> Template:
    return Template(
        name=row["name"],
        version=row["version"],
        format=row["format"],
        graph=json.loads(row["graph"]),
        parameters=tuple(json.loads(row["parameters"])),
        warnings=tuple(json.loads(row["warnings"])),
        created=row["created"],
        shipped=row["shipped_for"] is not None,
        about=workflow_notes.about(row["name"], bytes(row["original"])),
    )


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
