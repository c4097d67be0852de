"""Separation models from their files, and never from anywhere else.

Knows: safetensors with Demucs's own metadata, and bags of several models.
Does not know: how a model is applied (``separating``). Nothing is ever downloaded here.

A file names the class and the arguments that it was made with; only Demucs's three classes are
accepted, so that no file can name code.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from backend.plugins import (
    InvalidParameters,
    OperationFailed,
    OperationUnavailable,
    OutOfMemory,
    refused,
)

from .catalogue import FOLDER, SIGNATURES

if TYPE_CHECKING:
    from demucs.apply import BagOfModels

CLASSES: Final = ("demucs.demucs.Demucs", "demucs.hdemucs.HDemucs", "demucs.htdemucs.HTDemucs")


def load(name: str, models: Path) -> BagOfModels:
    """The model of this name in the folder *models*, on the CPU, ready to be applied.

    Raises `OperationUnavailable` if it is not there and `OperationFailed` for files that are not
    Demucs's.
    """
    from demucs.apply import BagOfModels

    folder = models / FOLDER / name
    plan = _plan(name, folder)
    files = [folder / f"{signature}.safetensors" for signature in plan["models"]]
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        raise _not_there(name, missing)
    networks = [_one(file) for file in files]
    try:
        bag: BagOfModels = BagOfModels(networks, plan.get("weights"), plan.get("segment"))
    except (AssertionError, AttributeError, TypeError) as error:  # how Demucs refuses them
        raise OperationFailed(f"the files of {name} do not belong together") from error
    bag.eval()
    return bag


def _plan(name: str, folder: Path) -> dict[str, Any]:
    """Which files make up the model: its own YAML, Demucs's, or all files in its folder."""
    import yaml
    from demucs.pretrained import REMOTE_ROOT

    for path in (folder / f"{name}.yaml", REMOTE_ROOT / f"{name}.yaml"):
        if path.is_file():
            try:
                plan = yaml.safe_load(path.read_bytes())
            except (yaml.YAMLError, ValueError) as error:
                raise OperationFailed(f"{path.name} is not YAML") from error
            names = plan.get("models") if isinstance(plan, dict) else None
            plain = isinstance(names, list) and all(_is_plain(each) for each in names)
            if not plain:
                raise OperationFailed(f"{path.name} does not list the files of a model")
            return dict(plan)
    return {"models": sorted(path.stem for path in folder.glob("*.safetensors"))}


def _is_plain(name: object) -> bool:
    """Whether this is the name of a file in the same folder."""
    return isinstance(name, str) and name.replace("_", "").replace("-", "").isalnum()


def _not_there(name: str, missing: list[str]) -> OperationUnavailable | InvalidParameters:
    where = f"models/{FOLDER}/{name}"
    if name in SIGNATURES:
        return OperationUnavailable(
            f"the model {name} is not installed: {', '.join(missing)} not in {where}",
            remedy=f"Run: kino models download {name}",
        )
    known = ", ".join(SIGNATURES)
    sentence = f"there is no model {name!r}: known are {known}, and folders in models/{FOLDER}"
    return refused("/model", "model", sentence)


def _one(path: Path) -> Any:
    """One network from its file. Raises `OperationFailed`, `OutOfMemory`."""
    from demucs.hf import load_safetensors_model
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
        if metadata.get("klass") not in CLASSES or "structure" in metadata:
            raise OperationFailed(f"{path.name} is not a Demucs model that can be loaded safely")
        return load_safetensors_model(path)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        if _is_out_of_memory(error):
            raise OutOfMemory(f"there was not enough memory to load {path.name}") from error
        # torch names every tensor that is missing
        why = textwrap.shorten(str(error), 200)
        raise OperationFailed(f"{path.name} is damaged or not a Demucs model: {why}") from error


def _is_out_of_memory(error: Exception) -> bool:
    """Whether torch ran out of memory: its own error on a GPU, a plain RuntimeError on the CPU."""
    import torch

    text = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "not enough memory" in text
        or ("cannot allocate memory" in text)
    )
