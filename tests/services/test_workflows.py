"""Storing a workflow while its worker is busy: patience, and what is left behind."""

from __future__ import annotations

import asyncio
import json

import pytest

from backend.errors import Conflict, DeadlineExceeded, UnknownName
from backend.services.workflow_templates import Templates
from backend.services.workflows import DESCRIBE, Workflows

GRAPH = json.dumps({"1": {"class_type": "KinoTestSleep", "inputs": {"seconds": 0.0}}}).encode()
NAP = {"graph": {"1": {"class_type": "KinoTestSleep", "inputs": {"seconds": 600.0}}}}


async def test_who_waits_too_long_leaves_no_job(open_house) -> None:
    """Neither patience that ends nor a caller who is cancelled leaves the describing job behind."""
    house = await open_house(workers=["comfy"], engine="fake")
    templates = Templates(house.ledger, house.jobs._registry, house.assets)
    templates.load()
    workflows = Workflows(templates, house.jobs, house.assets, patience_s=0.3)
    nap, _ = await house.jobs.submit("workflows.run", NAP)
    while (await house.jobs.wait(nap.id, 0.05)).state != "running":
        pass
    with pytest.raises(DeadlineExceeded):
        await workflows.put("late", GRAPH)
    storing = asyncio.create_task(workflows.put("cancelled", GRAPH))
    await asyncio.sleep(0.1)
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing
    await workflows.stop()
    assert house.jobs.list(operation=DESCRIBE).items == []
    assert [each.state for each in house.jobs.list().items] == ["running"]
    await house.jobs.cancel(nap.id)
    assert (await house.jobs.wait(nap.id, 120)).state == "cancelled"
    stored, is_new = await Workflows(templates, house.jobs, house.assets).put("late", GRAPH)
    assert (stored["version"], is_new) == (1, True)


async def test_what_is_shipped_follows_kino_and_comfyui(open_house, tmp_path) -> None:
    """Described once for a document and a ComfyUI; what cannot be is passed over; somebody's
    own goes first, and what is shipped no more is gone, but not somebody's own of that name."""
    house = await open_house(workers=["comfy"], engine="fake")
    registry = house.jobs._registry
    templates = Templates(house.ledger, registry, house.assets)
    templates.load()
    workflows = Workflows(templates, house.jobs, house.assets)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for name, document in (("a-nap", GRAPH), ("other", GRAPH), ("torn", b"{")):
        (shelf / f"{name}.json").write_bytes(document)

    def offered() -> dict[str, tuple[int, bool]]:
        return {each["name"]: (each["version"], each["shipped"]) for each in workflows.list()}

    await workflows.ship(shelf, "one")
    await workflows.ship(shelf, "one")
    assert offered() == {"a_nap": (1, True), "other": (1, True)}
    own = GRAPH.replace(b"0.0", b"0.5")
    await workflows.put("other", own)
    await workflows.ship(shelf, "two")
    assert offered() == {"a_nap": (2, True), "other": (2, False)}
    with pytest.raises(Conflict):
        await workflows.delete("a_nap")
    await workflows.delete("other")
    assert offered()["other"] == (3, True)
    await workflows.put("other", own)
    for path in shelf.glob("*.json"):
        path.unlink()
    await workflows.ship(shelf, "two")
    assert offered() == {"other": (4, False)}
    again = Templates(house.ledger, registry, house.assets)
    again.load()
    assert [(each.name, each.version) for each in again.all()] == [("other", 4)]
    with pytest.raises(UnknownName):
        registry.get("workflow.a_nap")
    assert registry.ran_by("workflow.a_nap").operation.name == "workflows.run"
