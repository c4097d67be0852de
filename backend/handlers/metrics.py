"""Figures of the running service in Prometheus' text form.

Knows: requests by route template and status, the queue, jobs by state, workers by state.
Does not know: who scrapes them. One registry for each application; nothing is global.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Literal

from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from backend.handlers.keys import METRICS
from backend.handlers.problems import Handler

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

NO_ROUTE: Final = "none"
Kind = Literal["gauge", "counter"]
Labels = tuple[str, ...]
Figures = Mapping[Labels, float]


class Metrics:
    """The figures of one application. Each source gives ``{label values: figure}`` when asked."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.requests = Histogram(
            "kino_request_seconds",
            "Time to answer, by route template and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )

    def add(
        self,
        name: str,
        words: str,
        labels: Labels,
        source: Callable[[], Figures],
        kind: Kind = "gauge",
    ) -> None:
        """Show what *source* says at each scrape; a counter's name ends in ``_total``."""
        self.registry.register(_Asked(name, words, labels, source, kind))

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Asked(Collector):
    def __init__(
        self, name: str, words: str, labels: Labels, source: Callable[[], Figures], kind: Kind
    ) -> None:
        self._name, self._words, self._labels = name, words, labels
        self._source, self._kind = source, kind

    def collect(self) -> Iterator[Metric]:
        make = CounterMetricFamily if self._kind == "counter" else GaugeMetricFamily
        family = make(self._name, self._words, labels=self._labels)
        for values, figure in sorted(self._source().items()):
            family.add_metric(values, figure)
        yield family


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Time each request; labelled by the route's template, so that ids make no new series."""
    started = asyncio.get_running_loop().time()
    status = 499  # what remains if the client left before the answer
    try:
        response = await handler(request)
        status = response.status
        return response
    finally:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else NO_ROUTE
        taken = asyncio.get_running_loop().time() - started
        method = request.method if route != NO_ROUTE else NO_ROUTE
        request.app[METRICS].requests.labels(method, route, str(status)).observe(taken)


async def show(request: web.Request) -> web.Response:
    return web.Response(
        body=request.app[METRICS].text(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
    )


def routes() -> list[web.RouteDef]:
    return [web.get("/metrics", show)]
