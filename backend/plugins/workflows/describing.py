"""A workflow as a template: converted, checked, and its parameters found.

Knows: which document it is, and how what is wrong with it is told.
Does not know: ComfyUI, and where templates are kept.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from backend.plugins import FieldError, InvalidParameters

from .bypassing import bypass
from .conversion import converting, document
from .graph import form_errors, pointer
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
    return template, parameters, kind, warnings


def _told(error: FieldError) -> tuple[str, str]:
    return error.rule, error.message


def _missing(graph: Mapping[str, Any], definitions: Definitions) -> list[FieldError]:
    """Node types that are not installed, each once with all of its nodes."""
    nodes: dict[str, list[str]] = {}
    for node_id, node in graph.items():
        if node["class_type"] not in definitions.names():
            nodes.setdefault(node["class_type"], []).append(node_id)
    errors = []
    for name, ids in nodes.items():
        near = difflib.get_close_matches(name, definitions.names(), 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        several = "nodes" if len(ids) > 1 else "node"
        told = f"the node type {name!r} ({several} {', '.join(ids)}) is not installed{hint}"
        errors.append(FieldError(pointer(ABOVE, ids[0], "class_type"), "unknown_node", told))
    return errors


def _refuse(errors: list[FieldError]) -> None:
    """Raises `InvalidParameters` with all of *errors*, if there are any."""
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise InvalidParameters(f"{errors[0].message}{more}", errors=errors)
