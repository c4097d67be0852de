"""The routes of the Comfy API v2, all of them.

Knows: which modules have some.
Does not know: what any of them does.
"""

from __future__ import annotations

from aiohttp import web

from backend.handlers.comfy_v2 import assets, events, jobs


def routes() -> list[web.RouteDef]:
    return [*jobs.routes(), *events.routes(), *assets.routes()]
