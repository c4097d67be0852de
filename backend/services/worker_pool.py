"""The worker pool: all workers of this service, and what they report of themselves.

Knows: which workers the settings ask for, and what `/readyz` and `/v1/system` want to know.
Does not know: jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal

from backend.config import Settings
from backend.operations import Operation, Unavailable
from backend.services.host_calls import HostCalls
from backend.services.loop_worker import LoopWorker
from backend.services.worker_process import WorkerProcess

Worker = WorkerProcess | LoopWorker
Engine = Literal["ready", "loading", "absent"]

_LOOP_SLOTS: Final = 8


class WorkerPool:
    """Keeps the workers alive.

    *find* gives the operation of a name (for asynchronous ones); *on_ready* is called with the
    kind of a worker that became ready and what it cannot do: ``{operation: why}``.
    """

    def __init__(
        self,
        settings: Settings,
        find: Callable[[str], Operation[..., Any]],
        on_ready: Callable[[str, dict[str, Unavailable]], None] = lambda kind, unavailable: None,
        calls: HostCalls | None = None,
    ) -> None:
        self._calls = calls or HostCalls()
        self._on_ready = on_ready
        self._reported: dict[str, Any] = {}
        self.processes = [WorkerProcess(kind, kind, settings) for kind in settings.workers]
        self.workers: list[Worker] = [
            *self.processes,
            *(LoopWorker(f"loop-{n}", find) for n in range(1, _LOOP_SLOTS + 1)),
        ]
        for worker in self.processes:
            worker.on_change = self._changed
            worker.on_call = partial(self._calls.take, worker.name)

    def start(self) -> None:
        """Start all workers; returns at once, they become ready one by one."""
        for worker in self.workers:
            worker.start()

    async def stop(self) -> None:
        """End all workers."""
        await asyncio.gather(*(worker.stop() for worker in self.workers))
        await self._calls.stop()

    def engine(self, capability: str) -> Engine:
        """Whether a worker for this capability is ready, on its way, or not asked for at all."""
        states = [worker.is_ready for worker in self.workers if worker.kind == capability]
        return "ready" if any(states) else "loading" if states else "absent"

    def stage(self, capability: str) -> str | None:
        """What the worker for this capability is busy loading."""
        for worker in self.processes:
            if worker.kind == capability and worker.stage is not None:
                return worker.stage
        return None

    @property
    def is_ready(self) -> bool:
        """Whether every worker process is ready."""
        return all(worker.is_ready for worker in self.processes)

    @property
    def comfyui(self) -> dict[str, Any] | None:
        """What a ready ``comfy`` worker says of ComfyUI; ``None`` while there is none."""
        for worker in self.processes:
            if worker.kind == "comfy" and worker.is_ready:
                said: dict[str, Any] | None = worker.info["comfyui"]
                return said
        return None

    @property
    def node_classes(self) -> frozenset[str]:
        """The node classes that the ``comfy`` worker had when it was last ready; empty before."""
        told = (worker.info.get("node_classes", ()) for worker in self.processes)
        return frozenset(name for names in told for name in names)

    async def wait_comfyui(self) -> dict[str, Any] | None:
        """What the first ready ``comfy`` worker says of ComfyUI, as soon as there is one; ``None``
        at once if none is asked for."""
        for worker in self.processes:
            if worker.kind == "comfy":
                await worker.wait_ready()
                return self.comfyui
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """The worker processes, for ``/v1/system``."""
        return [worker.as_json() for worker in self.processes]

    def _changed(self) -> None:
        for worker in self.processes:
            if worker.is_ready and self._reported.get(worker.name) is not worker.info:
                self._reported[worker.name] = worker.info
                unavailable = {
                    name: Unavailable(why["reason"], why["remedy"])
                    for name, why in worker.info["unavailable"].items()
                }
                self._on_ready(worker.kind, unavailable)
