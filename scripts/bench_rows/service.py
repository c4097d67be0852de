"""Rows: how soon Kino is there, what it weighs, and how long a job waits to start.

Knows: the API process from outside, and job records.
Does not know: workers' work.
"""

from __future__ import annotations

import asyncio
import io
import struct
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from bench_rows import servers
from bench_rows.clients import KinoClient
from bench_rows.figures import Figure, median, quantile
from bench_rows.servers import MIB

STARTS, IDLE_S = 3, 3.0
JOBS, WARM_UP = 200, 10


def measure_start(folder: Path) -> list[Figure]:
    """Time from launch to the first 200 of /healthz, then memory and CPU at rest."""
    live: list[float] = []
    for number in range(STARTS):
        start = time.perf_counter()
        with servers.kino(folder / str(number), ready="/healthz"):
            live.append(time.perf_counter() - start)
    start = time.perf_counter()
    with servers.kino(folder / "ready") as served:
        ready_s = time.perf_counter() - start
        time.sleep(IDLE_S)
        before, at = served.cpu_s(), time.perf_counter()
        time.sleep(IDLE_S)
        idle = (served.cpu_s() - before) / (time.perf_counter() - at)
        memory = served.root.memory_full_info()
    row = "start"
    return [
        Figure(row, "live (/healthz)", median(live), "s", at_most=2.0),
        Figure(row, "ready (/readyz, ComfyUI loaded)", ready_s, "s"),
        Figure(row, "API process, RSS", memory.rss / MIB, "MiB", at_most=150),
        Figure(row, "API process, USS", memory.uss / MIB, "MiB"),
        Figure(row, "all processes, CPU at rest", 100 * idle, "%"),
    ]


def measure_dispatch(folder: Path) -> list[Figure]:
    """Time from before the POST to the job's ``started``, on an idle worker."""
    with servers.kino(folder, WORKERS='["cpu"]') as served:
        waits, spans = asyncio.run(_dispatch(served))
    row = "dispatch"
    return [
        Figure(row, "submit to started, p50", median(waits), "ms", at_most=5.0),
        Figure(row, "submit to started, p99", quantile(waits, 0.99), "ms"),
        Figure(row, "submit to answer of a job, p50", median(spans), "ms"),
        Figure(row, "submit to answer of a job, p99", quantile(spans, 0.99), "ms"),
    ]


async def _dispatch(served: servers.Served) -> tuple[list[float], list[float]]:
    waits: list[float] = []
    spans: list[float] = []
    async with KinoClient(served) as client:
        reference = (await upload(client, wav(bytes(9600), 48000, 2), "short.wav"))["reference"]
        for number in range(WARM_UP + JOBS):
            strip = {"id": "tone", "source": reference, "fader_db": -number / 10}
            submitted, clock = time.time(), time.perf_counter()
            job = await client.run("mixer.mix", {"mix": {"strips": [strip]}})
            span = time.perf_counter() - clock
            if number >= WARM_UP:
                started = datetime.fromisoformat(job["started"]).timestamp()
                waits.append(1000 * (started - submitted))
                spans.append(1000 * span)
    return waits, spans


def wav(samples: bytes, rate: int, channels: int, size: int | None = None) -> bytes:
    """A 16-bit WAV file, or with *size* the header of one with so many bytes of samples."""
    size = len(samples) if size is None else size
    out = io.BytesIO()
    out.write(struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE"))
    frame = 2 * channels
    out.write(struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * frame, frame, 16))
    out.write(struct.pack("<4sI", b"data", size) + samples)
    return out.getvalue()


async def upload(client: KinoClient, body: Any, name: str) -> dict[str, Any]:
    """Upload *body* (bytes or an open file); the asset as JSON."""
    timeout = aiohttp.ClientTimeout(total=300)
    async with client.session.post(
        client.url + "/v1/assets", params={"file_name": name}, data=body, timeout=timeout
    ) as answer:
        asset: dict[str, Any] = await answer.json()
        return asset
