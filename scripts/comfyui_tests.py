#!/usr/bin/env python3
"""Run ComfyUI's own execution tests against Kino.

Knows: how the tests start a server (``python main.py`` in the current folder), and what stands in.
Does not know: what is tested. The tests are ComfyUI's, copied from its tree at run time, unedited.

    python scripts/comfyui_tests.py                    all of its tests/execution
    python scripts/comfyui_tests.py -k server0         a part (arguments go to pytest)
    python scripts/comfyui_tests.py --genuine          the same tests against ComfyUI's own server
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TREE: Final = ROOT / "backend" / "ComfyUI"
STAND_IN: Final = Path(__file__).with_name("comfyui_tests_main.py")

GENUINE: Final = """\
import os, sys
base = os.path.abspath("base")
for name in ("models", "input", "output", "temp", "user", "custom_nodes"):
    os.makedirs(os.path.join(base, name), exist_ok=True)
database = "sqlite:///" + os.path.join(base, "user", "comfyui.db")
more = ["--base-directory", base, "--database-url", database, "--disable-api-nodes"]
os.execv(sys.executable, [sys.executable, {main!r}, *sys.argv[1:], *more])
"""


def prepare(folder: Path, tree: Path, *, genuine: bool) -> None:
    """Copy the tests into *folder*, beside a ``main.py``. Raises ``FileNotFoundError``."""
    if not (tree / "tests" / "execution").is_dir():
        raise FileNotFoundError(f"{tree} has no tests/execution")
    shutil.copytree(tree / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(tree / "pytest.ini", folder)
    main = folder / "main.py"
    if genuine:
        main.write_text(GENUINE.format(main=str(tree / "main.py")))
    else:
        shutil.copy(STAND_IN, main)


def run(folder: Path, tree: Path, arguments: list[str]) -> int:
    """Run pytest over the copied tests; returns its status."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KINO_")}
    environment = {
        **kept,
        # the tests start whatever is called python
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(tree),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
    }
    command = [sys.executable, "-m", "pytest", "tests/execution", "--skip-timing-checks"]
    command += ["--port", str(port), "--output_dir", str(folder / "output")]
    command += ["-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def main() -> int:
    """Prepare a scratch folder, run, clear up."""
    parser = argparse.ArgumentParser(description="Run ComfyUI's own execution tests against Kino.")
    parser.add_argument("--tree", type=Path, default=TREE, help="where the tests are taken from")
    parser.add_argument("--genuine", action="store_true", help="run ComfyUI's own main.py instead")
    parser.add_argument("--folder", type=Path, help="an empty folder to work in, which is kept")
    known, arguments = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="kino-") as temporary:
        folder = (known.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        tree = known.tree.absolute()
        prepare(folder, tree, genuine=known.genuine)
        return run(folder, tree, arguments)


if __name__ == "__main__":
    sys.exit(main())
