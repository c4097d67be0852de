"""One job in a worker: bind the parameters, call the operation, store what it returns.

Knows: the ``run`` and ``done`` messages, and what a context sends while the operation runs.
Does not know: where operations come from, or what the parent makes of the result.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from backend.context import Cancelled, Context, scratch_in
from backend.errors import OperationUnavailable
from backend.media.image import Image
from backend.operations import Operation
from backend.services import invocation
from backend.wire import Message
from backend.worker.outbox import Outbox
from backend.worker.preview import jpeg

_PROGRESS_S: Final = 0.02
_PREVIEW_S: Final = 0.25
_log = logging.getLogger("kino.operation")

Call = Callable[[Callable[[], Any], str, Context], Any]
"""Runs a function for a job with a context: directly, or on ComfyUI's lane."""


class Reports:
    """What a running job says to the parent: progress at most every 20 ms; the last goes along
    with the answer, so that a short job costs one message."""

    def __init__(self, job_id: str, outbox: Outbox) -> None:
        self._job_id = job_id
        self._outbox = outbox
        self._sent, self._shown = time.monotonic(), float("-inf")
        self._held: Message = {}

    def progress(self, done: float, total: float, node: str | None) -> None:
        if not (math.isfinite(done) and math.isfinite(total)):
            return
        self._held = {
            "t": "progress", "job": self._job_id, "done": done, "total": total, "node": node,
        }  # fmt: skip
        if time.monotonic() - self._sent >= _PROGRESS_S:
            self._outbox.send(self.take())
            self._sent = time.monotonic()

    def take(self) -> Message:
        """The progress that was held back, as a message; empty if there is none."""
        held, self._held = self._held, {}
        return held

    def preview(self, image: Image) -> None:
        if time.monotonic() - self._shown >= _PREVIEW_S:
            self._outbox.send({"t": "preview", "job": self._job_id}, jpeg(image))
            self._shown = time.monotonic()

    def log(self, message: str) -> None:
        self._outbox.send({"t": "log", "job": self._job_id, "message": str(message)[:2000]})


def run(
    message: Message,
    operations: Mapping[str, Operation[..., Any]],
    outbox: Outbox,
    is_cancelled: Callable[[], bool],
    call: Call,
) -> Message:
    """Run the job of a ``run`` message; return the fields of its ``done`` message."""
    job_id, folder = message["job"], Path(message["scratch"])
    about = {"job": job_id, "attempt": message["attempt"]}
    reports = Reports(job_id, outbox)
    context = Context(reports.progress, reports.preview, reports.log, is_cancelled)
    try:
        operation = _find(operations, message["operation"])
        with scratch_in(folder):
            arguments = invocation.bind(operation, message["params"], message["files"], context)
            context.checkpoint()
            returned = call(lambda: operation(**arguments), job_id, context)
            result = invocation.result_of(operation, returned, folder)
    except Cancelled:
        return {**about, "state": "cancelled"}
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - foreign code; `problem_of` logs it
        problem = invocation.problem_of(error)
        retryable = problem["retryable"]
        return {**about, "state": "failed", "problem": problem, "retryable": retryable}
    finally:
        _tidy(folder)
    return {**about, "state": "succeeded", "result": result, "progress": reports.take()}


def _tidy(folder: Path) -> None:
    """Remove the folders that the run made for itself; stored files lie beside them."""
    with suppress(FileNotFoundError):  # the parent has given the attempt up
        for path in _folders_in(folder):
            try:
                _remove(path)
            except OSError as error:  # something was put there meanwhile; the parent clears up
                _log.debug("left behind: %s", error.strerror)


def _folders_in(folder: str | Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def _remove(folder: str) -> None:
    """As ``shutil.rmtree``, at a third of its cost; nobody else works in this folder."""
    for inner in _folders_in(folder):
        _remove(inner)
    with os.scandir(folder) as entries:
        for entry in entries:
            os.unlink(entry.path)  # noqa: PTH108 - scandir gives strings, and this is on every job
    os.rmdir(folder)  # noqa: PTH106 - as above


def _find(operations: Mapping[str, Operation[..., Any]], name: str) -> Operation[..., Any]:
    if name not in operations:
        raise OperationUnavailable(
            f"this worker has no operation {name!r}", remedy="See /v1/operations for its state."
        )
    return operations[name]
