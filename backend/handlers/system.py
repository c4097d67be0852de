"""The service about itself: alive, ready, system, plugins, and where things are.

Knows: the routes and the difference between alive (the loop turns) and ready (workers are).
Does not know: how a worker is watched.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import psutil
from aiohttp import web

from backend.errors import ComfyUIIncompatible, OperationUnavailable
from backend.handlers.keys import (
    JOBS,
    MODELS,
    PAUSE,
    PLUGINS,
    REGISTRY,
    SETTINGS,
    STOPPING,
    WORKERS,
)
from backend.handlers.query import Nothing, read_query

LINKS: Final = {
    "docs": "/docs",
    "openapi": "/openapi.json",
    "operations": "/v1/operations",
    "workflows": "/v1/workflows",
    "jobs": "/v1/jobs",
    "batches": "/v1/batches",
    "queue": "/v1/queue",
    "assets": "/v1/assets",
    "models": "/v1/models",
    "plugins": "/v1/plugins",
    "system": "/v1/system",
    "problems": "/v1/problems",
    "ready": "/readyz",
    "metrics": "/metrics",
    "mcp": "/mcp",
    "editor": "/editor/",
    "comfyui": "/comfy/",
}


@cache
def kino_version() -> str:
    """The installed version; read once, as it lies in a file."""
    return version("kino")


async def welcome(_request: web.Request) -> web.Response:
    return web.json_response({"name": "kino", "version": kino_version(), "links": LINKS})


async def alive(_request: web.Request) -> web.Response:
    """200 as long as the event loop turns; asks nobody."""
    return web.json_response({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """200 when every worker is ready, else a 503 problem; either says what each one is doing.

    A comfy worker without ComfyUI is ready (it serves what does not need it): ``degraded``.
    """
    app = request.app
    pool, engine = app[WORKERS], comfyui(app)
    shown = ("state", "stage", "version", "type", "reason", "remedy")
    report: dict[str, Any] = {
        "state": "ready" if engine["state"] in ("ready", "off") else "degraded",
        "workers": pool.as_json(),
        "comfyui": {key: engine[key] for key in shown if key in engine},
        "unavailable": {
            entry.operation.name: entry.unavailable.as_json()
            for entry in app[REGISTRY].all()
            if entry.unavailable is not None
        },
    }
    if app[STOPPING].is_set():
        report["state"] = "stopping"
        raise OperationUnavailable("the service is stopping", extra=report)
    if not pool.is_ready:
        report["state"] = "starting"
        late = ", ".join(worker.name for worker in pool.processes if not worker.is_ready)
        raise OperationUnavailable(
            f"not ready yet: {late}", remedy="Wait, or see the log.", extra=report
        )
    return web.json_response(report)


def comfyui(app: web.Application) -> dict[str, Any]:
    """ComfyUI's state (``off starting ready unavailable``) and all that is known of it."""
    settings, pool = app[SETTINGS], app[WORKERS]
    if "comfy" not in settings.workers or not settings.comfyui.enabled:
        return {"state": "off"}
    said = pool.comfyui
    if said is None:
        return {"state": "starting", "stage": pool.stage("comfy")}
    if absent := said.get("unavailable"):
        return {
            "state": "unavailable",
            "type": f"/v1/problems/{ComfyUIIncompatible.slug}",
            **absent,
        }
    # the folders of models are paths, which clients never see
    return {"state": "ready", **{key: said[key] for key in said if key != "model_table"}}


async def plugins(request: web.Request) -> web.Response:
    """Every plugin as this process sees it; a worker that sees it otherwise is named."""
    read_query(request, Nothing)
    elsewhere: dict[str, dict[str, Any]] = {}
    for worker in request.app[WORKERS].processes:
        for plugin in worker.info.get("plugins", ()):
            if plugin["unavailable"] is not None:
                elsewhere.setdefault(plugin["name"], {})[worker.kind] = plugin["unavailable"]
    items = [
        {**plugin.as_json(), "unavailable_in": elsewhere.get(plugin.name, {})}
        for plugin in request.app[PLUGINS].plugins
    ]
    return web.json_response({"items": items})


async def system(request: web.Request) -> web.Response:
    read_query(request, Nothing)
    app = request.app
    settings = app[SETTINGS]
    disk = await asyncio.to_thread(shutil.disk_usage, settings.data_dir)
    report: dict[str, Any] = {
        "version": kino_version(),
        "process": {"pid": os.getpid(), "memory_bytes": psutil.Process().memory_info().rss},
        "workers": app[WORKERS].as_json(),
        "comfyui": comfyui(app),
        "jobs": app[JOBS].counts(),
        "queue": app[PAUSE].as_json(),
        "models": await asyncio.to_thread(app[MODELS].report),
        "disk": {"total_bytes": disk.total, "free_bytes": disk.free},
        "limits": settings.limits.model_dump(mode="json"),
    }
    return web.json_response(report)


def routes() -> list[web.RouteDef]:
    return [
        web.get("/", welcome),
        web.get("/healthz", alive),
        web.get("/readyz", ready),
        web.get("/v1/system", system),
        web.get("/v1/plugins", plugins),
    ]
