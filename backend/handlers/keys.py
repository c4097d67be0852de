"""The typed keys under which the application holds its services.

Knows: which services there are.
Does not know: how they are built (``backend.app`` does).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from backend.config import Settings
    from backend.handlers.access import Access
    from backend.handlers.catalogue import Catalogue
    from backend.handlers.comfyui import Stock
    from backend.handlers.metrics import Metrics
    from backend.services.assets import Assets
    from backend.services.batches import Batches
    from backend.services.events import Events
    from backend.services.jobs import Jobs
    from backend.services.ledger import Ledger
    from backend.services.models import Models
    from backend.services.pausing import Pause
    from backend.services.plugin_host import PluginHost
    from backend.services.prompts import Prompts
    from backend.services.registry import Registry
    from backend.services.runner import Runner
    from backend.services.sessions import Sessions
    from backend.services.worker_pool import WorkerPool
    from backend.services.workflow_templates import Templates
    from backend.services.workflows import Workflows
    from backend.services.wrong_keys import WrongKeys

SESSIONS: Final[web.AppKey[Sessions]] = web.AppKey("sessions")
SETTINGS: Final[web.AppKey[Settings]] = web.AppKey("settings")
ACCESS: Final[web.AppKey[Access]] = web.AppKey("access")
ASSETS: Final[web.AppKey[Assets]] = web.AppKey("assets")
BATCHES: Final[web.AppKey[Batches]] = web.AppKey("batches")
CATALOGUE: Final[web.AppKey[Catalogue]] = web.AppKey("catalogue")
COMFYUI: Final[web.AppKey[Stock]] = web.AppKey("comfyui")
EVENTS: Final[web.AppKey[Events]] = web.AppKey("events")
JOBS: Final[web.AppKey[Jobs]] = web.AppKey("jobs")
LEDGER: Final[web.AppKey[Ledger]] = web.AppKey("ledger")
MODELS: Final[web.AppKey[Models]] = web.AppKey("models")
METRICS: Final[web.AppKey[Metrics]] = web.AppKey("metrics")
PAUSE: Final[web.AppKey[Pause]] = web.AppKey("pause")
PLUGINS: Final[web.AppKey[PluginHost]] = web.AppKey("plugins")
PROMPTS: Final[web.AppKey[Prompts]] = web.AppKey("prompts")
REGISTRY: Final[web.AppKey[Registry]] = web.AppKey("registry")
RUNNER: Final[web.AppKey[Runner]] = web.AppKey("runner")
TEMPLATES: Final[web.AppKey[Templates]] = web.AppKey("templates")
WORKERS: Final[web.AppKey[WorkerPool]] = web.AppKey("workers")
WORKFLOWS: Final[web.AppKey[Workflows]] = web.AppKey("workflows")
WRONG_KEYS: Final[web.AppKey[WrongKeys]] = web.AppKey("wrong_keys")
STOPPING: Final[web.AppKey[asyncio.Event]] = web.AppKey("stopping")
"""Set when the service has been told to stop; running jobs and open requests may still end."""

REQUEST_ID: Final[web.RequestKey[str]] = web.RequestKey("request_id")
KEY_NAME: Final[web.RequestKey[str]] = web.RequestKey("key_name")
CORS_ORIGIN: Final[web.RequestKey[str]] = web.RequestKey("cors_origin")
