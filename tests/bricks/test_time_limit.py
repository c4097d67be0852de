"""A time limit for foreign code: what an alarm stops, and what only the watchdog stops."""

from __future__ import annotations

import subprocess
import sys

import pytest

from backend.config import worker_environment

START = "import itertools, signal, threading, time\n"
START += "from backend.bricks.time_limit import Overdue, limited\n"
STUBBORN = """
def work():
    for _ in range(3):
        try:
            time.sleep(600)
        except BaseException as error:
            print(type(error).__name__)
try:
    limited(work, 0.2)
    print("returned")
except Overdue:
    print("overdue")
"""
PLAIN = """
def work():
    time.sleep(600)
try:
    limited(work, 0.2)
except Overdue:
    print("stopped")
print(signal.getitimer(signal.ITIMER_REAL)[0], signal.getsignal(signal.SIGALRM) == signal.SIG_DFL)
"""
QUICK = """
found = []
limited(lambda: found.append(1), 1.0, grace_s=0.5)
time.sleep(2.0)
print(found)
"""
STUCK = "limited(lambda: any(itertools.repeat(0)), 0.2, grace_s=0.3)\nprint('returned')"
ELSEWHERE = """
thread = threading.Thread(target=lambda: limited(lambda: time.sleep(600), 0.2, grace_s=0.3))
thread.start()
thread.join()
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", START + code],
        env=worker_environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_an_alarm_stops_what_hangs_and_is_gone_afterwards() -> None:
    """A sleep ends with `Overdue` in time; timer and handler are as before."""
    said = run(PLAIN)
    assert said.stdout.split() == ["stopped", "0.0", "True"], said.stderr


def test_the_alarm_rings_again_for_code_that_catches_everything() -> None:
    """Three sleeps, each behind a handler for every exception: three rings."""
    said = run(STUBBORN)
    assert said.stdout.split() == ["Overdue", "Overdue", "Overdue", "returned"], said.stderr


def test_work_in_time_is_left_alone() -> None:
    """Neither alarm nor watchdog outlive work that ended in time."""
    said = run(QUICK)
    assert (said.returncode, said.stdout.strip()) == (0, "[1]"), said.stderr


@pytest.mark.parametrize("code", [STUCK, ELSEWHERE])
def test_the_watchdog_ends_what_no_alarm_reaches(code: str) -> None:
    """A loop in C that never looks at signals, and work in another thread: the process
    ends by itself and says where it was."""
    said = run(code)
    assert (said.returncode, said.stdout) == (1, "")
    assert "Timeout" in said.stderr
    assert "limited" in said.stderr
