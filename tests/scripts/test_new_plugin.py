"""`scripts/new_plugin.py` writes a plugin whose own tests pass."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import new_plugin
from backend import plugins
from backend.config import Settings

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "new_plugin.py"


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command from outside of the repository."""
    return subprocess.run(
        [str(word) for word in command],
        env=os.environ | environment,
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
    )


def uv() -> str:
    """The uv of this environment, else the one on the path."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    assert found is not None, "scripts/test.py installs uv"
    return found


def test_the_written_plugin_passes_its_tests(tmp_path: Path) -> None:
    """Write, install beside Kino, run the plugin's tests: all pass, on every door."""
    folder, site = tmp_path / "kino-wide-room", tmp_path / "site"
    written = run(sys.executable, SCRIPT, "wide_room", "--into", folder)
    assert written.returncode == 0, written.stderr
    assert str(folder) in written.stdout
    installed = run(
        uv(), "pip", "install", "--no-deps", "--python", sys.executable, "--target", site, folder
    )
    assert installed.returncode == 0, installed.stderr
    tested = run(sys.executable, "-P", "-m", "pytest", "-q", folder, PYTHONPATH=str(site))
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "3 passed" in tested.stdout


def test_the_written_plugin_is_formatted(tmp_path: Path) -> None:
    """What is written passes the project's own linter and formatter."""
    folder = tmp_path / "kino-echo"
    assert run(sys.executable, SCRIPT, "echo", "--into", folder).returncode == 0
    ruff = Path(sys.executable).with_name("ruff")
    settings = ("--config", ROOT / "pyproject.toml")
    checked = run(ruff, "format", "--check", *settings, folder)
    assert checked.returncode == 0, checked.stdout
    checked = run(ruff, "check", *settings, "--ignore", "I001", folder / "kino_echo")
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", ["Wide", "1st", "a-b", "a.b", "../up", "class", "mixer", "limits"])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    """A name that is no identifier, or is taken, is refused in one sentence; nothing is written."""
    done = run(sys.executable, SCRIPT, name, "--into", tmp_path / "new")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder that holds anything is left alone."""
    (tmp_path / "mine.txt").write_text("mine")
    done = run(sys.executable, SCRIPT, "echo", "--into", tmp_path)
    assert done.returncode == 2
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]


def test_taken_names_are_kept_up() -> None:
    """The script's list of taken names holds every built-in plugin and group of settings."""
    built_in = {name.rpartition(".")[2] for name in plugins.BUILT_IN}
    groups = {name for name in ("comfyui", "limits") if name in Settings.model_fields}
    assert built_in | groups <= new_plugin.TAKEN
