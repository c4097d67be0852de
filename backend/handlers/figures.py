"""What the services say of themselves at each scrape of the metrics.

Knows: the names of the figures, their labels and units, and which service has each.
Does not know: how a figure is written (``handlers.metrics``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from backend.handlers.keys import JOBS, METRICS, PAUSE, WORKERS


async def told(app: web.Application) -> AsyncIterator[None]:
    """A part of the application, after the services that it asks."""
    metrics, jobs, pool, pause = app[METRICS], app[JOBS], app[WORKERS], app[PAUSE]
    metrics.add("kino_jobs", "Jobs by state.", ("state",), lambda: _labelled(jobs.counts()))
    metrics.add(
        "kino_workers",
        "Worker processes by state.",
        ("state",),
        lambda: _labelled(Counter(worker["state"] for worker in pool.as_json())),
    )
    metrics.add(
        "kino_submitted_jobs_total",
        "Jobs accepted since the start, by what equal work did for them: hit (its result was"
        " there), attached (it was being done), miss (there was none), off (not looked for).",
        ("cache",),
        lambda: _labelled(jobs.submitted),
        "counter",
    )
    metrics.add(
        "kino_queued_jobs",
        "Jobs in the queue, by capability and priority: high (above 0), normal, low.",
        ("capability", "priority"),
        jobs.depth,
    )
    metrics.add("kino_queue_paused", "1 while the queue is paused.", (), lambda: {(): pause.is_on})
    yield


def _labelled(figures: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    """Figures under the values of their one label."""
    return {(value,): figure for value, figure in figures.items()}
