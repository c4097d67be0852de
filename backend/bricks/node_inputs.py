"""What a node class of ComfyUI takes, input by input.

Knows: classes by their name, choices in both of their forms, and whose a class is.
Does not know: graphs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.bricks import _compat
from backend.bricks._comfy import module


def node_class(class_type: str) -> type:
    """The class behind a node's name. Raises ``KeyError``."""
    found: type = module("nodes").NODE_CLASS_MAPPINGS[class_type]
    return found


def is_own(class_type: str) -> bool:
    """Whether a class is ComfyUI's own, and of no pack. An unknown one is not."""
    found = module("nodes").NODE_CLASS_MAPPINGS.get(class_type)
    place = str(getattr(found, "RELATIVE_PYTHON_MODULE", "nodes"))
    return found is not None and place.partition(".")[0] != "custom_nodes"


def specification(node: Mapping[str, Any], name: str) -> Any:
    """What the class of *node* says of an input, given the node's others; None if it has none."""
    inputs = _compat.finalized_inputs(node_class(node["class_type"]), node["inputs"])
    return inputs["required"].get(name) or inputs["optional"].get(name)


def options(spec: Any) -> dict[str, Any]:
    """The second part of an input's specification."""
    return dict(spec[1]) if len(spec) > 1 and isinstance(spec[1], dict) else {}


def choices(spec: Any) -> list[Any]:
    """What may be chosen; empty where there is no choice, or no input."""
    if spec is None:
        return []
    if isinstance(spec[0], list):
        return list(spec[0])
    return list(options(spec).get("options") or []) if spec[0] == "COMBO" else []
