"""A service that start.py began: nobody outlives the other, whoever is killed or interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

import service_child

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

_SERVING = """
import argparse, signal, sys
from pathlib import Path
import service_child, setup_steps, start
signal.signal(signal.SIGINT, signal.default_int_handler)
service_child.HURRY_S = 0.3
settings = service_child.read_settings(port=0, data_dir=Path(sys.argv[1]))
given = argparse.Namespace(once=False, first_light=False)
setup_steps.main_guard(lambda: start.serve(settings, given))
"""


@contextmanager
def _serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """start.py after its set-up, with a real service without workers; and that service."""
    (folder / "logs").mkdir()
    (folder / "first-light").mkdir()
    (folder / "first-light" / "done.txt").touch()
    with subprocess.Popen(
        [sys.executable, "-c", _SERVING, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS), "KINO_WORKERS": "[]"},
    ) as parent:
        assert parent.stdout is not None
        service = None
        try:
            assert any("Ctrl-C stops Kino" in line for line in parent.stdout)
            (service,) = psutil.Process(parent.pid).children()
            yield parent, service
        finally:
            parent.kill()
            if service is not None and service.is_running():
                service.kill()


def _said(parent: subprocess.Popen[str]) -> str:
    return parent.communicate(timeout=30)[1]


def test_a_killed_service_is_told_by_its_signal(tmp_path: Path) -> None:
    """The signal is named, and no request from the log is given as the reason."""
    with _serving(tmp_path) as (parent, service):
        service.kill()
        said = _said(parent)
    assert parent.returncode == 1
    log = tmp_path / "logs" / "kino.log"
    assert said == f"Kino: Kino ended, by SIGKILL (the log is {log}).\n"


def test_errors_of_an_earlier_start_are_not_quoted(tmp_path: Path) -> None:
    """The log is kept between starts; only what this start wrote counts."""
    log = tmp_path / "logs" / "kino.log"
    log.parent.mkdir()
    log.write_text("Kino cannot start: long ago\n", "utf-8")
    found = service_child.read_settings(port=0, data_dir=tmp_path)
    found.environment["KINO_WORKERS"] = "[]"
    with service_child.Service(found) as service:
        service.wait_until_live()
        assert "long ago" not in service._last_words()


def test_the_service_dies_with_a_killed_start(tmp_path: Path) -> None:
    """After kill -9 of start.py the service stops too (Linux tells it)."""
    with _serving(tmp_path) as (parent, service):
        parent.kill()
        parent.wait(10)
        if sys.platform != "linux":
            service.terminate()
        service.wait(30)
    assert not service.is_running()


def _interrupt_twice(parent: subprocess.Popen[str], service: psutil.Process) -> None:
    """Ctrl-C, and again when start.py has said that it waits; the service stands still."""
    assert parent.stdout is not None
    service.suspend()
    parent.send_signal(signal.SIGINT)
    assert any("Stopping Kino" in line for line in parent.stdout)
    parent.send_signal(signal.SIGINT)


def test_a_service_that_does_not_heed_a_second_interrupt_is_killed(tmp_path: Path) -> None:
    """start.py waits for its end with a deadline and never leaves it alive."""
    started = time.monotonic()
    with _serving(tmp_path) as (parent, service):
        _interrupt_twice(parent, service)
        parent.wait(30)
        assert not service.is_running()
    assert time.monotonic() - started < service_child.STOP_S
