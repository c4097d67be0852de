"""Imports go down only; and the contracts that say so do catch what they forbid."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ("files", "mixer")


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def _config() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: dict[str, Any] = tomllib.load(file)["tool"]["importlinter"]
    return found


def test_every_contract_is_kept() -> None:
    """import-linter finds nothing to say about the whole package."""
    said = _lint(ROOT)
    assert said.returncode == 0, said.stdout[-4000:]


def test_every_folder_is_a_package() -> None:
    """A folder without __init__.py would be left out of the check, silently."""
    folders = {
        path.parent
        for path in (ROOT / "backend").rglob("*.py")
        if "ComfyUI" not in path.relative_to(ROOT).parts
    }
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An empty house of the same plan, in which a test can break a rule."""
    backend = tmp_path / "backend"
    backend.mkdir()
    (backend / "__init__.py").touch()
    layers = next(c["layers"] for c in _config()["contracts"] if c["id"] == "floors")
    for name in [name.strip() for layer in layers for name in layer.split("|")]:
        (backend / name).mkdir()
        (backend / name / "__init__.py").touch()
    for name in PLUGINS:
        (backend / "plugins" / f"{name}.py").touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_empty_house_is_in_order(model: Path) -> None:
    """Without a broken rule nothing is reported, so that the next test means something."""
    said = _lint(model)
    assert said.returncode == 0, said.stdout[-4000:]


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("newcomer", "", "floors"),
        ("media/audio", "from backend import services", "floors"),
        ("worker/run", "from backend import app", "floors"),
        ("services/jobs", "from backend.services import events", "no-circles"),
        ("media/audio", "import folder_paths", "comfyui"),
        ("plugins/mixer", "def run():\n    import nodes", "comfyui"),
        ("handlers/jobs", "import torch", "light"),
        ("services/jobs", "from backend.media import audio", "light"),
        ("services/jobs", "from backend.bricks import boot", "services"),
        ("handlers/jobs", "from backend.bricks import boot", "handlers"),
        ("handlers/jobs", "from backend import plugins", "handlers"),
        ("plugins/mixer", "from aiohttp import web", "plugin-api"),
        ("plugins/mixer", "from backend import config", "plugin-api"),
        ("plugins/mixer", "from backend.plugins import files", "islands"),
        ("app/build", "from backend.plugins import mixer", "no-favourites"),
    ],
)
def test_a_broken_rule_is_found(model: Path, module: str, line: str, contract: str) -> None:
    """Each contract fails for what it forbids, also inside a function and through others."""
    backend = model / "backend"
    (backend / "bricks" / "boot.py").write_text("")
    (backend / "media" / "audio.py").write_text("import torch\n" if contract == "light" else "")
    (backend / "services" / "events.py").write_text("from backend.services import jobs\n")
    (backend / "services" / "jobs.py").write_text("")
    (backend / f"{module}.py").write_text(f"{line}\n")
    said = _lint(model)
    assert said.returncode == 1, said.stdout
    names = {found["id"]: found["name"] for found in _config()["contracts"]}
    assert f"{names[contract]} BROKEN" in said.stdout
