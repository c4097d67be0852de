"""ComfyUI's own execution tests, taken from its tree, against Kino's port."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "comfyui_tests.py"


def run(*arguments: str) -> tuple[int, int, str]:
    """How many passed, how many did not, and the end of the output."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "-q", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr
    counts = {kind: int(number) for number, kind in re.findall(r"(\d+) (\w+)", last)}
    wrong = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    return counts.get("passed", 0), wrong, done.stdout[-3000:]


def test_a_part_of_comfyuis_own_tests():
    """Those of the execution of graphs, with the classic cache."""
    passed, wrong, output = run("-k", "TestExecution and server0")
    assert (passed, wrong) == (52, 0), output


@pytest.mark.contract
def test_all_of_comfyuis_own_tests():
    """All of the folder, with every cache; seven that look for large models skip themselves."""
    passed, wrong, output = run()
    assert (passed, wrong) == (266, 0), output
