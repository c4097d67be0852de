"""Batches: many jobs accepted together, one status, one stream of events, one cancel."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from backend.errors import (
    Conflict,
    InvalidParameters,
    MalformedRequest,
    OperationUnavailable,
    QueueFull,
    UnknownName,
)
from backend.services import sweeps
from backend.services.transitions import Transitions


async def submit(house, key=None, **request):
    body = {"operation": "test.sleep", **request}
    return (await house.batches.submit(json.dumps(body).encode(), key))[0]


async def ended(house, batch_id: str):
    """The batch when its last event is told."""
    async with asyncio.timeout(120):
        async for _ in house.events.stream(batch_id):
            pass
    return house.batches.get(batch_id)


async def test_a_sweep_is_run_and_told(house) -> None:
    """Every combination is a job of the batch; its status adds them up."""
    batch = await submit(
        house, sweep={"steps": [1, 2], "duration_ms": [0.0, 1.0, 2.0]}, metadata={"shot": 3}
    )
    assert (batch["count"], batch["metadata"], batch["finished"]) == (6, {"shot": 3}, None)
    done = await ended(house, batch["id"])
    assert (done["state"], done["progress"]) == ("succeeded", 1.0)
    assert done["counts"] == {
        "queued": 0, "running": 0, "succeeded": 6, "failed": 0, "cancelled": 0,
    }  # fmt: skip
    assert done["finished"] is not None
    jobs = house.jobs.list(batch=batch["id"]).items
    assert {(job.params["steps"], job.params["duration_ms"]) for job in jobs} == {
        (steps, ms) for steps in (1, 2) for ms in (0.0, 1.0, 2.0)
    }
    assert all((job.batch, job.metadata) == (batch["id"], {"shot": 3}) for job in jobs)
    events = house.events.replay(batch["id"])
    assert (events[0].type, events[-1].type) == ("queued", "succeeded")
    assert [event.seq for event in events] == sorted({event.seq for event in events})
    fractions = [event.data["fraction"] for event in events if event.type == "progress"]
    assert fractions == sorted(fractions)


async def test_equal_jobs_of_a_batch_share_their_work(house, tmp_path) -> None:
    """Work that is done, or is in the same batch, is not done again."""
    counter = tmp_path / "counter"
    params = {"counter": str(counter)}
    await house.run("test.work", **params, seed=1)
    batch = await submit(house, operation="test.work", params=params, sweep={"seed": [1, 2, 2, 2]})
    done = await ended(house, batch["id"])
    assert (done["counts"]["succeeded"], done["cached"]) == (4, 3)
    assert counter.stat().st_size == 2
    fresh = await submit(
        house, operation="test.work", params=params, sweep={"seed": [1, 2]}, cache=False
    )
    assert (await ended(house, fresh["id"]))["cached"] == 0
    assert counter.stat().st_size == 4


async def test_equal_work_that_comes_while_a_batch_is_written_is_shared(
    house, tmp_path, monkeypatch
) -> None:
    """A job, and another batch, whose work is in a batch on its way to the ledger wait for it."""
    counter, write = tmp_path / "counter", asyncio.Event()
    submit_all, slow = Transitions.submit_all, [True]

    async def submit_slowly(self, *statements):
        if slow.pop() if slow else False:
            await write.wait()
        return await submit_all(self, *statements)

    monkeypatch.setattr(Transitions, "submit_all", submit_slowly)
    request = {"operation": "test.work", "params": {"counter": str(counter)}}
    first = asyncio.create_task(submit(house, **request, sweep={"seed": [1, 2]}))
    async with asyncio.timeout(120):
        while slow:
            await asyncio.sleep(0.001)
    second = asyncio.create_task(submit(house, **request, sweep={"seed": [2, 3]}))
    single = asyncio.create_task(house.submit("test.work", counter=str(counter), seed=1))
    async with asyncio.timeout(120):
        while len(house.jobs.list(operation="test.work").items) < 3:
            await asyncio.sleep(0.001)
    write.set()
    job = await single
    done = [await ended(house, (await each)["id"]) for each in (first, second)]
    assert [each["cached"] for each in done] == [0, 1]
    assert (await house.jobs.wait(job.id, 120)).cached
    assert counter.stat().st_size == 3


async def test_a_batch_of_known_work_ends_at_once(house, tmp_path) -> None:
    """Nothing is left to wait for, and it says so."""
    params = {"counter": str(tmp_path / "counter")}
    await house.run("test.work", **params)
    batch = await submit(house, operation="test.work", params=params, items=[{}, {}])
    assert batch["counts"]["succeeded"] == 2
    assert (await ended(house, batch["id"]))["state"] == "succeeded"


async def test_all_or_none(house) -> None:
    """One bad item refuses the batch; each is named where it stands, and nothing is kept."""
    with pytest.raises(InvalidParameters) as refused:
        await submit(house, sweep={"steps": [1, "two", 3], "duration_ms": [0.0, "x"]})
    assert {error.pointer for error in refused.value.errors} == {
        "/sweep/steps/1", "/sweep/duration_ms/1",
    }  # fmt: skip
    with pytest.raises(InvalidParameters) as refused:
        await submit(house, params={"nothing": 1}, items=[{}, {"steps": None}])
    assert {error.pointer for error in refused.value.errors} == {
        "/params/nothing", "/items/1/steps",
    }  # fmt: skip
    assert house.ledger.read("SELECT id FROM job") == []
    assert house.ledger.read("SELECT id FROM batch") == []


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"operation": "test.nothing", "items": [{}]}, UnknownName),
        ({"operation": "test.torch", "items": [{}]}, OperationUnavailable),
        ({"items": []}, InvalidParameters),
        ({"sweep": {}}, InvalidParameters),
        ({"sweep": {"steps": []}}, InvalidParameters),
        ({"sweep": {"steps": 3}}, InvalidParameters),
        ({"items": [3]}, InvalidParameters),
        ({"items": [{}], "volume": 1}, InvalidParameters),
        ({"items": [{}], "priority": 101}, InvalidParameters),
    ],
)
async def test_bad_batches_make_nothing(house, request_, error) -> None:
    """What cannot be meant is refused before anything is written."""
    with pytest.raises(error):
        await submit(house, **request_)
    assert house.ledger.read("SELECT id FROM batch") == []


async def test_limits_hold(open_house) -> None:
    """Too many jobs, too many bytes, no room in the queue, no JSON."""
    house = await open_house(limits={"batch_jobs": 5, "batch_bytes": 2000, "queued_jobs": 4})
    with pytest.raises(InvalidParameters, match="batch_jobs"):
        await submit(house, sweep={"steps": list(range(6))})
    with pytest.raises(InvalidParameters, match="batch_bytes"):
        await submit(house, operation="test.say", params={"lines": ["x" * 900]}, items=[{}] * 3)
    with pytest.raises(QueueFull):
        await submit(house, items=[{}] * 5)
    for body in (b"[1", b'{"operation": NaN}', b"[]"):
        with pytest.raises((MalformedRequest, InvalidParameters)):
            await house.batches.submit(body)
    assert house.ledger.read("SELECT id FROM job") == []


async def test_a_key_makes_one_batch(house) -> None:
    """A repeated submit gives the same batch; another one under its key is a conflict."""
    made = await asyncio.gather(*(submit(house, "k", items=[{}, {}]) for _ in range(4)))
    assert len({batch["id"] for batch in made}) == 1
    assert len(house.ledger.read("SELECT id FROM job")) == 2
    with pytest.raises(Conflict):
        await submit(house, "k", items=[{}])
    await ended(house, made[0]["id"])


async def test_a_batch_is_cancelled_as_a_whole(house, tmp_path) -> None:
    """What waits, runs or follows ends; what has ended stays; others are left alone."""
    other = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    batch = await submit(
        house,
        operation="test.work",
        params={"counter": str(tmp_path / "n"), "duration_ms": 600_000.0},
        sweep={"seed": [1, 1, 2, 3]},
    )
    assert (await house.batches.cancel(batch["id"]))["counts"]["cancelled"] == 4
    done = await ended(house, batch["id"])
    assert (done["state"], done["progress"]) == ("cancelled", 1.0)
    assert not house.jobs.get(other.id).has_ended
    assert (await house.batches.cancel(batch["id"]))["state"] == "cancelled"
    await house.jobs.cancel(other.id)
    with pytest.raises(UnknownName):
        await house.batches.cancel("bat_" + "0" * 26)


async def test_a_failed_job_makes_a_failed_batch_until_it_is_tried_again(house, tmp_path) -> None:
    """The batch ends as failed, goes on with the retry, and then succeeds."""
    batch = await submit(
        house, operation="test.fail", params={"counter": str(tmp_path / "n")},
        items=[{"times": 0}, {"times": 4}],
    )  # fmt: skip
    done = await ended(house, batch["id"])
    assert (done["state"], done["counts"]["failed"]) == ("failed", 1)
    (failed,) = house.jobs.list(batch=batch["id"], state="failed").items
    last = house.events.replay(batch["id"])[-1].seq
    await house.jobs.retry(failed.id)
    async with asyncio.timeout(120):
        while house.batches.get(batch["id"])["finished"] is None or (
            house.batches.get(batch["id"])["state"] != "succeeded"
        ):
            await asyncio.sleep(0.01)
    more = [event.type for event in house.events.replay(batch["id"], last)]
    assert (more[0], more[-1]) == ("queued", "succeeded")


async def test_a_batch_outlives_a_crash(open_house, tmp_path, leave_behind) -> None:
    """After a kill the batch goes on, and its end is told once."""
    folder = tmp_path / "data"
    ids = [await leave_behind(folder, batch="bat_" + "1" * 26, state=s) for s in (
        "queued", "succeeded",
    )]  # fmt: skip
    from backend.services.ledger import Ledger

    ledger = Ledger(folder / "ledger.sqlite3")
    await ledger.start()
    await ledger.write(
        (
            "INSERT INTO batch (id, operation, metadata, priority, count, created)"
            " VALUES (?, 'test.sleep', '{}', 0, 2, 0)",
            ("bat_" + "1" * 26,),
        )
    )
    await ledger.close()
    house = await open_house(folder)
    done = await ended(house, "bat_" + "1" * 26)
    assert (done["state"], done["counts"]["succeeded"]) == ("succeeded", 2)
    types = [event.type for event in house.events.replay("bat_" + "1" * 26)]
    assert types.count("succeeded") == 1
    assert len(ids) == 2


async def test_batches_are_listed(house) -> None:
    """Newest first, in pages."""
    made = [(await submit(house, items=[{}]))["id"] for _ in range(3)]
    page, following = house.batches.page(None, 2)
    assert [batch["id"] for batch in page] == made[:0:-1]
    rest, end = house.batches.page(following, 2)
    assert ([batch["id"] for batch in rest], end) == (made[:1], None)
    with pytest.raises(InvalidParameters):
        house.batches.page("' OR 1", 2)
    for batch_id in made:
        await ended(house, batch_id)


async def test_others_have_their_turn_while_a_batch_is_checked(house, monkeypatch) -> None:
    """The loop goes round while the items are looked at, however many are wrong."""
    begun, others = threading.Event(), threading.Event()
    items = sweeps.items

    def watched(*given):
        begun.set()
        assert others.wait(60), "nobody had a turn"
        return items(*given)

    monkeypatch.setattr(sweeps, "items", watched)
    refused = asyncio.create_task(submit(house, items=[{"steps": "many"}] * 400))
    async with asyncio.timeout(120):
        while not begun.is_set():
            await asyncio.sleep(0.001)
    others.set()
    with pytest.raises(InvalidParameters):
        await refused
