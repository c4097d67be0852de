"""Work: what a job's result depends on, as one hash; equal hashes, equal results.

Knows: operation, version, canonical parameters, contents of inputs, model files, ComfyUI's release.
Does not know: who has done the same work (``services.equal_work``).

A result without a hash is given to nobody else: that of an operation that is not pure, of a seed
left to chance, of a graph with nodes that are not known to be steady, and of a model file that is
not there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import blake3

from backend.config import Settings
from backend.errors import KinoError
from backend.media import weights
from backend.operations import Checked, Operation
from backend.services.model_folders import ModelFolders

if TYPE_CHECKING:
    from backend.services.assets import Assets
    from backend.services.job import Job
    from backend.services.registry import Registry

NAMED: Final = ("any", "file")
"""Kinds of inputs whose file name an operation sees, so that it may be part of the result."""


@dataclass(frozen=True, slots=True)
class Work:
    """``hash``: ``None`` for work that is not shared. ``model``: the first model file that is
    named (kind/name), which a worker had better hold already."""

    hash: str | None = None
    model: str | None = None


class Works:
    """Says what work a call is."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        assets: Assets,
        table: Callable[[], Mapping[str, Any] | None] = lambda: None,
        kinds: Iterable[str] = (),
    ) -> None:
        """*table* is what a running ComfyUI says of its folders, *kinds* those of plugins: see
        `services.model_folders.ModelFolders`."""
        self._settings = settings
        self._registry = registry
        self._assets = assets
        self._table = table
        self._own = ModelFolders(settings, kinds)
        self._comfyuis = ModelFolders(settings, kinds)
        self._release = settings.comfyui_path / "comfyui_version.py"
        self._engine: tuple[Any, ...] | None = None

    async def of(self, operation: Operation[..., Any], checked: Checked) -> Work:
        """The work of a call whose parameters were checked."""
        model = "/".join(checked.models[0]) if checked.models else None
        if checked.varies or not self._settings.cache:
            return Work(None, model)
        editions: list[str | None] = []
        if checked.models:
            folders = self._folders_of(operation)
            if folders is None:
                return Work(None, model)
            editions = await asyncio.to_thread(  # files are read where they are new to us
                lambda: [_edition(folders, *named) for named in checked.models]
            )
        if None in editions:
            return Work(None, model)
        parts: list[Any] = [operation.name, operation.version, checked.params, editions]
        parts.append(list(self._inputs(operation, checked)))
        if operation.needs.runs_on == "comfy":
            parts.append(self._comfyui())
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return Work(blake3.blake3(text.encode()).hexdigest(), model)

    async def still_is(self, job: Job) -> bool:
        """Whether a job that was accepted some time ago is the same work now: no model file that
        it names, and no input, has changed since."""
        try:
            operation = self._registry.get(job.operation).operation
            checked = operation.check(job.params, self._assets.resolver())
        except KinoError:  # an operation, or an input, that is gone
            return False
        return (await self.of(operation, checked)).hash == job.work

    def _inputs(self, operation: Operation[..., Any], checked: Checked) -> Iterator[list[str]]:
        """Contents; where names count, with the name and type that a run would see."""
        named = any(item.kind in NAMED for item in operation.inputs)
        for reference in checked.inputs:
            asset = self._assets.lookup(reference)
            if asset is not None and (named or asset.kind == "file"):
                yield [reference, asset.kind, asset.media_type, asset.file_name]
            else:
                yield [reference]

    def _folders_of(self, operation: Operation[..., Any]) -> ModelFolders | None:
        """Where a run looks for model files; ``None`` where nobody knows: packs of nodes may add
        folders, even before all others, and no ComfyUI runs that could say so."""
        if operation.needs.runs_on != "comfy":
            return self._own
        table = self._table()
        if table is None and self._settings.comfyui.custom_nodes:
            return None
        self._comfyuis.learn(table)
        return self._comfyuis

    def _comfyui(self) -> list[Any]:
        """Which ComfyUI and torch do the work, and how they were told to."""
        comfyui = self._settings.comfyui
        release = self._release
        try:
            written = release.stat().st_mtime_ns
        except OSError:  # none, or one that does not say
            written = 0
        if self._engine is None or self._engine[0] != written:
            self._engine = (written, release.read_text("utf-8") if written else "", _torch())
        return [*self._engine[1:], comfyui.cpu, comfyui.flags, comfyui.custom_nodes]


def _edition(folders: ModelFolders, kind: str, name: str) -> str | None:
    """Which edition of a model lies under its name; of a folder, those of all its files."""
    found = folders.find(kind, name)
    paths = [found.path] if found is not None else _of_folder(folders, kind, name)
    try:
        return "+".join(f"{path.name}:{weights.edition(path)}" for path in paths) or None
    except OSError:  # it went away, or cannot be read: the run will say so
        return None


def _of_folder(folders: ModelFolders, kind: str, name: str) -> list[Path]:
    for folder in folders.folders(kind):
        place = folder.path / name
        if place.parent == folder.path and place.is_dir():
            return sorted(path for path in place.rglob("*") if path.is_file())
    return []


def _torch() -> str:
    try:
        return version("torch")
    except PackageNotFoundError:
        return ""
