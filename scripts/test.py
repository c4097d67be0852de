#!/usr/bin/env python3
"""Set the tests up and run them.

Knows: the steps, and which part of the suite is asked for.
Does not know: what is tested.

    python3 scripts/test.py                   the suite (arguments go to pytest)
    python3 scripts/test.py tests/media -x    a part of it
    python3 scripts/test.py --contract        the long part: the upgrade contract, kill loops
"""

import supported_python

supported_python.require("scripts/test.py")

import os  # noqa: E402 (only a supported Python can read what follows)
import subprocess  # noqa: E402
import sys  # noqa: E402

import setup_steps as steps  # noqa: E402
from comfyui_tree import pinned  # noqa: E402


def set_up() -> None:
    """The environment with the tools that tests need, and ComfyUI. Raises `Stop`."""
    print("Setting up the tests", flush=True)
    steps.make_environment()
    steps.get_uv()
    steps.sync_packages(dev=True)
    with steps.step("ComfyUI, verified"):
        pinned.install()


def command(arguments: list[str]) -> list[str]:
    """The pytest command for our *arguments*; what we do not know goes to pytest."""
    python = str(steps.environment_tool("python"))
    rest = [word for word in arguments if word != "--contract"]
    parts = ["-m", "contract", "--timeout", "1800"] if "--contract" in arguments else []
    workers = [] if any(word.startswith(("-n", "--pdb")) for word in rest) else ["-n", "2"]
    return [python, "-m", "pytest", "--dist", "loadgroup", *workers, *parts, *rest]


def main() -> int:
    """Set up and run pytest."""
    set_up()
    # results must not depend on how many cores a machine has, nor may two test processes fight
    environment = steps.clean_environment(PYTHONFAULTHANDLER="1")
    for name in [name for name in environment if name.startswith("KINO_")]:
        del environment[name]
    environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) // 2)))
    words = command(sys.argv[1:])
    return subprocess.run(words, cwd=steps.ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    steps.main_guard(main)
