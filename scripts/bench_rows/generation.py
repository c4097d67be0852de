"""Rows: a picture from an SDXL-shaped checkpoint, through Kino and through the stock server.

Knows: the graph, the checkpoints (tiny ones on a CPU, one of full size where there is a GPU), and
how both sides are asked in turns.
Does not know: how the servers are started.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from backend.testing import checkpoints
from bench_rows import servers
from bench_rows.clients import PNG, Client, KinoClient, StockClient
from bench_rows.figures import Figure, median
from bench_rows.servers import MIB, NotMeasured, Served

NAME: Final = "bench.safetensors"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is generated: size in pixels, steps, and how many pictures a round has."""

    row: str
    write: Callable[[Path], Path]
    side_px: int
    steps: int
    rounds: int
    pictures: int


MINI: Final = Plan("SDXL mini, 128x128, 4 steps", checkpoints.write_sdxl, 128, 4, 4, 5)
WHOLE: Final = Plan(
    "SDXL, 1024x1024, 20 steps, GPU", partial(checkpoints.write_sdxl, whole=True), 1024, 20, 3, 3
)


def graph(plan: Plan, seed: int) -> dict[str, Any]:
    """Text to picture with stock nodes. Another seed is another request: no cache helps."""
    sampler = {
        "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0],
        "seed": seed, "steps": plan.steps, "cfg": 7.0, "sampler_name": "euler",
        "scheduler": "normal", "denoise": 1.0,
    }  # fmt: skip
    size = {"width": plan.side_px, "height": plan.side_px, "batch_size": 1}
    nodes = {
        "1": ("CheckpointLoaderSimple", {"ckpt_name": NAME}),
        "2": ("CLIPTextEncode", {"text": "a lighthouse at dusk", "clip": ["1", 1]}),
        "3": ("CLIPTextEncode", {"text": "blurry", "clip": ["1", 1]}),
        "4": ("EmptyLatentImage", size),
        "5": ("KSampler", sampler),
        "6": ("VAEDecode", {"samples": ["5", 0], "vae": ["1", 2]}),
        "7": ("SaveImage", {"images": ["6", 0], "filename_prefix": "bench"}),
    }
    return {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


@dataclass(slots=True)
class Side:
    """One server and what was measured of it."""

    served: Served
    client: Client
    first_s: float = 0.0
    cpu_ms: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)

    async def picture(self, plan: Plan, seed: int) -> float:
        """Ask for one picture; the seconds it took."""
        begun = time.perf_counter()
        data = await self.client.run_graph(graph(plan, seed))
        if not data.startswith(PNG):
            raise RuntimeError(f"{self.served.name} gave no PNG")
        return time.perf_counter() - begun

    async def round(self, plan: Plan, seed: int) -> None:
        before = self.served.cpu_s()
        for number in range(plan.pictures):
            self.latency_ms.append(1000 * await self.picture(plan, seed + number))
        self.cpu_ms.append(1000 * (self.served.cpu_s() - before) / plan.pictures)

    def memory_mib(self) -> float:
        """What would be free if the whole tree of processes ended."""
        return sum(process.memory_full_info().uss for process in self.served.processes()) / MIB


def measure(folder: Path) -> list[Figure]:
    """The tiny checkpoint."""
    return _measure(folder, MINI)


def measure_gpu(folder: Path) -> list[Figure]:
    """The one of full size; only where there is a GPU."""
    if not servers.gpu_present():
        raise NotMeasured("there is no GPU here")
    return _measure(folder, WHOLE)


def _measure(folder: Path, plan: Plan) -> list[Figure]:
    written = plan.write(folder / "models" / "checkpoints" / NAME)
    there = folder / "stock" / "base" / "models" / "checkpoints" / NAME
    there.parent.mkdir(parents=True)
    os.link(written, there)
    with ExitStack() as stack:
        models = {"COMFYUI__MODELS_DIR": str(folder / "models")}
        started = [
            stack.enter_context(servers.kino(folder / "kino", **models)),
            stack.enter_context(servers.stock(folder / "stock")),
        ]
        sides = asyncio.run(_in_turns(started, plan))
        memory = [side.memory_mib() for side in sides]
    return _figures(plan, sides[0], sides[1], memory)


async def _in_turns(started: list[Served], plan: Plan) -> list[Side]:
    makers: list[Callable[[Served], Any]] = [KinoClient, StockClient]
    async with AsyncExitStack() as stack:
        sides = [
            Side(served, await stack.enter_async_context(make(served)))
            for served, make in zip(started, makers, strict=True)
        ]
        for side in sides:
            side.first_s = await side.picture(plan, 0)
            await side.picture(plan, 1)
        for number in range(plan.rounds):
            for side in sides:
                await side.round(plan, 100 * (number + 1))
        return sides


def _figures(plan: Plan, kino: Side, stock: Side, memory_mib: list[float]) -> list[Figure]:
    def pair(name: str, values: tuple[float, float], unit: str) -> list[Figure]:
        ratio = Figure(plan.row, f"{name}, Kino / stock", values[0] / values[1], "×")
        both = zip((kino, stock), values, strict=True)
        return [
            ratio,
            *(Figure(plan.row, f"{name}, {side.served.name}", v, unit) for side, v in both),
        ]

    return [
        *pair("CPU", (median(kino.cpu_ms), median(stock.cpu_ms)), "ms"),
        *pair("latency p50", (median(kino.latency_ms), median(stock.latency_ms)), "ms"),
        *pair("first picture", (kino.first_s, stock.first_s), "s"),
        *pair("memory, USS of all processes", (memory_mib[0], memory_mib[1]), "MiB"),
    ]
