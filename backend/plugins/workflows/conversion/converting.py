"""The editor's workflow as the graph that the executor takes.

Knows: how values and links make the inputs of each node that runs.
Does not know: ComfyUI; *definitions* is what ``/object_info`` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import fitting, prompts
from .document import Node, read
from .flattening import Flat, Place
from .widgets import read_values, wrapped

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Converted:
    """A graph in the executor's form; ``missing`` are node types that nobody knows, with the ids
    of their nodes; ``warnings`` say where the editor would have done something by chance."""

    graph: dict[str, dict[str, Any]]
    missing: dict[str, list[str]]
    warnings: list[str]


def convert(document: Json, definitions: Json) -> Converted:
    """Convert an editor's document. Raises `InvalidParameters` for what is none."""

    def raw(node: Node) -> dict[str, Any]:
        found = read_values(node.type, definitions.get(node.type) or {}, node.values)
        return {name: value for name, (_, value) in found.values.items()}

    flat = Flat(read(document), raw)
    graph: dict[str, dict[str, Any]] = {}
    missing: dict[str, list[str]] = {}
    warnings: list[str] = []
    for place in flat.running():
        definition = definitions.get(place.node.type)
        if definition is None:
            missing.setdefault(place.node.type, []).append(place.id)
        graph[place.id] = {
            "inputs": _inputs(place, definition or {}, flat, warnings),
            "class_type": place.node.type,
            "_meta": {"title": _title(place.node, definition or {})},
        }
    for node in graph.values():
        inputs = node["inputs"]
        for name in [name for name, value in inputs.items() if _leads_nowhere(value, graph)]:
            del inputs[name]
    return Converted(graph, missing, warnings)


def _inputs(place: Place, definition: Json, flat: Flat, warnings: list[str]) -> dict[str, Any]:
    given = read_values(place.node.type, definition, place.node.values)
    saved = given.values
    inputs = {name: widget.to_send(value) for name, (widget, value) in saved.items()}
    warnings.extend(
        f"node {place.id}: of the choices in {name!r} the first is taken"
        for name, (widget, value) in saved.items()
        if widget.options.get("dynamicPrompts") and prompts.has_choices(str(value))
    )
    linked: set[str] = set()
    for index, slot in enumerate(place.node.inputs):
        primitive = flat.primitive(place, index)
        if primitive is not None and slot.widget is not None and primitive.values:
            inputs[slot.name] = wrapped(primitive.listed[0])
        elif (source := flat.source(place, index)) is not None:
            value = wrapped(source.value) if source.is_value else [source.id, source.slot]
            inputs[slot.name] = value
        else:
            continue
        linked.add(slot.name)
    if definition:
        warnings += fitting.told(place, _title(place.node, definition), given, linked)
    return inputs


def _leads_nowhere(value: Any, graph: Json) -> bool:
    """Whether this is a link to a node that does not run."""
    return isinstance(value, list) and len(value) == 2 and value[0] not in graph


def _title(node: Node, definition: Json) -> str:
    return node.title or str(definition.get("display_name") or node.type)
