"""The README's Python tour runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from backend.testing.service import Service

README = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")
WITHOUT_SERVICE, WITH_SERVICE = re.findall(r"(?s)```python\n(.*?)```", README)


def run(code: str, folder: Path) -> str:
    """Run *code* as a program of its own; return what it prints."""
    command = [sys.executable, "-P", "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_operations_are_functions(tmp_path: Path) -> None:
    """The first program mixes and ducks without any service."""
    assert re.fullmatch(r"2\.0 s, peak -\d+\.\d dBFS\n", run(WITHOUT_SERVICE, tmp_path))


def test_a_graph_over_http(tmp_path: Path, service: Service) -> None:
    """The second one runs a graph with the standard library alone, and gets a PNG."""
    assert "http://127.0.0.1:8190" in WITH_SERVICE
    code = WITH_SERVICE.replace("http://127.0.0.1:8190", service.url)
    printed = run(code + "\nprint(png[:4] == b'\\x89PNG')", tmp_path)
    assert re.fullmatch(r"blake3:[0-9a-f]{64} 64 64\nTrue\n", printed)
