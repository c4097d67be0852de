"""The lane: one thread, one job, an interruption for that job alone."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from backend.bricks.lane import Lane
from backend.context import LOCAL, Cancelled, Context
from backend.errors import OutOfMemory


class Recorded:
    """Signals that note what the lane asks of them."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.flag = False

    @contextmanager
    def scope(self):
        self.told.append("enter")
        yield
        self.told.append("leave")

    def clear(self) -> None:
        self.flag = False
        self.told.append("clear")

    def interrupt(self) -> None:
        self.flag = True

    def translate(self, error):
        if isinstance(error, KeyError):
            return Cancelled()
        return OutOfMemory("full") if isinstance(error, MemoryError) else None


def on_a_thread(work):
    """Run *work* on a thread of its own; returns what it returned or raised."""
    outcome = []

    def run():
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 (told to the test)
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(120)
    assert not thread.is_alive()
    return outcome[0]


def test_work_runs_inside_the_engine_s_scope_and_flags_are_cleared_around_it():
    """An old interruption is cleared before the work, and one that came too late after it."""
    signals = Recorded()
    signals.flag = True
    lane = Lane(signals)

    def work() -> bool:
        signals.told.append("work")
        return signals.flag

    assert lane.run(work, "a", LOCAL) is False
    assert signals.told == ["clear", "enter", "work", "leave", "clear"]


def test_a_second_thread_is_refused():
    """The lane belongs to the thread that came first."""
    lane = Lane()
    assert lane.run(lambda: 1, "a", LOCAL) == 1
    refused = on_a_thread(lambda: lane.run(lambda: 2, "b", LOCAL))
    assert isinstance(refused, RuntimeError)
    assert lane.run(lambda: 3, "c", LOCAL) == 3


def test_a_job_inside_a_job_is_refused():
    """One job at a time; the outer one is not harmed."""
    lane = Lane()

    def outer():
        with pytest.raises(RuntimeError, match="taken by a"):
            lane.run(lambda: None, "b", LOCAL)
        running = lane.running()
        return running is not None and running.job_id

    assert lane.run(outer, "a", LOCAL) == "a"
    assert lane.running() is None


def test_an_interruption_hits_the_running_job_only():
    """Another id, and the same id afterwards, are refused and leave no flag."""
    signals = Recorded()
    lane = Lane(signals)

    def work():
        assert on_a_thread(lambda: lane.interrupt("other")) is False
        assert signals.flag is False
        assert on_a_thread(lambda: lane.interrupt("mine")) is True
        assert signals.flag is True
        running = lane.running()
        assert running is not None and running.cancelled()
        running.ctx.checkpoint()

    with pytest.raises(Cancelled):
        lane.run(work, "mine", LOCAL)
    assert lane.interrupt("mine") is False
    assert signals.flag is False
    assert lane.run(lambda: "next", "next", LOCAL) == "next"


def test_a_job_that_is_cancelled_already_does_not_start():
    """The context is asked before the work."""
    started: list[bool] = []
    with pytest.raises(Cancelled):
        Lane().run(lambda: started.append(True), "a", Context(is_cancelled=lambda: True))
    assert started == []


@pytest.mark.parametrize(
    ("raised", "wanted"),
    [(KeyError(), Cancelled), (MemoryError(), OutOfMemory), (ValueError("x"), ValueError)],
)
def test_the_engine_s_exceptions_are_translated(raised, wanted):
    """Interruptions become Cancelled, full memory OutOfMemory, everything else stays."""

    def work():
        raise raised

    lane = Lane(Recorded())
    with pytest.raises(wanted):
        lane.run(work, "a", LOCAL)
    assert lane.running() is None
