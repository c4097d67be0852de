"""What `kino doctor` can see without a service: this machine and this installation.

Knows: Python, packages, the ComfyUI tree, disk, folder, memory and port.
Does not know: what a running service says of itself (``cli.health``).
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from backend import config
from backend.bricks import identity, releases
from backend.cli.display import size
from backend.cli.finding import Finding

if TYPE_CHECKING:
    from backend.config import Settings

OLDEST: Final = (3, 11)
TOO_NEW: Final = (3, 14)
SET_UP: Final = "Run: python3 scripts/start.py"
INSTALL: Final = "Run: python3 scripts/comfyui.py install"
VERIFY: Final = "Run: python3 scripts/comfyui.py verify"
LOCK: Final = Path(identity.__file__).resolve().parent.parent / "comfyui.lock"


def findings(settings: Settings) -> Iterator[Finding]:
    """Look at each thing in turn."""
    yield python(sys.version_info[:2])
    yield packages()
    yield from older_variables()
    yield comfyui_tree(settings)
    yield from model_folders(settings)
    yield data_folder(settings.data_dir)
    yield disk(settings.data_dir, settings.limits.disk_floor_bytes)


def python(version: tuple[int, int]) -> Finding:
    """Whether this Python will do."""
    text = f"{platform.python_version()} ({sys.executable})"
    if OLDEST <= version < TOO_NEW:
        return Finding("Python", "ok", text, essential=True)
    remedy = "Install Python 3.11, 3.12 or 3.13, and run scripts/start.py with it."
    return Finding("Python", "missing", f"{text} is not supported.", remedy, essential=True)


def packages() -> Finding:
    """Whether every package that Kino asks for is installed (versions are uv's to keep)."""
    wanted = [
        match[0]
        for line in importlib.metadata.requires("kino") or ()
        if (match := re.match(r"[A-Za-z0-9._-]+", line)) and "extra ==" not in line
    ]
    absent = [name for name in wanted if not _is_installed(name)]
    if absent:
        return Finding("packages", "missing", ", ".join(absent), SET_UP, essential=True)
    return Finding("packages", "ok", f"all {len(wanted)} are installed", essential=True)


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def comfyui_tree(settings: Settings, lock_file: Path = LOCK) -> Finding:
    """Whether the ComfyUI that would be imported is there and is the pinned one."""
    name, tree = "ComfyUI tree", settings.comfyui_path
    if not settings.comfyui.enabled or "comfy" not in settings.workers:
        return Finding(name, "note", "not wanted by the settings")
    if not (tree / "comfy").is_dir() or not (tree / "nodes.py").is_file():
        return Finding(name, "missing", f"there is none in {tree}", INSTALL)
    try:
        pin, lines = releases.match(tree, lock_file)
    except (OSError, ValueError) as error:
        return Finding(name, "missing", f"it cannot be verified: {error}", INSTALL)
    how = "pinned" if pin.committed else "accepted"
    if not lines:
        return Finding(name, "ok", f"{pin.lock.version}, as {how}, in {tree}")
    more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
    text = f"not the {how} {pin.lock.version}: {lines[0]}{more}"
    if settings.comfyui.accept_modified:
        return Finding(name, "note", f"{text} (accepted by KINO_COMFYUI__ACCEPT_MODIFIED)")
    return Finding(name, "missing", text, VERIFY)


def older_variables() -> Iterator[Finding]:
    """Each variable of a system that Kino replaces."""
    for each in config.older_variables():
        yield Finding(f"variable {each.name}", "note", each.outcome, each.remedy)


def model_folders(settings: Settings) -> Iterator[Finding]:
    """Each mistake in the settings of model folders; else one line with the folders."""
    from backend.services.model_folders import ModelFolders

    folders = ModelFolders(settings)
    troubles = folders.troubles()
    for trouble in troubles:
        text = f"{trouble.setting}: {trouble.sentence} ({trouble.path})"
        yield Finding("model folders", "missing", text, "Mend the setting, then start Kino again.")
    if not troubles:
        there = [str(root) for _, root in folders.roots if root.is_dir()]
        yield Finding("model folders", "ok", ", ".join(there) or "none is there yet")


def data_folder(folder: Path) -> Finding:
    """Whether the data folder can be written, or made."""
    place = _nearest(folder)
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Finding("data folder", "ok", str(folder), essential=True)
    return Finding(
        "data folder",
        "missing",
        f"{folder} cannot be written",
        "Choose another with KINO_DATA_DIR, or change who may write there.",
        essential=True,
    )


def disk(folder: Path, floor: int) -> Finding:
    """Whether there is more free space than Kino insists on."""
    free = shutil.disk_usage(_nearest(folder)).free
    text = f"{size(free)} are free"
    if free > floor:
        return Finding("disk", "ok", text, essential=True)
    return Finding(
        "disk",
        "missing",
        f"only {text}; uploads and jobs are refused below {size(floor)}",
        "Delete something, or choose another place with KINO_DATA_DIR.",
        essential=True,
    )


def address(settings: Settings) -> Finding:
    """Whether `kino serve` could listen, asked only when no Kino answers."""
    from backend.handlers import listening

    try:
        listening.check(settings)
        for bound in listening.bind(settings):
            bound.close()
    except listening.CannotListen as error:
        sentence, _, remedy = str(error).partition(". ")
        return Finding("address", "missing", sentence, remedy, essential=True)
    where = f"{settings.host}:{settings.port}" if settings.port else f"{settings.host}, any port"
    return Finding("address", "ok", f"{where} is free", essential=True)


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place
