"""Node classes: which there are, what they take, how to call one, how to add one.

Knows: ComfyUI's registry, V1 classes and V3 schemas.
Does not know: operations (`bricks.operation_nodes`), graphs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from backend.bricks import _compat, session
from backend.bricks._comfy import module
from backend.bricks.lane import current
from backend.errors import UnknownName, did_you_mean

_log = logging.getLogger(__name__)


def names() -> tuple[str, ...]:
    """Ids of all node classes."""
    known: Mapping[str, type] = module("nodes").NODE_CLASS_MAPPINGS
    return tuple(known)


def node_class(name: str) -> Any:
    """The class behind an id. Raises `UnknownName`, with near names."""
    known: Mapping[str, type] = module("nodes").NODE_CLASS_MAPPINGS
    if name not in known:
        raise UnknownName(f"There is no node class {name!r}{did_you_mean(name, known)}")
    return known[name]


def node_info(name: str | None = None) -> dict[str, Any]:
    """What ComfyUI's ``/object_info`` says of one node class, or of all by their id.

    One that cannot be described is left out of all. Raises `UnknownName`.
    """
    if name is None:
        return dict(_described())
    found = node_class(name)
    if _compat.is_v3(found):
        described: dict[str, Any] = found.GET_NODE_INFO_V1()
        return described
    inputs = found.INPUT_TYPES()
    returned = list(found.RETURN_TYPES)
    return {
        "name": name,
        "display_name": module("nodes").NODE_DISPLAY_NAME_MAPPINGS.get(name, name),
        "description": getattr(found, "DESCRIPTION", ""),
        "category": getattr(found, "CATEGORY", ""),
        "input": inputs,
        "input_order": {kind: list(group) for kind, group in inputs.items()},
        "is_input_list": bool(getattr(found, "INPUT_IS_LIST", False)),
        "output": returned,
        "output_name": list(getattr(found, "RETURN_NAMES", returned)),
        "output_is_list": list(getattr(found, "OUTPUT_IS_LIST", [False] * len(returned))),
        "output_node": getattr(found, "OUTPUT_NODE", False) is True,
        "deprecated": bool(getattr(found, "DEPRECATED", False)),
        "experimental": bool(getattr(found, "EXPERIMENTAL", False)),
    }


def _described() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in names():
        try:
            yield name, node_info(name)
        except Exception as error:  # noqa: BLE001 - a pack's code, which may read files; logged
            _log.warning("the node %s cannot be described: %r", name, error)


def register_node(name: str, node: type, display_name: str | None = None) -> None:
    """Add a V1 or V3 node class, or replace one that Kino added.

    Raises ``ValueError`` if ComfyUI or a node pack has a class of this name.
    """
    nodes = module("nodes")
    present = nodes.NODE_CLASS_MAPPINGS.get(name)
    if present is not None and not getattr(present, "KINO", False):
        raise ValueError(f"there is a node class {name!r} already")
    node.KINO = True  # type: ignore[attr-defined]
    if not hasattr(node, "RELATIVE_PYTHON_MODULE"):
        node.RELATIVE_PYTHON_MODULE = "custom_nodes.kino"  # type: ignore[attr-defined]
    nodes.NODE_CLASS_MAPPINGS[name] = node
    nodes.NODE_DISPLAY_NAME_MAPPINGS[name] = display_name or name


def call_node(name: str, **inputs: Any) -> tuple[Any, ...]:
    """Call a node class directly, on the lane, and return its outputs in slot order.

    Missing inputs that have a default get it. Raises `UnknownName`; ``TypeError`` for a node that
    only the executor can run (hidden inputs, whole lists, subgraphs) and for a missing input;
    ``RuntimeError`` outside of a job on the lane; and whatever the node raises.
    """
    session.booted()
    if current().running() is None:
        raise RuntimeError("a node is called inside a job on the lane")
    found = node_class(name)
    if _compat.hidden_inputs(found) or getattr(found, "INPUT_IS_LIST", False):
        raise TypeError(f"{name} needs the executor; run it in a graph")
    given = with_defaults(name, inputs)
    target = found if _compat.is_v3(found) else found()
    result = session.settle(getattr(target, found.FUNCTION)(**given))
    return _outputs(name, result)


def with_defaults(name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """*inputs* of a node, and the defaults of the required ones that are missing."""
    return {**_defaults(node_class(name), inputs), **inputs}


def _defaults(found: type, inputs: Mapping[str, Any]) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for name, spec in _compat.finalized_inputs(found, inputs)["required"].items():
        options = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
        if name not in inputs and "default" in options:
            filled[name] = options["default"]
    return filled


def _outputs(name: str, result: Any) -> tuple[Any, ...]:
    """The outputs of whatever form a node returned: tuple, ``{"result": …}`` or ``NodeOutput``."""
    expands = "expand" in result if isinstance(result, dict) else getattr(result, "expand", None)
    if expands:
        raise TypeError(f"{name} unfolds into other nodes; run it in a graph")
    if isinstance(result, dict):
        result = result.get("result")
    elif not isinstance(result, tuple) and hasattr(result, "result"):
        result = result.result
    return tuple(result) if result is not None else ()
