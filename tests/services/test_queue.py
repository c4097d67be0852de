"""The queue: order, waiting without polling, duplicates, and clocks that jump."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pgqueuer.adapters.inmemory import queries

from backend.services.queue import InMemoryQueue


def always() -> bool:
    return True


@pytest.fixture
def queue() -> InMemoryQueue:
    return InMemoryQueue()


async def test_higher_priority_first_then_the_older(queue) -> None:
    """Priority orders, age breaks ties, capabilities are separate."""
    for name, capability, priority in (("a", "cpu", 0), ("b", "cpu", 0), ("c", "cpu", 3)):
        await queue.enqueue(name, capability, priority)
    await queue.enqueue("d", "comfy", 9)
    assert [await queue.take("cpu", always) for _ in range(3)] == ["c", "a", "b"]
    assert await queue.take("comfy", always) == "d"


async def test_take_waits_for_a_job(queue) -> None:
    """A take on an empty queue returns as soon as there is a job."""
    taking = asyncio.create_task(queue.take("cpu", always))
    await asyncio.sleep(0.01)
    assert not taking.done()
    await queue.enqueue("a", "cpu", 0)
    assert await asyncio.wait_for(taking, 1) == "a"


async def test_each_job_is_taken_once(queue) -> None:
    """Several takers share the jobs; a job that is there already is not added again."""
    takers = [asyncio.create_task(queue.take("cpu", always)) for _ in range(4)]
    for name in "abcd":
        assert await queue.enqueue(name, "cpu", 0)
        assert not await queue.enqueue(name, "cpu", 5)
    assert sorted(await asyncio.gather(*takers)) == list("abcd")
    assert not await queue.enqueue("a", "cpu", 0)


async def test_a_taken_job_exists_until_it_is_finished(queue) -> None:
    """Only after finish may the same job be queued again."""
    await queue.enqueue("a", "cpu", 0)
    assert (queue.exists("a"), queue.waiting()) == (True, 1)
    await queue.take("cpu", always)
    assert (queue.exists("a"), queue.waiting()) == (True, 0)
    await queue.finish("a")
    assert not queue.exists("a")
    assert await queue.enqueue("a", "cpu", 0)


async def test_a_cancelled_job_is_not_taken(queue) -> None:
    """Cancel removes a waiting job; on a taken or unknown one it changes nothing."""
    await queue.enqueue("a", "cpu", 0)
    await queue.enqueue("b", "cpu", 0)
    assert await queue.cancel("a")
    assert await queue.take("cpu", always) == "b"
    assert not await queue.cancel("b")
    assert not await queue.cancel("c")


async def test_wake_ends_an_unwanted_take(queue) -> None:
    """A taker that no longer wants a job is let go without one."""
    wanted = True
    taking = asyncio.create_task(queue.take("cpu", lambda: wanted))
    await asyncio.sleep(0)
    wanted = False
    queue.wake()
    assert await asyncio.wait_for(taking, 1) is None


async def test_a_promoted_job_comes_first(queue) -> None:
    """Ageing raises a job's priority where it waits, and never lowers it."""
    await queue.enqueue("old", "cpu", 0)
    await queue.enqueue("new", "cpu", 2)
    await queue.promote("old", "cpu", 1)
    await queue.promote("old", "cpu", 3)
    await queue.promote("old", "cpu", 1)
    await queue.promote("unknown", "cpu", 9)
    assert [await queue.take("cpu", always) for _ in range(2)] == ["old", "new"]
    assert queue.waiting() == 0


@pytest.mark.parametrize("days", [400, -400])
async def test_a_jump_of_the_wall_clock_changes_nothing(queue, monkeypatch, days) -> None:
    """After the clock jumps, a waiting job is due and a taken one is not handed out again."""
    await queue.enqueue("taken", "cpu", 0)
    assert await queue.take("cpu", always) == "taken"
    await queue.enqueue("waiting", "cpu", 0)
    monkeypatch.setattr(queries, "utc_now", lambda: datetime.now(UTC) + timedelta(days=days))
    assert await asyncio.wait_for(queue.take("cpu", always), 1) == "waiting"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.take("cpu", always), 0.05)


async def test_nothing_is_kept_of_finished_jobs(queue) -> None:
    """Ten thousand jobs leave no rows and no log behind."""
    for n in range(2000):
        await queue.enqueue(f"job {n}", "cpu", 0)
        taken = await queue.take("cpu", always)
        await queue.finish(taken)
    inside = queue._queries
    assert len(inside._jobs) == len(inside._dedupe_index) == queue.waiting() == 0
    assert len(inside._log) < 2000


async def test_clear_forgets_everything(queue) -> None:
    """A cleared queue takes the same jobs again."""
    await queue.enqueue("a", "cpu", 0)
    await queue.clear()
    assert queue.waiting() == 0
    assert await queue.enqueue("a", "cpu", 0)
