"""The fake engine's nodes that misbehave; tests/bricks/test_graph_contract.py has the rest."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from backend.config import worker_environment

CODE = """
import json, sys
from pathlib import Path
from backend.bricks import engine, lane
from backend.context import Context
from backend.testing import engine as fake
fake.install()
told = lambda: sys.argv[3] == "cancelled" and lane.current().interrupt("graph") and False
result = engine.current().run(
    json.loads(sys.argv[1]), assets={}, folder=Path(sys.argv[2]),
    ctx=Context(on_progress=lambda *step: told()),
)
print(json.dumps([result.of("text"), "torch" in sys.modules]))
"""


def run(graph: str, folder, how: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", CODE, graph, str(folder), how],
        env=worker_environment(), capture_output=True, text=True, timeout=600,
    )  # fmt: skip


def test_a_graph_can_kill_its_process(tmp_path):
    """KinoTestDie ends the process as ``kill -9`` does."""
    said = run('{"1": {"class_type": "KinoTestDie"}}', tmp_path)
    assert said.returncode == -signal.SIGKILL


def test_a_graph_can_be_deaf(tmp_path):
    """KinoTestDeaf sleeps on although its job was interrupted; no torch is imported."""
    started = time.monotonic()
    said = run(
        '{"1": {"class_type": "KinoTestDeaf", "inputs": {"seconds": 0.5}}}', tmp_path, "cancelled"
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout == '[["woke up"], false]\n'
    assert time.monotonic() - started >= 0.5
