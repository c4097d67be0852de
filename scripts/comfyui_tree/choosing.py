"""Use another ComfyUI tree than the one in ``backend/ComfyUI``: a line in the settings file.

Knows: the settings' names, and how an ``.env`` file is written.
Does not know: what the tree can do. Standard library only.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from backend.bricks import identity
from comfyui_tree import pinned
from setup_steps import Stop


def use(lock_path: Path, tree: Path, settings: Path, *, accept_modified: bool) -> None:
    """Write the setting that makes Kino import the ComfyUI in *tree*. Raises `Stop`."""
    tree = tree.expanduser().resolve()
    if not (tree / "nodes.py").is_file() or not (tree / "comfy").is_dir():
        raise Stop(f"{tree} holds no ComfyUI (no nodes.py, no comfy/): give its root folder.")
    found = identity.differences(tree, pinned.read_lock(lock_path))
    if found and not accept_modified:
        raise Stop(
            f"{tree} is ComfyUI {pinned.version_of(tree)}, not the pinned tree "
            f"({pinned.some(found)}): add --accept-modified to use it all the same."
        )
    values = {"KINO_COMFYUI__PATH": str(tree)}
    values["KINO_COMFYUI__ACCEPT_MODIFIED"] = "true" if found else "false"
    write_settings(settings, values)


def write_settings(path: Path, values: dict[str, str]) -> None:
    """Set variables in an ``.env`` file and leave its other lines as they are."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if line.split("=", 1)[0].strip() not in values]
    kept += [f"{name}='{_escaped(value)}'" for name, value in values.items()]
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=path.name, delete=False
    ) as file:
        file.write("\n".join(kept) + "\n")
    Path(file.name).chmod(0o600)
    Path(file.name).replace(path)


def _escaped(value: str) -> str:
    """As it stands between single quotes in an ``.env`` file."""
    return value.replace("\\", "\\\\").replace("'", "\\'")
