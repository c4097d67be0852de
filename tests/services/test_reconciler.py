"""The reconciler: the queue is rebuilt from the ledger, and kept in agreement with it."""

from __future__ import annotations

import asyncio


async def test_queued_jobs_run_after_a_restart(open_house, tmp_path, leave_behind) -> None:
    """What was accepted before a crash runs after the next start, oldest first."""
    ids = [await leave_behind(tmp_path / "data") for _ in range(5)]
    house = await open_house(tmp_path / "data")
    ended = [await house.jobs.wait(job_id, 120) for job_id in ids]
    assert [job.state for job in ended] == ["succeeded"] * 5
    starts = [job.started for job in ended]
    assert starts == sorted(starts)


async def test_a_job_that_ran_during_the_crash_is_tried_again(
    open_house, tmp_path, leave_behind
) -> None:
    """A running row without an owner counts as a crash and gets its next attempt."""
    job_id = await leave_behind(tmp_path / "data", state="running", attempt=1, token="lost")
    house = await open_house(tmp_path / "data")
    job = await house.jobs.wait(job_id, 120)
    assert (job.state, job.attempt) == ("succeeded", 2)
    assert house.types(job_id) == ["queued", "retry", "started", "succeeded"]


async def test_a_job_without_attempts_left_fails(open_house, tmp_path, leave_behind) -> None:
    """A job that has crashed twice is not tried a third time."""
    job_id = await leave_behind(tmp_path / "data", state="running", attempt=2, token="lost")
    house = await open_house(tmp_path / "data")
    job = await house.jobs.wait(job_id, 120)
    assert (job.state, job.error["type"]) == ("failed", "/v1/problems/worker-crashed")


async def test_a_cancelled_job_stays_cancelled_over_a_crash(
    open_house, tmp_path, leave_behind
) -> None:
    """A cancel that was accepted before a crash is carried out after it."""
    job_id = await leave_behind(
        tmp_path / "data", state="running", attempt=1, token="lost", cancel_requested=1
    )
    house = await open_house(tmp_path / "data")
    assert house.jobs.get(job_id).state == "cancelled"


async def test_a_job_missing_in_the_queue_is_put_back(house, tmp_path) -> None:
    """Queued rows that the queue has lost are found and run."""
    await house.pool.processes[0].wait_ready()
    go = tmp_path / "go"
    blocker = await house.submit("test.hold", until=str(go))
    job = await house.submit("test.sleep")
    await house.queue.cancel(job.id)
    assert await house.reconciler.reconcile() == 1
    assert await house.reconciler.reconcile() == 0
    go.touch()
    assert (await house.jobs.wait(job.id, 120)).state == "succeeded"
    assert (await house.jobs.wait(blocker.id, 120)).attempt == 1


async def test_an_attempt_without_an_owner_is_buried(house, tmp_path) -> None:
    """A running row that nobody runs is put back; those that do run are left alone."""
    go = tmp_path / "go"
    job = await house.submit("test.hold", until=str(go))
    async with asyncio.timeout(120):
        while house.jobs.get(job.id).state != "running":
            await asyncio.sleep(0.01)
    assert await house.reconciler.reconcile() == 0
    await house.ledger.write(("UPDATE job SET token = 'foreign' WHERE id = ?", (job.id,)))
    go.touch()
    async with asyncio.timeout(120):
        while house.runner.owns(job.id):
            await asyncio.sleep(0.01)
    assert await house.reconciler.reconcile() == 2  # put back in the ledger, then in the queue
    ended = await house.jobs.wait(job.id, 120)
    assert (ended.state, ended.attempt) == ("succeeded", 2)


async def test_what_waits_long_overtakes_a_higher_priority(open_house) -> None:
    """With a shortened time per point, an old job of low priority goes before newer ones."""
    house = await open_house(limits={"ageing_s": 0.05})
    blocker = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    async with asyncio.timeout(120):
        while house.jobs.get(blocker.id).state != "running":
            await asyncio.sleep(0.01)
    old = await house.submit("test.sleep")
    await asyncio.sleep(0.15)
    newer, _ = await house.jobs.submit("test.sleep", {}, priority=2)
    assert house.jobs.get(old.id).waiting_for["position"] == 1
    assert house.jobs.get(newer.id).waiting_for["position"] == 2
    await house.jobs.cancel(blocker.id)
    ended = [await house.jobs.wait(job.id, 120) for job in (old, newer)]
    assert ended[0].started < ended[1].started
