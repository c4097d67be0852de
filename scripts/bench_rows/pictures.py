"""Rows: what one small picture costs, alone and eight at a time, against stock and the floor.

Knows: how the three servers are measured in turns.
Does not know: how they are started or asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from bench_rows import servers
from bench_rows.clients import PNG, Client, FloorClient, KinoClient, StockClient, graph
from bench_rows.figures import Figure, median, quantile
from bench_rows.servers import Served

ROUNDS, REQUESTS, WARM_UP = 5, 120, 20
AT_ONCE, BURST = 8, 96
SETTLE_S = 0.3
"""Time after a round in which work that a server put off is still counted."""


@dataclass(slots=True)
class Side:
    """One of the servers, its client, and what was measured of it."""

    served: Served
    client: Client
    colours: Iterator[int] = field(default_factory=lambda: count(1))
    cpu_ms: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)

    async def picture(self) -> None:
        data = await self.client.run_graph(graph(next(self.colours)))
        if not data.startswith(PNG):
            raise RuntimeError(f"{self.served.name} gave no PNG")

    async def alone(self) -> None:
        """One round of requests, one after the other."""
        before = self.served.cpu_s()
        for _ in range(REQUESTS):
            start = time.perf_counter()
            await self.picture()
            self.latency_ms.append(1000 * (time.perf_counter() - start))
        await asyncio.sleep(SETTLE_S)
        self.cpu_ms.append(1000 * (self.served.cpu_s() - before) / REQUESTS)

    async def together(self) -> None:
        """One burst of requests, `AT_ONCE` at a time over one client's connections."""
        start = time.perf_counter()
        gate = asyncio.Semaphore(AT_ONCE)

        async def one() -> None:
            async with gate:
                await self.picture()

        await asyncio.gather(*(one() for _ in range(BURST)))
        self.per_s.append(BURST / (time.perf_counter() - start))


def measure(folder: Path) -> list[Figure]:
    """Start the three servers and measure them in turns."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(start(folder / name))
            for name, start in (
                ("kino", servers.kino),
                ("stock", servers.stock),
                ("floor", servers.floor),
            )
        ]
        sides = asyncio.run(_in_turns(started))
    return _figures(*sides)


async def _in_turns(started: list[Served]) -> list[Side]:
    makers: list[Callable[[Served], Any]] = [KinoClient, StockClient, FloorClient]
    async with AsyncExitStack() as stack:
        sides = [
            Side(served, await stack.enter_async_context(make(served)))
            for served, make in zip(started, makers, strict=True)
        ]
        for side in sides:
            for _ in range(WARM_UP):
                await side.picture()
        for _ in range(ROUNDS):
            for side in sides:
                await side.alone()
        for _ in range(3):
            for side in (sides[0], sides[2]):
                await side.together()
        await _stock_together(started[1], sides[1])
        return sides


async def _stock_together(served: Served, side: Side) -> None:
    """Stock tells one socket of its own prompts, so eight clients are eight clients."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(StockClient(served)) for _ in range(AT_ONCE)]

        async def some(client: StockClient) -> None:
            for _ in range(BURST // AT_ONCE):
                await client.run_graph(graph(next(side.colours)))

        for _ in range(3):
            start = time.perf_counter()
            await asyncio.gather(*(some(client) for client in clients))
            side.per_s.append(BURST / (time.perf_counter() - start))


def _figures(kino: Side, stock: Side, floor: Side) -> list[Figure]:
    row = "64x64 picture"
    figures = [
        Figure(row, "CPU, Kino / stock", _ratio(kino.cpu_ms, stock.cpu_ms), "×", at_most=1.0),
        Figure(row, "CPU, floor / stock", _ratio(floor.cpu_ms, stock.cpu_ms), "×"),
        Figure(row, "latency, Kino / stock", _ratio(kino.latency_ms, stock.latency_ms), "×"),
        Figure(row, "latency, floor / stock", _ratio(floor.latency_ms, stock.latency_ms), "×"),
    ]
    for side in (kino, stock, floor):
        name = side.served.name
        figures += [
            Figure(row, f"CPU, {name}", median(side.cpu_ms), "ms"),
            Figure(row, f"latency p50, {name}", median(side.latency_ms), "ms"),
            Figure(row, f"latency p99, {name}", quantile(side.latency_ms, 0.99), "ms"),
        ]
    row = f"{AT_ONCE} at a time"
    figures.append(Figure(row, "throughput, Kino / stock", _ratio(kino.per_s, stock.per_s), "×"))
    figures += [
        Figure(row, f"throughput, {side.served.name}", median(side.per_s), "1/s")
        for side in (kino, stock, floor)
    ]
    return figures


def _ratio(one: list[float], other: list[float]) -> float:
    return median(one) / median(other)
