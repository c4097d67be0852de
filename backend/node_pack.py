"""Kino's nodes in somebody else's ComfyUI: the composition root of a process that is not ours.

Knows: which operations can run there, and how they become node classes.
Does not know: how ComfyUI loads a pack (``integrations/comfyui`` does).

What only calls ComfyUI's own verbs (``sdxl``, ``workflows``) is left out: there ComfyUI itself is
at hand. Nothing is booted, no service is built, and ComfyUI's own registry is not touched.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from backend import config
from backend.bricks import operation_nodes
from backend.context import set_models_folders, set_scratch_folder
from backend.services.model_folders import ModelFolders
from backend.services.plugin_host import PluginHost


def node_classes(temporary: Path | None = None) -> tuple[dict[str, type], dict[str, str]]:
    """``NODE_CLASS_MAPPINGS`` and ``NODE_DISPLAY_NAME_MAPPINGS`` of a pack.

    *temporary* is where file-backed values of a run are written; by default a new folder.
    """
    settings = config.load()
    set_scratch_folder(temporary or Path(tempfile.mkdtemp(prefix="kino-")))
    set_models_folders(root for _, root in ModelFolders(settings).roots)
    host = PluginHost("comfy", settings, settings.data_dir)
    host.load()
    host.start()
    offered = {name: entry for name, entry in host.operations.items() if not entry[0].needs.comfyui}
    operations = {name: entry[0] for name, entry in offered.items()}
    unavailable = {name: entry[2] for name, entry in offered.items() if entry[2]}
    shapes = [shape for shape in host.shapes if shape.operation in operations]
    found = list(operation_nodes.classes(operations, shapes, unavailable))
    return (
        {each.node_id: each.node for each in found},
        {each.node_id: each.display_name for each in found},
    )
