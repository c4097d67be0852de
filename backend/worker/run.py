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
from pathlib import Path
from typing import Any, Final

from backend.bricks.engine import FOLDERS
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
        return {**about, "state": "cancelled", "clean": _tidy(folder)}
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - foreign code; `problem_of` logs it
        problem = invocation.problem_of(error)
        failed = {"state": "failed", "problem": problem, "retryable": problem["retryable"]}
        return {**about, **failed, "clean": _tidy(folder)}
    # what the result names lies beside the folders that the run made for itself
    clean = _tidy(folder, keep_files=invocation.has_files(result))
    done = {"state": "succeeded", "result": result, "progress": reports.take()}
    return {**about, **done, "clean": clean}


def _tidy(
    folder: str | Path, *, keep_files: bool = False, keep: Mapping[str, Any] = FOLDERS
) -> bool:
    """Empty a folder, as ``shutil.rmtree`` at a third of its cost; nobody else works in it.

    Says whether it is empty now but for the folders to *keep*, which are.
    """
    empty = True
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                below = keep.get(entry.name)
                empty = _tidy(entry.path, keep=below or {}) and empty
                if below is None:
                    os.rmdir(entry.path)  # noqa: PTH106 - scandir gives strings, on every job
            elif keep_files:
                empty = False
            else:
                os.unlink(entry.path)  # noqa: PTH108 - as above
    except OSError as error:  # given up by the parent, or written to meanwhile: that clears up
        _log.debug("left behind: %s", error.strerror)
        return False
    return empty


def _find(operations: Mapping[str, Operation[..., Any]], name: str) -> Operation[..., Any]:
    if name not in operations:
        raise OperationUnavailable(
            f"this worker has no operation {name!r}", remedy="See /v1/operations for its state."
        )
    return operations[name]
