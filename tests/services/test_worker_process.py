"""Worker processes: their states, their death in every form, and what they may see."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import structlog

from backend.config import Settings
from backend.services import channel, worker_child
from backend.services.worker_process import WorkerLost, WorkerProcess

PLUGIN = '''
import os, subprocess, sys, time
from backend.plugins import operation, hookimpl

@operation("test.environment")
def environment() -> dict[str, str]:
    """What this process can see."""
    return dict(os.environ)

@operation("test.child")
def child() -> int:
    """Start a process and forget it."""
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid

@operation("test.escape")
def escape() -> int:
    """Start a process that is not ended with us and holds our output open."""
    return subprocess.Popen(["sleep", "600"], start_new_session=True).pid

@operation("test.nap")
def nap(seconds: float) -> float:
    """Sleep without looking."""
    time.sleep(seconds)
    return seconds

@operation("test.shout")
def shout() -> int:
    """Print to both outputs."""
    print("a line on stdout")
    print("half a bar\\rand the rest", file=sys.stderr)
    return os.getpid()

@hookimpl
def register_operations():
    return [environment, child, escape, nap, shout]
'''


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "look.py").write_text(PLUGIN)
    data = tmp_path / "data"
    data.mkdir()
    return Settings(data_dir=data, plugins_dir=plugins, workers=["cpu"])


@pytest.fixture
async def worker(settings) -> AsyncIterator[WorkerProcess]:
    made = WorkerProcess("cpu", "cpu", settings)
    made.start()
    await asyncio.wait_for(made.wait_ready(), 120)
    yield made
    await made.stop()


def call(operation: str, folder: Path, **params) -> dict:
    """A ``run`` message."""
    return {
        "t": "run", "job": "job_x", "attempt": 1, "operation": operation, "params": params,
        "files": {}, "scratch": str(folder),
    }  # fmt: skip


async def result(worker: WorkerProcess, operation: str, folder: Path, **params):
    done = await asyncio.wait_for(worker.run(call(operation, folder, **params)), 120)
    assert done["state"] == "succeeded", done
    return done["result"]["result"]


async def dead(pid: int) -> None:
    """Return when the process is gone."""
    async with asyncio.timeout(120):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may be gone between two looks
            while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.01)


async def test_a_worker_becomes_ready_and_reports(worker) -> None:
    """A ready worker says what it has loaded and has no ComfyUI if it is of the cpu kind."""
    assert worker.is_ready
    assert worker.info["comfyui"] is None
    assert worker.as_json()["state"] == "ready"
    assert worker.pid is not None
    assert psutil.pid_exists(worker.pid)


async def test_a_worker_sees_no_secrets(settings, tmp_path, monkeypatch) -> None:
    """Neither the environment nor the settings of a worker hold anything that it must not know."""
    monkeypatch.setenv("KINO_API_KEYS", '["a:b"]')
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    secret = settings.model_copy(update={"api_keys": ["name:hash"]})
    assert worker_child._settings_for_worker(secret)["api_keys"] == []
    worker = WorkerProcess("cpu", "cpu", settings)
    worker.start()
    try:
        await asyncio.wait_for(worker.wait_ready(), 120)
        seen = await result(worker, "test.environment", tmp_path)
        assert "AWS_SECRET_ACCESS_KEY" not in seen
        assert not [name for name in seen if name.startswith("KINO_")]
        assert "PATH" in seen
    finally:
        await worker.stop()


async def test_a_busy_worker_that_is_killed_says_so_and_comes_back(worker, tmp_path) -> None:
    """The job of a dead worker is lost at once; the next process takes the next job."""
    running = asyncio.create_task(worker.run(call("test.nap", tmp_path, seconds=600.0)))
    await asyncio.sleep(0.1)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost):
        await asyncio.wait_for(running, 120)
    assert not worker.is_ready
    await asyncio.wait_for(worker.wait_ready(), 120)
    assert await result(worker, "test.nap", tmp_path, seconds=0.0) == 0.0
    assert worker.starts == 2


async def test_an_idle_worker_that_is_killed_comes_back(worker) -> None:
    """Death is noticed without anybody asking."""
    first = worker.pid
    os.kill(first, signal.SIGKILL)
    await dead(first)
    async with asyncio.timeout(120):
        while worker.pid == first or not worker.is_ready:
            await asyncio.sleep(0.01)


async def test_a_worker_has_one_job_at_a_time(worker, tmp_path) -> None:
    """A second job is refused while the first runs; a dead worker takes none."""
    running = asyncio.create_task(worker.run(call("test.nap", tmp_path, seconds=0.2)))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        await worker.run(call("test.nap", tmp_path, seconds=0.0))
    await running
    worker.kill()
    with pytest.raises(WorkerLost):
        await worker.run(call("test.nap", tmp_path, seconds=0.0))


async def test_giving_up_on_a_job_ends_the_worker(worker, tmp_path) -> None:
    """Nobody knows what an abandoned worker does, so it is replaced."""
    first = worker.pid
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(worker.run(call("test.nap", tmp_path, seconds=600.0)), 0.2)
    await dead(first)
    await asyncio.wait_for(worker.wait_ready(), 120)
    assert worker.pid != first


async def test_what_a_worker_starts_dies_with_it(worker, tmp_path) -> None:
    """The whole process group ends, not only the worker."""
    grandchild = await result(worker, "test.child", tmp_path)
    assert psutil.pid_exists(grandchild)
    worker.kill()
    await dead(grandchild)


async def test_a_death_is_seen_though_the_output_stays_open(worker, tmp_path) -> None:
    """A process that outlives its worker and holds the output does not hide the worker's death."""
    (scratch := tmp_path / "scratch").mkdir()
    escaped = await result(worker, "test.escape", scratch)
    first = worker.pid
    try:
        busy = asyncio.create_task(worker.run(call("test.nap", scratch, seconds=600.0)))
        await asyncio.sleep(0)
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(120):
            with pytest.raises(WorkerLost):
                await busy
            await worker.wait_ready()
        assert worker.pid != first
    finally:
        os.kill(escaped, signal.SIGKILL)


async def test_a_worker_that_cannot_be_started_leaves_nothing_open(settings) -> None:
    """Start after start that fails costs no descriptor: what the channel held is closed."""
    settings.data_dir.rmdir()
    worker = WorkerProcess("cpu", "cpu", settings)
    worker.start()
    async with asyncio.timeout(120):
        while worker.starts < 3:
            await asyncio.sleep(0.01)
    await worker.stop()  # an unclosed socket would be a warning, and warnings are errors


async def test_output_goes_to_the_log_line_by_line(worker, tmp_path) -> None:
    """What libraries print is neither lost nor part of the protocol."""
    with structlog.testing.capture_logs() as logs:
        await result(worker, "test.shout", tmp_path)
        async with asyncio.timeout(120):
            while len([entry for entry in logs if entry["event"] == "output"]) < 3:
                await asyncio.sleep(0.01)
    lines = {entry["line"] for entry in logs if entry["event"] == "output"}
    assert lines == {"a line on stdout", "half a bar", "and the rest"}


async def test_a_worker_that_never_gets_ready_is_killed_and_replaced(settings) -> None:
    """A process that hangs while it loads is given up after the deadline."""
    (settings.plugins_dir / "hang.py").write_text("import time\ntime.sleep(600)\n")
    worker = WorkerProcess("cpu", "cpu", settings, ready_s=1.0)
    worker.start()
    try:
        async with asyncio.timeout(120):
            while worker.starts < 2:
                await asyncio.sleep(0.02)
        assert not worker.is_ready
        (settings.plugins_dir / "hang.py").unlink()
    finally:
        await worker.stop()
    assert worker.state == "stopped"


async def test_stop_ends_a_busy_worker(worker, tmp_path) -> None:
    """Stopping does not wait for a job; its worker is gone afterwards."""
    running = asyncio.create_task(worker.run(call("test.nap", tmp_path, seconds=600.0)))
    await asyncio.sleep(0.05)
    pid = worker.pid
    await asyncio.wait_for(worker.stop(), 120)
    with pytest.raises(WorkerLost):
        await running
    assert not psutil.pid_exists(pid)


PARENT = """
import asyncio, sys
from pathlib import Path
from backend.config import Settings
from backend.services.worker_process import WorkerProcess
async def main():
    settings = Settings(data_dir=Path(sys.argv[1]), plugins_dir=Path(sys.argv[2]))
    worker = WorkerProcess("cpu", "cpu", settings)
    worker.start()
    await worker.wait_ready()
    print(worker.pid, flush=True)
    await worker.run({"t": "run", "job": "j", "attempt": 1, "operation": "test.nap",
                      "params": {"seconds": 600.0}, "files": {}, "scratch": sys.argv[1]})
asyncio.run(main())
"""


async def test_a_worker_dies_with_its_parent(settings, tmp_path) -> None:
    """When the service is killed -9, a worker in the middle of a job is gone at once."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", PARENT, str(settings.data_dir), str(settings.plugins_dir)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 120))
    assert psutil.pid_exists(pid)
    parent.kill()
    await parent.wait()
    await dead(pid)


async def test_the_loopback_channel_wants_its_token() -> None:
    """Where sockets cannot be inherited, only who knows the token is let in."""
    made = channel.LoopbackChannel()
    port = int(made.argument.removeprefix("tcp:"))
    connecting = asyncio.create_task(made.connect())
    _, stranger = await asyncio.open_connection("127.0.0.1", port)
    stranger.write(b"x" * 32)
    await stranger.drain()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c"),
        "from backend.services import channel; import sys;"
        "channel.join(sys.argv[1]).sendall(b'it is me')",
        made.argument,
        stdin=asyncio.subprocess.PIPE,
    )
    await child.communicate(made.stdin)
    connection = await asyncio.wait_for(connecting, 120)
    reader, writer = await asyncio.open_connection(sock=connection)
    assert await reader.read() == b"it is me"
    for each in (writer, stranger):
        each.close()
        await each.wait_closed()


async def test_a_worker_works_over_the_loopback_channel(settings, tmp_path, monkeypatch) -> None:
    """The fall-back for Windows carries jobs as the socketpair does."""
    monkeypatch.setattr(worker_child, "open_channel", channel.LoopbackChannel)
    worker = WorkerProcess("cpu", "cpu", settings)
    worker.start()
    try:
        await asyncio.wait_for(worker.wait_ready(), 120)
        assert await result(worker, "test.nap", tmp_path, seconds=0.0) == 0.0
    finally:
        await worker.stop()
