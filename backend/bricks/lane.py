"""The lane: one thread, and on it one job after the other, for everything that touches ComfyUI.

Knows: which job runs, how to interrupt that job and no other, how an interruption ends.
Does not know: what a job does; what the engine's interrupt flag is (`Signals` does).

ComfyUI keeps its interrupt flag, its progress hook and its models per process: two jobs at once
would mix their progress, and an interruption would hit whichever looks first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from backend.context import Cancelled, Context

R = TypeVar("R")


class Signals(Protocol):
    """What the lane asks of the engine that runs on it."""

    def scope(self) -> AbstractContextManager[Any]:
        """Wraps every job (``torch.inference_mode``)."""
        ...

    def clear(self) -> None:
        """Take back an interruption that nobody saw."""
        ...

    def interrupt(self) -> None:
        """Ask the running work to end; called from another thread."""
        ...

    def translate(self, error: BaseException) -> BaseException | None:
        """The error that callers shall see instead of *error*, or None if it is right as it is."""
        ...


class NoSignals:
    """Signals of a process without ComfyUI: a job sees an interruption through its context."""

    def scope(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def clear(self) -> None: ...

    def interrupt(self) -> None: ...

    def translate(self, error: BaseException) -> BaseException | None:
        return None


@dataclass(frozen=True, slots=True)
class Running:
    """The job on the lane, and its context, which also sees the lane's interruption."""

    job_id: str
    ctx: Context
    interrupted: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(cls, job_id: str, ctx: Context) -> Running:
        interrupted = threading.Event()

        def is_cancelled() -> bool:
            return interrupted.is_set() or ctx.is_cancelled()

        return cls(job_id, replace(ctx, is_cancelled=is_cancelled), interrupted)

    def cancelled(self) -> bool:
        """Whether this job shall end; cheap, asked at every step."""
        return self.ctx.is_cancelled()


class Lane:
    """Runs jobs one at a time, always on the thread that came first."""

    def __init__(self, signals: Signals | None = None) -> None:
        self.signals: Signals = signals or NoSignals()
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._running: Running | None = None

    def claim(self) -> None:
        """Bind the lane to the calling thread. Raises ``RuntimeError`` on any other thread."""
        here = threading.get_ident()
        if self._thread is None:
            self._thread = here
        if self._thread != here:
            raise RuntimeError("the lane belongs to another thread")

    def running(self) -> Running | None:
        """The job that runs now."""
        return self._running

    def run(self, work: Callable[[], R], job_id: str, ctx: Context) -> R:
        """Run *work* here and now, and return what it returns.

        Raises `Cancelled` if the job was interrupted, `OutOfMemory` if memory ran out, and else
        whatever *work* raises; ``RuntimeError`` on a foreign thread or inside another job.
        """
        self.claim()
        running = Running.of(job_id, ctx)
        with self._lock:
            if self._running is not None:
                raise RuntimeError(f"the lane is taken by {self._running.job_id}")
            self._running = running
        try:
            # an older interruption is cleared; one for this job is remembered in `running`
            self.signals.clear()
            running.ctx.checkpoint()
            with self.signals.scope():
                return work()
        except Cancelled:
            raise
        except BaseException as error:
            known = self.signals.translate(error)
            if known is None:
                raise
            raise known from error
        finally:
            with self._lock:
                self._running = None
                self.signals.clear()

    def interrupt(self, job_id: str) -> bool:
        """Ask *job_id* to end, if it is the one that runs; returns whether it is.

        Any thread may call.
        """
        with self._lock:
            if self._running is None or self._running.job_id != job_id:
                return False
            self._running.interrupted.set()
            self.signals.interrupt()
            return True


_lane = Lane()


def current() -> Lane:
    """The lane of this process: there is one, as ComfyUI's state is the process's."""
    return _lane
