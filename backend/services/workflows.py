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
    KinoError,
    from_problem,
    refused,
)
from backend.operations import read_json
from backend.services.job import rfc3339
from backend.services.workflow_notes import name_of
from backend.services.workflow_operation import FAMILY, Template
from backend.services.workflow_templates import Described, Templates

if TYPE_CHECKING:
    from backend.services.assets import Assets
    from backend.services.jobs import Jobs

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,60}")
DESCRIBE: Final = "workflows.describe"
PATIENCE_S: Final = 120.0
"""Longest wait for a document to be described; ComfyUI may still be loading, or be busy."""
ENDING_S: Final = 60.0
"""Longest wait for a describing job that nobody wants any more to end."""

FIRST: Final = 100
"""Priority of describing: somebody waits for the answer, and it takes a few milliseconds."""
LAST: Final = -100
"""Priority of describing what comes with Kino: nobody waits for it."""

_log = structlog.get_logger("kino.workflows")


class Workflows:
    """All stored workflows, as callers see them."""

    def __init__(
        self, templates: Templates, jobs: Jobs, assets: Assets, patience_s: float = PATIENCE_S
    ) -> None:
        self._templates = templates
        self._jobs = jobs
        self._assets = assets
        self._patience_s = patience_s
        self._storing = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Wait for what is still being tidied up, but not for long."""
        if self._ending:
            _, late = await asyncio.wait(self._ending, timeout=1.0)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

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
            raise refused("/name", "name", told)
        described = await self._described(name, document, bypass_missing)
        async with self._storing:  # of two equal ones at once, the second finds the first
            known = self._templates.same(name, described)
            if known is not None:
                return self._whole(known), False
            template = await self._templates.add(name, described)
        return self._whole(template), True

    async def read_folder(self, folder: Path) -> None:
        """Store every ``*.json`` in *folder* under its file's name, unless that document has been
        stored under it before. What cannot be stored is logged and passed over."""
        for name, path in await asyncio.to_thread(_files, folder):
            try:
                document = await asyncio.to_thread(path.read_bytes)
                if not self._templates.holds(name, document):
                    await self.put(name, document)
            except (KinoError, OSError) as error:
                _log.warning("workflow not stored", file=path.name, reason=str(error))

    async def ship(self, folder: Path, comfyui: str) -> None:
        """Offer every ``*.json`` in *folder* as what comes with Kino, described anew if Kino or
        *comfyui* is another than the last time. What this ComfyUI lacks nodes for is logged."""
        files = await asyncio.to_thread(_files, folder)
        await self._templates.keep_shipped([name for name, _ in files])
        for name, path in files:
            try:
                document = await asyncio.to_thread(path.read_bytes)
                if not self._templates.is_shipped(name, document, comfyui):
                    described = await self._described(name, document, priority=LAST)
                    await self._templates.add(name, described, shipped_for=comfyui)
            except (KinoError, OSError) as error:
                _log.warning("shipped workflow not offered", name=name, reason=str(error))

    async def delete(self, name: str) -> None:
        """Forget a workflow; jobs that have it go on. Raises `UnknownName`, and `Conflict` for one
        that comes with Kino."""
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

    async def _described(
        self, name: str, document: bytes, bypass_missing: bool = False, priority: int = FIRST
    ) -> Described:
        """Let the worker that has ComfyUI find the parameters of a document."""
        parsed = read_json(document)
        if not isinstance(parsed, dict):
            told = "a workflow is a JSON object: the editor's document, or nodes by their id"
            raise refused("", "dict_type", told)
        result = await self._describe(name, parsed, bypass_missing, priority)
        return Described(
            *(document, result["format"], result["graph"], result["parameters"]),
            warnings=result["warnings"],
        )

    async def _describe(
        self, name: str, document: dict[str, Any], bypass_missing: bool, priority: int
    ) -> dict[str, Any]:
        job, _ = await self._jobs.submit(
            DESCRIBE,
            {"workflow": document, "bypass_missing": bypass_missing},
            metadata={"workflow": name},
            priority=priority,
        )
        try:
            job = await self._jobs.wait(job.id, self._patience_s)
        finally:  # also if whoever waited is gone
            forgetting = asyncio.create_task(self._forget(job.id), name=f"forget {job.id}")
            self._ending.add(forgetting)
            forgetting.add_done_callback(self._ending.discard)
        if not job.has_ended:
            raise DeadlineExceeded(
                f"the workflow was not described within {self._patience_s:g} s",
                remedy="ComfyUI is still loading, or busy: see GET /readyz and GET /v1/jobs.",
            )
        await asyncio.shield(forgetting)
        if job.state == "cancelled":
            raise Conflict("the job that describes the workflow was cancelled")
        if job.state != "succeeded" or job.result is None:
            raise from_problem(job.error or {}, above="/workflow")
        return job.result

    async def _forget(self, job_id: str) -> None:
        """End a describing job, if it has not, and delete it: the workflow is the record of it, and
        the job would only keep the document a second time."""
        try:
            if not self._jobs.get(job_id).has_ended:
                await self._jobs.cancel(job_id)
                await self._jobs.wait(job_id, ENDING_S)
            await self._jobs.delete(job_id)
        except KinoError as error:  # somebody else has cancelled or deleted it just now
            _log.info("describing job not deleted", job=job_id, reason=str(error))

    def _whole(self, template: Template) -> dict[str, Any]:
        return {
            **_summary(template),
            "versions": self._templates.versions(template.name),
            "parameters": list(template.parameters),
            "graph": template.graph,
        }


def _files(folder: Path) -> list[tuple[str, Path]]:
    """The workflows in a folder, by the names that they are stored under."""
    return [(name_of(path.stem), path) for path in sorted(folder.glob("*.json"))]


def _summary(template: Template) -> dict[str, Any]:
    here = f"/v1/workflows/{template.name}"
    return {
        "name": template.name,
        "version": template.version,
        "operation": FAMILY + template.name,
        "shipped": template.shipped,
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
