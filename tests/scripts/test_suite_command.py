"""The one command that runs the suite, and what it leaves for the long part."""

from __future__ import annotations

import importlib.util
import os
import stat
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script() -> ModuleType:
    """scripts/test.py by its path, because Python has a ``test`` of its own."""
    spec = importlib.util.spec_from_file_location("kino_test_command", ROOT / "scripts" / "test.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_suite_runs_in_two_processes(script: ModuleType) -> None:
    """Tests that share a group stay together; arguments go to pytest."""
    words = script.command(["tests/media", "-x"])
    assert words[1:] == ["-m", "pytest", "--dist", "loadgroup", "-n", "2", "tests/media", "-x"]
    assert "-n2" not in script.command(["-n0"])
    assert script.command(["-n0"]).count("-n") == 0


def test_the_long_part_is_asked_for(script: ModuleType) -> None:
    """--contract selects what the plain run leaves out, with a longer time limit."""
    words = script.command(["--contract"])
    assert words[words.index("pytest") :].count("contract") == 1
    assert "--contract" not in words
    with (ROOT / "pyproject.toml").open("rb") as file:
        options = tomllib.load(file)["tool"]["pytest"]["ini_options"]
    assert options["addopts"][-2:] == ["-m", "not contract"]
    assert options["filterwarnings"][0] == "error"


def test_integration_runs_exactly_the_two_commands() -> None:
    """.ci/run is executable and ends with the suite and its long part."""
    path = ROOT / ".ci" / "run"
    if os.name != "nt":
        assert path.stat().st_mode & stat.S_IXUSR
    lines = [line for line in path.read_text("utf-8").splitlines() if line]
    assert lines[-2:] == ["python3 scripts/test.py", "python3 scripts/test.py --contract"]
