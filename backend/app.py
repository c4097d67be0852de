"""The API process: builds the services and the application, runs it, ends it in good order.

Knows: the order in which services start and stop, and what a signal means.
Does not know: what a request means (``backend.handlers``) or how a job runs (``backend.services``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import structlog
from aiohttp import web

from backend import logs
from backend.errors import KinoError
from backend.handlers import (
    access,
    assets,
    docs,
    events,
    identify,
    jobs,
    listening,
    mcp,
    metrics,
    openapi,
    operations,
    problems,
    system,
    workflows,
)
from backend.handlers.catalogue import Catalogue
from backend.handlers.keys import (
    ACCESS,
    ASSETS,
    CATALOGUE,
    EVENTS,
    JOBS,
    LEDGER,
    METRICS,
    PLUGINS,
    REGISTRY,
    RUNNER,
    SETTINGS,
    STOPPING,
    TEMPLATES,
    WORKERS,
    WORKFLOWS,
)
from backend.operations import Unavailable
from backend.services import data_folder
from backend.services.assets import Assets
from backend.services.events import Events
from backend.services.ingest import Ingest
from backend.services.jobs import Jobs
from backend.services.ledger import Ledger
from backend.services.plugin_host import PluginHost
from backend.services.queue import InMemoryQueue
from backend.services.reconciler import Reconciler
from backend.services.registry import Registry
from backend.services.runner import Runner
from backend.services.worker_pool import WorkerPool
from backend.services.workflow_templates import Templates
from backend.services.workflows import Workflows

if TYPE_CHECKING:
    from backend.config import Settings

Part: TypeAlias = Callable[[web.Application], AsyncIterator[None]]
GOODBYE_S: Final = 5.0
"""Time that open requests get to end, after running jobs got theirs."""

HURRIED: Final = 130
"""Exit status after a second signal, as shells have it for Ctrl-C."""

log = structlog.get_logger("kino.app")


async def _ledger(app: web.Application) -> AsyncIterator[None]:
    app[LEDGER] = Ledger(app[SETTINGS].data_dir / "kino.db")
    await app[LEDGER].start()
    yield
    await app[LEDGER].close()


async def _events(app: web.Application) -> AsyncIterator[None]:
    app[EVENTS] = Events(app[LEDGER])
    await app[EVENTS].start()
    yield
    await app[EVENTS].stop()


async def _assets(app: web.Application) -> AsyncIterator[None]:
    ingest = Ingest(app[SETTINGS])
    app[ASSETS] = Assets(app[LEDGER], app[SETTINGS], ingest)
    await ingest.start()
    await app[ASSETS].start()
    yield
    await app[ASSETS].stop()
    await ingest.stop()


async def _plugins(app: web.Application) -> AsyncIterator[None]:
    """Plugins are loaded at once; their ``startup`` may take its time while we already listen."""
    host = PluginHost("api", app[SETTINGS], app[SETTINGS].data_dir)
    await asyncio.to_thread(host.load)
    app[PLUGINS] = host
    app[REGISTRY] = Registry(host)
    app[CATALOGUE] = Catalogue(app[REGISTRY])
    app[TEMPLATES] = Templates(app[LEDGER], app[REGISTRY], app[ASSETS])
    app[TEMPLATES].load()
    starting = asyncio.create_task(asyncio.to_thread(host.start), name="plugins")
    yield
    await asyncio.gather(starting, return_exceptions=True)
    await asyncio.to_thread(host.stop)


async def _jobs(app: web.Application) -> AsyncIterator[None]:
    """Workers first, as they need the longest; jobs are taken when the queue is rebuilt."""
    settings, ledger, events, assets = app[SETTINGS], app[LEDGER], app[EVENTS], app[ASSETS]
    registry = app[REGISTRY]
    pool = WorkerPool(settings, lambda name: registry.get(name).operation, registry.report)
    queue = InMemoryQueue()
    templates = app[TEMPLATES]
    runner = Runner(
        *(settings, ledger, queue, events, assets, pool),
        prepare=templates.prepare,
        explain=templates.explain,
    )
    reconciler = Reconciler(ledger, queue, events, runner)
    app[WORKERS], app[RUNNER] = pool, runner
    app[JOBS] = Jobs(settings, ledger, queue, events, registry, assets, pool, runner)
    app[WORKFLOWS] = Workflows(templates, app[JOBS], assets)
    for kind in {"cpu", "comfy"}.difference(settings.workers):
        registry.report(kind, _without(kind, registry))
    pool.start()
    await reconciler.recover()
    runner.start()
    reconciler.start()
    yield
    await reconciler.stop()
    await runner.stop()
    await pool.stop()


def _without(kind: str, registry: Registry) -> dict[str, Unavailable]:
    """What cannot run because the settings ask for no worker of this kind."""
    why = Unavailable(
        f"this service runs no {kind!r} worker.", f"Add {kind!r} to KINO_WORKERS and restart."
    )
    wanted = (entry.operation for entry in registry.all())
    return {operation.name: why for operation in wanted if operation.needs.runs_on == kind}


async def _workflow_files(app: web.Application) -> AsyncIterator[None]:
    """Workflows in the folder of the settings are stored as soon as there is a ComfyUI."""
    folder = app[SETTINGS].workflows_dir
    reading = None
    if folder is not None:
        reading = asyncio.create_task(app[WORKFLOWS].read_folder(folder), name="workflow files")
    yield
    if reading is not None:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _figures(app: web.Application) -> AsyncIterator[None]:
    """What the services say of themselves at each scrape."""
    figures = app[METRICS]
    figures.add("kino_jobs", "Jobs by state.", "state", app[JOBS].counts)
    figures.add(
        "kino_workers",
        "Worker processes by state.",
        "state",
        lambda: Counter(worker["state"] for worker in app[WORKERS].as_json()),
    )
    yield


PARTS: Final[tuple[Part, ...]] = (
    *(_ledger, _events, _assets, _plugins, _jobs),
    *(_workflow_files, _figures),
)
"""The services in the order in which they start; they stop in reverse."""


def create(settings: Settings, parts: Iterable[Part] = PARTS) -> web.Application:
    """The application; its *parts* (services) start and stop with it, in order and in reverse.

    Raises ``ValueError`` for a setting that cannot be read.
    """
    app = web.Application(
        middlewares=[identify.identify, metrics.measure, problems.problems, access.access],
        client_max_size=settings.limits.json_bytes,
    )
    app[SETTINGS] = settings
    app[ACCESS] = access.Access(settings)
    app[METRICS] = metrics.Metrics()
    app[STOPPING] = asyncio.Event()
    app.on_response_prepare.append(access.add_headers)
    app.on_shutdown.append(_release)
    for module in (
        *(operations, workflows, jobs, events, assets, system, problems, metrics, openapi, docs),
        mcp,
    ):
        app.add_routes(module.routes())
    app.cleanup_ctx.extend(parts)
    return app


async def _release(app: web.Application) -> None:
    """Answer everybody who waits for a job; aiohttp then awaits the requests that are left."""
    if EVENTS in app:
        app[EVENTS].release()


def serve(settings: Settings) -> int:
    """Run the service until SIGTERM or SIGINT; return the exit status.

    What keeps it from starting is said in one line on stderr, with status 1.
    """
    logs.configure(settings.log_level, settings.log_format)
    try:
        _run(_serve(settings))
    except (listening.CannotListen, ValueError) as error:
        sys.stderr.write(f"Kino cannot start: {error}\n")
        return 1
    except KinoError as error:
        sys.stderr.write(f"Kino cannot start: {error.detail}. {error.remedy or ''}\n")
        return 1
    return 0


def _run(main: Coroutine[Any, Any, None]) -> None:
    """Run the loop: uvloop's where it exists (not on Windows), as it needs less CPU per request."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _serve(settings: Settings) -> None:
    listening.check(settings)
    with data_folder.locked(settings.data_dir), contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(each) for each in listening.bind(settings)]
        app = create(settings)
        signals = _signals()
        runner = web.AppRunner(app, shutdown_timeout=GOODBYE_S)
        try:
            await runner.setup()
            servers = await listening.listen(runner, sockets)
            # for people, and for whoever started us and chose port 0
            sys.stdout.write(f"Kino listens on {listening.address(sockets[0])} (see /docs)\n")
            sys.stdout.flush()
            await signals.get()
            app[STOPPING].set()
            await _drain(app, signals)
            for server in servers:
                server.close()
        finally:
            await runner.cleanup()
    log.info("stopped")


def _signals() -> asyncio.Queue[int]:
    """Collects each SIGTERM and SIGINT from now on."""
    loop = asyncio.get_running_loop()
    seen: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, seen.put_nowait, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda n, _: loop.call_soon_threadsafe(seen.put_nowait, n))
    return seen


async def _drain(app: web.Application, signals: asyncio.Queue[int]) -> None:
    """Let running jobs end while requests are still answered; new jobs are kept for next time.

    A second signal ends everything at once, which loses nothing either: it is a crash, and what
    ran is run again.
    """
    log.info("draining", patience_s=app[SETTINGS].limits.drain_s)
    drain = asyncio.ensure_future(app[RUNNER].drain())
    hurry = asyncio.ensure_future(signals.get())
    await asyncio.wait((drain, hurry), return_when=asyncio.FIRST_COMPLETED)
    if hurry.done():
        log.warning("stopped in a hurry")
        os._exit(HURRIED)
    hurry.cancel()
    await asyncio.gather(hurry, return_exceptions=True)
    await drain
