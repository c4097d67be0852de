"""The engine of this process: what runs a graph, and what comes out of one.

Knows: the interface, and which engine was installed (ComfyUI's, or the tests' own).
Does not know: how either works. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from backend.context import Context
from backend.errors import OperationUnavailable
from backend.media.reference import MediaValue

Graph = Mapping[str, Mapping[str, Any]]
"""A graph in ComfyUI's API format: ``{node id: {"class_type": …, "inputs": {…}}}``."""

FIELDS: Final = {
    "image": "images",
    "mask": "masks",
    "audio": "audio",
    "midi": "midi",
    "automation": "automation",
    "video": "videos",
    "file": "files",
    "text": "text",
}
"""Kind of a produced value → name of the list that holds it."""


OUTPUT: Final = "graph"
TEMPORARY: Final = "temp"
FOLDERS: Final[Mapping[str, Any]] = {OUTPUT: {TEMPORARY: {}}}
"""Folders in which ComfyUI writes, in that of a job. Empty, they stay there for the next job:
to make and remove them anew costs as much as a node."""


@dataclass(frozen=True, slots=True)
class Produced:
    """One thing that a node gave: a media value, or a text. ``name`` is what the graph calls it."""

    node_id: str
    kind: str
    value: MediaValue | str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class GraphResult:
    """Everything that a graph gave, in the order of its nodes."""

    produced: tuple[Produced, ...]
    warnings: tuple[str, ...] = ()

    def of(self, kind: str) -> list[Any]:
        """The values of one kind (``image`` … ``text``), in order."""
        return [item.value for item in self.produced if item.kind == kind]

    def flat_names(self) -> list[tuple[str, Produced]]:
        """Each value with its flat name: ``images_1``, ``images_2``, ``audio_1`` …"""
        counts: dict[str, int] = {}
        named = []
        for item in self.produced:
            field = FIELDS[item.kind]
            counts[field] = counts.get(field, 0) + 1
            named.append((f"{field}_{counts[field]}", item))
        return named

    def by_node(self) -> dict[str, list[str]]:
        """Node id → flat names of what it gave."""
        found: dict[str, list[str]] = {}
        for name, item in self.flat_names():
            found.setdefault(item.node_id, []).append(name)
        return found

    def given_names(self) -> dict[str, str]:
        """Flat name → the name that the graph gave, where it gave one."""
        return {flat: item.name for flat, item in self.flat_names() if item.name is not None}


class Engine(Protocol):
    """Whatever can run a graph."""

    def run(
        self, graph: Graph, *, assets: Mapping[str, MediaValue], ctx: Context, folder: Path
    ) -> GraphResult:
        """Run *graph* on the lane; files are written below *folder*.

        *assets* are the values of the references in the graph. Raises `InvalidParameters` with
        pointers below ``/graph``, `OperationFailed` with ``node_id`` and ``node_type``,
        `OutOfMemory`, and `Cancelled`.
        """
        ...

    def definitions(self) -> Mapping[str, Any]:
        """What each node class takes and gives, as ComfyUI's ``/object_info`` says it."""
        ...

    def classes(self) -> Collection[str]:
        """The names of all node classes."""
        ...


_engine: Engine | None = None


def install(engine: Engine) -> None:
    """Make *engine* the one of this process."""
    global _engine  # noqa: PLW0603 (an engine is the process's, as ComfyUI's modules are)
    _engine = engine


def current() -> Engine:
    """The engine of this process. Raises `OperationUnavailable` if none was installed."""
    if _engine is None:
        raise OperationUnavailable(
            "There is no ComfyUI in this process",
            remedy="Submit the job to a running Kino, or call backend.bricks.boot.boot first",
        )
    return _engine
