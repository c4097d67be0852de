"""The loop worker: asynchronous operations answer like those of a worker process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from backend.context import LOCAL, Cancelled, Context
from backend.errors import UpstreamFailed
from backend.media.audio import Audio
from backend.operations import operation
from backend.services.loop_worker import LoopWorker
from backend.services.worker_process import WorkerLost


@operation("test.speak")
async def speak(text: str, *, ctx: Context = LOCAL) -> Audio:
    """Make a sound as long as the text."""
    ctx.progress(1, 1)
    ctx.log(text)
    await asyncio.sleep(0)
    return Audio.from_samples(np.zeros(len(text), np.float32), 8000)


@operation("test.upstream")
async def upstream(what: str) -> str:
    """Fail in several ways."""
    if what == "upstream":
        raise UpstreamFailed("the provider is down")
    if what == "cancelled":
        raise Cancelled
    raise RuntimeError("a key: hush")


@operation("test.stubborn")
async def stubborn() -> str:
    """Ignore every request to end."""
    for _ in range(300):
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            continue
    return "at last"


OPERATIONS = {each.name: each for each in (speak, upstream, stubborn)}


@pytest.fixture
def worker() -> LoopWorker:
    return LoopWorker("loop-1", OPERATIONS.__getitem__)


def call(name: str, folder: Path, **params) -> dict:
    return {
        "t": "run", "job": "job_x", "attempt": 1, "operation": name, "params": params,
        "files": {}, "scratch": str(folder),
    }  # fmt: skip


async def test_results_are_stored_and_reports_are_sent(worker, tmp_path) -> None:
    """Media of an asynchronous operation are files, progress and log lines are reported."""
    reports = []
    worker.on_report = lambda message, binary: reports.append(message["t"])
    done = await worker.run(call("test.speak", tmp_path, text="hello"))
    assert done["state"] == "succeeded"
    assert done["result"]["audio"]["$media"]["details"]["frames"] == 5
    assert reports == ["progress", "log"]
    assert not worker.is_busy


@pytest.mark.parametrize(
    ("what", "slug", "retryable"),
    [
        ("upstream", "upstream-failed", True),
        ("cancelled", "operation-failed", False),
        ("bug", "operation-failed", False),
    ],
)
async def test_errors_become_problems(worker, tmp_path, what, slug, retryable) -> None:
    """Errors are told as in a worker process; nobody asked for a cancel here."""
    done = await worker.run(call("test.upstream", tmp_path, what=what))
    assert (done["state"], done["retryable"]) == ("failed", retryable)
    assert done["problem"]["type"] == f"/v1/problems/{slug}"
    assert "hush" not in str(done)


async def test_an_operation_that_does_not_listen_is_let_go(worker, tmp_path) -> None:
    """Killing frees the slot at once, although the coroutine goes on."""
    running = asyncio.create_task(worker.run(call("test.stubborn", tmp_path)))
    await asyncio.sleep(0.02)
    worker.cancel("job_x", 1)
    await asyncio.sleep(0.02)
    assert not running.done()
    worker.kill()
    with pytest.raises(WorkerLost):
        await asyncio.wait_for(running, 120)
    assert (await worker.run(call("test.speak", tmp_path, text="next")))["state"] == "succeeded"


async def test_a_cancel_ends_a_waiting_operation(worker, tmp_path) -> None:
    """A coroutine that waits for a server is interrupted where it waits."""

    @operation("test.forever")
    async def forever() -> str:
        """Wait for nothing."""
        await asyncio.Event().wait()
        return "never"

    worker = LoopWorker("loop-2", lambda name: forever)
    running = asyncio.create_task(worker.run(call("test.forever", tmp_path)))
    await asyncio.sleep(0.01)
    worker.cancel("job_x", 1)
    assert (await asyncio.wait_for(running, 120))["state"] == "cancelled"
