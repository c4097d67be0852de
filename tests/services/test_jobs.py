"""Jobs: submitting, idempotency, limits, lists, retry, delete, and the start after a crash."""

from __future__ import annotations

import asyncio
import json

import pytest

from backend.errors import (
    Conflict,
    InvalidParameters,
    MalformedRequest,
    OperationUnavailable,
    QueueFull,
    StorageFull,
    UnknownName,
)
from backend.services.job import rfc3339

# --- submit -----------------------------------------------------------------------------------


async def test_a_submitted_job_is_on_the_disk_before_it_is_answered(house) -> None:
    """When submit returns, the row and its first event are committed."""
    job, created = await house.jobs.submit("test.sleep", b'{"steps": 2}', metadata={"a": [1]})
    assert created
    row = house.ledger.read("SELECT * FROM job WHERE id = ?", job.id)[0]
    assert json.loads(row["params"]) == {"steps": 2, "duration_ms": 0.0}
    assert json.loads(row["metadata"]) == {"a": [1]}
    assert house.events.replay(job.id)[0].type == "queued"


@pytest.mark.parametrize(
    ("operation", "body", "error"),
    [
        ("test.nothing", b"{}", UnknownName),
        ("test.sleep", b'{"steps": "two"}', InvalidParameters),
        ("test.sleep", b'{"steps": 1, "volume": 3}', InvalidParameters),
        ("test.sleep", b'{"duration_ms": NaN}', MalformedRequest),
        ("test.sleep", b"[1", MalformedRequest),
        ("test.measure", json.dumps({"audio": "blake3:" + "0" * 64}).encode(), InvalidParameters),
        ("test.torch", b"{}", OperationUnavailable),
    ],
)
async def test_bad_calls_make_no_job(house, operation, body, error) -> None:
    """What cannot run is refused before anything is written."""
    with pytest.raises(error):
        await house.jobs.submit(operation, body)
    assert house.ledger.read("SELECT id FROM job") == []


async def test_the_same_key_gives_the_same_job(house) -> None:
    """An idempotency key makes one job, however often and at whatever moment it is used."""
    answers = await asyncio.gather(
        *(house.jobs.submit("test.sleep", {"steps": 1}, idempotency_key="k") for _ in range(10))
    )
    assert len({job.id for job, _ in answers}) == 1
    assert [created for _, created in answers].count(True) == 1
    await house.jobs.wait(answers[0][0].id, 120)
    again, created = await house.jobs.submit("test.sleep", b'{"steps":1}', idempotency_key="k")
    assert (again.id, again.state, created) == (answers[0][0].id, "succeeded", False)


async def test_the_same_key_for_another_call_is_a_conflict(house) -> None:
    """A key belongs to one operation with one set of parameters."""
    await house.jobs.submit("test.sleep", {"steps": 1}, idempotency_key="k")
    with pytest.raises(Conflict):
        await house.jobs.submit("test.sleep", {"steps": 2}, idempotency_key="k")
    with pytest.raises(Conflict):
        await house.jobs.submit("test.exit", {}, idempotency_key="k")


async def test_a_full_queue_refuses(open_house) -> None:
    """More jobs than may wait are answered with QueueFull; a known key still gets its job."""
    house = await open_house(limits={"queued_jobs": 3}, workers=["cpu"])
    blocker = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    async with asyncio.timeout(120):
        while house.jobs.get(blocker.id).state != "running":
            await asyncio.sleep(0.01)
    kept, _ = await house.jobs.submit("test.sleep", {}, idempotency_key="k")
    answers = await asyncio.gather(
        *(house.jobs.submit("test.sleep", {}) for _ in range(6)), return_exceptions=True
    )
    assert [type(a) for a in answers].count(QueueFull) == 4
    assert (await house.jobs.submit("test.sleep", {}, idempotency_key="k"))[0].id == kept.id
    await house.jobs.cancel(blocker.id)


async def test_a_full_disk_refuses(open_house) -> None:
    """Below the disk floor no job is accepted."""
    house = await open_house(limits={"disk_floor_bytes": 2**62})
    with pytest.raises(StorageFull):
        await house.jobs.submit("test.sleep", {})


# --- look -------------------------------------------------------------------------------------


async def test_a_queued_job_says_what_it_waits_for(house) -> None:
    """Position, capability and the state of the engine are told while a job waits."""
    first = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    await house.pool.processes[0].wait_ready()
    async with asyncio.timeout(120):
        while house.jobs.get(first.id).state != "running":
            await asyncio.sleep(0.01)
    waiting = [await house.submit("test.sleep") for _ in range(3)]
    told = house.jobs.get(waiting[2].id).waiting_for
    assert told == {"position": 3, "capability": "cpu", "engine": "ready"}
    assert house.jobs.get(first.id).waiting_for is None
    urgent = (await house.jobs.submit("test.sleep", {}, priority=3))[0]
    assert house.jobs.get(urgent.id).waiting_for["position"] == 1
    await house.jobs.cancel(first.id)


async def test_wait_returns_at_the_end_or_in_time(house) -> None:
    """Waiting ends with the job, or with the patience; an ended job is there at once."""
    job = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    assert not (await house.jobs.wait(job.id, 0.05)).has_ended
    waiting = asyncio.create_task(house.jobs.wait(job.id, 120))
    await house.jobs.cancel(job.id)
    assert (await waiting).state == "cancelled"
    assert (await house.jobs.wait(job.id, 120)).state == "cancelled"
    with pytest.raises(UnknownName):
        await house.jobs.wait("job_" + "0" * 26, 120)


async def test_lists_have_filters_and_cursors(house) -> None:
    """Pages are newest first, without gap or double, and filters combine."""
    made = []
    for n in range(7):
        metadata = {"shot": n % 2, "take name": "a"}
        made.append((await house.jobs.submit("test.sleep", {}, metadata=metadata))[0].id)
    bad = await house.run("test.bug")
    for job_id in made:
        await house.jobs.wait(job_id, 120)
    seen, cursor = [], None
    while True:
        page = house.jobs.list(operation="test.sleep", cursor=cursor, limit=3)
        seen += [job.id for job in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == made[::-1]
    assert [job.id for job in house.jobs.list(state="failed").items] == [bad.id]
    odd = house.jobs.list(metadata={"shot": 1, "take name": "a"}, state="succeeded")
    assert [job.id for job in odd.items] == [made[5], made[3], made[1]]
    assert house.jobs.list(metadata={"shot": "1"}).items == []
    assert house.jobs.counts()["succeeded"] == 7
    with pytest.raises(InvalidParameters):
        house.jobs.list(cursor="' OR 1")


@pytest.mark.parametrize("key", ["plain", "two words", 'a"b', "a.b", "a\\b", "é", "日本", "a]", ""])
async def test_metadata_are_found_by_any_key(house, key) -> None:
    """A key of the caller's may hold every character, and one that is absent is not null."""
    job, _ = await house.jobs.submit("test.sleep", {}, metadata={key: "ü"})
    assert [found.id for found in house.jobs.list(metadata={key: "ü"}).items] == [job.id]
    assert house.jobs.list(metadata={key: "u"}).items == []
    assert house.jobs.list(metadata={"other": None}).items == []


async def test_a_page_of_ten_thousand_jobs_reads_only_itself(house) -> None:
    """A page over many ended jobs costs SQLite no more steps than one over a few of them."""

    async def add(first: int, count: int) -> None:
        await house.ledger.write(
            *(
                (
                    "INSERT INTO job (id, operation, version, params, inputs, metadata, capability,"
                    " priority, state, max_attempts, timeout_s, created)"
                    " VALUES (?, 'test.sleep', 1, '{}', '[]', '{}', 'cpu', 0,"
                    " 'succeeded', 2, 1, 0)",
                    (f"job_{n:026d}",),
                )
                for n in range(first, first + count)
            )
        )

    def steps() -> int:
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        house.ledger._reader.set_progress_handler(count, 10)
        assert len(house.jobs.list(state="succeeded", limit=100).items) == 100
        house.ledger._reader.set_progress_handler(None, 0)
        return counted

    await add(0, 200)
    few = steps()
    await add(200, 9_800)
    assert few > 10
    assert steps() < 1.2 * few


def test_the_json_of_a_job_names_times_in_utc() -> None:
    """Times are RFC 3339 with milliseconds."""
    assert rfc3339(0.25) == "1970-01-01T00:00:00.250Z"
    assert rfc3339(None) is None


async def test_the_json_of_a_job_is_complete(house) -> None:
    """A job shows every field of the contract."""
    job = (await house.run("test.sleep")).as_json()
    assert set(job) == {
        "id", "operation", "version", "state", "priority", "attempt", "max_attempts", "params",
        "inputs", "metadata", "progress", "waiting_for", "created", "started", "finished",
        "execution_s", "cached", "leader", "batch", "error", "result", "links",
    }  # fmt: skip
    assert job["links"]["events"] == f"/v1/jobs/{job['id']}/events"
    json.dumps(job, allow_nan=False)


# --- change -----------------------------------------------------------------------------------


async def test_cancel_is_repeatable_but_not_after_success(house) -> None:
    """Cancelling twice is the same as once; what has ended otherwise stays as it is."""
    job = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    await house.jobs.cancel(job.id)
    assert (await house.jobs.wait(job.id, 120)).state == "cancelled"
    assert (await house.jobs.cancel(job.id)).state == "cancelled"
    done = await house.run("test.sleep")
    with pytest.raises(Conflict):
        await house.jobs.cancel(done.id)
    with pytest.raises(UnknownName):
        await house.jobs.cancel("job_" + "0" * 26)


async def test_a_failed_job_can_be_queued_again(house, tmp_path) -> None:
    """Retry starts the attempts anew under the same identifier; the history stays."""
    job = await house.run("test.fail", times=2, counter=str(tmp_path / "n"))
    assert job.state == "failed"
    again = await house.jobs.retry(job.id)
    assert (again.id, again.state, again.error) == (job.id, "queued", None)
    ended = await house.jobs.wait(job.id, 120)
    assert (ended.state, ended.attempt, ended.result) == ("succeeded", 1, {"result": 3})
    numbers = [event.seq for event in house.events.replay(job.id)]
    assert numbers == list(range(1, len(numbers) + 1))
    with pytest.raises(Conflict):
        await house.jobs.retry(job.id)


async def test_only_ended_jobs_can_be_deleted(house) -> None:
    """Delete forgets a job and its events, and refuses one that lives."""
    job = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    with pytest.raises(Conflict):
        await house.jobs.delete(job.id)
    await house.jobs.cancel(job.id)
    await house.jobs.wait(job.id, 120)
    await house.jobs.delete(job.id)
    with pytest.raises(UnknownName):
        house.jobs.get(job.id)
    assert house.ledger.read("SELECT * FROM job_event") == []


async def test_an_unknown_output_is_named(house) -> None:
    """Outputs are found by their flat names only."""
    job = await house.run("test.make")
    for name in ("takes", "takes_3", "number", "../ledger"):
        with pytest.raises(UnknownName):
            house.jobs.output(job.id, name)
