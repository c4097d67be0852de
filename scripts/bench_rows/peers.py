"""Other people's libraries, in an environment that lasts as long as a row.

Knows: how such an environment is made, and how a question is put to it in Python.
Does not know: which library, and what for.

Nothing that is only measured against becomes a part of Kino's own environment.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench_rows.servers import NotMeasured

INSTALL_S: Final = 300.0
ANSWER_S: Final = 600.0


class Peer:
    """A Python of its own, in *folder*, with *packages* and what they need."""

    def __init__(self, folder: Path, packages: Sequence[str]) -> None:
        beside = Path(sys.executable).with_name("uv")
        uv = str(beside) if beside.exists() else shutil.which("uv")
        if uv is None:
            raise NotMeasured(f"uv is not there to install {' '.join(packages)} with")
        home = folder / "peer"
        self._python = home / "bin" / "python"
        for words in (
            ["venv", "--quiet", "--python", sys.executable, str(home)],
            ["pip", "install", "--quiet", "--python", str(self._python), *packages],
        ):
            try:
                subprocess.run(
                    [uv, *words], check=True, capture_output=True, text=True, timeout=INSTALL_S
                )
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                raise NotMeasured(f"{' '.join(packages)} could not be installed") from error

    def ask(self, code: str, *words: str) -> Any:
        """Run *code* with *words* as its ``sys.argv[1:]``; return the JSON that it prints."""
        done = subprocess.run(
            [str(self._python), "-c", code, *words],
            check=True, capture_output=True, text=True, timeout=ANSWER_S,
        )  # fmt: skip
        return json.loads(done.stdout)
