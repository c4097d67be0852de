"""Folders: which model files ComfyUI can see, by kind.

Knows: ComfyUI's kinds of models (``checkpoints``, ``loras``, ``vae`` …) and their files.
Does not know: what is in a file. Names only; a path is never given away.
"""

from __future__ import annotations

import difflib

from backend.bricks._comfy import module
from backend.errors import UnknownName


def model_kinds() -> tuple[str, ...]:
    """The kinds of models, sorted."""
    names = module("folder_paths").folder_names_and_paths
    return tuple(sorted(kind for kind in names if kind not in ("custom_nodes", "datasets")))


def list_models(kind: str) -> tuple[str, ...]:
    """File names of one kind, as loader nodes take them. Raises `UnknownName`."""
    _check(kind)
    return tuple(module("folder_paths").get_filename_list(kind))


def _check(kind: str) -> None:
    known = model_kinds()
    if kind not in known:
        near = difflib.get_close_matches(kind, known, 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UnknownName(f"There is no kind of model {kind!r}{hint}")
