"""The runner with a real worker process: success, failure, crash, cancel, time limit, draining."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from blake3 import blake3

from backend.services.transitions import Transitions

BIG = 50_000
"""Frames of a sound that is too big for the ledger."""


async def until(what: str, ask, seconds: float = 120.0):
    """Ask until it is true."""
    async with asyncio.timeout(seconds):
        while not (answer := ask()):
            await asyncio.sleep(0.005)
    return answer


async def running(house, job_id: str) -> None:
    """Return as soon as the job runs in the worker."""
    await until("the job runs", lambda: "started" in house.types(job_id))
    await until("the worker has it", lambda: any(w.is_busy for w in house.pool.workers))


# --- success ----------------------------------------------------------------------------------


async def test_a_job_runs_and_succeeds(house) -> None:
    """A submitted job is run by the worker and its result is recorded."""
    job = await house.run("test.sleep", steps=3, duration_ms=1)
    assert (job.state, job.result, job.attempt) == ("succeeded", {"result": 3}, 1)
    assert house.types(job.id) == ["queued", "started", "succeeded"]
    assert job.progress == 1.0
    assert job.started is not None
    assert job.finished is not None
    assert job.execution_s is not None


async def emptied(folder: Path) -> None:
    """Return when nothing is left in a folder, soon after its job has ended."""
    async with asyncio.timeout(120):
        while list(folder.iterdir()):
            await asyncio.sleep(0.01)


async def test_files_become_assets(house) -> None:
    """Every media value of a result is an asset with a flat name, found by its job."""
    job = await house.run("test.make", size=4, frames=BIG)
    assert job.state == "succeeded", job.error
    result = job.result
    assert result["number"] == 4
    names = [leaf["href"].rpartition("/")[2] for leaf in (result["picture"], *result["takes"])]
    assert names == ["picture", "takes_1", "takes_2"]
    drums = house.jobs.output(job.id, "stems_drums")
    assert drums.reference == result["stems"]["drums"]["reference"]
    assert drums.details["frames"] == 30
    with house.assets.open(drums) as content:
        assert len(content.read()) == drums.size
    await emptied(house.settings.data_dir / "scratch" / "jobs")


async def test_small_results_are_kept_in_the_ledger(house) -> None:
    """What is small makes no file: its bytes come from the ledger, and are what was hashed."""
    job = await house.run("test.make")
    for name in ("picture", "takes_1", "stems_bass"):
        asset = house.jobs.output(job.id, name)
        with house.assets.open(asset) as content:
            assert blake3(content.read()).hexdigest() == asset.digest
    assert not [path for path in (house.settings.data_dir / "blobs").rglob("*") if path.is_file()]


async def test_a_worker_keeps_a_scratch_folder_that_stays_empty(house) -> None:
    """One folder does for many jobs, until one leaves a file in it; failures leave none."""
    rooms = house.settings.data_dir / "scratch" / "jobs"
    await house.run("test.make")
    (room,) = rooms.iterdir()
    assert (
        await house.run("test.fail", times=9, counter=str(room.parent.parent / "c"))
    ).state == "failed"
    await house.run("test.make")
    assert list(rooms.iterdir()) == [room]
    assert list(room.iterdir()) == []
    await house.run("test.make", frames=BIG)
    await emptied(rooms)
    assert (await house.run("test.make")).state == "succeeded"


async def test_an_asset_of_one_job_is_the_input_of_the_next(house) -> None:
    """A reference in the parameters is opened in the worker."""
    made = await house.run("test.make")
    job = await house.run("test.measure", audio=made.result["takes"][1]["reference"])
    assert (job.state, job.result) == ("succeeded", {"result": 20 / 8000})
    assert job.inputs == [made.result["takes"][1]["reference"]]


async def test_asynchronous_operations_run_beside_a_busy_worker(house) -> None:
    """What runs on the event loop waits for no worker process."""
    slow = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    job = await house.run("test.fetch")
    assert (job.state, job.result) == ("succeeded", {"result": "fetched"})
    assert not house.jobs.get(slow.id).has_ended
    await house.jobs.cancel(slow.id)


async def test_logs_and_previews_are_events(house) -> None:
    """What a run says to the person who waits is in the job's events, in order."""
    job = await house.run("test.say", lines=["one", "two"])
    events = house.events.replay(job.id)
    assert [e.data["message"] for e in events if e.type == "log"] == ["one", "two"]
    assert [e.data["media_type"] for e in events if e.type == "preview"] == ["image/jpeg"]


async def test_the_last_progress_always_arrives(house) -> None:
    """Progress is thinned out, but never its end."""
    job = await house.run("test.sleep", steps=2000, duration_ms=0.01)
    seen = [e.data["fraction"] for e in house.events.replay(job.id) if e.type == "progress"]
    assert seen[-1] == 1.0
    assert seen == sorted(seen)
    assert len(seen) <= 3 + (job.finished - job.started) / 0.1


# --- failure ----------------------------------------------------------------------------------


async def test_a_passing_failure_is_tried_again(house, tmp_path) -> None:
    """A retryable error is retried after a pause, and both attempts are told."""
    job = await house.run("test.fail", times=1, counter=str(tmp_path / "n"))
    assert (job.state, job.attempt, job.result) == ("succeeded", 2, {"result": 2})
    assert house.types(job.id) == ["queued", "started", "retry", "started", "succeeded"]


async def test_attempts_run_out(house, tmp_path) -> None:
    """After the last attempt the job has failed with the error of that attempt."""
    job = await house.run("test.fail", times=9, counter=str(tmp_path / "n"))
    assert (job.state, job.attempt) == ("failed", 2)
    assert job.error["type"] == "/v1/problems/upstream-failed"
    assert job.error["detail"] == "planned failure 2"


async def test_a_bug_is_not_tried_again_and_not_shown(house) -> None:
    """An unexpected exception fails at once; callers see an incident, never its text."""
    job = await house.run("test.bug")
    assert (job.state, job.attempt) == ("failed", 1)
    assert job.error["type"] == "/v1/problems/operation-failed"
    assert len(job.error["incident"]) == 12
    assert "secret" not in str(job.error)


async def test_no_memory_is_its_own_error(house, tmp_path) -> None:
    """A MemoryError becomes out-of-memory, which may pass and is tried again."""
    job = await house.run("test.memory", counter=str(tmp_path / "n"))
    assert job.error["type"] == "/v1/problems/out-of-memory"
    assert (tmp_path / "n").stat().st_size == 2


async def test_an_exit_does_not_end_the_worker(house) -> None:
    """SystemExit in an operation is an error of that job; the process goes on."""
    job = await house.run("test.exit")
    assert (job.state, job.error["type"]) == ("failed", "/v1/problems/operation-failed")
    assert house.pool.processes[0].starts == 1


async def test_a_deleted_input_is_named(house) -> None:
    """A job whose asset is gone by the time it runs fails and says so."""
    made = await house.run("test.make")
    blocker = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    leaf = made.result["takes"][0]
    job = await house.submit("test.measure", audio=leaf["reference"])
    await house.ledger.write(("DELETE FROM asset WHERE reference = ?", (leaf["reference"],)))
    await house.jobs.cancel(blocker.id)
    ended = await house.jobs.wait(job.id, 120)
    assert (ended.state, ended.error["type"]) == ("failed", "/v1/problems/unknown-name")


# --- crashes ----------------------------------------------------------------------------------


async def test_a_crash_is_tried_again(house, tmp_path) -> None:
    """A job whose worker dies is run again by its successor."""
    job = await house.run("test.die", times=1, counter=str(tmp_path / "n"))
    assert (job.state, job.attempt, job.result) == ("succeeded", 2, {"result": 2})
    assert house.pool.processes[0].starts == 2


async def test_a_poisonous_job_stops_at_two_attempts(house, tmp_path) -> None:
    """A job that always kills its worker fails after two attempts and harms no other job."""
    job = await house.submit("test.die", times=99, counter=str(tmp_path / "n"))
    healthy = await house.submit("test.sleep")
    ended = await house.jobs.wait(job.id, 120)
    assert (ended.state, ended.attempt) == ("failed", 2)
    assert ended.error["type"] == "/v1/problems/worker-crashed"
    assert (tmp_path / "n").stat().st_size == 2
    assert (await house.jobs.wait(healthy.id, 120)).state == "succeeded"


async def test_an_idle_worker_that_dies_is_replaced(house) -> None:
    """The death of an idle worker costs no job an attempt."""
    worker = house.pool.processes[0]
    await worker.wait_ready()
    os.kill(worker.pid, signal.SIGKILL)
    await until("the death is noticed", lambda: not worker.is_ready)
    job = await house.run("test.sleep")
    assert (job.state, job.attempt, worker.starts) == ("succeeded", 1, 2)


async def test_a_late_result_changes_nothing(house, tmp_path) -> None:
    """An attempt that has lost its job (another token) is fenced out."""
    go = tmp_path / "go"
    job = await house.submit("test.hold", until=str(go))
    await running(house, job.id)
    row = house.ledger.read("SELECT token FROM job WHERE id = ?", job.id)[0]
    await house.ledger.write(("UPDATE job SET token = 'another' WHERE id = ?", (job.id,)))
    go.touch()
    await until("the attempt is over", lambda: not house.runner.owns(job.id))
    assert house.jobs.get(job.id).state == "running"
    assert house.types(job.id) == ["queued", "started"]
    late = Transitions(house.ledger, house.events)
    assert not await late.finish(job.id, row["token"], "succeeded")
    assert await late.finish(job.id, "another", "succeeded")
    assert not await late.finish(job.id, "another", "succeeded")
    assert house.types(job.id) == ["queued", "started", "succeeded"]


async def test_a_job_that_was_cancelled_while_it_was_taken_does_not_run(house, tmp_path) -> None:
    """A claim that comes too late is refused: the attempt is interrupted and leaves no trace."""
    go = tmp_path / "go"
    blocker = await house.submit("test.hold", until=str(go))
    job = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    await house.ledger.write(("UPDATE job SET state = 'cancelled' WHERE id = ?", (job.id,)))
    go.touch()
    assert (await house.jobs.wait(blocker.id, 120)).state == "succeeded"
    assert (await house.run("test.sleep")).state == "succeeded"
    assert house.jobs.get(job.id).state == "cancelled"
    assert house.types(job.id) == ["queued"]
    assert not house.events.is_live(job.id)
    assert house.pool.processes[0].starts == 1


async def test_a_worker_is_free_as_soon_as_it_has_answered(house, monkeypatch) -> None:
    """The next job runs while the files of the one before are still being kept."""
    place, kept = house.assets.place, asyncio.Event()

    async def slowly(leaf, scratch, **more):
        await kept.wait()
        return await place(leaf, scratch, **more)

    monkeypatch.setattr(house.assets, "place", slowly)
    first = await house.submit("test.make", frames=BIG)
    assert (await house.run("test.sleep")).state == "succeeded"
    assert house.jobs.get(first.id).state == "running"
    kept.set()
    assert (await house.jobs.wait(first.id, 120)).state == "succeeded"


async def test_a_running_job_is_shown_as_running_at_once(house) -> None:
    """What the ledger learns a moment later is told from memory: no job is running yet queued."""
    await house.pool.processes[0].wait_ready()
    job = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    async with asyncio.timeout(120):
        while not house.runner.running(job.id):
            await asyncio.sleep(0)
    shown = house.jobs.get(job.id)
    assert (shown.state, shown.attempt, shown.waiting_for) == ("running", 1, None)
    await house.jobs.cancel(job.id)
    assert (await house.jobs.wait(job.id, 120)).state == "cancelled"
    assert house.types(job.id) == ["queued", "started", "cancelled"]


# --- cancel and time limit --------------------------------------------------------------------


async def test_a_queued_job_is_cancelled_at_once(house) -> None:
    """A job that waits never runs once it is cancelled."""
    blocker = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    job = await house.submit("test.sleep")
    cancelled = await house.jobs.cancel(job.id)
    assert cancelled.state == "cancelled"
    await house.jobs.cancel(blocker.id)
    assert (await house.run("test.sleep")).state == "succeeded"
    assert house.types(job.id) == ["queued", "cancelled"]


async def test_a_running_job_is_cancelled_softly(house) -> None:
    """A job that looks at its checkpoints ends well within the grace; its worker lives on."""
    job = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    await running(house, job.id)
    await house.jobs.cancel(job.id)
    ended = await house.jobs.wait(job.id, 120)
    assert ended.state == "cancelled"
    assert house.pool.processes[0].starts == 1


async def test_a_deaf_job_is_killed_after_the_grace(open_house) -> None:
    """A job that does not listen is ended with its worker; the next job gets a new one."""
    house = await open_house(limits={"cancel_grace_s": 0.5})
    job = await house.submit("test.deaf", seconds=600)
    await until("it has begun", lambda: "log" in house.types(job.id))
    began = time.monotonic()
    await house.jobs.cancel(job.id)
    ended = await house.jobs.wait(job.id, 120)
    assert (ended.state, ended.attempt) == ("cancelled", 1)
    assert time.monotonic() - began > 0.4
    assert (await house.run("test.sleep")).state == "succeeded"
    assert house.pool.processes[0].starts == 2


@pytest.mark.parametrize(
    ("operation", "params"),
    [("test.sleep", {"duration_ms": 600_000}), ("test.deaf", {"seconds": 600})],
)
async def test_the_time_limit_ends_a_job(open_house, operation, params) -> None:
    """A job over its limit fails with deadline-exceeded, whether it listens or not."""
    house = await open_house(limits={"cancel_grace_s": 0.5})
    job, _ = await house.jobs.submit(operation, params, timeout_s=0.3)
    ended = await house.jobs.wait(job.id, 120)
    assert (ended.state, ended.attempt) == ("failed", 1)
    assert ended.error["type"] == "/v1/problems/deadline-exceeded"


async def test_an_asynchronous_job_is_cancelled(house) -> None:
    """Cancel and time limit reach operations on the event loop, too."""
    job = await house.submit("test.fetch", milliseconds=600_000)
    await running(house, job.id)
    await house.jobs.cancel(job.id)
    assert (await house.jobs.wait(job.id, 120)).state == "cancelled"
    late, _ = await house.jobs.submit("test.fetch", {"milliseconds": 600_000}, timeout_s=0.1)
    assert (await house.jobs.wait(late.id, 120)).state == "failed"
    assert (await house.run("test.fetch")).state == "succeeded"


# --- order ------------------------------------------------------------------------------------


async def test_higher_priority_first_then_the_older(house) -> None:
    """The queue is ordered by priority, and first in first out inside one."""
    blocker = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    await running(house, blocker.id)
    low = [await house.submit("test.sleep") for _ in range(3)]
    high = [(await house.jobs.submit("test.sleep", {}, priority=5))[0] for _ in range(3)]
    await house.jobs.cancel(blocker.id)
    for job in (*low, *high):
        await house.jobs.wait(job.id, 120)
    started = {
        job.id: next(e.time for e in house.events.replay(job.id) if e.type == "started")
        for job in (*high, *low)
    }
    assert sorted(started, key=started.__getitem__) == [job.id for job in (*high, *low)]


# --- the end of the service -------------------------------------------------------------------


async def test_draining_lets_a_running_job_finish(open_house, tmp_path) -> None:
    """Running jobs end, waiting ones stay queued and run after the next start."""
    go = tmp_path / "go"
    house = await open_house(tmp_path / "data", limits={"drain_s": 120})
    job = await house.submit("test.hold", until=str(go))
    waiting = await house.submit("test.sleep")
    await running(house, job.id)
    draining = asyncio.create_task(house.runner.drain())
    await asyncio.sleep(0)
    go.touch()
    await draining
    assert house.jobs.get(job.id).state == "succeeded"
    assert house.jobs.get(waiting.id).state == "queued"


async def test_draining_puts_a_long_job_back_without_counting_it(open_house, tmp_path) -> None:
    """A job that does not end within the drain time is queued again with its attempts."""
    house = await open_house(tmp_path / "data", limits={"drain_s": 0.2})
    job = await house.submit("test.sleep", steps=1, duration_ms=600_000)
    await running(house, job.id)
    await house.runner.drain()
    put_back = house.jobs.get(job.id)
    assert (put_back.state, put_back.attempt) == ("queued", 0)


async def test_a_job_that_was_cancelled_is_not_put_back_by_draining(open_house, tmp_path) -> None:
    """A cancel that was accepted while the service drains holds over the restart."""
    house = await open_house(tmp_path / "data", limits={"drain_s": 0.2})
    job = await house.submit("test.deaf", seconds=600)
    await until("it has begun", lambda: "log" in house.types(job.id))
    draining = asyncio.create_task(house.runner.drain())
    await until("it is asked to end", lambda: house.runner.running(job.id).reason)
    await house.jobs.cancel(job.id)
    house.pool.processes[0].kill()  # as at the end of the grace, which no test should wait for
    await draining
    assert house.jobs.get(job.id).state == "cancelled"
    assert house.types(job.id)[-1] == "cancelled"


async def test_a_worker_that_speaks_after_its_answer_is_not_heard(house, monkeypatch) -> None:
    """A thread that a run left behind adds nothing to a job whose end is being written."""
    (worker,) = house.pool.processes
    outcomes = house.runner._outcomes
    record = outcomes.record

    async def record_late(execution, job, *more):
        worker.on_report({"t": "log", "job": job.id, "message": "late"}, b"")
        return await record(execution, job, *more)

    monkeypatch.setattr(outcomes, "record", record_late)
    job = await house.run("test.sleep")
    worker.on_report({"t": "log", "job": job.id, "message": "later"}, b"")
    assert house.types(job.id) == ["queued", "started", "succeeded"]
    assert not house.events.is_live(job.id)


async def test_an_answer_that_makes_no_sense_fails_the_job_at_once(house, monkeypatch) -> None:
    """A result that cannot be taken over is the job's failure, not a job without an end."""
    (worker,) = house.pool.processes

    async def answer(message):
        leaf = {"$media": {"path": 1}}
        return {"t": "done", "state": "succeeded", "result": {"result": leaf}}

    monkeypatch.setattr(worker, "run", answer)
    job = await house.run("test.sleep")
    assert (job.state, job.error["status"]) == ("failed", 500)


async def test_a_lane_outlives_a_choice_that_fails(house, monkeypatch) -> None:
    """If it cannot be said which prompt goes first, the job whose turn it is goes."""

    def fail(_job_id: str) -> str:
        raise OSError("the ledger cannot be read just now")

    monkeypatch.setattr(house.runner, "_choose", fail)
    for _ in range(2):
        assert (await house.run("test.sleep")).state == "succeeded"
