"""Use another ComfyUI tree than the one in ``backend/ComfyUI``: a line in the settings file.

Knows: the settings' names, and how an ``.env`` file is written.
Does not know: what the tree can do. Standard library only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from backend.bricks import releases
from comfyui_tree import pinned
from setup_steps import Stop

PATH: Final = "KINO_COMFYUI__PATH"
ACCEPT: Final = "KINO_COMFYUI__ACCEPT_MODIFIED"


def use(lock_path: Path, tree: Path, settings: Path, *, accept_modified: bool) -> list[str]:
    """Write the setting that makes Kino import the ComfyUI in *tree*; lines about it.

    Nothing is written into *tree*, now or later. What its user keeps in it (models, node packs,
    outputs) does not make it a changed one. Raises `Stop`.
    """
    tree = tree.expanduser().resolve()
    if not (tree / "nodes.py").is_file() or not (tree / "comfy").is_dir():
        raise Stop(f"{tree} holds no ComfyUI (no nodes.py, no comfy/): give its root folder.")
    lock = pinned.read_lock(lock_path)
    _, found = releases.match(tree, lock_path)
    version = pinned.version_of(tree)
    if found and not accept_modified:
        raise Stop(
            f"{tree} is ComfyUI {version}, not the pinned {lock.version} "
            f"({pinned.some(found)}): add --accept-modified to use it all the same."
        )
    write_settings(settings, {PATH: str(tree), ACCEPT: "true" if found else "false"})
    state = f"differs from the pinned {lock.version}" if found else "as pinned"
    lines = [f"{tree}: ComfyUI {version}, {state}; its own models are found too"]
    packs = tree / "custom_nodes"
    own = {name.partition("/")[2] for name in lock.files if name.startswith("custom_nodes/")}
    names = [pack.name for pack in pack_folders(packs) if pack.name not in own]
    if names:
        lines.append(
            f"its custom nodes ({', '.join(names)}) are not loaded; to load some, set "
            f"KINO_COMFYUI__CUSTOM_NODES_DIR={packs} and name them in KINO_COMFYUI__CUSTOM_NODES"
        )
    return [*lines, _where(settings)]


def use_pinned(settings: Path) -> list[str]:
    """Take that choice back: Kino imports ``backend/ComfyUI`` again; lines about it."""
    write_settings(settings, {}, without=(PATH, ACCEPT))
    return ["Kino uses the pinned ComfyUI in backend/ComfyUI", _where(settings)]


def pack_folders(folder: Path) -> list[Path]:
    """What lies in a folder of custom nodes and may be a pack."""
    if not folder.is_dir():
        return []
    found = (each for each in folder.iterdir() if not each.name.startswith((".", "_")))
    return sorted(each for each in found if each.is_dir() or each.suffix == ".py")


def _where(settings: Path) -> str:
    return f"{settings} is written; restart Kino in {settings.parent} (it reads the file there)"


def write_settings(path: Path, values: dict[str, str], without: Iterable[str] = ()) -> None:
    """Set variables in an ``.env`` file, take out those of *without*, and leave its other lines."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    gone = {*values, *without}
    kept = [line for line in lines if line.split("=", 1)[0].strip() not in gone]
    kept += [f"{name}='{_escaped(value)}'" for name, value in values.items()]
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=path.name, delete=False
    ) as file:
        file.write("".join(f"{line}\n" for line in kept))
    Path(file.name).chmod(0o600)
    Path(file.name).replace(path)


def _escaped(value: str) -> str:
    """As it stands between single quotes in an ``.env`` file."""
    return value.replace("\\", "\\\\").replace("'", "\\'")
