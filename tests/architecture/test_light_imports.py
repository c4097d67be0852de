"""What the API process and declaring modules import is light."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from backend.plugins import BUILT_IN

HEAVY = [
    *("torch", "torchaudio", "torchvision", "transformers", "diffusers", "demucs"),
    *("matplotlib", "pedalboard", "scipy", "comfy", "nodes", "execution", "folder_paths", "server"),
]


def _imported(*modules: str) -> list[str]:
    """Which heavy modules a fresh process has after importing *modules*."""
    code = (
        "import importlib, json, sys\n"
        f"for name in {list(modules)!r}: importlib.import_module(name)\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    said = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=600, check=False
    )
    assert said.returncode == 0, said.stderr
    found: list[str] = json.loads(said.stdout)
    return found


@pytest.mark.parametrize(
    "module",
    ["backend.app", "backend.cli", "backend.worker.__main__", "backend.bricks", "backend.testing"],
)
def test_roots_are_light(module: str) -> None:
    """Importing a root of composition pulls in no model library and nothing of ComfyUI's."""
    assert _imported(module) == []


@pytest.mark.parametrize("plugin", BUILT_IN)
def test_declarations_are_light(plugin: str) -> None:
    """A plugin, its declarations and its shapes import nothing heavy."""
    assert _imported(plugin, f"{plugin}.operations") == []


def test_a_heavy_import_would_be_seen() -> None:
    """The probe itself works: scipy is seen if something imports it."""
    assert _imported("scipy") == ["scipy"]
