"""Row: the memory of the worker while it mixes two hours.

Knows: how to make two hours of sound, and how to watch processes.
Does not know: how mixing works.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from pathlib import Path
from typing import Any

import psutil

from bench_rows import servers
from bench_rows.clients import KinoClient
from bench_rows.figures import Figure
from bench_rows.servers import MIB, NotMeasured, Served
from bench_rows.service import upload, wav

HOURS, RATE, BUS_RATE, STRIPS = 2, 22050, 48000, 4
NEEDED_BYTES = 8 * 2**30
DEADLINE_S = 600.0


def measure(folder: Path) -> list[Figure]:
    """Four strips of two hours, mixed at 48 kHz; the USS of the worker, sampled all the while."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < NEEDED_BYTES:
        raise NotMeasured(f"less than {NEEDED_BYTES // 2**30} GiB are free for the two-hour mix")
    source = folder / "programme.wav"
    write_programme(source)
    with servers.kino(folder, WORKERS='["cpu"]') as served:
        peak_mib, took_s = asyncio.run(_mix(served, source))
    row = "2-hour mix"
    return [
        Figure(row, "worker, peak USS", peak_mib, "MiB", at_most=300e6 / MIB),
        Figure(row, "time, four strips resampled and kept", took_s, "s"),
        Figure(row, "speed", HOURS * 3600 / took_s, "× real time"),
    ]


def write_programme(path: Path) -> None:
    """A mono 16-bit file of `HOURS`, the same noisy second again and again."""
    state, second = 1, bytearray()
    for _ in range(RATE):
        state = (1103515245 * state + 12345) % 2**31
        second += (state // 2**17 - 2**13).to_bytes(2, "little", signed=True)
    seconds = HOURS * 3600
    with path.open("wb") as file:
        file.write(wav(b"", RATE, 1, size=2 * RATE * seconds))
        for _ in range(seconds):
            file.write(second)


async def _mix(served: Served, source: Path) -> tuple[float, float]:
    async with KinoClient(served) as client:
        with source.open("rb") as file:
            reference = (await upload(client, file, source.name))["reference"]
        strips = [
            {
                "id": f"strip_{number}",
                "source": reference,
                "compressor": {},
                "fader_db": -6.0 * number,
                "pan": number / STRIPS,
            }
            for number in range(STRIPS)
        ]
        master = {"drive": 0.1, "limiter": {}}
        body = {"mix": {"strips": strips, "master": master, "sample_rate": BUS_RATE}}
        start, peak = time.perf_counter(), 0
        path = await _submit(client, body)
        while True:
            peak = max(peak, _largest_worker(served))
            job = json.loads(await client.get(path))
            if job["state"] == "succeeded":
                return peak / MIB, time.perf_counter() - start
            if job["error"] or time.perf_counter() - start > DEADLINE_S:
                raise RuntimeError(f"the mix is {job['state']}: {job['error']}")
            await asyncio.sleep(0.1)


async def _submit(client: KinoClient, body: dict[str, Any]) -> str:
    async with client.session.post(client.url + "/v1/operations/mixer.mix", json=body) as answer:
        return answer.headers["Location"]


def _largest_worker(served: Served) -> int:
    """The largest USS, in bytes, of all processes below the API process."""
    sizes = [0]
    for process in served.root.children(recursive=True):
        try:
            sizes.append(process.memory_full_info().uss)
        except psutil.NoSuchProcess:
            continue  # it ended between the two calls
    return max(sizes)
