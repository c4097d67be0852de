"""Probes of ``test_steady_nodes.py``, called by ``host.py`` inside a process with ComfyUI."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from backend.bricks._comfy import module
from backend.bricks.model_changes import ModelChanges
from backend.plugins.workflows.purity import LOADERS, STEADY


def nodes(folder: Path) -> dict[str, list[str]]:
    """What is wrong with each node that counts as steady; nothing is told of those that are."""
    mappings = module("nodes").NODE_CLASS_MAPPINGS
    wrong: dict[str, list[str]] = {}
    for name in sorted({*STEADY, *LOADERS}):
        found = mappings.get(name)
        told = ["absent"] if found is None else _wrong(name, found)
        if told:
            wrong[name] = told
    return wrong


def _wrong(name: str, found: Any) -> list[str]:
    told = []
    if not getattr(found, "RELATIVE_PYTHON_MODULE", "nodes").startswith(("nodes", "comfy_extras.")):
        told.append(f"of {found.RELATIVE_PYTHON_MODULE}")
    if hasattr(found, "GET_BASE_CLASS"):  # a node of the newer kind
        override = module("comfy_api.internal").first_real_override
        changes = override(found, "fingerprint_inputs") is not None
    else:
        changes = hasattr(found, "IS_CHANGED")
    if changes:
        told.append("changes by itself")
    reads = "get_filename_list" in inspect.getsource(found)
    if reads != (name in LOADERS) and name != "VAELoader":
        told.append("reads files" if reads else "reads no file")
    for slot in LOADERS.get(name, {}):
        inputs = found.INPUT_TYPES()
        if slot not in {**inputs["required"], **inputs.get("optional", {})}:
            told.append(f"has no input {slot}")
    return told


def replaced(folder: Path) -> list[bool]:
    """Whether a change is found: first time, same file, replaced, and a graph without models."""
    path = Path(module("folder_paths").get_folder_paths("checkpoints")[0]) / "probe.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"old")
    changes = ModelChanges()
    prompt = {"1": {"class_type": "X", "inputs": {"ckpt_name": path.name, "text": "a.pt b"}}}
    try:
        found = [changes.found(prompt), changes.found(prompt)]
        path.unlink()
        path.write_bytes(b"newer")
        return [*found, changes.found(prompt), changes.found(prompt), changes.found({})]
    finally:
        path.unlink()
