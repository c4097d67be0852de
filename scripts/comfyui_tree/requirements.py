"""The packages that a ComfyUI tree asks for, and a folder for those it wants otherwise.

Knows: uv, which says what it would change in the environment, and changes nothing.
Does not know: ComfyUI. Standard library only.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import setup_steps as steps
from setup_steps import Stop

RESOLVE_S: Final = 120.0
INSTALL_S: Final = 1800.0
FIXED: Final = frozenset({"torch", "torchaudio", "torchvision", "numpy", "aiohttp", "pydantic"})
"""What a worker has loaded, or is built against, before ComfyUI comes: no overlay changes it."""


def wanted(requirements: Path, python: Path) -> list[str]:
    """``name==version`` of everything that the environment has not, or has otherwise.

    Raises `Stop` if that cannot be had, or would change what cannot be changed.
    """
    uv = steps.environment_tool("uv")
    command: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--dry-run",
        "--no-color",
        "--python",
        python,
    ]
    said = steps.run([*command, "-r", requirements], timeout_s=RESOLVE_S)
    if said.returncode != 0:
        raise Stop(
            f"the packages that this ComfyUI asks for cannot be had ({_reason(said.stdout)}): "
            "connect to the network, or point UV_DEFAULT_INDEX at a mirror that has them, and run "
            "again; nothing was changed."
        )
    found = re.findall(r"^ \+ (\S+==\S+)", said.stdout, re.MULTILINE)
    fixed = [each for each in found if each.partition("==")[0].lower() in FIXED]
    if fixed:
        raise Stop(
            f"this ComfyUI asks for {', '.join(fixed)}, which Kino's environment has otherwise and "
            "an overlay cannot change: it needs a newer Kino; nothing was changed."
        )
    return found


def _reason(text: str) -> str:
    """What uv said, in one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line for line in lines if re.match(r"(error|×|╰─▶|cause|Because)", line)]
    told = " ".join(causes or lines[-1:]).replace("╰─▶", "").replace("×", "")
    return re.sub(r"\s+", " ", told).removeprefix("error: ").strip().rstrip(".")[:300]


def install(packages: list[str], overlay: Path, python: Path) -> None:
    """Put exactly *packages* into *overlay*. Raises `Stop`."""
    uv = steps.environment_tool("uv")
    command: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--no-deps",
        "--target",
        overlay,
        "--python",
        python,
    ]
    said = steps.run([*command, *packages], timeout_s=INSTALL_S)
    if said.returncode != 0:
        raise Stop(
            f"the packages {', '.join(packages)} could not be installed beside the others "
            f"({_reason(said.stdout)}): mend that and run again; nothing was changed."
        )
