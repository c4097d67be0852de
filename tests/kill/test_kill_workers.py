"""kill -9 of workers at random points: nothing lost, nothing doubled."""

from __future__ import annotations

import pytest


def test_killed_workers_lose_nothing_short(kill_loops) -> None:
    """20 kills of workers over 100 jobs: every job ends once, with its files whole."""
    verdict, killed = kill_loops.workers(jobs=100, kills=20, seconds=600)
    assert killed == 20
    assert verdict.states == {"succeeded": 100}


@pytest.mark.contract
def test_killed_workers_lose_nothing(kill_loops) -> None:
    """100 kills of workers over 500 jobs: every job ends once, with its files whole."""
    verdict, killed = kill_loops.workers(jobs=500, kills=100, seconds=600)
    assert killed == 100
    assert verdict.states == {"succeeded": 500}
    assert verdict.attempts > 500
