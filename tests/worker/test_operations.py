"""The handler of a worker: which attempt an interruption meets."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import pytest

from backend.config import Settings
from backend.worker.calls import Calls
from backend.worker.operations import OperationHandler
from backend.worker.outbox import Outbox


@pytest.fixture
def handler(tmp_path: Path):
    """A cpu worker's handler without plugins; it answers that it has no operation."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        outbox = Outbox(ours)
        between: SimpleQueue[Callable[[], None]] = SimpleQueue()
        settings = Settings(data_dir=tmp_path, plugin_settings={})
        yield OperationHandler("cpu", settings, outbox, Calls(outbox), between.put)


def call(folder: Path) -> dict:
    return {
        "t": "run", "job": "job_x", "attempt": 1, "operation": "test.none", "params": {},
        "files": {}, "scratch": str(folder),
    }  # fmt: skip


def test_an_interruption_that_comes_too_late_meets_no_later_attempt(handler, tmp_path) -> None:
    """A job that is queued again counts its attempts anew; a late cancel is not for that one."""
    handler.handle(call(tmp_path))
    handler.interrupt("job_x", 1)
    assert not handler._asked_to_end


def test_an_interruption_that_comes_early_is_kept(handler, tmp_path) -> None:
    """The order may overtake the lane, which is still about to begin."""
    handler.interrupt("job_x", 1)
    assert handler._asked_to_end == {("job_x", 1)}
    handler.handle(call(tmp_path))
    assert not handler._asked_to_end
