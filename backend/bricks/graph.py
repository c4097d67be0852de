"""Graphs: checked, completed, run in ComfyUI's own executor, and everything they gave collected.

Knows: the executor, its messages, its caches, its output folders.
Does not know: who wants the graph, and where results are kept for good.

Output nodes run every time, even if the same graph ran before: a cached one would report the files
of the older run. What they depend on stays cached.
"""

from __future__ import annotations

import inspect
import logging
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.bricks import _compat, bridge, checks, graph_run, old_formats, session, validation
from backend.bricks._comfy import module
from backend.bricks.engine import OUTPUT, TEMPORARY, Graph, GraphResult, Produced
from backend.bricks.graph_run import GraphRun
from backend.bricks.history import Collector
from backend.bricks.interruption import out_of_memory
from backend.bricks.lane import Lane, Running
from backend.bricks.model_changes import ModelChanges
from backend.bricks.node_classes import names, node_info
from backend.bricks.progress import GraphProgress
from backend.bricks.validation import Prompt, fill_defaults
from backend.bricks.wording import without_paths
from backend.context import Cancelled, Context
from backend.errors import KinoError, OperationFailed
from backend.media.reference import MediaValue

__all__ = ["ComfyEngine", "fill_defaults", "run", "validate"]

_log = logging.getLogger(__name__)


def validate(graph: Graph) -> list[str]:
    """Check a graph without running it; returns the ids of its outputs.

    Raises `InvalidParameters` with a pointer below ``/graph`` for each broken rule.
    """
    outputs: list[str] = session.settle(validation.validate(fill_defaults(graph)[0], "validate"))
    return outputs


def run(
    graph: Graph, *, assets: Mapping[str, MediaValue], ctx: Context, folder: Path
) -> GraphResult:
    """Run a graph with the engine of this process; see `engine.Engine.run`."""
    from backend.bricks import engine

    return engine.current().run(graph, assets=assets, ctx=ctx, folder=folder)


class Events:
    """What the executor takes for a server: hears its events, and shows progress."""

    def __init__(self) -> None:
        self.client_id: str | None = None
        self.last_node_id: str | None = None
        self.last_prompt_id: str | None = None
        self.sockets_metadata: dict[str, Any] = {}
        self.current: tuple[GraphRun, GraphProgress] | None = None

    def send_sync(self, event: Any, data: Any, sid: str | None = None) -> None:
        if self.current is None or not isinstance(data, dict):
            return
        graph, progress = self.current
        if graph.running.cancelled():
            # the executor clears the flag when it starts; an older interruption still counts
            module("comfy.model_management").interrupt_current_processing(True)
        if event == "execution_cached":
            progress.cached([str(node) for node in data.get("nodes", ())])
        elif event == "executing" and data.get("node") is not None:
            progress.start(str(data.get("display_node") or data["node"]))
        elif event == "execution_error":
            told = without_paths(str(data.get("exception_message", "")))
            graph.blocked.append(f"node {data.get('node_id')} ({data.get('node_type')}): {told}")


class ComfyEngine:
    """Runs graphs in ComfyUI's ``PromptExecutor``, one for the life of the process."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._events = Events()
        self._executor: Any = None
        self._models = ModelChanges()

    def run(
        self, graph: Graph, *, assets: Mapping[str, MediaValue], ctx: Context, folder: Path
    ) -> GraphResult:
        """See `engine.Engine.run`. Outside of a job on the lane, the graph is a job of its own."""
        running = self._lane.running()
        if running is None:
            return self._lane.run(
                lambda: self.run(graph, assets=assets, ctx=ctx, folder=folder), "graph", ctx
            )
        here = GraphRun(running, assets)
        with graph_run.running_graph(here):
            prompt, notes = fill_defaults(graph)
            found, warnings = session.settle(self._run(prompt, here, folder))
        order = {node_id: place for place, node_id in enumerate(prompt)}
        found.sort(key=lambda item: order.get(item.node_id, len(order)))
        if not found and here.blocked:
            # most likely an asset stands where another kind is due: that is the caller's to mend
            checks.refuse(list(bridge.foreign_assets(prompt, assets)))
            raise OperationFailed(f"The graph gave nothing: {here.blocked[0]}")
        return GraphResult(tuple(found), (*notes, *here.blocked, *warnings))

    def definitions(self) -> Mapping[str, Any]:
        """See `engine.Engine.definitions`."""
        return node_info()

    def classes(self) -> Collection[str]:
        """See `engine.Engine.classes`."""
        return names()

    async def _run(
        self, prompt: Prompt, here: GraphRun, folder: Path
    ) -> tuple[list[Produced], list[str]]:
        """Check and run *prompt*, in one go, as a turn of the loop costs as much as a node; what
        it gave, and warnings."""
        outputs = await validation.validate(prompt, here.running.job_id)
        with _folders(folder) as collector, self._listening(here, prompt):
            history = await self._execute(prompt, outputs, here)
            return [*here.saved, *collector.collect(history)], collector.warnings

    @contextmanager
    def _listening(self, here: GraphRun, prompt: Prompt) -> Iterator[None]:
        hook = session.booted().hook
        progress = GraphProgress(here.running, prompt)
        hook.install()
        self._events.current = here, progress
        try:
            with hook.watching(progress):
                yield
                progress.finish()
        finally:
            self._events.current = None

    async def _execute(
        self, prompt: Prompt, outputs: list[str], here: GraphRun
    ) -> Mapping[str, Any]:
        if self._executor is None:
            self._executor = _compat.new_executor(self._events)
        executor, job_id = self._executor, here.running.job_id
        if self._models.found(prompt):
            executor.reset()  # it holds what another file of that name gave
        extra = {"client_id": job_id, "preview_method": "auto"}
        try:
            work = _compat.execute(executor, prompt, job_id, extra, outputs)
            if inspect.isawaitable(work):
                await work
        except BaseException:
            # it was left in the middle: nothing that it holds can be trusted
            executor.reset()
            raise
        finally:
            _compat.forget(executor, validation.is_output)
        _raise_failure(executor.status_messages, prompt, here)
        history: Mapping[str, Any] = executor.history_result
        if here.blocked:
            # only the first node behind a closed output says so; cached, it would say nothing
            executor.reset()
        return history


@contextmanager
def _folders(folder: Path) -> Iterator[Collector]:
    """Within this block ComfyUI writes into an empty folder in *folder*, removed if this fails."""
    folder_paths = module("folder_paths")
    before = folder_paths.get_output_directory(), folder_paths.get_temp_directory()
    output, temporary = _new_folders(folder)
    folder_paths.set_output_directory(str(output))
    folder_paths.set_temp_directory(str(temporary))
    try:
        yield Collector(output, temporary)
    except BaseException:
        shutil.rmtree(output, ignore_errors=True)
        raise
    finally:
        folder_paths.set_output_directory(before[0])
        folder_paths.set_temp_directory(before[1])


def _new_folders(folder: Path) -> tuple[Path, Path]:
    """Empty folders for output and for temporary files: what the job before left, if that is."""
    output = folder / OUTPUT
    temporary = output / TEMPORARY
    if _names(output) == [TEMPORARY] and _names(temporary) == []:
        return output, temporary
    try:
        output.mkdir()
    except FileExistsError:  # another graph of the same job
        output = Path(tempfile.mkdtemp(prefix="graph-", dir=folder))
        temporary = output / TEMPORARY
    temporary.mkdir()
    return output, temporary


def _names(folder: Path) -> list[str] | None:
    """What lies in a folder; ``None`` if there is none."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return None


def _raise_failure(messages: list[Any], prompt: Prompt, here: GraphRun) -> None:
    """Raise what the executor's messages say went wrong, if anything did."""
    told = dict(messages)
    if "execution_interrupted" in told:
        raise _interrupted(told["execution_interrupted"], prompt, here.running)
    if "execution_error" in told:
        raise _failure(told["execution_error"], prompt, here)


def _interrupted(
    data: Mapping[str, Any], prompt: Prompt, running: Running
) -> Cancelled | OperationFailed:
    if running.cancelled():
        return Cancelled()
    node_id = str(data.get("node_id"))
    return OperationFailed(
        f"{checks.label(prompt, node_id)} stopped the graph", extra=_where(prompt, node_id)
    )


def _failure(data: Mapping[str, Any], prompt: Prompt, here: GraphRun) -> KinoError:
    node_id = str(data.get("node_id"))
    where, start = _where(prompt, node_id), checks.label(prompt, node_id)
    ours = here.errors.get(node_id)
    if ours is not None:
        ours.extra.update(where)
        return ours
    kind = str(data.get("exception_type", "")).rpartition(".")[2]
    if kind in ("OutOfMemoryError", "MemoryError"):
        error = out_of_memory()
        error.extra.update(where)
        return error
    unread = old_formats.unread(prompt, node_id, data)
    if unread is not None:
        unread.extra.update(where)
        return unread
    # the traceback is in the log; a caller gets one sentence
    message = without_paths(str(data.get("exception_message", ""))) or kind
    return OperationFailed(f"{start} failed: {message}", extra={**where, "exception": kind})


def _where(prompt: Prompt, node_id: str) -> dict[str, str]:
    return {"node_id": node_id, "node_type": str(prompt.get(node_id, {}).get("class_type"))}
