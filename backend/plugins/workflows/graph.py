"""A graph as a parameter: its form, its limits, and the assets that it names.

Knows: ComfyUI's API format, and where references stand in it.
Does not know: node classes; the engine checks those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import (
    CoreSchema,
    InitErrorDetails,
    PydanticCustomError,
    ValidationError,
    core_schema,
)

from backend.media.dependence import DEPENDENCE
from backend.media.reference import REFERENCE, REFERENCE_PATTERN, MediaValue, resolve
from backend.plugins import FieldError, json_pointer

from . import purity
from .asset_objects import OURS, loaded
from .parameters.loaders import LOAD

MAX_NODES: Final = 2000
MAX_NAME: Final = 200
_QUOTED: Final = re.compile(r'"(' + REFERENCE_PATTERN.strip("^$") + r')"')
_KEYS: Final = {"class_type", "inputs", "_meta", "is_changed"}


class Graph:
    """A ComfyUI graph in the API format, with the values of the assets that it names.

    ``nodes`` is the graph itself, references in their canonical form; ``assets`` maps each of them
    to what the resolver gave: the opened value where the graph is run, else the reference itself.
    """

    __slots__ = ("assets", "nodes")

    def __init__(
        self, nodes: Mapping[str, Any], assets: Mapping[str, MediaValue] | None = None
    ) -> None:
        self.nodes: dict[str, dict[str, Any]] = {
            node_id: {**node, "inputs": dict(node.get("inputs", {}))}
            for node_id, node in nodes.items()
        }
        self.assets: dict[str, Any] = dict(assets or {})

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda graph: graph.nodes
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        inputs = {"type": "object", "description": "Values, and links as [node id, output number]."}
        return {
            "type": "object",
            "title": "Graph",
            "description": "A ComfyUI graph in the API format: nodes by their id.",
            "minProperties": 1,
            "maxProperties": MAX_NODES,
            "additionalProperties": {
                "type": "object",
                "required": ["class_type"],
                "properties": {
                    "class_type": {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
                    "inputs": inputs,
                    "_meta": {"type": "object", "properties": {"title": {"type": "string"}}},
                },
            },
        }

    @classmethod
    def _validate(cls, value: Any, info: core_schema.ValidationInfo) -> Graph:
        if isinstance(value, Graph):
            return value
        errors = list(_form(value))
        if not errors:
            graph = cls(value)
            graph.nodes, wrong = loaded(graph.nodes)
            errors = [
                _told("asset", said, None, node, "inputs", name) for node, name, said in wrong
            ]
            errors = errors or list(graph._resolve(info.context))
            if not errors:
                depends = (info.context or {}).get(DEPENDENCE)
                if depends is not None:  # a worker, which runs the graph, does not ask
                    purity.note(graph.nodes, depends)
                return graph
        raise ValidationError.from_exception_data("Graph", errors)

    def _resolve(self, context: Any) -> Iterator[InitErrorDetails]:
        """Replace every reference by its canonical form; collect what each one stands for."""

        def canonical(reference: str) -> str:
            resolved = resolve(reference, "any", context)
            # at a door the resolver gives the canonical reference, in the worker the opened value
            name = resolved if isinstance(resolved, str) else reference
            self.assets[name] = resolved
            return name

        for node_id, node in self.nodes.items():
            for name, value in node["inputs"].items():
                try:
                    node["inputs"][name] = _replace(node["class_type"], name, value, canonical)
                except PydanticCustomError as error:
                    yield _error(error, value, node_id, "inputs", name)


def form_errors(value: Any, *above: str) -> list[FieldError]:
    """What is wrong with the form of a graph that stands at *above*; nothing, if it is one. An
    asset that is still to be named is no error."""
    found = []
    for each in _form(value):
        error, place = each["type"], (*above, *(str(part) for part in each.get("loc", ())))
        assert isinstance(error, PydanticCustomError)
        if error.type != "missing":
            found.append(FieldError(json_pointer(*place), error.type, error.message()))
    return found


def _replace(class_type: str, name: str, value: Any, canonical: Any) -> Any:
    if class_type == LOAD and name == "asset":
        if not isinstance(value, str):
            raise PydanticCustomError(
                "reference", "An asset is named here, by its reference; a link cannot be followed"
            )
        return canonical(value)
    if not class_type.startswith(OURS) or not isinstance(value, str):
        return value
    if REFERENCE.fullmatch(value):
        return canonical(value)
    if value.lstrip()[:1] in ("[", "{"):
        return _QUOTED.sub(lambda found: f'"{canonical(found.group(1))}"', value)
    return value


def _form(value: Any) -> Iterator[InitErrorDetails]:
    """What is wrong with the form of a graph, before its references are looked at."""
    if not isinstance(value, dict):
        yield _told("graph", "A graph is an object of nodes by their id", value)
        return
    if isinstance(value.get("nodes"), list):
        told = "This is the editor's own format: convert it with workflows.convert, or export"
        told += " it with 'Export (API)'"
        yield _told("graph_format", told, None, "nodes")
        return
    if not 1 <= len(value) <= MAX_NODES:
        yield _told("graph_size", f"A graph has 1 to {MAX_NODES} nodes, not {len(value)}", None)
        return
    for node_id, node in value.items():
        yield from _node_form(str(node_id), node)


def _node_form(node_id: str, node: Any) -> Iterator[InitErrorDetails]:
    if not node_id or len(node_id) > MAX_NAME or not node_id.isprintable():
        told = f"A node id is 1 to {MAX_NAME} printable characters"
        yield _told("node_id", told, None, node_id[:MAX_NAME])
        return
    if not isinstance(node, dict):
        yield _told("node", 'A node is {"class_type": …, "inputs": {…}}', None, node_id)
        return
    for key in node.keys() - _KEYS:
        yield _told(
            "extra_forbidden", "A node has class_type, inputs and _meta", None, node_id, key
        )
    class_type = node.get("class_type")
    if not isinstance(class_type, str) or not 1 <= len(class_type) <= MAX_NAME:
        told = f"A node names its class, in 1 to {MAX_NAME} characters"
        yield _told("class_type", told, None, node_id, "class_type")
    if not isinstance(node.get("inputs", {}), dict):
        yield _told("inputs", "Inputs are an object by name", None, node_id, "inputs")
    elif class_type == LOAD and "asset" not in node.get("inputs", {}):
        yield _told("missing", f"{LOAD} names an asset", None, node_id, "inputs", "asset")
    meta = node.get("_meta", {})
    if not isinstance(meta, dict) or not isinstance(meta.get("title", ""), str):
        yield _told("meta", '_meta is an object with a "title"', None, node_id, "_meta")


def _told(rule: str, message: str, value: Any, *place: str) -> InitErrorDetails:
    return _error(PydanticCustomError(rule, "{told}", {"told": message}), value, *place)


def _error(error: PydanticCustomError, value: Any, *place: str) -> InitErrorDetails:
    return InitErrorDetails(type=error, loc=place, input=value)
