"""Events: numbers without gap or double, replay from any number, coalescing, slow readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from backend.services import followers
from backend.services.events import Events
from backend.services.ledger import Ledger

JOB = "job_00000000000000000000000000"


@pytest.fixture
async def events(ledger) -> AsyncIterator[Events]:
    made = Events(ledger)
    await made.start()
    yield made
    await made.stop()


async def write(events: Events, ledger: Ledger, type_, data=None) -> None:
    """A milestone as `Transitions` writes it."""
    event, statements = events.milestone(JOB, type_, data or {})
    await ledger.write(*statements)
    events.announce(event)


async def add_job(ledger: Ledger, state: str = "running") -> None:
    await ledger.write(
        (
            "INSERT INTO job (id, operation, version, params, inputs, metadata, capability,"
            " priority, state, max_attempts, timeout_s, created)"
            " VALUES (?, 'test.x', 1, '{}', '[]', '{}', 'cpu', 0, ?, 2, 1, 0)",
            (JOB, state),
        )
    )


async def test_numbers_rise_by_one(events, ledger) -> None:
    """Milestones, logs and progress share one sequence."""
    await write(events, ledger, "queued")
    await write(events, ledger, "started")
    events.publish(JOB, "log", {"message": "hello"})
    events.publish(JOB, "progress", {"fraction": 0.5})
    await write(events, ledger, "succeeded")
    seen = events.replay(JOB)
    assert [(e.seq, e.type) for e in seen] == [
        (1, "queued"),
        (2, "started"),
        (3, "log"),
        (4, "progress"),
        (5, "succeeded"),
    ]
    rows = ledger.read("SELECT seq FROM job_event ORDER BY seq")
    assert [row["seq"] for row in rows] == [1, 2, 3, 4, 5]


async def test_progress_is_coalesced_and_the_last_arrives(events, ledger) -> None:
    """Of many reports within a tenth of a second the first and the last are events."""
    await write(events, ledger, "started")
    for n in range(50):
        events.publish(JOB, "progress", {"fraction": n / 50})
    assert events.progress(JOB) == 0.98
    async with asyncio.timeout(120):
        while len(events.replay(JOB)) < 3:
            await asyncio.sleep(0.01)
    assert [e.data["fraction"] for e in events.replay(JOB, 1)] == [0.0, 0.98]


@pytest.mark.parametrize("after", range(6))
async def test_replay_begins_anywhere(events, ledger, after) -> None:
    """A reader that comes back with its last number gets exactly the rest, live ones included."""
    await add_job(ledger)
    await write(events, ledger, "queued")
    events.publish(JOB, "log", {"message": "a"})
    await write(events, ledger, "started")
    events.publish(JOB, "log", {"message": "b"})
    stream = events.stream(JOB, after)
    reading = asyncio.create_task(read_all(stream))
    await asyncio.sleep(0)
    events.publish(JOB, "log", {"message": "c"})
    await write(events, ledger, "succeeded")
    seen = await asyncio.wait_for(reading, 120)
    assert seen == list(range(after + 1, 7))


async def read_all(stream) -> list[int]:
    return [event.seq async for event in stream]


async def test_a_stream_ends_at_once_after_the_end(events, ledger) -> None:
    """Who comes back after the terminal event has nothing to wait for."""
    await add_job(ledger, "succeeded")
    await write(events, ledger, "queued")
    await write(events, ledger, "succeeded")
    assert await asyncio.wait_for(read_all(events.stream(JOB, 0)), 120) == [1, 2]
    assert await asyncio.wait_for(read_all(events.stream(JOB, 2)), 120) == []


async def test_a_slow_reader_is_dropped_and_may_come_back(events, ledger, monkeypatch) -> None:
    """A reader that does not read is ended without a gap; the others notice nothing."""
    monkeypatch.setattr(followers, "_LIMIT", 4)
    await add_job(ledger)
    await write(events, ledger, "queued")
    slow = events.stream(JOB)
    assert (await anext(slow)).seq == 1
    waiting = asyncio.ensure_future(anext(slow))
    await asyncio.sleep(0)
    for n in range(8):
        events.publish(JOB, "log", {"message": str(n)})
    first = [(await waiting).seq, *await asyncio.wait_for(read_all(slow), 120)]
    assert first == [2, 3, 4, 5]
    rest = asyncio.create_task(read_all(events.stream(JOB, first[-1])))
    await asyncio.sleep(0)
    await write(events, ledger, "succeeded")
    assert await asyncio.wait_for(rest, 120) == [6, 7, 8, 9, 10]


async def test_held_events_are_written_without_a_milestone(events, ledger) -> None:
    """Logs of a long job reach the ledger within about a second."""
    await write(events, ledger, "started")
    events.publish(JOB, "log", {"message": "still alive"})
    async with asyncio.timeout(120):
        while len(ledger.read("SELECT seq FROM job_event")) < 2:
            await asyncio.sleep(0.02)
    await write(events, ledger, "succeeded")
    assert [e.seq for e in events.replay(JOB)] == [1, 2, 3]


async def test_a_number_never_means_two_things(events, ledger) -> None:
    """After a crash the numbers go on behind a gap, as unwritten ones may have been seen."""
    await write(events, ledger, "started")
    events.publish(JOB, "log", {"message": "seen by somebody, never written"})
    after_crash = Events(ledger)
    after_crash.resume(JOB)
    event, _ = after_crash.milestone(JOB, "retry", {})
    assert event.seq > 100


async def test_a_milestone_that_did_not_happen_leaves_no_number(events, ledger) -> None:
    """A change that was fenced out is forgotten."""
    await write(events, ledger, "queued")
    event, _ = events.milestone(JOB, "started", {})
    events.forget(event)
    await write(events, ledger, "cancelled")
    assert [(e.seq, e.type) for e in events.replay(JOB)] == [(1, "queued"), (2, "cancelled")]


async def test_waiters_are_woken_by_the_end(events, ledger) -> None:
    """Everybody who waits is woken once the terminal event is announced, not before."""
    await write(events, ledger, "started")
    waiting = [asyncio.create_task(events.ended(JOB, 120)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in waiting)
    await write(events, ledger, "failed")
    await asyncio.wait_for(asyncio.gather(*waiting), 120)


async def test_a_chatty_job_is_cut_off(events, ledger) -> None:
    """After a thousand lines a job's log says no more; its end is still told."""
    await write(events, ledger, "started")
    for n in range(1500):
        events.publish(JOB, "log", {"message": str(n)})
    await write(events, ledger, "succeeded")
    seen = events.replay(JOB)
    assert len(seen) == 1002
    assert seen[-1].type == "succeeded"


async def test_the_end_is_told_though_it_got_its_number_early(events, ledger) -> None:
    """A reader gets the end even if something with a higher number was told before it."""
    await add_job(ledger)
    await write(events, ledger, "started")
    reading = asyncio.create_task(read_all(events.stream(JOB)))
    await asyncio.sleep(0.01)
    event, statements = events.milestone(JOB, "cancelled", {})
    events.publish(JOB, "log", {"message": "between the number and the commit"})
    await ledger.write(*statements)
    events.announce(event)
    assert await asyncio.wait_for(reading, 120) == [1, 3, 2]


async def test_the_gap_after_a_crash_is_wider_than_what_may_be_unwritten(events, ledger) -> None:
    """All lines that a job may log in a moment can have been seen, and progress besides."""
    await write(events, ledger, "started")
    for n in range(1000):
        events.publish(JOB, "log", {"message": str(n)})
    for n in range(20):
        events.note(JOB, "started", {"n": n})
    seen = events.replay(JOB)[-1].seq
    after_crash = Events(ledger)
    after_crash.resume(JOB)
    event, _ = after_crash.milestone(JOB, "retry", {})
    assert event.seq > seen
