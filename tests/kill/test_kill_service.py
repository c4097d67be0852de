"""kill -9 of the whole service at random points, with clients that keep a journal."""

from __future__ import annotations

import pytest


def test_a_killed_service_keeps_its_promises_short(kill_loops) -> None:
    """4 kills: what was answered with 202 is there after the restart and ends once."""
    verdict, _ = kill_loops.service(jobs=100, kills=4, seconds=600)
    assert verdict.states == {"succeeded": 100}


def test_a_killed_service_keeps_its_promises_of_shared_work(kill_loops) -> None:
    """The same with the cache: jobs that follow another one are as safe as any."""
    verdict, _ = kill_loops.service(jobs=100, kills=3, seconds=600, cache=True)
    assert verdict.states == {"succeeded": 100}


@pytest.mark.contract
def test_a_killed_service_keeps_its_promises(kill_loops) -> None:
    """20 kills under steady load: nothing accepted is lost, nothing ends twice."""
    verdict, _ = kill_loops.service(jobs=600, kills=20, seconds=600)
    assert verdict.states == {"succeeded": 600}
