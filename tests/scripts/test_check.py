"""The checks that read the source pass, and are all there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

import check

ROOT = Path(__file__).resolve().parents[2]


def test_the_source_passes_every_check() -> None:
    """Format, lint, types, floors and generated documents have nothing to say."""
    said = subprocess.run(
        [sys.executable, ROOT / "scripts" / "check.py"],
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert said.returncode == 0, said.stdout[-6000:]
    assert said.stdout.splitlines()[-1] == "all checks pass"


def test_one_command_runs_all_of_them() -> None:
    """No check is left out."""
    assert {"format", "lint", "types", "floors"} <= set(check.checks())


def test_a_commit_runs_the_same_command() -> None:
    """The pre-commit hook is the same one command."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert hooks["repos"][0]["hooks"][0]["entry"] == "python3 scripts/check.py"
