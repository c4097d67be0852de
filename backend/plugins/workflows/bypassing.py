"""Nodes whose type is not installed, passed by: what came in goes on to where it fits.

Knows: that a link is taken over by one of the same type, as when a node is bypassed in the editor.
Does not know: whether the graph still does what its author meant; hence only on request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .parameters.definitions import ANYTHING, Definitions
from .parameters.tracing import Graph, linked

Link = tuple[str, int]


def bypass(graph: Graph, definitions: Definitions) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The graph without nodes of unknown types, and a sentence for each that was passed by.

    An input for which nothing of its type came in loses its link.
    """
    missing = {id_ for id_, node in graph.items() if node["class_type"] not in definitions.names()}
    kept: dict[str, dict[str, Any]] = {}
    for node_id, node in graph.items():
        if node_id not in missing:
            kept[node_id] = {**node, "inputs": _inputs(node, graph, missing, definitions)}
    warnings = [
        f"node {node_id}: the node type {graph[node_id]['class_type']!r} is not installed;"
        " the node is passed by"
        for node_id in graph
        if node_id in missing
    ]
    return kept, warnings


def _inputs(
    node: Mapping[str, Any], graph: Graph, missing: set[str], definitions: Definitions
) -> dict[str, Any]:
    specs = definitions.inputs(node["class_type"], node["inputs"])
    found: dict[str, Any] = {}
    for name, value in node["inputs"].items():
        link = linked(value)
        if link is not None and link[0] in missing:
            kind = specs[name].type if name in specs else "*"
            link = _source(link[0], kind, graph, missing, definitions, set())
            if link is not None:
                found[name] = list(link)
        else:
            found[name] = value
    return found


def _source(
    node_id: str,
    kind: str,
    graph: Graph,
    missing: set[str],
    definitions: Definitions,
    seen: set[str],
) -> Link | None:
    """The first link into a missing node that brings *kind*, through further missing ones."""
    if node_id in seen:
        return None
    seen.add(node_id)
    for value in graph[node_id]["inputs"].values():
        link = linked(value)
        if link is None or link[0] not in graph:
            continue
        if link[0] in missing:
            link = _source(link[0], kind, graph, missing, definitions, seen)
            if link is not None:
                return link
            continue
        given = definitions.output(graph[link[0]]["class_type"], link[1])[0]
        if given == kind or given in ANYTHING or kind in ANYTHING:
            return link
    return None
