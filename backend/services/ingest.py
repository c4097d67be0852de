"""Ingest: a pool of limited worker processes in which uploaded files are decoded.

Knows: who decodes next, deadlines, recycling, and how an answer becomes an error.
Does not know: formats (``media.decoding``, in the child) and where assets lie.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from backend.config import Settings
from backend.errors import (
    AssetRejected,
    FieldError,
    KinoError,
    OperationFailed,
    OperationUnavailable,
    problem_classes,
)
from backend.media.decoding import Limits
from backend.services.worker_process import WorkerLost, WorkerProcess

RECYCLE_AFTER: Final = 100
DEADLINE_S: Final = 60.0
SECONDS_PER_MIB: Final = 1.0
READY_S: Final = 120.0


class Ingest:
    """Decodes files in at most *size* processes at once; the first is started ahead of need."""

    def __init__(
        self, settings: Settings, *, size: int = 2, deadline_s: float = DEADLINE_S
    ) -> None:
        self._settings = settings
        self._limits = Limits(
            image_pixels=settings.limits.image_pixels,
            audio_seconds=settings.limits.audio_seconds,
            video_seconds=settings.limits.video_seconds,
            video_pixels=settings.limits.video_pixels,
            disk_floor_bytes=settings.limits.disk_floor_bytes,
        )
        self._deadline_s = deadline_s
        self._slots = asyncio.Semaphore(size)
        self._idle: list[WorkerProcess] = []
        self._all: list[WorkerProcess] = []
        self._decoded: dict[str, int] = {}

    async def start(self) -> None:
        """Begin to start the first process; does not wait for it."""
        self._idle.append(self._new())

    async def stop(self) -> None:
        """End every process."""
        await asyncio.gather(*(worker.stop(0.0) for worker in self._all))

    async def decode(self, path: Path, scratch: Path, size: int) -> dict[str, Any]:
        """Decode *path* (of *size* bytes) into *scratch*; returns the leaf of the canonical file.

        Raises what ``media.decoding`` raises, `AssetRejected` if the process was late or died
        twice, and `OperationUnavailable` if none could be started.
        """
        seconds = self._deadline_s + size / 2**20 * SECONDS_PER_MIB
        message = {
            "t": "ingest",
            "id": path.name,
            "path": str(path),
            "scratch": str(scratch),
            "limits": asdict(self._limits),
            "seconds": seconds,
        }
        async with self._slots:
            worker = self._idle.pop() if self._idle else self._new()
            try:
                try:
                    answer = await self._ask(worker, message, seconds)
                except WorkerLost:
                    # perhaps the death was none of this file's doing: one more chance
                    answer = await self._ask(worker, message, seconds)
            except WorkerLost as error:
                told = "decoding the file broke the decoder"
                raise AssetRejected(told, rule="damaged") from error
            finally:
                self._idle.append(worker)
        if "problem" in answer:
            raise error_of(answer["problem"])
        leaf: dict[str, Any] = answer["stored"]
        return leaf

    async def _ask(
        self, worker: WorkerProcess, message: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        """One answer; the process is replaced after an error and after 100 files.

        Raises `WorkerLost` if it died.
        """
        try:
            async with asyncio.timeout(READY_S):
                await worker.wait_ready()
        except TimeoutError as error:
            raise OperationUnavailable(
                "no decoder is ready", remedy="Try again; if it stays, see the service's log."
            ) from error
        try:
            async with asyncio.timeout(seconds):
                answer = await worker.run(message)
        except TimeoutError as error:
            told = f"decoding the file took longer than {seconds:g} s"
            raise AssetRejected(told, rule="deadline") from error
        self._decoded[worker.name] = self._decoded.get(worker.name, 0) + 1
        if "problem" in answer or self._decoded[worker.name] >= RECYCLE_AFTER:
            self._decoded[worker.name] = 0
            worker.kill()
        return answer

    def _new(self) -> WorkerProcess:
        worker = WorkerProcess("ingest", f"ingest-{len(self._all) + 1}", self._settings)
        self._all.append(worker)
        worker.start()
        return worker


def error_of(problem: dict[str, Any]) -> KinoError:
    """The error that a process's problem object stands for."""
    slug = str(problem["type"]).rpartition("/")[2]
    classes = {cls.slug: cls for cls in problem_classes()}
    return classes.get(slug, OperationFailed)(
        problem["detail"],
        errors=[FieldError(**item) for item in problem.get("errors", [])],
        remedy=problem.get("remedy"),
    )
