"""Stored workflows: put, look, delete, and what a run would do.

Knows: names, that a document is described by a job before it is stored, and dry runs.
Does not know: HTTP, ComfyUI, and how templates are kept (``services.workflow_templates``).
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from backend.errors import (
    Conflict,
    DeadlineExceeded,
    FieldError,
    InvalidParameters,
    KinoError,
    from_problem,
)
from backend.operations import read_json
from backend.services.job import rfc3339
from backend.services.workflow_operation import FAMILY, Template
from backend.services.workflow_templates import Described, Templates

if TYPE_CHECKING:
    from backend.services.assets import Assets
    from backend.services.jobs import Jobs

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,60}")
DESCRIBE: Final = "workflows.describe"
PATIENCE_S: Final = 120.0
"""Longest wait for a document to be described; ComfyUI may still be loading, or be busy."""

FIRST: Final = 100
"""Priority of describing: somebody waits for the answer, and it takes a few milliseconds."""

_log = structlog.get_logger("kino.workflows")


class Workflows:
    """All stored workflows, as callers see them."""

    def __init__(self, templates: Templates, jobs: Jobs, assets: Assets) -> None:
        self._templates = templates
        self._jobs = jobs
        self._assets = assets

    def list(self) -> list[dict[str, Any]]:
        """Every workflow in its newest version, without its graph."""
        return [_summary(each) for each in self._templates.all()]

    def get(self, name: str, version: int | None = None) -> dict[str, Any]:
        """One workflow, by default in its newest version. Raises `UnknownName`."""
        return self._whole(self._templates.get(name, version))

    def original(self, name: str, version: int | None = None) -> bytes:
        """The document as it was stored, byte for byte. Raises `UnknownName`."""
        return self._templates.original(self._templates.get(name, version))

    async def put(
        self, name: str, document: bytes, *, bypass_missing: bool = False
    ) -> tuple[dict[str, Any], bool]:
        """Store a document; returns the workflow and whether it is a new version: another document,
        or the same one which this ComfyUI understands otherwise than the one before did.

        With *bypass_missing*, nodes of types that are not installed are passed by, not refused.
        Raises `MalformedRequest`, `InvalidParameters` with pointers into the document,
        `OperationUnavailable` without ComfyUI, `DeadlineExceeded` if that loads for too long.
        """
        if not NAME.fullmatch(name):
            told = "a workflow's name is a small letter, then small letters, digits and _, up to 61"
            raise InvalidParameters(told, errors=[FieldError("/name", "name", told)])
        parsed = read_json(document)
        if not isinstance(parsed, dict):
            told = "a workflow is a JSON object: the editor's document, or nodes by their id"
            raise InvalidParameters(told, errors=[FieldError("", "dict_type", told)])
        result = await self._describe(name, parsed, bypass_missing)
        described = Described(
            *(document, result["format"], result["graph"], result["parameters"]),
            warnings=result["warnings"],
        )
        known = self._templates.same(name, described)
        if known is not None:
            return self._whole(known), False
        template = await self._templates.add(name, described)
        return self._whole(template), True

    async def read_folder(self, folder: Path) -> None:
        """Store every ``*.json`` in *folder* under its file's name, unless that document has been
        stored under it before. What cannot be stored is logged and passed over."""
        for path in sorted(await asyncio.to_thread(lambda: list(folder.glob("*.json")))):
            name = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")
            try:
                document = await asyncio.to_thread(path.read_bytes)
                if not self._templates.holds(name, document):
                    await self.put(name, document)
            except (KinoError, OSError) as error:
                _log.warning("workflow not stored", file=path.name, reason=str(error))

    async def delete(self, name: str) -> None:
        """Forget a workflow; jobs that have it go on. Raises `UnknownName`."""
        await self._templates.delete(name)

    def resolve(self, name: str, body: bytes, version: int | None = None) -> dict[str, Any]:
        """What a run with these parameters would be: the graph, and where each value comes from.

        Raises `UnknownName`, `MalformedRequest`, `InvalidParameters`.
        """
        template = self._templates.get(name, version)
        operation = self._templates.operation(template)
        resolver = self._assets.resolver()
        params = operation.check(body, resolver).params
        given = read_json(body)
        return {
            "name": name,
            "version": template.version,
            "params": params,
            "graph": operation.graph(params, resolver).params["graph"],
            "values": [
                {
                    "parameter": parameter["name"],
                    "value": params[parameter["name"]],
                    "given": parameter["name"] in given,
                    **place,
                    "class_type": template.graph[place["node"]]["class_type"],
                    "title": (template.graph[place["node"]].get("_meta") or {}).get("title"),
                }
                for parameter in template.parameters
                for place in parameter["places"]
            ],
            "warnings": list(template.warnings),
        }

    async def _describe(
        self, name: str, document: dict[str, Any], bypass_missing: bool
    ) -> dict[str, Any]:
        """Let the worker that has ComfyUI find the parameters."""
        job, _ = await self._jobs.submit(
            DESCRIBE,
            {"workflow": document, "bypass_missing": bypass_missing},
            metadata={"workflow": name},
            priority=FIRST,
        )
        job = await self._jobs.wait(job.id, PATIENCE_S)
        if not job.has_ended:
            await self._jobs.cancel(job.id)
            raise DeadlineExceeded(
                f"the workflow was not described within {PATIENCE_S:g} s",
                remedy="ComfyUI is still loading, or busy: see GET /readyz and GET /v1/jobs.",
            )
        # the workflow is the record of it; the job would only keep the document a second time
        await self._jobs.delete(job.id)
        if job.state == "cancelled":
            raise Conflict("the job that describes the workflow was cancelled")
        if job.state != "succeeded" or job.result is None:
            raise from_problem(job.error or {}, above="/workflow")
        return job.result

    def _whole(self, template: Template) -> dict[str, Any]:
        return {
            **_summary(template),
            "versions": self._templates.versions(template.name),
            "parameters": list(template.parameters),
            "graph": template.graph,
        }


def _summary(template: Template) -> dict[str, Any]:
    here = f"/v1/workflows/{template.name}"
    return {
        "name": template.name,
        "version": template.version,
        "operation": FAMILY + template.name,
        "format": template.format,
        "created": rfc3339(template.created),
        "warnings": list(template.warnings),
        "links": {
            "self": here,
            "original": f"{here}/original",
            "resolve": f"{here}/resolve",
            "run": f"/v1/operations/{FAMILY}{template.name}",
        },
    }
