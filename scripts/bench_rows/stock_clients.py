"""Rows: a stock ComfyUI client on Kino's port against the genuine server.

Knows: a client's whole round trip, and its question which nodes there are.
Does not know: how the servers are started; the client is the same for both.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from bench_rows import servers
from bench_rows.clients import PNG, StockClient, graph
from bench_rows.figures import Figure, median, quantile
from bench_rows.servers import Served

ROUNDS, REQUESTS, WARM_UP = 5, 60, 15
ASKED: Final = 12
MOUNT: Final = "/comfy"


@dataclass(slots=True)
class Side:
    """One server, the client that asks it, and what was measured of it."""

    served: Served
    client: StockClient
    trip_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    info_ms: list[float] = field(default_factory=list)

    async def trips(self, colours: count[int], rounds: int) -> None:
        """Submit, hear of the end over the WebSocket, read the history, fetch the picture."""
        before = self.served.cpu_s()
        for _ in range(rounds):
            begun = time.perf_counter()
            data = await self.client.run_graph(graph(next(colours)))
            self.trip_ms.append(1000 * (time.perf_counter() - begun))
            if not data.startswith(PNG):
                raise RuntimeError(f"{self.served.name} gave no PNG")
        self.cpu_ms.append(1000 * (self.served.cpu_s() - before) / rounds)

    async def ask_nodes(self) -> None:
        """``/object_info``, as every editor and client asks at its start."""
        begun = time.perf_counter()
        size = len(await self.client.get("/object_info"))
        self.info_ms.append(1000 * (time.perf_counter() - begun))
        if size < 100_000:
            raise RuntimeError(f"{self.served.name} said too little of its nodes")


def measure(folder: Path) -> list[Figure]:
    """Start both servers and measure them in turns."""
    with ExitStack() as stack:
        kino = stack.enter_context(servers.kino(folder / "kino"))
        stock = stack.enter_context(servers.stock(folder / "stock"))
        sides = asyncio.run(_in_turns(kino, stock))
    return _figures(*sides)


async def _in_turns(kino: Served, stock: Served) -> list[Side]:
    async with AsyncExitStack() as stack:
        sides = [
            Side(kino, await stack.enter_async_context(StockClient(kino, MOUNT))),
            Side(stock, await stack.enter_async_context(StockClient(stock))),
        ]
        colours = count(1)
        for side in sides:
            await side.trips(colours, WARM_UP)
            await side.ask_nodes()
            side.trip_ms.clear()
            side.cpu_ms.clear()
            side.info_ms.clear()
        for _ in range(ROUNDS):
            for side in sides:
                await side.trips(colours, REQUESTS)
        for _ in range(ASKED):
            for side in sides:
                await side.ask_nodes()
        return sides


def _figures(kino: Side, stock: Side) -> list[Figure]:
    row = "stock client"
    trip = median(kino.trip_ms) / median(stock.trip_ms)
    info = median(kino.info_ms) / median(stock.info_ms)
    figures = [
        Figure(row, "whole round trip, Kino / stock", trip, "×"),
        Figure(row, "CPU, Kino / stock", median(kino.cpu_ms) / median(stock.cpu_ms), "×"),
        Figure(row, "/object_info, Kino / stock", info, "×", at_most=1.0),
    ]
    for side in (kino, stock):
        name = side.served.name
        figures += [
            Figure(row, f"whole round trip p50, {name}", median(side.trip_ms), "ms"),
            Figure(row, f"whole round trip p99, {name}", quantile(side.trip_ms, 0.99), "ms"),
            Figure(row, f"CPU, {name}", median(side.cpu_ms), "ms"),
            Figure(row, f"/object_info, {name}", median(side.info_ms), "ms"),
        ]
    return figures
