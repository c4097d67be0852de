"""The loop worker: runs asynchronous operations on the API's own event loop.

Knows: the same messages as a worker process, so that the runner treats both alike.
Does not know: which operations there are (the registry does).

Asynchronous operations wait for other servers; they are never beside ComfyUI, and they may use
the network and the keys that worker processes must not have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.context import Cancelled, Context, scratch_in
from backend.operations import Operation
from backend.services import invocation
from backend.services.worker_process import Report, State, WorkerLost
from backend.wire import Message

_abandoned: set[asyncio.Task[Any]] = set()  # asyncio itself holds tasks only weakly


class LoopWorker:
    """One slot for an asynchronous operation; always ready."""

    kind = "loop"
    pid: int | None = None
    starts = 1
    stage: str | None = None

    def __init__(self, name: str, find: Callable[[str], Operation[..., Any]]) -> None:
        self.name = name
        self.state: State = "ready"
        self.info: Message = {"unavailable": {}, "plugins": []}
        self.on_report: Report = lambda message, binary: None
        self.on_change: Callable[[], None] = lambda: None
        self._find = find
        self._task: asyncio.Task[dict[str, Any]] | None = None
        self._killed: asyncio.Future[None] | None = None
        self._asked_to_end = False

    @property
    def is_ready(self) -> bool:
        return self.state == "ready"

    @property
    def is_busy(self) -> bool:
        return self._task is not None

    async def wait_ready(self) -> None:
        """Returns at once."""

    async def run(self, message: Message) -> Message:
        """Run the job of a ``run`` message; return its ``done`` message. Raises `WorkerLost` if
        the operation was killed and did not listen."""
        about = {"t": "done", "job": message["job"], "attempt": message["attempt"]}
        self._asked_to_end = False
        task = self._task = asyncio.create_task(self._call(message))
        self._killed = asyncio.get_running_loop().create_future()
        try:
            either: set[asyncio.Future[Any]] = {task, self._killed}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            self._task = None
        if not task.done():  # it does not listen: let it go, like a process that was killed
            _abandoned.add(task)
            task.add_done_callback(_abandoned.discard)
            raise WorkerLost("the operation does not listen")
        return {**about, **self._outcome(task)}

    def _outcome(self, task: asyncio.Task[dict[str, Any]]) -> Message:
        """The fields of the ``done`` message that tell how the operation ended."""
        error: BaseException | None = Cancelled() if task.cancelled() else task.exception()
        if error is None:
            return {"state": "succeeded", "result": task.result()}
        if isinstance(error, Cancelled) and self._asked_to_end:
            return {"state": "cancelled"}
        problem = invocation.problem_of(error)
        return {"state": "failed", "problem": problem, "retryable": problem["retryable"]}

    def cancel(self, job_id: str, attempt: int) -> None:
        self._asked_to_end = True
        if self._task is not None:
            self._task.cancel()

    def kill(self) -> None:
        self.cancel("", 0)
        if self._killed is not None and not self._killed.done():
            self._killed.set_result(None)

    def start(self) -> None:
        """Nothing to start."""

    async def stop(self, grace_s: float = 0.0) -> None:
        self.state = "stopped"
        self.kill()

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "kind": self.kind, "state": self.state, "stage": None,
            "busy": self.is_busy, "pid": None, "starts": 1,
        }  # fmt: skip

    async def _call(self, message: Message) -> dict[str, Any]:
        operation, folder = self._find(message["operation"]), Path(message["scratch"])
        job_id = message["job"]

        def progress(done: float, total: float, node: str | None) -> None:
            self.on_report(
                {"t": "progress", "job": job_id, "done": done, "total": total, "node": node}, b""
            )

        def log(line: str) -> None:
            self.on_report({"t": "log", "job": job_id, "message": line[:2000]}, b"")

        context = Context(progress, on_log=log, is_cancelled=lambda: self._asked_to_end)
        with scratch_in(folder):
            arguments = invocation.bind(operation, message["params"], message["files"], context)
            returned = await operation(**arguments)
            return await asyncio.to_thread(invocation.result_of, operation, returned, folder)
