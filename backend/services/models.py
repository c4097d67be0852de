"""The models: which files are here, what they are, and which are wanted but missing.

Knows: the folders, what plugins and stored workflows want, the catalogue, and hashes.
Does not know: HTTP, ComfyUI, and how a file is fetched (``services.model_files``).

Reading folders and headers is done in a thread: they may lie on a slow disk.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from backend.errors import DeadlineExceeded, OperationUnavailable, UnknownName, refused
from backend.services.model_catalogue import catalogue
from backend.services.model_folders import Found, ModelFolders, kind_and_name
from backend.services.model_hashes import ModelHashes
from backend.services.model_listing import (
    Entry,
    Question,
    as_json,
    chosen,
    read_cursor,
    write_cursor,
)
from backend.services.model_wants import Wanted, published, references

if TYPE_CHECKING:
    from backend.hookspecs import ModelFile
    from backend.services.workflow_operation import Template

LOOKERS: Final = 2
PATIENCE_S: Final = 30.0
"""Longest wait for the disks that hold the models."""

T = TypeVar("T")
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """Some models, and the cursor of the next page if there are more."""

    items: list[dict[str, Any]]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _Graph:
    """A stored workflow: what its graph names, and what its own document says of the files."""

    by: str
    graph: Mapping[str, Any]
    told: tuple[Wanted, ...]


class Models:
    """All model files. *plugin_files* are those that plugins want; *workflows* gives the newest
    templates, and *original* the document that one came from; *table* gives what a running ComfyUI
    says of its folders. Without a service there are none of these, and no *hashes*."""

    def __init__(
        self,
        folders: ModelFolders,
        hashes: ModelHashes | None,
        plugin_files: Iterable[ModelFile],
        workflows: Callable[[], Iterable[Template]] = tuple,
        original: Callable[[Template], bytes] = lambda template: b"{}",
        table: Callable[[], Mapping[str, Any] | None] = lambda: None,
    ) -> None:
        self.folders = folders
        self.hashes = hashes
        self._plugins = tuple(_of_plugin(model) for model in plugin_files)
        self._workflows = workflows
        self._original = original
        self._table = table
        self._told: dict[tuple[str, int], tuple[Wanted, ...]] = {}
        # of its own: a disk that hangs must not take the threads of everybody else
        self._threads = ThreadPoolExecutor(LOOKERS, thread_name_prefix="models")

    def close(self) -> None:
        """Look at nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def search(self, asked: Question, cursor: str | None = None, limit: int = 50) -> Page:
        """A page of models, those that are here first. Raises `InvalidParameters` for a kind that
        nobody knows and for a cursor of no page, `DeadlineExceeded` if the disks do not answer."""
        graphs = self._graphs()
        if asked.kind is not None and asked.kind not in self.folders.kinds:
            raise refused("/query/kind", "kind", f"kinds are {', '.join(self.folders.kinds)}")
        after = None if cursor is None else read_cursor(cursor)
        found = await self._in_thread(
            lambda: chosen(self._entries(graphs), asked, after, limit + 1)  # one more: a next page?
        )
        items = [self._with_hash(entry, item) for entry, item in found[:limit]]
        return Page(items, write_cursor(found[limit - 1][0]) if len(found) > limit else None)

    async def get(self, kind: str, name: str) -> dict[str, Any]:
        """One model with the state of its hash. Raises `UnknownName`."""
        graphs = self._graphs()

        def look() -> tuple[Entry, dict[str, Any]]:
            found = self.folders.find(kind, name)
            wanted = self._wanted(graphs).get((kind, name))
            if found is None and wanted is None:
                raise _unknown(kind, name)
            entry = Entry(kind, name, found, wanted)
            return entry, entry.present()

        entry, item = await self._in_thread(look)
        shown = self._with_hash(entry, item)
        return shown if entry.found is None else {**shown, "hash": self._hash_state(entry.found)}

    async def hash(self, kind: str, name: str, wait: float) -> dict[str, Any]:
        """Work out the SHA-256 of a file that is here: its state after *wait* seconds at most.

        Raises `UnknownName`, `QueueFull`.
        """
        found = await self._file(kind, name)
        try:
            return await self._require_hashes().start(found.path, wait)
        except OSError as error:
            raise _unknown(kind, name) from error

    async def cancel_hash(self, kind: str, name: str) -> None:
        """Stop that. Raises `UnknownName`."""
        found = await self._file(kind, name)
        try:
            await self._require_hashes().cancel(found.path)
        except OSError as error:
            raise _unknown(kind, name) from error

    async def missing_in(self, template: Template) -> list[dict[str, Any]]:
        """The files that a stored workflow names and that are not here, with where to get each;
        ``node`` and ``input`` say where its graph names it."""
        self.folders.learn(self._table())
        graph = self._graph(template)
        return await self._in_thread(
            lambda: [
                {**as_json(wanted), "node": node, "input": slot}
                for node, slot, wanted in self._wants(graph)
                if not self._is_here(wanted)
            ]
        )

    def report(self) -> dict[str, Any]:
        """The roots by their labels, in order, and what is wrong with the settings of folders."""
        return {
            "roots": [label for label, _ in self.folders.roots],
            "problems": [trouble.as_json() for trouble in self.folders.troubles()],
        }

    # --- inside -----------------------------------------------------------------------------

    def _require_hashes(self) -> ModelHashes:
        if self.hashes is None:
            raise OperationUnavailable("a hash is worked out by a running service")
        return self.hashes

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Raises `DeadlineExceeded` when a disk does not answer; the thread is then left alone."""
        looking = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.wait_for(looking, PATIENCE_S)
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"the folders of models did not answer within {PATIENCE_S:g} s",
                remedy="See whether a network disk is gone.",
            ) from error

    async def _file(self, kind: str, name: str) -> Found:
        self.folders.learn(self._table())
        found = await self._in_thread(lambda: self.folders.find(kind, name))
        if found is None:
            raise _unknown(kind, name)
        return found

    def _graphs(self) -> list[_Graph]:
        self.folders.learn(self._table())
        return [self._graph(template) for template in self._workflows()]

    def _graph(self, template: Template) -> _Graph:
        """Documents are read once for each version; they can have some megabytes."""
        by = f"workflow.{template.name}"
        key = (template.name, template.version)
        if key not in self._told:
            document = json.loads(self._original(template))
            self._told[key] = tuple(published(document, "workflow", by))
        return _Graph(by, template.graph, self._told[key])

    def _entries(self, graphs: Iterable[_Graph]) -> list[Entry]:
        wanted = self._wanted(graphs)
        entries = [
            Entry(found.kind, found.name, found, wanted.pop((found.kind, found.name), None))
            for kind in self.folders.kinds
            for found in self.folders.files(kind)
        ]
        entries += [
            Entry(each.kind, each.name, None, each)
            for each in wanted.values()
            if not self._is_here(each)
        ]
        return entries

    def _wanted(self, graphs: Iterable[_Graph]) -> dict[Key, Wanted]:
        """What anybody wants, by kind and name: plugins come first, then workflows, then the
        catalogue; what only the later ones know is taken from them."""
        named = [wanted for graph in graphs for _, _, wanted in self._wants(graph)]
        made: dict[Key, Wanted] = {}
        for each in (*self._plugins, *named, *catalogue()):
            key = (each.kind or "", each.name)
            made[key] = _joined(made[key], each) if key in made else each
        return made

    def _wants(self, graph: _Graph) -> Iterator[tuple[str, str, Wanted]]:
        """What a graph names, with what its document, plugins or the catalogue tell of it."""
        known: dict[Key, Wanted] = {}
        for each in (*graph.told, *self._plugins, *catalogue()):
            known.setdefault((each.kind or "", each.name), each)
            known.setdefault(("", each.name), each)  # for nodes that do not say the kind
        for node, slot, kind, name in references(graph.graph):
            wanted = Wanted(kind, name, "workflow", (graph.by,))
            told = known.get((kind or "", name))
            yield node, slot, wanted if told is None else _joined(wanted, replace(told, by=()))

    def _is_here(self, wanted: Wanted) -> bool:
        kinds = self.folders.kinds if wanted.kind is None else (wanted.kind,)
        return any(self.folders.find(kind, wanted.name) is not None for kind in kinds)

    def _with_hash(self, entry: Entry, item: dict[str, Any]) -> dict[str, Any]:
        """The hash of a file that is here, if it was worked out; else what its publisher says."""
        if entry.found is None:
            return item
        return {**item, "sha256": self._hash_state(entry.found).get("sha256")}

    def _hash_state(self, found: Found) -> dict[str, Any]:
        if self.hashes is None:
            return {"state": "absent"}
        try:
            return self.hashes.state(found.path)
        except OSError:  # it went away while we looked
            return {"state": "absent"}


def _of_plugin(model: ModelFile) -> Wanted:
    kind, name = kind_and_name(model)
    return Wanted(
        *(kind, name, "plugin", (model.id,), model.source),
        sha256=model.sha256 or None,
        licence=model.licence,
    )


def _joined(first: Wanted, other: Wanted) -> Wanted:
    """*first*, with what it does not know taken from *other*, and who wants it from both."""
    is_same = first.url is None or first.url == other.url
    return replace(
        first,
        kind=first.kind or other.kind,
        url=first.url or other.url,
        sha256=first.sha256 or (other.sha256 if is_same else None),
        licence=first.licence or (other.licence if is_same else None),
        by=tuple(dict.fromkeys((*first.by, *other.by))),
    )


def _unknown(kind: str, name: str) -> UnknownName:
    told = f"there is no model {name[:200]!r} in {kind[:80]!r}"
    return UnknownName(told, remedy="See GET /v1/models.")
