"""Starting: every obstacle is one sentence, every step is done once, and it stops cleanly."""

from __future__ import annotations

import ast
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import service_child
import setup_steps as steps
import supported_python

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def _start(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / "start.py"), *words],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def _bound() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


# --- obstacles ------------------------------------------------------------------------------------


def test_a_busy_port_is_one_sentence() -> None:
    """Before anything is set up, the port is named with what to do."""
    with _bound() as listener:
        port = listener.getsockname()[1]
        said = _start("--port", str(port), "--once")
    assert said.returncode == 1
    assert said.stdout == ""
    assert said.stderr.splitlines() == [
        f"Kino: port {port} is busy: stop the program that uses it, or choose another with --port."
    ]


def test_a_number_that_is_no_port_is_one_sentence() -> None:
    """A port that cannot exist is named with what to do, before anything is set up."""
    said = _start("--port", "99999", "--once")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.splitlines() == [
        "Kino: 99999 is no port: choose a number from 0 to 65535 with --port."
    ]


def test_last_words_are_what_went_wrong() -> None:
    """An access line is never given as the cause of death; an error or a sentence is."""
    access = '{"event": "request", "level": "info", "path": "/v1/jobs"}\n'
    error = '{"event": "the disk is full", "level": "error"}\n'
    assert service_child.last_words(access) == ""
    assert service_child.last_words(error + access) == "the disk is full"
    refused = "Kino cannot start: the port is taken\n"
    assert service_child.last_words(access + refused) == "Kino cannot start: the port is taken"
    assert service_child.last_words("Kino listens on http://127.0.0.1:8190\n") == ""


_STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
print("up", flush=True)
while True:
    time.sleep(0.05)
"""
_STOPPING = """
import subprocess, sys
import service_child

class Child(subprocess.Popen):
    def wait(self, timeout=None):
        print("waiting", flush=True)
        return super().wait(timeout)

child = Child([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
child.terminate()
service_child._bury(child)
print(child.returncode, flush=True)
"""


def test_a_second_interrupt_hurries_the_service() -> None:
    """Ctrl-C while it drains is passed on; the service has ended when we have."""
    with subprocess.Popen(
        [sys.executable, "-c", _STOPPING, _STUBBORN],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    ) as stopping:
        assert stopping.stdout is not None
        assert stopping.stdout.readline() == "waiting\n"
        stopping.send_signal(signal.SIGINT)
        said, _ = stopping.communicate(timeout=600)
    assert said.split() == ["waiting", "130"]


class _Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def _healthy() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Healthy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_running_kino_is_recognised() -> None:
    """If Kino itself has the port, the sentence says so and gives its address."""
    with _healthy() as port, pytest.raises(steps.Stop, match="running already at http://127"):
        service_child.require_free_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_one_sentence() -> None:
    """An address that is not ours is named with the setting that changes it."""
    with pytest.raises(steps.Stop, match=r"cannot listen on 192\.0\.2\.1 port 8190 .*KINO_HOST"):
        service_child.require_free_port("192.0.2.1", 8190)


@pytest.mark.parametrize("version", [(3, 8), (3, 10), (3, 14), (4, 0)])
def test_an_unsupported_python_is_one_sentence(version: tuple[int, int]) -> None:
    """Its version, the ones that will do, and a command to use instead."""
    sentence = supported_python.problem(version, "scripts/start.py")
    assert f"This is Python {version[0]}.{version[1]}" in sentence
    assert "3.11, 3.12 and 3.13" in sentence
    assert "scripts/start.py'" in sentence
    assert len(sentence.splitlines()) == 1


def test_another_python_that_is_there_is_suggested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supported Python on the search path is named; otherwise how to get one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt install" in supported_python.problem((3, 10), "scripts/start.py")
    (tmp_path / "python3.12").symlink_to(sys.executable)
    sentence = supported_python.problem((3, 10), "scripts/start.py")
    assert "run it as 'python3.12 scripts/start.py'" in sentence


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_supported_pythons_pass(version: tuple[int, int]) -> None:
    """Nothing is said about a Python that will do."""
    assert supported_python.problem(version, "scripts/start.py") == ""


@pytest.mark.parametrize("name", ["supported_python", "start", "test", "check"])
def test_old_pythons_can_read_the_sentence(name: str) -> None:
    """What runs before the check is in a language that Python 3.7 knows, and comes first."""
    tree = ast.parse((SCRIPTS / f"{name}.py").read_text("utf-8"), feature_version=(3, 7))
    if name != "supported_python":
        words = [node for node in tree.body if not isinstance(node, ast.Expr)]
        assert ast.unparse(words[0]) == "import supported_python"
        calls = [ast.unparse(node) for node in tree.body[:3]]
        assert calls[-1] == f"supported_python.require('scripts/{name}.py')"


def _without(*modules: str) -> subprocess.CompletedProcess[str]:
    hidden = "".join(f"sys.modules[{name!r}] = None; " for name in modules)
    code = (
        f"import sys; from pathlib import Path; sys.path.append({str(SCRIPTS)!r}); {hidden}"
        "import setup_steps as s; s.main_guard(lambda: s.make_environment(Path('no-such/.venv')))"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_missing_venv_module_is_one_sentence() -> None:
    """Debian splits venv off; the package to install is named."""
    said = _without("ensurepip")
    assert said.returncode == 1
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert said.stderr.splitlines() == [
        "Kino: Python's venv module is missing: install it "
        f"(Debian: apt install python{version}-venv) and run again."
    ]


@pytest.fixture
def empty_environment(tmp_path: Path) -> Path:
    """A fresh virtual environment with pip and nothing else."""
    venv = tmp_path / ".venv"
    steps.make_environment(venv)
    return venv


def test_offline_is_one_sentence(empty_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package index that does not answer is named as the reason, with two remedies."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.setenv(name, "")
    with pytest.raises(steps.Stop) as stop:
        steps.get_uv(empty_environment)
    sentence = str(stop.value)
    assert sentence.startswith("uv could not be fetched because the package index")
    assert "connect to the network" in sentence
    assert "mirror" in sentence
    assert len(sentence.splitlines()) == 1


@pytest.mark.parametrize(
    "output",
    [
        "error: Failed to fetch: `https://index.example/simple/torch/`\n  Caused by: dns error",
        "WARNING: Retrying … [Errno -3] Temporary failure in name resolution",
        "error: error sending request for url (https://index.example/simple/)",
    ],
)
def test_the_tools_ways_to_say_offline_are_known(output: str) -> None:
    """uv's and pip's own words for a missing network are recognised."""
    assert "not reachable" in str(steps.fetch_problem("The packages", output))


def test_another_failure_keeps_its_reason() -> None:
    """What is no network problem is passed on in the tool's own words."""
    stop = steps.fetch_problem("The packages", "Resolved 3\nerror: No space left on device\n")
    assert "No space left on device" in str(stop)


def test_a_wrong_setting_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that cannot be read is named as it is written."""
    monkeypatch.setenv("KINO_LIMITS__JSON_BYTES", "many")
    with pytest.raises(steps.Stop, match="KINO_LIMITS__JSON_BYTES"):
        service_child.read_settings(port=None, data_dir=tmp_path)


def test_the_command_line_wins_over_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--port and --data-dir are handed to the service; the rest is what it reads itself."""
    monkeypatch.setenv("KINO_PORT", "9999")
    found = service_child.read_settings(port=8123, data_dir=tmp_path)
    assert (found.port, found.data_dir, found.host) == (8123, tmp_path, "127.0.0.1")
    assert service_child.read_settings(port=None, data_dir=tmp_path).port == 9999


def test_a_service_that_dies_at_once_is_one_sentence(tmp_path: Path) -> None:
    """The reason from the log and the log's place are given; nothing is left running."""
    (tmp_path / "logs").mkdir()
    found = service_child.read_settings(port=service_child.free_port(), data_dir=tmp_path)
    found.environment["KINO_LIMITS__JSON_BYTES"] = "many"
    with (
        pytest.raises(steps.Stop, match=r"ended at once, status \d+ .*kino\.log"),
        service_child.Service(found) as service,
    ):
        service.wait_until_live()


# --- steps are done once --------------------------------------------------------------------------


def test_an_environment_is_made_once(empty_environment: Path) -> None:
    """A second run leaves a working environment as it is; a broken one is made anew."""
    python = steps.environment_tool("python", empty_environment)
    marker = empty_environment / "marker"
    marker.touch()
    steps.make_environment(empty_environment)
    assert marker.exists()
    python.unlink()
    steps.make_environment(empty_environment)
    assert python.exists()
    assert not marker.exists()


def test_packages_are_synced_once(tmp_path: Path) -> None:
    """A stamp keyed by the lock stands for a finished step; with test tools it serves both."""
    venv = tmp_path / ".venv"
    venv.mkdir()
    with pytest.raises(steps.Stop):  # there is no uv here: the step would have run
        steps.sync_packages(dev=False, venv=venv)
    assert not steps.is_stamped(venv, "packages-run", steps.lock_key())
    steps.stamp(venv, "packages-dev", steps.lock_key())
    steps.sync_packages(dev=False, venv=venv)
    steps.sync_packages(dev=True, venv=venv)
    steps.stamp(venv, "packages-dev", "another lock")
    with pytest.raises(steps.Stop):
        steps.sync_packages(dev=True, venv=venv)


def test_packages_for_running_do_not_stand_for_those_of_tests(tmp_path: Path) -> None:
    """After a start, the tests still install their tools."""
    venv = tmp_path / ".venv"
    venv.mkdir()
    steps.stamp(venv, "packages-run", steps.lock_key())
    steps.sync_packages(dev=False, venv=venv)
    with pytest.raises(steps.Stop):
        steps.sync_packages(dev=True, venv=venv)


def test_a_command_that_hangs_is_ended() -> None:
    """A time limit ends a command and says so."""
    said = steps.run([sys.executable, "-c", "import time; time.sleep(60)"], timeout_s=0.5)
    assert said.returncode == 124
    assert "timed out" in said.stdout


def test_another_projects_environment_does_not_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that aim tools at another project are not passed on."""
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "GIT_DIR"):
        monkeypatch.setenv(name, "/elsewhere")
    assert not {"VIRTUAL_ENV", "PYTHONPATH", "GIT_DIR"} & steps.clean_environment().keys()
    assert shutil.which("git", path=steps.clean_environment()["PATH"])
