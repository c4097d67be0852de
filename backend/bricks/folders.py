"""Folders: which model files ComfyUI can see, by kind.

Knows: ComfyUI's kinds of models (``checkpoints``, ``loras``, ``vae`` …) and their files.
Does not know: what is in a file. Names only; a path is never given away.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from backend.bricks._comfy import module
from backend.errors import UnknownName, did_you_mean, refused
from backend.media.dependence import no_code, no_model
from backend.media.weights import WITHOUT_CODE


def model_kinds() -> tuple[str, ...]:
    """The kinds of models, sorted."""
    names = module("folder_paths").folder_names_and_paths
    return tuple(sorted(kind for kind in names if kind not in ("custom_nodes", "datasets")))


def model_table() -> dict[str, dict[str, list[str]]]:
    """Where ComfyUI itself looks now, kind by kind: ``folders`` in order, and ``suffixes`` (none:
    every file). Node packs may have added to it. For services only: the paths are whole."""
    known = module("folder_paths").folder_names_and_paths
    return {
        kind: {
            "folders": [str(folder) for folder in known[kind][0]],
            "suffixes": sorted(known[kind][1]),
        }
        for kind in model_kinds()
    }


def list_models(kind: str) -> tuple[str, ...]:
    """File names of one kind, as loader nodes take them. Raises `UnknownName`."""
    _check(kind)
    return tuple(module("folder_paths").get_filename_list(kind))


def model_file(
    kind: str, name: str, pointer: str = "/model", *, also: Collection[str] = ()
) -> Path:
    """The file of a model that a caller named; for bricks only, it never reaches a caller.

    Raises `InvalidParameters` at *pointer*: ``unknown_model`` with near names, and ``pickle`` for a
    file whose format can run code while it is read, unless its suffix is one of *also*: its loader
    then reads nothing but tensors.
    """
    known = list_models(kind)
    path = module("folder_paths").get_full_path(kind, name) if name in known else None
    if path is None:
        raise refused(pointer, "unknown_model", no_model(kind, name, known))
    if Path(name).suffix.lower() not in (*WITHOUT_CODE, *also):
        raise refused(pointer, "pickle", no_code(name))
    return Path(path)


def _check(kind: str) -> None:
    known = model_kinds()
    if kind not in known:
        raise UnknownName(f"There is no kind of model {kind!r}{did_you_mean(kind, known)}")
