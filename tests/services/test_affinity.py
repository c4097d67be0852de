"""Affinity: a worker goes on with the model that it holds, within bounds."""

from __future__ import annotations

import asyncio
from pathlib import Path


async def loads(house, tmp_path: Path, models: str) -> list[str]:
    """The models that the worker loads when jobs for *models* wait for it, in this order."""
    folder = tmp_path / "data" / "models" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    told = tmp_path / "loads"
    blocker = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    jobs = []
    for number, name in enumerate(models):
        (folder / f"{name}.safetensors").write_text(name)
        params = {"model": f"{name}.safetensors", "loads": str(told), "number": number}
        jobs.append(await house.submit("test.load", **params))
    await house.jobs.cancel(blocker.id)
    for job in jobs:
        assert (await house.jobs.wait(job.id, 120)).state == "succeeded"
    return [line.removesuffix(".safetensors") for line in told.read_text().split()]


async def test_fewer_loads(house, tmp_path) -> None:
    """Eight jobs for two models in turns load each of them once, not eight times."""
    assert await loads(house, tmp_path, "ABABABAB") == ["A", "B"]


async def test_without_affinity_they_go_in_their_order(open_house, tmp_path) -> None:
    """The setting 0 switches it off."""
    house = await open_house(limits={"same_model_run": 0})
    assert await loads(house, tmp_path, "ABABAB") == list("ABABAB")


async def test_it_is_bounded(open_house, tmp_path) -> None:
    """One that needs another model is passed twice, then it goes."""
    house = await open_house(limits={"same_model_run": 2})
    assert await loads(house, tmp_path, "ABAAAA") == ["A", "B", "A"]


async def test_a_new_worker_holds_nothing(house, tmp_path) -> None:
    """After a crash the order is that of the queue again."""
    await loads(house, tmp_path, "A")
    worker = house.pool.processes[0]
    assert house.runner._model_of(worker) == "checkpoints/A.safetensors"
    starts = worker.starts
    worker.kill()
    async with asyncio.timeout(120):
        while worker.starts == starts:
            await asyncio.sleep(0.01)
    assert house.runner._model_of(worker) is None
