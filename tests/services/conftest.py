"""Services put together as the application does it, with a real worker process.

Knows: the order in which services start and stop.
Does not know: HTTP.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.config import Limits, Settings
from backend.services import identifiers
from backend.services.assets import Assets
from backend.services.attachments import Attachments
from backend.services.batch_progress import BatchProgress
from backend.services.batches import Batches
from backend.services.events import Events
from backend.services.ingest import Ingest
from backend.services.job import Job
from backend.services.jobs import Jobs
from backend.services.ledger import Ledger
from backend.services.pausing import Pause
from backend.services.plugin_host import PluginHost
from backend.services.queue import InMemoryQueue
from backend.services.reconciler import Reconciler
from backend.services.registry import Registry
from backend.services.runner import Runner
from backend.services.submission import Submission
from backend.services.work import Works
from backend.services.worker_pool import WorkerPool

TRIAL_PLUGINS = Path(__file__).parent / "trial_plugins"


@dataclass
class House:
    """The services of one data folder, running."""

    settings: Settings
    ledger: Ledger
    events: Events
    queue: InMemoryQueue
    assets: Assets
    pool: WorkerPool
    runner: Runner
    reconciler: Reconciler
    jobs: Jobs
    attachments: Attachments
    batches: Batches
    pause: Pause

    async def run(self, operation: str, seconds: float = 120.0, **params: Any) -> Job:
        """Submit and wait for the end."""
        job, _ = await self.jobs.submit(operation, params)
        return await self.jobs.wait(job.id, seconds)

    async def submit(self, operation: str, **params: Any) -> Job:
        return (await self.jobs.submit(operation, params))[0]

    def types(self, job_id: str) -> list[str]:
        """The types of a job's events, in order, without progress."""
        events = self.events.replay(job_id)
        return [event.type for event in events if event.type != "progress"]


@contextlib.asynccontextmanager
async def living(settings: Settings) -> AsyncIterator[House]:
    """Start everything over a data folder; stop it at the end."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        ledger = Ledger(settings.data_dir / "ledger.sqlite3")
        await ledger.start()
        stack.push_async_callback(ledger.close)
        events = Events(ledger)
        await events.start()
        stack.push_async_callback(events.stop)
        assets = Assets(ledger, settings, Ingest(settings))
        await assets.start()
        stack.push_async_callback(assets.stop)
        host = PluginHost("api", settings, settings.data_dir)
        host.load()
        registry = Registry(host)
        queue = InMemoryQueue(settings.limits.ageing_s, settings.limits.same_model_run)
        works = Works(settings, registry, assets)
        pause = Pause(ledger, queue.wake)
        pause.load()
        pool = WorkerPool(settings, lambda name: registry.get(name).operation, registry.report)
        runner = Runner(
            *(settings, ledger, queue, events, assets, pool), pause=pause, still_is=works.still_is
        )
        attachments = Attachments(ledger, queue, events, runner)
        progress = BatchProgress(ledger, events)
        services = (settings, ledger, queue, events, registry, assets, pool, runner, attachments)
        submission = Submission(*services, works)
        jobs = Jobs(*services, submission, pause)
        batches = Batches(
            settings.limits, ledger, events, registry, assets, jobs, submission, progress
        )
        reconciler = Reconciler(ledger, queue, events, runner, attachments)
        await reconciler.recover()
        await progress.recover()
        stack.push_async_callback(attachments.stop)
        stack.push_async_callback(progress.stop)
        pool.start()
        stack.push_async_callback(pool.stop)
        runner.start()
        stack.push_async_callback(runner.stop)
        yield House(
            *(settings, ledger, events, queue, assets, pool, runner, reconciler, jobs),
            *(attachments, batches, pause),
        )


def settings_for(folder: Path, **changes: Any) -> Settings:
    """Settings for a test: one cpu worker, short pauses, nothing of the environment. A worker is
    killed after the grace by those tests only that ask for a short one."""
    limits = {"retry_backoff_s": 0.02, "cancel_grace_s": 60, "drain_s": 5.0, "disk_floor_bytes": 0}
    limits |= changes.pop("limits", {})
    return Settings(
        data_dir=folder,
        plugins_dir=changes.pop("plugins_dir", TRIAL_PLUGINS),
        workers=changes.pop("workers", ["cpu"]),
        limits=Limits(**limits),
        **changes,
    )


MakeHouse = Callable[..., Awaitable[House]]


@pytest.fixture
async def open_house(tmp_path: Path) -> AsyncIterator[MakeHouse]:
    """Open houses, each over the test's folder unless told otherwise; closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_(folder: Path | None = None, **changes: Any) -> House:
            settings = settings_for(folder or tmp_path / "data", **changes)
            return await stack.enter_async_context(living(settings))

        yield open_


@pytest.fixture
async def house(open_house: MakeHouse) -> House:
    """A running house with a cpu worker."""
    return await open_house()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """An open, empty ledger."""
    made = Ledger(tmp_path / "ledger.sqlite3")
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def leave_behind() -> Callable[..., Awaitable[str]]:
    """``await leave_behind(folder, **columns)``: a row as a service that was killed leaves it."""

    async def leave(folder, **columns) -> str:
        """A row as a service that was killed leaves it."""
        folder.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(folder / "ledger.sqlite3")
        await ledger.start()
        row = {
            "id": identifiers.job_id(), "operation": "test.sleep", "version": 1, "metadata": "{}",
            "params": '{"steps": 1, "duration_ms": 0.0}', "inputs": "[]", "capability": "cpu",
            "priority": 0, "state": "queued", "max_attempts": 2, "timeout_s": 60, "created": 0,
        } | columns  # fmt: skip
        marks = ", ".join("?" * len(row))
        await ledger.write(
            (f"INSERT INTO job ({', '.join(row)}) VALUES ({marks})", tuple(row.values())),
            (
                "INSERT INTO job_event (job_id, seq, time, type, data)"
                " VALUES (?, 1, 0, 'queued', '{}')",
                (row["id"],),
            ),
        )
        await ledger.close()
        return str(row["id"])

    return leave
