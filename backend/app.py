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
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import structlog
from aiohttp import web

from backend import __version__, config, logs
from backend.errors import KinoError
from backend.handlers import (
    access,
    assets,
    batches,
    comfyui,
    docs,
    events,
    figures,
    identify,
    jobs,
    listening,
    mcp,
    metrics,
    models,
    openapi,
    operations,
    pausing,
    problems,
    session,
    system,
    workflows,
)
from backend.handlers.catalogue import Catalogue
from backend.handlers.comfy_v2 import routing as comfy_v2
from backend.handlers.keys import (
    ACCESS,
    ASSETS,
    BATCHES,
    CATALOGUE,
    COMFYUI,
    EVENTS,
    JOBS,
    LEDGER,
    METRICS,
    MODELS,
    PAUSE,
    PLUGINS,
    PROMPTS,
    REGISTRY,
    RUNNER,
    SESSIONS,
    SETTINGS,
    STOPPING,
    TEMPLATES,
    WORKERS,
    WORKFLOWS,
    WRONG_KEYS,
)
from backend.operations import Unavailable
from backend.services import data_folder
from backend.services.assets import Assets
from backend.services.attachments import Attachments
from backend.services.availability import Availability
from backend.services.batch_progress import BatchProgress
from backend.services.batches import Batches
from backend.services.events import Events
from backend.services.host_calls import HostCalls
from backend.services.ingest import Ingest
from backend.services.jobs import Jobs
from backend.services.ledger import Ledger
from backend.services.model_folders import ModelFolders, plugin_kinds
from backend.services.model_hashes import ModelHashes
from backend.services.models import Models
from backend.services.pausing import Pause
from backend.services.plugin_host import PluginHost
from backend.services.prompts import Prompts
from backend.services.queue import InMemoryQueue
from backend.services.reconciler import Reconciler
from backend.services.registry import Registry
from backend.services.runner import Runner
from backend.services.sessions import Sessions
from backend.services.submission import Submission
from backend.services.work import Works
from backend.services.worker_pool import WorkerPool
from backend.services.workflow_templates import Templates
from backend.services.workflows import Workflows
from backend.services.wrong_keys import WrongKeys

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


async def _sessions(app: web.Application) -> AsyncIterator[None]:
    app[SESSIONS] = Sessions(app[LEDGER], app[ACCESS].keys)
    await app[SESSIONS].start()
    yield


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


async def _models(app: web.Application) -> AsyncIterator[None]:
    files, templates = app[PLUGINS].models.values(), app[TEMPLATES]
    folders = ModelFolders(app[SETTINGS], plugin_kinds(files))
    for trouble in await asyncio.to_thread(folders.troubles):
        log.warning("model folders", setting=trouble.setting, reason=trouble.sentence)
    hashes = ModelHashes(app[LEDGER])
    app[MODELS] = Models(
        *(folders, hashes, files, templates.all, templates.original),
        lambda: _model_table(app[WORKERS]),
    )
    yield
    await hashes.stop()
    app[MODELS].close()


def _model_table(pool: WorkerPool) -> dict[str, Any] | None:
    """What a running ComfyUI says of its folders of models, if one runs."""
    return (pool.comfyui or {}).get("model_table")


async def _jobs(app: web.Application) -> AsyncIterator[None]:
    """Workers first, as they need the longest; jobs are taken when the queue is rebuilt."""
    settings, ledger, events, assets = app[SETTINGS], app[LEDGER], app[EVENTS], app[ASSETS]
    registry = app[REGISTRY]
    calls = HostCalls()
    pool = WorkerPool(settings, lambda name: registry.get(name).operation, registry.report, calls)
    queue = InMemoryQueue(settings.limits.ageing_s, settings.limits.same_model_run)
    templates = app[TEMPLATES]
    kinds = plugin_kinds(app[PLUGINS].models.values())
    works = Works(settings, registry, assets, partial(_model_table, pool), kinds)
    app[PAUSE] = pause = Pause(ledger, queue.wake)

    def choose(job_id: str) -> str:
        return app[PROMPTS].choose(job_id)

    runner = Runner(
        *(settings, ledger, queue, events, assets, pool),
        prepare=lambda job: app[PROMPTS].prepare(templates.prepare(job)),
        explain=templates.explain,
        choose=choose,
        pause=pause,
        still_is=works.still_is,
    )
    attachments = Attachments(ledger, queue, events, runner)
    reconciler = Reconciler(ledger, queue, events, runner, attachments)
    progress = BatchProgress(ledger, events)
    app[WORKERS], app[RUNNER] = pool, runner
    services = (settings, ledger, queue, events, registry, assets, pool, runner, attachments)
    submission = Submission(*services, works)
    app[JOBS] = Jobs(*services, submission, pause)
    app[BATCHES] = Batches(
        *(settings.limits, ledger, events, registry, assets, app[JOBS], submission, progress)
    )
    app[WORKFLOWS] = Workflows(templates, app[JOBS], assets)
    app[PROMPTS] = Prompts(settings, ledger, events, registry, assets, app[JOBS], runner)
    app[PROMPTS].offer(calls)
    for kind in {"cpu", "comfy"}.difference(settings.workers):
        registry.report(kind, _without(kind, registry))
    availability = Availability(registry)
    pool.start()
    pause.load()
    await reconciler.recover()
    await progress.recover()
    runner.start()
    reconciler.start()
    availability.start()
    yield
    await availability.stop()
    await reconciler.stop()
    await runner.stop()
    await attachments.stop()
    await progress.stop()
    await pool.stop()


def _without(kind: str, registry: Registry) -> dict[str, Unavailable]:
    """What cannot run because the settings ask for no worker of this kind."""
    why = Unavailable(
        f"this service runs no {kind!r} worker.", f"Add {kind!r} to KINO_WORKERS and restart."
    )
    wanted = (entry.operation for entry in registry.all())
    return {operation.name: why for operation in wanted if operation.needs.runs_on == kind}


async def _stock_clients(app: web.Application) -> AsyncIterator[None]:
    """ComfyUI's own API, which its worker serves and we pass on."""
    app[COMFYUI] = comfyui.Stock(app[SETTINGS], app[WORKERS], app[PROMPTS])
    yield
    await app[COMFYUI].close()


async def _workflow_files(app: web.Application) -> AsyncIterator[None]:
    """Workflows that come with Kino, and those in the folder of the settings, are stored as soon as
    there is a ComfyUI."""
    reading = asyncio.create_task(_read_workflows(app), name="workflow files")
    yield
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await app[WORKFLOWS].stop()


async def _read_workflows(app: web.Application) -> None:
    """Waits for ComfyUI however long that takes to load; it ends with the service."""
    comfyui = await app[WORKERS].wait_comfyui()
    # the fake engine has none of their nodes
    if comfyui and "unavailable" not in comfyui and app[SETTINGS].engine == "real":
        await app[WORKFLOWS].ship(SHIPPED, f"{__version__} {comfyui['tree_sha1']}")
    folder = app[SETTINGS].workflows_dir
    if folder is not None:
        await app[WORKFLOWS].read_folder(folder)


SHIPPED: Final = Path(__file__).parent / "plugins" / "workflows" / "templates"
"""Workflows that come with Kino, as the graph editor saves them."""

PARTS: Final[tuple[Part, ...]] = (
    *(_ledger, _sessions, _events, _assets, _plugins, _models, _jobs),
    *(_stock_clients, _workflow_files, figures.told),
)
"""The services in the order in which they start; they stop in reverse."""


def create(settings: Settings, parts: Iterable[Part] = PARTS) -> web.Application:
    """The application; its *parts* (services) start and stop with it, in order and in reverse.

    Raises ``ValueError`` for a setting that cannot be read.
    """
    app = _guarded(settings)
    app[SETTINGS] = settings
    app[ACCESS] = access.Access(settings)
    app[WRONG_KEYS] = WrongKeys()
    app[METRICS] = metrics.Metrics()
    app[STOPPING] = asyncio.Event()
    app.on_shutdown.append(_release)
    for module in (
        *(
            operations,
            workflows,
            models,
            jobs,
            events,
            assets,
            system,
            problems,
            metrics,
            openapi,
            docs,
            session,
        ),
        batches,
        pausing,
        mcp,
        comfy_v2,
        comfyui,
    ):
        app.add_routes(module.routes())
    app.add_routes(comfyui.routes(comfyui.EDITOR))
    app.cleanup_ctx.extend(parts)
    return app


def _guarded(settings: Settings) -> web.Application:
    """An application without routes, with all that stands before a handler."""
    app = web.Application(
        middlewares=[identify.identify, metrics.measure, problems.problems, access.access],
        client_max_size=settings.limits.json_bytes,
    )
    app.on_response_prepare.append(access.add_headers)
    return app


def _at_root(app: web.Application) -> web.Application:
    """ComfyUI's own API alone, without a prefix, over the services of *app*, which has started."""
    root = _guarded(app[SETTINGS])
    shared: list[web.AppKey[Any]] = [
        *(SETTINGS, ACCESS, SESSIONS, WRONG_KEYS, METRICS, STOPPING, PROMPTS, COMFYUI)
    ]
    for key in shared:
        root[key] = app[key]
    root.on_shutdown.append(_release)
    root.add_routes(session.routes((("/", "Graph editor"),)))  # browsers come here, too
    root.add_routes(comfyui.routes(""))
    return root


async def _release(app: web.Application) -> None:
    """Answer everybody who waits for a job; aiohttp then awaits the requests that are left."""
    if EVENTS in app:
        app[EVENTS].release()
    if COMFYUI in app:
        await app[COMFYUI].sockets.close()


def serve(settings: Settings) -> int:
    """Run the service until SIGTERM or SIGINT; return the exit status.

    What keeps it from starting is said in one line on stderr, with status 1.
    """
    logs.configure(settings.log_level, settings.log_format)
    for each in config.older_variables():
        log.warning("older variable", variable=each.name, outcome=each.outcome, remedy=each.remedy)
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
        stock = [opened.enter_context(each) for each in listening.bind_stock(settings)]
        app = create(settings)
        signals = _signals()
        runner = web.AppRunner(app, shutdown_timeout=GOODBYE_S)
        stock_runner: web.AppRunner | None = None
        try:
            await runner.setup()
            servers = await listening.listen(runner, sockets)
            if stock:
                stock_runner = web.AppRunner(_at_root(app), shutdown_timeout=GOODBYE_S)
                await stock_runner.setup()
                servers += await listening.listen(stock_runner, stock)
                log.info("ComfyUI's own API", address=listening.address(stock[0]))
            # for people, and for whoever started us and chose port 0
            sys.stdout.write(f"Kino listens on {listening.address(sockets[0])} (see /docs)\n")
            sys.stdout.flush()
            await signals.get()
            app[STOPPING].set()
            await _drain(app, signals)
            for server in servers:
                server.close()
        finally:
            if stock_runner is not None:
                await stock_runner.cleanup()
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
