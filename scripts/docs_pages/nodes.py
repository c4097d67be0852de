"""docs/nodes.md: the nodes under names of their own, with their inputs and outputs in slot order.

Knows: shapes, and how their inputs read.
Does not know: which shapes there are (the built-in plugins say it), nor ComfyUI.
"""

from __future__ import annotations

import importlib
from typing import Any

from backend.bricks.bridge import KINDS
from backend.hookspecs import NodeInput, NodeShape
from backend.plugins import BUILT_IN
from docs_pages.text import NOTICE, table

INTRODUCTION = """\
Every operation is a node by itself: `mixer.duck` is `KinoMixerDuck`, under *Kino/mixer*. Its inputs
are the operation's parameters ([operations.md](operations.md)): a field of an object is
`object_field`, the items of a list are `name_1` to `name_8`, what has no widget is a text of JSON.
Its outputs are the operation's, in their order; a list of pictures is one batch, other lists are
lists of ComfyUI's. A number that can be moved takes a curve on the same slot.

Two nodes carry exact values into a graph and out of it. `KinoLoadAsset` has the input `asset` (a
reference, `blake3:…` or `ast_…`) and the outputs, counted from 0: {outputs}. `KinoSaveAsset` takes
one of the same and a `name`. Stock loaders read ComfyUI's input folder, where only
ComfyUI's own uploads (`/comfy/upload/image`) go.

Below are the nodes under older names. Graphs in the API format that were made with them run.
"""


def page() -> str:
    """The page."""
    slots = ", ".join(f"{number} {kind}" for number, kind in enumerate(KINDS))
    parts = [NOTICE, "# Nodes\n", INTRODUCTION.format(outputs=slots)]
    for module in BUILT_IN:
        plugin = importlib.import_module(module)
        shapes = plugin.register_nodes() if hasattr(plugin, "register_nodes") else ()
        if shapes:
            parts.append(f"## {module.rpartition('.')[2]}\n")
            parts += [_node(shape) for shape in shapes]
    return "\n".join(parts)


def _node(shape: NodeShape) -> str:
    outputs = ", ".join(f"{number} `{name}`" for number, (name, _) in enumerate(shape.outputs))
    rows = [_row(each) for each in shape.inputs]
    return "\n".join(
        [
            f"### {shape.node_id}\n",
            f"{shape.display_name}, under *{shape.category}*: `{shape.operation}`. "
            f"Outputs: {outputs or 'none'}.\n",
            table(("input", "type", "default", "range", "feeds"), rows),
        ]
    )


def _row(given: NodeInput) -> tuple[str, str, str, str, str]:
    options = given.options
    kind = (
        " ".join(f"`{each}`" for each in given.type)
        if isinstance(given.type, tuple)
        else given.type
    )
    default = _shown(options.get("default")) if "default" in options else ""
    limits = [_shown(options[key]) for key in ("min", "max") if key in options]
    where = "" if given.listed else ", not shown"
    kind = f"{kind}, optional{where}" if given.optional else f"{kind}{where}"
    return f"`{given.name}`", kind, default, " … ".join(limits), f"`{given.parameter}`"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
