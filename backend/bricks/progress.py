"""Progress: from ComfyUI's one global hook to the context of the job on the lane.

Knows: the hook's arguments, how far a graph is, how often a preview is worth its cost.
Does not know: who shows the bar.

Inside a graph, progress counts nodes: ``done`` is the number of finished nodes plus the running
one's fraction, so it never goes back. A brick called directly reports its own steps, or its share
of a `Plan`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

from backend.bricks import _compat
from backend.bricks._comfy import module
from backend.bricks.lane import Lane, Running

PREVIEW_INTERVAL_S: Final = 0.25
Steps = Callable[[float, float, Any, str], None]
"""Gets value, total, preview and the node's id, as ComfyUI's hook does."""


class GraphProgress:
    """How far one graph is. ``total`` is its number of nodes."""

    def __init__(self, running: Running, node_ids: Collection[str]) -> None:
        self._running = running
        self._nodes = frozenset(node_ids)
        self._finished: set[str] = set()
        self._node: str | None = None
        self._shown: tuple[float, str | None] = (-1.0, None)

    def cached(self, node_ids: Collection[str]) -> None:
        """These nodes need not run."""
        self._finished.update(self._nodes.intersection(node_ids))

    def start(self, node_id: str) -> None:
        """This node runs now; the one before it is finished."""
        if self._node is not None and self._node != node_id:
            self._finished.add(self._node)
        if node_id in self._nodes:
            self._node = node_id
            self._finished.discard(node_id)
        self.step(0.0, 1.0)

    def step(self, value: float, total: float) -> None:
        """The running node is at *value* of *total*."""
        fraction = min(max(value / total, 0.0), 1.0) if total > 0 else 0.0
        self._show(len(self._finished) + (fraction if self._node is not None else 0.0))

    def finish(self) -> None:
        """Every node is done."""
        self._node = None
        self._show(float(len(self._nodes)))

    def _show(self, done: float) -> None:
        before, node = self._shown
        if done > before or (done == before and self._node != node):
            self._shown = (done, self._node)
            # not `progress`: inside the executor an interruption is ComfyUI's exception, not ours
            self._running.ctx.on_progress(done, float(len(self._nodes)), self._node)


class Plan:
    """A piece of work of several verbs: so many steps in all, so many done, so many under way."""

    def __init__(self, total: float) -> None:
        self.total = total
        self.done = 0.0
        self.under_way = 0.0

    def at(self, value: float, total: float) -> tuple[float, float]:
        """Where the whole is, when the verb that runs is at *value* of *total*."""
        part = min(max(value / total, 0.0), 1.0) if total > 0 else 0.0
        return self.done + self.under_way * part, self.total


class Hook:
    """ComfyUI's global progress hook: reports, and is where a running node can be interrupted."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._previewed = 0.0
        self.graph: GraphProgress | None = None
        self._told: Steps | None = None
        self.plan: Plan | None = None

    def install(self) -> None:
        """Make ComfyUI call this hook. Again before each job: a node pack may have taken it."""
        utils = module("comfy.utils")
        utils.set_progress_bar_global_hook(self)
        # the bars that it draws besides would only fill the log
        utils.set_progress_bar_enabled(False)

    @contextmanager
    def watching(self, graph: GraphProgress, told: Steps | None = None) -> Iterator[None]:
        """Within this block *graph* runs, and *told* hears each step of its nodes too."""
        self.graph, self._told = graph, told
        try:
            yield
        finally:
            self.graph, self._told = None, None

    def __call__(
        self,
        value: float,
        total: float,
        preview: Any = None,
        prompt_id: str | None = None,
        node_id: str | None = None,
    ) -> None:
        management = module("comfy.model_management")
        running = self._lane.running()
        if running is not None and running.cancelled():
            management.interrupt_current_processing(True)
        management.throw_exception_if_processing_interrupted()
        if running is None:
            return
        if self.plan is not None:
            value, total = self.plan.at(float(value), float(total))
        if self.graph is None:
            running.ctx.on_progress(float(value), float(total), None)
        else:
            node = node_id or _compat.executing_node()
            if node is not None:
                self._register(node, value, total, preview)
                if self._told is not None:
                    self._told(value, total, preview, node)
            self.graph.step(float(value), float(total))
        if preview is not None:
            self._preview(running, preview)

    def _register(self, node: str, value: float, total: float, preview: Any) -> None:
        state = _compat.optional("comfy_execution.progress")
        if state is not None:
            state.get_progress_state().update_progress(node, value, total, preview)

    def _preview(self, running: Running, preview: Any) -> None:
        now = time.monotonic()
        if now - self._previewed < PREVIEW_INTERVAL_S:
            return
        self._previewed = now
        from backend.bricks import sockets

        running.ctx.preview(sockets.image_from_picture(preview[1]))
