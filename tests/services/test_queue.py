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


async def test_one_that_waits_is_taken_in_place_of_another(queue) -> None:
    """The other waits in its place, under its priority; both are taken once, and can come again."""
    for name, priority in (("a", 5), ("b", 3), ("c", 4)):
        await queue.enqueue(name, "comfy", priority)
    assert await queue.take("comfy", always) == "a"
    assert await queue.exchange("a", "b") == "b"
    assert await queue.exchange("b", "b") == "b"
    assert await queue.exchange("b", "unknown") == "b"
    assert queue.exists("b")
    await queue.finish("b")
    assert not queue.exists("b")
    assert await queue.enqueue("b", "comfy", 9)
    assert [await queue.take("comfy", always) for _ in range(3)] == ["b", "c", "a"]
    assert queue.waiting() == 0


async def test_take_waits_for_a_job(queue) -> None:
    """A take on an empty queue returns as soon as there is a job."""
    taking = asyncio.create_task(queue.take("cpu", always))
    await asyncio.sleep(0.01)
    assert not taking.done()
    await queue.enqueue("a", "cpu", 0)
    assert await asyncio.wait_for(taking, 120) == "a"


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
    assert await asyncio.wait_for(taking, 120) is None


async def taken(queue, count: int, holds=lambda: None) -> list[str]:
    return [await queue.take("cpu", always, holds) for _ in range(count)]


async def test_another_priority_moves_a_job_both_ways(queue) -> None:
    """A job that waits is raised and lowered; among equals it keeps the time that it has waited."""
    for name, since in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
        await queue.enqueue(name, "cpu", 0, since=since)
    await queue.move("c", 5)
    await queue.move("b", 9)
    await queue.move("b", 0)
    await queue.move("a", -1)
    await queue.move("unknown", 9)
    assert await taken(queue, 3) == ["c", "b", "a"]
    assert queue.waiting() == 0


async def test_a_point_of_priority_is_worth_so_much_waiting(queue) -> None:
    """A job gives way to a higher one that comes within a minute per point, and to none later."""
    for name, priority, since in (
        ("waits long", 0, 0.0), ("in time", 2, 119.0), ("too late", 2, 121.0), ("late", 0, 130.0),
    ):  # fmt: skip
        await queue.enqueue(name, "cpu", priority, since=since)
    assert await taken(queue, 4) == ["in time", "waits long", "too late", "late"]


async def test_nothing_starves_under_a_stream_of_higher_jobs() -> None:
    """With a shortened time per point, a low job runs although higher ones never stop coming."""
    queue = InMemoryQueue(ageing_s=0.01)
    await queue.enqueue("low", "cpu", 0, since=0.0)
    order = []
    for n in range(40):
        await queue.enqueue(f"high {n}", "cpu", 10, since=0.0025 + 0.005 * n)
        order += await taken(queue, 1)
    assert order.index("low") == 20  # ten points are worth 0.1 s


async def test_jobs_for_the_loaded_model_go_together(queue) -> None:
    """ABAB becomes AABB: two loads instead of eight."""
    for n in range(4):
        await queue.enqueue(f"a{n}", "cpu", 0, since=2.0 * n, model="A")
        await queue.enqueue(f"b{n}", "cpu", 0, since=2.0 * n + 1, model="B")
    held: list[str] = []
    for _ in range(8):
        (job,) = await taken(queue, 1, lambda: held[-1] if held else None)
        held.append(job[0].upper())
    assert "".join(held) == "AAAABBBB"


async def test_affinity_is_bounded_and_never_passes_a_higher_priority() -> None:
    """A job is passed so many times only, and not by one of lower priority."""
    queue = InMemoryQueue(same_model_run=2)
    await queue.enqueue("b", "cpu", 0, since=0.0, model="B")
    for n in range(5):
        await queue.enqueue(f"a{n}", "cpu", 0, since=1.0 + n, model="A")
    assert await taken(queue, 3, lambda: "A") == ["a0", "a1", "b"]
    await queue.enqueue("urgent", "cpu", 3, since=1.0, model="B")
    assert await taken(queue, 1, lambda: "A") == ["urgent"]
    await queue.enqueue("other worker", "comfy", 0, since=0.0, model="A")
    assert await taken(queue, 3, lambda: "A") == ["a2", "a3", "a4"]


async def test_a_job_without_a_model_is_not_passed(queue) -> None:
    """What loads nothing costs nothing: it goes when it is its turn."""
    await queue.enqueue("plain", "cpu", 0, since=0.0)
    await queue.enqueue("a", "cpu", 0, since=1.0, model="A")
    assert await taken(queue, 2, lambda: "A") == ["plain", "a"]


async def test_two_jobs_exchange_their_places(queue) -> None:
    """A job that waits goes instead of the one that was taken, which keeps its place in return."""
    for n, name in enumerate("abc"):
        await queue.enqueue(name, "cpu", 0, since=float(n))
    assert await taken(queue, 1) == ["a"]
    assert await queue.exchange("a", "nobody") == "a"
    assert await queue.exchange("a", "b") == "b"
    assert not await queue.enqueue("b", "cpu", 9)
    await queue.finish("b")
    assert await queue.enqueue("b", "cpu", 0, since=9.0)
    assert await taken(queue, 3) == ["a", "c", "b"]


async def test_the_clock_of_the_queue_goes_on_from_what_it_finds(queue) -> None:
    """A clock that was set back while nobody ran does not put new jobs before those that wait."""
    ahead = queue.now() + 3600
    await queue.enqueue("waits", "cpu", 0, since=ahead)
    queue.not_before(ahead)
    await queue.enqueue("new", "cpu", 0)
    assert await taken(queue, 2) == ["waits", "new"]


@pytest.mark.parametrize("days", [400, -400])
async def test_a_jump_of_the_wall_clock_changes_nothing(queue, monkeypatch, days) -> None:
    """After the clock jumps, a waiting job is due and a taken one is not handed out again."""
    await queue.enqueue("taken", "cpu", 0)
    assert await queue.take("cpu", always) == "taken"
    await queue.enqueue("waiting", "cpu", 0)
    monkeypatch.setattr(queries, "utc_now", lambda: datetime.now(UTC) + timedelta(days=days))
    assert await asyncio.wait_for(queue.take("cpu", always), 120) == "waiting"
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
