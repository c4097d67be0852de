"""Run in a process of its own: what the real ComfyUI finds in the folders of the settings.

Settings come as JSON on standard input; one JSON line goes to standard output.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from backend.bricks import folders
from backend.bricks._comfy import module
from backend.config import Settings
from backend.services.plugin_host import PluginHost
from backend.worker import engine


def marked(kinds: dict[str, str]) -> dict[str, str]:
    """``{class.input: kind}``: the inputs whose choices hold the marker file of a kind."""
    found = {}
    for name, node in module("nodes").NODE_CLASS_MAPPINGS.items():
        for inputs in node.INPUT_TYPES().values():
            for slot, spec in inputs.items():
                for choice in choices(spec):
                    if choice in kinds:
                        found[f"{name}.{slot}"] = kinds[choice]
    return found


def choices(spec: Any) -> list[str]:
    """The choices of an input, however deep it hides them."""
    if isinstance(spec, str):
        return [spec]
    if isinstance(spec, dict):
        return [text for value in spec.values() for text in choices(value)]
    return (
        [text for value in spec for text in choices(value)]
        if isinstance(spec, (list, tuple))
        else []
    )


def main() -> None:
    given = json.loads(sys.stdin.readline())
    out, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr  # ComfyUI may print
    settings = Settings(**given["settings"])
    host = PluginHost("comfy", settings, settings.data_dir, builtins=())
    said = engine.start(settings, host, lambda stage: None)
    folder_paths = module("folder_paths")
    names = {kind: list(folders.list_models(kind)) for kind in folders.model_kinds()}
    told = {
        "said": {key: said[key] for key in ("unavailable",) if key in said},
        "table": said.get("model_table"),
        "names": names,
        "paths": {
            f"{kind}/{name}": folder_paths.get_full_path(kind, name)
            for kind, every in names.items()
            for name in every
        },
        "inputs": marked(given["markers"]),
        "checkpoints": module("nodes").CheckpointLoaderSimple.INPUT_TYPES()["required"][
            "ckpt_name"
        ],
        "suffixes": {
            kind: sorted(entry[1]) for kind, entry in folder_paths.folder_names_and_paths.items()
        },
        "folders": {
            kind: [Path(path).name for path in entry[0]]
            for kind, entry in folder_paths.folder_names_and_paths.items()
        },
    }
    out.write(json.dumps(told) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
