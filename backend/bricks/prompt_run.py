"""One prompt of a stock client, run as ComfyUI's own worker thread would (its ``main.py``).

Knows: ComfyUI's executor with its own cache, messages and folders; the status that history gets.
Does not know: jobs, and how prompts come here (`bricks.server`, ``worker.prompts``).

Unlike a graph of Kino's own (`bricks.graph`) it is not checked again, what it saves stays in
ComfyUI's folders, and a node that is cached reports the older file, as stock clients expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import to_jsonable_python

from backend.bricks import _compat, checks, graph_run, old_formats, session
from backend.bricks._comfy import module
from backend.bricks.engine import Produced
from backend.bricks.graph_run import GraphRun
from backend.bricks.interruption import out_of_memory
from backend.bricks.lane import Lane, Running
from backend.bricks.progress import GraphProgress
from backend.bricks.stock_executor import stock_executor
from backend.bricks.wording import without_paths
from backend.context import Context
from backend.errors import KinoError, OperationFailed
from backend.media.reference import MediaValue


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a client posted, after ComfyUI has validated it."""

    prompt_id: str
    prompt: dict[str, Any]
    extra_data: Mapping[str, Any]
    outputs: list[str]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a prompt ended. *history* is JSON, as ComfyUI keeps it: outputs, meta, status."""

    state: Literal["succeeded", "failed", "cancelled"]
    history: dict[str, Any]
    saved: tuple[Produced, ...]
    error: KinoError | None = None


class PromptRunner:
    """Runs prompts on the lane, with one executor for the life of the process."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._executor: Any = None

    def run(
        self, prompt: Prompt, assets: Mapping[str, MediaValue], job_id: str, ctx: Context
    ) -> Ended:
        """Run *prompt* to whichever end. Raises `Cancelled` if it was to end before it began."""
        return self._lane.run(lambda: self._run(prompt, assets), job_id, ctx)

    def reset(self) -> None:
        """Drop what the executor holds."""
        if self._executor is not None:
            self._executor.reset()

    def _run(self, prompt: Prompt, assets: Mapping[str, MediaValue]) -> Ended:
        running = self._lane.running()
        assert running is not None
        here = session.booted()
        run = GraphRun(running, assets, told=True)
        progress = GraphProgress(running, prompt.prompt)
        executor = self._executor = self._executor or stock_executor(here.server)
        here.server.last_prompt_id = prompt.prompt_id
        here.hook.install()
        with (
            graph_run.running_graph(run),
            here.audience.prompt(_Listener(running, progress)),
            here.hook.watching(progress, here.audience.progress),
        ):
            here.server.queue_updated()
            work = _compat.execute(
                executor, prompt.prompt, prompt.prompt_id, prompt.extra_data, prompt.outputs
            )
            try:
                session.settle(work)
            except BaseException:
                # it was left in the middle: nothing that it holds can be trusted
                executor.reset()
                raise
            progress.finish()
        return _ended(executor, prompt, run)


class _Listener:
    """Turns the executor's messages into the job's progress."""

    def __init__(self, running: Running, progress: GraphProgress) -> None:
        self._running = running
        self._progress = progress

    def __call__(self, event: Any, data: Any) -> None:
        if self._running.cancelled():
            # the executor clears the flag when it starts; an older interruption still counts
            module("comfy.model_management").interrupt_current_processing(True)
        if event == "execution_cached":
            self._progress.cached([str(node) for node in data.get("nodes", ())])
        elif event == "executing" and data.get("node") is not None:
            self._progress.start(str(data.get("display_node") or data["node"]))


def _ended(executor: Any, prompt: Prompt, run: GraphRun) -> Ended:
    messages = list(executor.status_messages)
    success = bool(executor.success)
    status = {
        "status_str": "success" if success else "error",
        "completed": success,
        "messages": messages,
    }
    given = executor.history_result
    history = {"outputs": given.get("outputs", {}), "status": status, "meta": given.get("meta", {})}
    # a node may show anything; what JSON cannot hold becomes null, or its text
    plain = to_jsonable_python(history, inf_nan_mode="null", fallback=str)
    saved = tuple(run.saved)
    if success:
        return Ended("succeeded", plain, saved)
    told = dict(messages)
    if "execution_interrupted" in told:
        return Ended("cancelled", plain, saved)
    return Ended("failed", plain, saved, _failure(told.get("execution_error", {}), prompt, run))


def _failure(data: Mapping[str, Any], prompt: Prompt, run: GraphRun) -> KinoError:
    node_id = str(data.get("node_id"))
    where = {"node_id": node_id, "node_type": str(data.get("node_type"))}
    error = run.errors.get(node_id)
    if error is None:
        kind = str(data.get("exception_type", "")).rpartition(".")[2]
        if kind in ("OutOfMemoryError", "MemoryError"):
            error = out_of_memory()
        else:
            error = old_formats.unread(prompt.prompt, node_id, data)
        if error is None:
            said = without_paths(str(data.get("exception_message", "")).strip()) or kind
            start = checks.label(prompt.prompt, node_id)
            error = OperationFailed(f"{start} failed: {said}", extra={"exception": kind})
    error.extra.update(where)
    return error
