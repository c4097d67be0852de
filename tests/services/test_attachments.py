"""Attachments: jobs that share the work of one that waits or runs, whatever becomes of it."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from backend.errors import QueueFull


async def until(what: str, ask, seconds: float = 120.0):
    """Ask until it is true."""
    async with asyncio.timeout(seconds):
        while not (answer := ask()):
            await asyncio.sleep(0.005)
    return answer


def made(counter: Path) -> int:
    """How often the operation was run."""
    return counter.stat().st_size if counter.exists() else 0


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    return tmp_path / "counter"


@pytest.fixture
def blocked(house):
    """Begins a job that keeps the worker busy until it is cancelled."""

    async def begin():
        job = await house.submit("test.sleep", steps=1, duration_ms=600_000)
        await until("the worker is busy", lambda: house.jobs.get(job.id).state == "running")
        return job

    return begin


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """The file that lets the jobs of a group end."""
    return tmp_path / "go"


@pytest.fixture
def group(house, counter, go):
    """Three equal jobs; the first one runs until `go`."""

    async def begin(count: int = 3, **params):
        params = {"counter": str(counter), "until": str(go), **params}
        first = await house.submit("test.work", **params)
        await until("the leader runs", lambda: "log" in house.types(first.id))
        rest = [await house.submit("test.work", **params) for _ in range(count - 1)]
        return [first, *rest]

    return begin


async def ended(house, jobs):
    return [await house.jobs.wait(job.id, 120) for job in jobs]


async def test_equal_jobs_share_one_run(house, counter, group, go) -> None:
    """Three jobs, one run: each has its own id and result, and the progress of that run."""
    jobs = await group()
    shown = house.jobs.get(jobs[2].id)
    assert (shown.state, shown.leader, shown.attempt) == ("running", jobs[0].id, 1)
    await until("progress is told", lambda: (house.jobs.get(jobs[2].id).progress or 0) > 0.2)
    go.touch()
    done = await ended(house, jobs)
    assert [job.state for job in done] == ["succeeded"] * 3
    assert made(counter) == 1
    assert [job.cached for job in done] == [False, True, True]
    assert [job.execution_s == 0 for job in done] == [False, True, True]
    for job in done:
        assert job.result["image"]["href"] == f"/v1/jobs/{job.id}/outputs/image"
    assert house.types(jobs[1].id) == ["queued", "started", "succeeded"]
    fractions = [
        e.data["fraction"] for e in house.events.replay(jobs[1].id) if e.type == "progress"
    ]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


async def test_jobs_that_come_at_the_same_moment_share_as_well(house, counter) -> None:
    """Submits that overlap make one leader."""
    body = {"counter": str(counter), "duration_ms": 50.0}
    made_at_once = await asyncio.gather(*(house.jobs.submit("test.work", body) for _ in range(8)))
    done = await ended(house, [job for job, _ in made_at_once])
    assert {job.state for job in done} == {"succeeded"}
    assert [job.leader for job in done].count(None) == 1
    assert made(counter) == 1


async def test_a_follower_of_a_waiting_job_waits_and_begins_with_it(
    house, counter, blocked
) -> None:
    """While the leader waits its followers say so, and in the queue they take no place."""
    blocker = await blocked()
    first = await house.submit("test.work", counter=str(counter))
    second = await house.submit("test.work", counter=str(counter))
    third = await house.submit("test.sleep")
    told = house.jobs.get(second.id).waiting_for
    assert (told["leader"], told["position"]) == (first.id, 1)
    assert house.jobs.get(third.id).waiting_for["position"] == 2
    await house.jobs.cancel(blocker.id)
    done = await ended(house, [first, second])
    assert [job.state for job in done] == ["succeeded"] * 2
    assert house.types(second.id) == ["queued", "started", "log", "succeeded"]


async def test_cancelling_a_follower_leaves_the_others(house, counter, group, go) -> None:
    """A follower goes alone."""
    jobs = await group()
    assert (await house.jobs.cancel(jobs[1].id)).state == "cancelled"
    go.touch()
    done = await ended(house, jobs)
    assert [job.state for job in done] == ["succeeded", "cancelled", "succeeded"]
    assert made(counter) == 1


async def test_the_work_of_a_cancelled_leader_goes_on(house, counter, group, go) -> None:
    """The running attempt becomes the oldest follower's: nothing is begun anew."""
    jobs = await group()
    cancelled = await house.jobs.cancel(jobs[0].id)
    assert cancelled.state == "cancelled"
    heir = house.jobs.get(jobs[1].id)
    assert (heir.state, heir.leader, heir.attempt) == ("running", None, 1)
    assert house.jobs.get(jobs[2].id).leader == heir.id
    late = await house.submit("test.work", counter=str(counter), until=str(go))
    assert late.leader == heir.id
    go.touch()
    done = await ended(house, [*jobs, late])
    assert [job.state for job in done] == ["cancelled", *["succeeded"] * 3]
    assert made(counter) == 1
    assert done[1].execution_s > 0
    assert not house.runner.owns(jobs[0].id)
    assert house.types(jobs[0].id)[-1] == "cancelled"


async def test_a_group_can_be_cancelled_one_by_one(house, counter, group) -> None:
    """Whoever is left last takes the attempt with it."""
    jobs = await group()
    for job in jobs:
        await house.jobs.cancel(job.id)
    assert [job.state for job in await ended(house, jobs)] == ["cancelled"] * 3
    await until("nothing runs", lambda: not any(house.runner.owns(job.id) for job in jobs))
    assert len(house.attachments) == 0
    assert (await house.run("test.sleep")).state == "succeeded"


async def test_a_cancelled_leader_that_waits_leaves_its_place_to_a_follower(
    house, counter, blocked
) -> None:
    """A leader that has not begun is replaced in the queue."""
    blocker = await blocked()
    jobs = [await house.submit("test.work", counter=str(counter)) for _ in range(3)]
    await house.jobs.cancel(jobs[0].id)
    await until("there is an heir", lambda: house.jobs.get(jobs[1].id).leader is None)
    assert house.jobs.get(jobs[2].id).leader == jobs[1].id
    await house.jobs.cancel(blocker.id)
    done = await ended(house, jobs)
    assert [job.state for job in done] == ["cancelled", "succeeded", "succeeded"]
    assert made(counter) == 1


async def test_followers_fail_as_their_leader_does(house, counter, group, go) -> None:
    """The same work fails the same way; it is not tried once for each of them."""
    jobs = await group(fails=True)
    go.touch()
    done = await ended(house, jobs)
    assert [job.state for job in done] == ["failed"] * 3
    assert len({job.error["detail"] for job in done}) == 1
    assert made(counter) == 1
    again = await house.jobs.retry(done[2].id)
    assert (again.leader, again.state) == (None, "queued")
    assert (await house.jobs.wait(again.id, 120)).state == "failed"
    assert made(counter) == 2


async def test_a_crash_of_the_worker_is_told_to_all(house, counter, group, go) -> None:
    """The leader is tried again, and its followers wait with it."""
    jobs = await group()
    os.kill(house.pool.processes[0].pid, signal.SIGKILL)
    await until("it was told", lambda: "retry" in house.types(jobs[1].id))
    go.touch()
    done = await ended(house, jobs)
    assert [(job.state, job.attempt) for job in done] == [("succeeded", 2)] * 3
    assert made(counter) == 2
    told = [type_ for type_ in house.types(jobs[1].id) if type_ != "log"]
    assert told == ["queued", "started", "retry", "started", "succeeded"]


async def test_an_urgent_follower_hurries_the_work(house, counter, blocked) -> None:
    """The work is as urgent as the most urgent of those that wait for it."""
    blocker = await blocked()
    before = await house.submit("test.sleep")
    first = await house.submit("test.work", counter=str(counter))
    body = {"counter": str(counter)}
    await house.jobs.submit("test.work", body, priority=5)
    await house.jobs.cancel(blocker.id)
    done = await ended(house, [first, before])
    assert done[0].started < done[1].started


async def test_followers_count_as_jobs_that_wait(open_house, counter) -> None:
    """The limit of the queue holds for those that follow, too."""
    house = await open_house(limits={"queued_jobs": 3})
    params = {"counter": str(counter), "duration_ms": 600_000.0}
    jobs = [await house.submit("test.work", **params)]
    await until("the leader runs", lambda: house.jobs.get(jobs[0].id).state == "running")
    jobs += [await house.submit("test.work", **params) for _ in range(3)]
    with pytest.raises(QueueFull):
        await house.submit("test.work", **params)
    for job in reversed(jobs):
        await house.jobs.cancel(job.id)


@pytest.mark.parametrize("running", [True, False])
async def test_a_follower_that_comes_while_its_leader_is_replaced_follows_the_heir(
    house, counter, go, blocked, monkeypatch, running
) -> None:
    """It was written as the old leader's, which is cancelled and tried again before it is known
    here: it ends with the one that does the work, although nobody compares with the ledger."""
    params = {"counter": str(counter), "until": str(go)}
    blocker = None if running else await blocked()
    leader = await house.submit("test.work", **params)
    if running:
        await until("the leader runs", lambda: "log" in house.types(leader.id))
    heir = await house.submit("test.work", **params)
    attach, gate = house.attachments.attach, asyncio.Event()

    async def late(follower) -> None:
        await gate.wait()
        await attach(follower)

    monkeypatch.setattr(house.attachments, "attach", late)
    coming = asyncio.create_task(house.submit("test.work", **params))
    await until(
        "it is written",
        lambda: len(house.ledger.read("SELECT id FROM job WHERE leader = ?", leader.id)) == 2,
    )
    await house.jobs.cancel(leader.id)
    await until("there is an heir", lambda: house.jobs.get(heir.id).leader is None)
    again = await house.jobs.retry(leader.id)
    assert again.state == "queued"
    gate.set()
    late_one = await coming
    go.touch()
    if blocker is not None:
        await house.jobs.cancel(blocker.id)
    done = await ended(house, [heir, late_one, again])
    assert [job.state for job in done] == ["succeeded"] * 3
    assert [job.leader for job in done] == [None, heir.id, None]
    assert made(counter) == 2


async def test_a_follower_that_comes_in_the_moment_of_a_promotion_follows_the_heir(
    house, counter, blocked, monkeypatch
) -> None:
    """It is known here before the promotion is written, which moves it all the same."""
    blocker = await blocked()
    first, second = [await house.submit("test.work", counter=str(counter)) for _ in range(2)]
    promote, gate, begun = house.attachments._sharing.promote, asyncio.Event(), asyncio.Event()

    async def late(heir, leader):
        begun.set()
        await gate.wait()
        return await promote(heir, leader)

    monkeypatch.setattr(house.attachments._sharing, "promote", late)
    cancelled = await house.jobs.cancel(first.id)
    await asyncio.wait_for(begun.wait(), 60)
    assert (await house.jobs.retry(cancelled.id)).state == "queued"
    row = "UPDATE job SET leader = ?, work = ? WHERE id = ?"
    third = await house.submit("test.work", counter=str(counter))
    await house.queue.cancel(third.id)  # as if it had found the leader before that was cancelled
    house.runner.forget(third.id)
    await house.ledger.write((row, (first.id, second.work, third.id)))
    await house.attachments.attach(house.jobs.get(third.id))
    gate.set()
    await until("it follows the heir", lambda: house.jobs.get(third.id).leader == second.id)
    await house.jobs.cancel(blocker.id)
    done = await ended(house, [second, third, first])
    assert [job.state for job in done] == ["succeeded"] * 3
    assert [job.cached for job in done] == [False, True, False]
    assert made(counter) == 2


# --- after a crash ----------------------------------------------------------------------------


COLUMNS = {"operation": "test.work", "work": "w", "params": '{"counter": "unused"}'}


@pytest.mark.parametrize(
    ("leader", "state"),
    [
        ({"state": "succeeded", "result": '{"image": null}'}, "succeeded"),
        ({"state": "failed", "error": '{"type": "/v1/problems/operation-failed"}'}, "failed"),
    ],
)
async def test_followers_end_with_a_leader_that_ended_before_a_crash(
    open_house, tmp_path, leave_behind, leader, state
) -> None:
    """A crash between a leader's end and its followers' loses nothing."""
    first = await leave_behind(tmp_path / "data", **COLUMNS, **leader)
    second = await leave_behind(tmp_path / "data", **COLUMNS, leader=first, state="running")
    house = await open_house(tmp_path / "data")
    job = await house.jobs.wait(second, 120)
    assert (job.state, house.types(second)[-1]) == (state, state)


async def test_followers_of_a_cancelled_leader_do_the_work_after_a_crash(
    open_house, tmp_path, leave_behind, counter
) -> None:
    """The oldest one runs, the others follow it."""
    columns = {**COLUMNS, "params": f'{{"counter": "{counter}"}}', "timeout_s": 60}
    first = await leave_behind(tmp_path / "data", **columns, state="cancelled")
    rest = [await leave_behind(tmp_path / "data", **columns, leader=first) for _ in range(2)]
    house = await open_house(tmp_path / "data")
    done = [await house.jobs.wait(job_id, 120) for job_id in rest]
    assert [job.state for job in done] == ["succeeded"] * 2
    assert [job.leader for job in done] == [None, rest[0]]
    assert made(counter) == 1


async def test_a_group_that_ran_during_the_crash_runs_again(
    open_house, tmp_path, leave_behind, counter
) -> None:
    """The leader's attempt counts as a crash; its followers have no attempts of their own."""
    columns = {**COLUMNS, "params": f'{{"counter": "{counter}"}}', "attempt": 1}
    first = await leave_behind(tmp_path / "data", **columns, state="running", token="lost")
    second = await leave_behind(tmp_path / "data", **columns, state="running", leader=first)
    house = await open_house(tmp_path / "data")
    done = [await house.jobs.wait(job_id, 120) for job_id in (first, second)]
    assert [(job.state, job.attempt) for job in done] == [("succeeded", 2)] * 2
    assert made(counter) == 1


async def test_a_follower_that_the_reconciler_saw_first_follows_once(
    house, counter, group, go, monkeypatch
) -> None:
    """It may read the ledger between the commit and its word; an heir never follows itself."""
    attach = house.attachments.attach

    async def late(follower) -> None:
        await house.attachments.reconcile()
        await attach(follower)

    monkeypatch.setattr(house.attachments, "attach", late)
    jobs = await group()
    assert len(house.attachments) == 2
    await house.jobs.cancel(jobs[0].id)
    go.touch()
    assert [job.state for job in await ended(house, jobs[1:])] == ["succeeded"] * 2
    assert made(counter) == 1
