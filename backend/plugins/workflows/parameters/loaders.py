"""Nodes that load a file of ComfyUI's input folder, made into nodes that load an asset.

Knows: the stock loaders, and which output of ``KinoLoadAsset`` stands for each of theirs.
Does not know: assets.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from .tracing import Graph, linked

LOAD: Final = "KinoLoadAsset"
KINDS: Final = ("audio", "image", "mask", "midi", "automation", "file", "video")
"""The outputs of `LOAD`, in order."""

LOADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "LoadImage": ("image", "mask"),
    "LoadImageOutput": ("image", "mask"),
    "LoadImageMask": ("mask",),
    "LoadAudio": ("audio",),
    "LoadVideo": ("video",),
}
"""Class of a loader → what its outputs give."""


def with_assets(
    graph: Graph, named: Mapping[str, str] | None = None
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """A copy of *graph* in which assets are loaded, and node id → the loader that stood there.
    Every stock loader is replaced, or those that *named* gives an asset."""
    made: dict[str, dict[str, Any]] = {
        node_id: {**copy.deepcopy(dict(node)), "inputs": copy.deepcopy(dict(node["inputs"]))}
        for node_id, node in graph.items()
    }
    replaced: dict[str, str] = {}
    for node_id, node in list(made.items()):
        class_type, inputs = node["class_type"], node["inputs"]
        if class_type not in LOADERS or any(linked(value) for value in inputs.values()):
            continue
        if named is not None and node_id not in named:
            continue
        if node_id not in _sources(graph):  # it would ask for an asset that nobody looks at
            del made[node_id]
            continue
        loader = node_id
        if class_type == "LoadImageMask" and inputs.get("channel", "alpha") != "alpha":
            # a colour as a mask: the picture is loaded, and its channel is taken behind it
            loader = _free(f"{node_id}_asset", made)
            node["class_type"] = "ImageToMask"
            node["inputs"] = {"image": [loader, KINDS.index("image")], "channel": inputs["channel"]}
        else:
            _rewire(made, node_id, LOADERS[class_type])
        asset = {} if named is None else {"asset": named[node_id]}
        made[loader] = {"class_type": LOAD, "inputs": asset, "_meta": node.get("_meta", {})}
        replaced[loader] = class_type
    return made, replaced


def kind_of(graph: Graph, node_id: str) -> str:
    """The kind of asset that a `LOAD` node is for: that of the outputs in use, or ``any``."""
    used = {
        KINDS[link[1]]
        for node in graph.values()
        for value in node["inputs"].values()
        if (link := linked(value)) and link[0] == node_id and 0 <= link[1] < len(KINDS)
    }
    if used == {"image", "mask"}:
        return "image"
    return used.pop() if len(used) == 1 else "any"


def _sources(graph: Graph) -> set[str]:
    """The nodes whose outputs are linked."""
    inputs = (value for node in graph.values() for value in node["inputs"].values())
    return {link[0] for value in inputs if (link := linked(value))}


def _rewire(graph: dict[str, dict[str, Any]], node_id: str, outputs: tuple[str, ...]) -> None:
    for node in graph.values():
        for name, value in node["inputs"].items():
            link = linked(value)
            if link and link[0] == node_id and 0 <= link[1] < len(outputs):
                node["inputs"][name] = [node_id, KINDS.index(outputs[link[1]])]


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name
