"""Equal work: results that are given again, and everything that makes work unequal."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest

from backend.config import Settings
from backend.errors import QueueFull
from backend.media import codecs
from backend.media.dependence import ModelIn
from backend.media.file import File
from backend.operations import Needs, operation
from backend.services.work import Works


def made(counter: Path) -> int:
    """How often the operation was run."""
    return counter.stat().st_size if counter.exists() else 0


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    return tmp_path / "counter"


async def test_equal_work_succeeds_at_once(house, counter) -> None:
    """The second job has its own id and events, the first one's files, and took no time."""
    first = await house.run("test.work", counter=str(counter), seed=7)
    second, created = await house.jobs.submit("test.work", {"seed": 7, "counter": str(counter)})
    assert (second.state, second.cached, created, made(counter)) == ("succeeded", True, True, 1)
    assert (second.leader, second.execution_s) == (first.id, 0.0)
    assert second.id != first.id
    assert house.types(second.id) == ["queued", "succeeded"]
    assert house.events.replay(second.id)[-1].data["cached"]
    leaf = second.result["image"]
    assert leaf["reference"] == first.result["image"]["reference"]
    assert leaf["href"] == f"/v1/jobs/{second.id}/outputs/image"
    assert house.jobs.output(second.id, "image").id == leaf["asset"]
    assert house.jobs.get(second.id) == second
    assert not first.cached


async def test_what_differs_is_worked_for(house, counter) -> None:
    """Other parameters, a seed left to chance, and operations that are not pure run each time."""
    for params in ({"seed": 1}, {"seed": 2}, {"seed": None}, {"seed": None}):
        job = await house.run("test.work", counter=str(counter), **params)
        assert (job.state, job.cached) == ("succeeded", False)
    assert made(counter) == 4
    for _ in range(2):
        assert not (await house.run("test.sleep")).cached


async def test_a_new_version_of_an_operation_is_other_work(open_house, counter, tmp_path) -> None:
    """A plugin that gives other results under a higher version is not answered with old ones."""
    old = Path(__file__).parent / "trial_plugins" / "trial.py"
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    for version, cached in ((1, False), (1, True), (10, False)):  # files of other sizes: see pyc
        written = old.read_text().replace('"test.work")', f'"test.work", version={version})')
        (plugins / "trial.py").write_text(written)
        house = await open_house(tmp_path / "data", plugins_dir=plugins)
        job = await house.run("test.work", counter=str(counter))
        assert (job.state, job.cached) == ("succeeded", cached)
    assert made(counter) == 2


async def test_it_is_the_content_of_inputs_that_counts(house) -> None:
    """One sound under an id and under its reference is the same; another one is not."""
    takes = (await house.run("test.make")).result["takes"]
    first = await house.run("test.measure", audio=takes[0]["asset"])
    same = await house.run("test.measure", audio=takes[0]["reference"])
    other = await house.run("test.measure", audio=takes[1]["asset"])
    assert (first.cached, same.cached, other.cached) == (False, True, False)


async def test_a_caller_may_want_the_work(house, counter) -> None:
    """Without the cache a job runs, and what it made is what later ones get."""
    first = await house.run("test.work", counter=str(counter))
    fresh, _ = await house.jobs.submit("test.work", {"counter": str(counter)}, cache=False)
    fresh = await house.jobs.wait(fresh.id, 120)
    assert (fresh.cached, made(counter)) == (False, 2)
    again = await house.run("test.work", counter=str(counter))
    assert (again.cached, again.leader) == (True, fresh.id)
    assert first.id != fresh.id


async def test_the_setting_switches_it_off(open_house, counter) -> None:
    """A service without the cache works each time and shares nothing."""
    house = await open_house(cache=False)
    for _ in range(2):
        assert not (await house.run("test.work", counter=str(counter))).cached
    assert made(counter) == 2


async def test_a_deleted_file_is_made_again(house, counter) -> None:
    """A result whose asset was deleted is worth nothing; the work is done anew."""
    first = await house.run("test.work", counter=str(counter))
    await house.assets.delete(first.result["image"]["asset"])
    again = await house.run("test.work", counter=str(counter))
    assert (again.state, again.cached, made(counter)) == ("succeeded", False, 2)
    assert (await house.run("test.work", counter=str(counter))).leader == again.id


async def test_a_failure_is_not_kept(house, counter) -> None:
    """What failed is tried again when it is asked for again."""
    for count in (1, 2):
        job = await house.run("test.work", counter=str(counter), fails=True)
        assert (job.state, made(counter)) == ("failed", count)


async def test_a_replaced_model_gives_a_new_run(house, tmp_path) -> None:
    """A model file with another content under its name is other work; the same one is not."""
    folder = tmp_path / "data" / "models" / "checkpoints"
    folder.mkdir(parents=True)
    model = folder / "a.safetensors"
    loads = {"model": "a.safetensors", "loads": str(tmp_path / "loads")}
    missing = await house.run("test.load", **loads)
    assert missing.state == "failed"
    model.write_text("old")
    assert (await house.run("test.load", **loads)).result == {"result": "old 0"}
    assert (await house.run("test.load", **loads)).cached
    os.utime(model, (1, 1))
    assert not (await house.run("test.load", **loads)).cached
    replaced = folder / "b"
    replaced.write_text("new")
    os.utime(replaced, (1, 1))
    replaced.replace(model)
    job = await house.run("test.load", **loads)
    assert (job.cached, job.result) == (False, {"result": "new 0"})
    assert job.model == "checkpoints/a.safetensors"


async def test_a_model_that_changes_meanwhile_leaves_nothing_to_share(house, tmp_path) -> None:
    """If the file is replaced between submit and end, nobody knows which one was read."""
    folder = tmp_path / "data" / "models" / "checkpoints"
    folder.mkdir(parents=True)
    model = folder / "a.safetensors"
    model.write_text("old")
    blocker = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    params = {"model": "a.safetensors", "loads": str(tmp_path / "loads")}
    waiting = await house.submit("test.load", **params)
    following = await house.submit("test.load", **params)
    os.utime(model, (1, 1))
    await house.jobs.cancel(blocker.id)
    assert (await house.jobs.wait(waiting.id, 120)).state == "succeeded"
    os.utime(model, (waiting.created, waiting.created))
    assert house.jobs.get(waiting.id).work is None
    shared = await house.jobs.wait(following.id, 120)
    assert (shared.leader, shared.state, shared.work) == (waiting.id, "succeeded", None)


async def test_the_name_of_a_plain_file_counts(house, tmp_path) -> None:
    """Of a file the operation sees the name, so two names are two works; of a sound it does not."""
    works = Works(house.settings, house.jobs._registry, house.assets)
    (tmp_path / "a.bin").write_bytes(b"content")
    operation = house.jobs._registry.get("test.measure").operation
    hashes = []
    for name in ("a.bin", "b.bin"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        value = File.open(tmp_path / "a.bin", "application/octet-stream", name)
        stored = codecs.store(value, folder, "file")
        asset, rows = await house.assets.adopt(stored.as_leaf(), name)
        await house.ledger.write(*rows)
        checked = type(operation.check({"audio": asset.reference}, lambda ref, kind: ref))(
            {"audio": asset.reference}, (asset.reference,)
        )
        hashes.append((await works.of(operation, checked)).hash)
    assert None not in hashes
    assert hashes[0] != hashes[1]


async def test_a_full_queue_still_answers_what_is_known(open_house, counter) -> None:
    """Work that was done needs no place in the queue."""
    house = await open_house(limits={"queued_jobs": 1})
    await house.run("test.work", counter=str(counter))
    blocker = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    async with asyncio.timeout(120):
        while house.jobs.get(blocker.id).state != "running":
            await asyncio.sleep(0.01)
    await house.submit("test.sleep")
    with pytest.raises(QueueFull):
        await house.submit("test.sleep")
    assert (await house.submit("test.work", counter=str(counter))).cached
    await house.jobs.cancel(blocker.id)


async def test_a_key_gives_the_same_job_and_no_copy(house, counter) -> None:
    """An idempotency key that is used again gives its job, not another one with its result."""
    body = {"counter": str(counter)}
    first, _ = await house.jobs.submit("test.work", body, idempotency_key="k")
    await house.jobs.wait(first.id, 120)
    again, created = await house.jobs.submit("test.work", body, idempotency_key="k")
    assert (again.id, again.cached, created) == (first.id, False, False)


async def test_the_look_for_equal_work_is_cheap_among_many_jobs(house, counter) -> None:
    """Ten thousand ended jobs, and the search takes no more steps of SQLite's than among none."""
    statement = (
        "INSERT INTO job (id, operation, version, params, inputs, metadata, capability, priority,"
        " state, max_attempts, timeout_s, created, work, result) VALUES (?, 'a.b', 1, '{}', '[]',"
        " '{}', 'cpu', 0, 'succeeded', 2, 1, 0, ?, '{}')"
    )
    rows = [(statement, (f"job_{n:026d}", f"{n:064x}")) for n in range(10_000)]
    await house.ledger.write(*rows)
    job = replace(await house.run("test.sleep"), work="unknown")
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    equal = house.jobs._submission._equal
    house.ledger._reader.set_progress_handler(step, 1)
    try:
        assert equal.shared(job) is job
    finally:
        house.ledger._reader.set_progress_handler(None, 0)
    assert 0 < steps < 200


@operation("test.up", needs=Needs(runs_on="comfy"))
def up(model: Annotated[str, ModelIn("upscale_models")]) -> str:
    """Name a model that ComfyUI loads."""
    return model


async def test_packs_of_nodes_say_where_models_lie_or_nothing_is_shared(house, tmp_path) -> None:
    """A folder that a pack puts first counts as soon as ComfyUI tells of it; before that, and for
    as long as no ComfyUI runs, nobody knows which file a name stands for."""
    own = tmp_path / "models" / "upscale_models"
    theirs = tmp_path / "theirs"
    for number, folder in enumerate((own, theirs)):
        folder.mkdir(parents=True)
        (folder / "up.pth").write_bytes(b"%d" % number)
    comfyui: Any = {"models_dir": tmp_path / "models", "custom_nodes": ["pack"]}
    settings = Settings(data_dir=tmp_path / "data", comfyui=comfyui)
    table = {"upscale_models": {"folders": [str(theirs), str(own)], "suffixes": [".pth"]}}
    said: list[Any] = [None]
    works = Works(settings, house.jobs._registry, house.assets, lambda: said[0])
    checked = up.check({"model": "up.pth"}, lambda reference, kind: reference)
    assert (await works.of(up, checked)).hash is None
    said[0] = table
    first = (await works.of(up, checked)).hash
    assert first == (await works.of(up, checked)).hash is not None
    (own / "up.pth").write_bytes(b"another one")
    assert (await works.of(up, checked)).hash == first
    (theirs / "up.pth").write_bytes(b"a new one")
    assert (await works.of(up, checked)).hash not in (None, first)
    said[0] = None  # its worker has died
    assert (await works.of(up, checked)).hash is None
