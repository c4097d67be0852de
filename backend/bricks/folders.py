"""Folders: which model files ComfyUI can see, by kind.

Knows: ComfyUI's kinds of models (``checkpoints``, ``loras``, ``vae`` …) and their files.
Does not know: what is in a file. Names only; a path is never given away.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Final

from backend.bricks._comfy import module
from backend.bricks.wording import refusal
from backend.errors import UnknownName

WITHOUT_CODE: Final = (".safetensors", ".sft", ".gguf")
"""Suffixes of files that hold numbers and nothing else. All the others may be pickles."""


def model_kinds() -> tuple[str, ...]:
    """The kinds of models, sorted."""
    names = module("folder_paths").folder_names_and_paths
    return tuple(sorted(kind for kind in names if kind not in ("custom_nodes", "datasets")))


def list_models(kind: str) -> tuple[str, ...]:
    """File names of one kind, as loader nodes take them. Raises `UnknownName`."""
    _check(kind)
    return tuple(module("folder_paths").get_filename_list(kind))


def model_file(kind: str, name: str, pointer: str = "/model") -> Path:
    """The file of a model that a caller named; for bricks only, it never reaches a caller.

    Raises `InvalidParameters` at *pointer*: ``unknown_model`` with near names, and ``pickle`` for a
    file whose format can run code while it is read.
    """
    known = list_models(kind)
    path = module("folder_paths").get_full_path(kind, name) if name in known else None
    if path is None:
        raise refusal(pointer, "unknown_model", _no_model(kind, name, known))
    if Path(name).suffix.lower() not in WITHOUT_CODE:
        told = f"{name!r} may hold code that runs while it is loaded; convert it to safetensors"
        raise refusal(pointer, "pickle", told)
    return Path(path)


def _no_model(kind: str, name: str, known: tuple[str, ...]) -> str:
    told = f"there is no model {name!r} in {kind}"
    if not known:
        return f"{told}; that folder is empty"
    near = difflib.get_close_matches(name, known, 3, 0.4)
    if near:
        return f"{told}; did you mean {' or '.join(near)}?"
    return f"{told}; there are {len(known)}, for example {known[0]}"


def _check(kind: str) -> None:
    known = model_kinds()
    if kind not in known:
        near = difflib.get_close_matches(kind, known, 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UnknownName(f"There is no kind of model {kind!r}{hint}")
