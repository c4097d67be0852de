"""A workflow as a template: converted, checked, and its parameters found.

Knows: which document it is, and how what is wrong with it is told.
Does not know: ComfyUI, and where templates are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from backend.plugins import FieldError, InvalidParameters, json_pointer

from .bypassing import bypass
from .conversion import converting, document
from .graph import form_errors
from .parameters import finding
from .parameters.definitions import Definitions

ABOVE = "workflow"
"""The parameter that the document is; pointers begin with it."""


def describe(
    workflow: dict[str, Any], info: Mapping[str, Any], *, bypass_missing: bool = False
) -> tuple[dict[str, Any], list[finding.Parameter], str, list[str]]:
    """Template, parameters, format and warnings. Raises `InvalidParameters` for what is no
    workflow, lists node types that are not installed (unless such nodes are to be passed by), and
    names broken links."""
    from backend.bricks import checks

    definitions, warnings, kind = Definitions(info), list[str](), "api"
    graph = workflow
    if document.is_document(workflow):
        converted = converting.convert(workflow, info)
        graph, warnings, kind = converted.graph, converted.warnings, "editor"
    _refuse(form_errors(graph, ABOVE))
    graph = {node_id: {"inputs": {}, **node} for node_id, node in graph.items()}
    if bypass_missing:
        graph, passed = bypass(graph, definitions)
        warnings = [*warnings, *passed]
    _refuse(_missing(graph, definitions))
    try:
        checks.structure(graph, definitions)
    except InvalidParameters as error:
        _refuse(
            [
                FieldError("/" + ABOVE + found.pointer.removeprefix("/graph"), *_told(found))
                for found in error.errors
            ]
        )
    template, parameters = finding.find(graph, definitions)
    return template, parameters, kind, [*warnings, *_out_of_range(template, parameters)]


def _out_of_range(
    graph: Mapping[str, Any], parameters: Iterable[finding.Parameter]
) -> Iterator[str]:
    """What to say of numbers that the document has, but ComfyUI would refuse."""
    for each in parameters:
        if "default" in each or each["type"] == "asset":
            continue
        place = each["places"][0]
        value = graph[place["node"]]["inputs"].get(place["input"], "its default")
        limits = f"{each.get('minimum', '')} to {each.get('maximum', '')}"
        yield (
            f"node {place['node']}, input {place['input']}: {value} is not within {limits};"
            f" every run must give {each['name']}"
        )


def _told(error: FieldError) -> tuple[str, str]:
    return error.rule, error.message


def _missing(graph: Mapping[str, Any], definitions: Definitions) -> list[FieldError]:
    """Node types that are not installed, each once with all of its nodes."""
    from backend.bricks import checks

    nodes: dict[str, list[str]] = {}
    for node_id, node in graph.items():
        if node["class_type"] not in definitions.names():
            nodes.setdefault(node["class_type"], []).append(node_id)
    errors = []
    for name, ids in nodes.items():
        hint = checks.absent(name, definitions.names())
        several = "nodes" if len(ids) > 1 else "node"
        told = f"the node type {name!r} ({several} {', '.join(ids)}) is not installed{hint}"
        errors.append(FieldError(json_pointer(ABOVE, ids[0], "class_type"), "unknown_node", told))
    return errors


def _refuse(errors: list[FieldError]) -> None:
    """Raises `InvalidParameters` with all of *errors*, if there are any."""
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise InvalidParameters(f"{errors[0].message}{more}", errors=errors)
