"""A worker: one process of a kind, kept alive, with one job at a time.

Knows: the states from starting to ready, supervision, and the answer to a job.
Does not know: what a job is, attempts, retries (``services.runner``).

A worker is expendable. When its process dies, idle or busy, what it had is reported as
`WorkerLost` and a new process is started, after a pause that grows while it does not stay up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Literal

import structlog

from backend import wire
from backend.config import Settings
from backend.services.worker_child import Child, Gone

State = Literal["starting", "loading", "ready", "dead", "stopped"]
Report = Callable[[wire.Message, bytes], None]
Say = Callable[[wire.Message], None]

_STEADY_S: Final = 5.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 30.0

_log = structlog.get_logger("kino.workers")


class WorkerLost(Exception):
    """The worker died before it answered."""


class WorkerProcess:
    """A worker of one kind, kept alive from `start` to `stop`."""

    def __init__(self, kind: str, name: str, settings: Settings, *, ready_s: float = 300.0) -> None:
        self.kind = kind
        self.name = name
        self.state: State = "starting"
        self.stage: str | None = None
        self.info: wire.Message = {}
        self.starts = 0
        self.on_report: Report = lambda message, binary: None
        self.on_call: Callable[[wire.Message, Say], None] = lambda message, say: None
        self.on_change: Callable[[], None] = lambda: None
        self._settings = settings
        self._ready_s = ready_s
        self._late: asyncio.TimerHandle | None = None
        self._ready = asyncio.Event()
        self._child: Child | None = None
        self._answer: asyncio.Future[wire.Message] | None = None
        self._worked = False
        self._supervisor: asyncio.Task[None] | None = None
        self._stopping = False

    # --- what the runner uses ---------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        return self.state == "ready"

    @property
    def is_busy(self) -> bool:
        return self._answer is not None

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    async def wait_ready(self) -> None:
        """Return as soon as the worker can take a job."""
        await self._ready.wait()

    async def run(self, message: wire.Message) -> wire.Message:
        """Send a job, wait for its ``done``. Raises `WorkerLost` if the worker dies first, and
        ``RuntimeError`` if it has a job already. If the wait is cancelled, the worker is killed."""
        if self._answer is not None:
            raise RuntimeError(f"worker {self.name} has a job already")
        if self._child is None or not self.is_ready:
            raise WorkerLost("the worker is not there")
        answer: asyncio.Future[wire.Message] = asyncio.get_running_loop().create_future()
        self._answer = answer
        try:
            self._child.send(message)
            return await answer
        except Gone as error:
            raise WorkerLost("the connection is closed") from error
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            self._answer = None
            self._worked = True

    def cancel(self, job_id: str, attempt: int) -> None:
        """Ask the worker to end the job soon."""
        self._say({"t": "cancel", "job": job_id, "attempt": attempt})

    def tell(self, name: str, data: wire.Message) -> None:
        """Tell a ready worker something that it does not answer."""
        if self.is_ready:
            self._say({"t": "tell", "name": name, "data": data})

    def kill(self) -> None:
        """End the process and its children at once; a new one is started."""
        if self._child is not None:
            self._become("dead")
            self._child.kill()

    # --- life -------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to keep a process alive; returns at once."""
        self._supervisor = asyncio.create_task(self._supervise(), name=f"worker {self.name}")

    async def stop(self, grace_s: float = 3.0) -> None:
        """Ask the process to end, kill it after *grace_s*, and start none any more."""
        if self._supervisor is None:
            return
        self._stopping = True
        if self.is_ready and not self.is_busy:
            self._say({"t": "stop"})
            await asyncio.wait({self._supervisor}, timeout=grace_s)
        self._supervisor.cancel()  # buries the child, if there still is one
        await asyncio.gather(self._supervisor, return_exceptions=True)
        self._supervisor = None
        self._become("stopped")

    def as_json(self) -> dict[str, Any]:
        """What ``/v1/system`` says of the worker."""
        return {
            "name": self.name,
            "kind": self.kind,
            "state": self.state,
            "stage": self.stage,
            "busy": self.is_busy,
            "pid": self.pid,
            "starts": self.starts,
        }

    # --- inside -----------------------------------------------------------------------------

    async def _supervise(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stopping:
            steady = False
            try:
                steady = await self._live_once()
            except OSError as error:
                _log.error("worker cannot be started", worker=self.name, error=str(error))
            if not self._stopping:
                pause = _FIRST_PAUSE_S if steady else min(pause * 2, _LONGEST_PAUSE_S)
                await asyncio.sleep(pause)

    async def _live_once(self) -> bool:
        """One process from its birth to its burial; whether it was of any use."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self._worked = False
        self.starts += 1
        self._become("starting")
        child = self._child = await Child.spawn(self.kind, self.name, self._settings)
        self._wait_for_ready(child)
        try:
            status = await child.wait_death(self._hear)
        finally:
            self._wait_no_more()
            self._become("dead")
            self._child = None
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(WorkerLost("the worker process died"))
        if not self._stopping:
            _log.warning("worker died", worker=self.name, pid=child.pid, status=status)
        return self._worked or loop.time() - begun > _STEADY_S

    def _wait_for_ready(self, child: Child) -> None:
        """From now on *child* has the whole time again: each stage of loading may be a long one."""
        self._wait_no_more()
        self._late = asyncio.get_running_loop().call_later(self._ready_s, self._overdue, child)

    def _wait_no_more(self) -> None:
        if self._late is not None:
            self._late.cancel()

    def _overdue(self, child: Child) -> None:
        if child is self._child and not self.is_ready:
            _log.error("worker did not become ready", worker=self.name, seconds=self._ready_s)
            child.kill()

    def _hear(self, message: wire.Message, binary: bytes) -> None:
        kind = message["t"]
        if kind == "done":
            if message.get("progress"):
                self.on_report(message["progress"], b"")
            if "model_table" in message:  # a node of a pack has added a folder since
                self.info["comfyui"]["model_table"] = message["model_table"]
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(message)
        elif kind == "loading":
            self._become("loading", stage=str(message["stage"]))
            if self._child is not None:
                self._wait_for_ready(self._child)
        elif kind == "ready":
            self.info = message
            self._become("ready")
        elif kind == "call":
            self.on_call(message, self._say)
        elif kind != "hello":
            self.on_report(message, binary)

    def _become(self, state: State, stage: str | None = None) -> None:
        self.state, self.stage = state, stage
        if state == "ready":
            self._ready.set()
        else:
            self._ready.clear()
        self.on_change()

    def _say(self, message: wire.Message) -> None:
        if self._child is not None:
            with suppress(Gone):  # its end is noticed and dealt with elsewhere
                self._child.send(message)
