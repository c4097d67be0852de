"""The structure of a graph, checked before any engine sees it.

Knows: nodes, links, cycles, and JSON pointers below ``/graph``.
Does not know: values and ranges (each engine checks its own nodes' inputs). Imports no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Protocol

from backend.bricks import session
from backend.bricks.engine import Graph
from backend.errors import FieldError, InvalidParameters, did_you_mean, json_pointer


class Catalogue(Protocol):
    """The nodes that an engine has."""

    def names(self) -> Collection[str]: ...

    def outputs(self, class_type: str) -> int:
        """How many outputs a node of this class has."""
        ...

    def is_output(self, class_type: str) -> bool:
        """Whether a node of this class gives a result of the graph."""
        ...


def refuse(errors: list[FieldError]) -> None:
    """Raises `InvalidParameters` with all of *errors*, if there are any."""
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise InvalidParameters(
            f"The graph breaks a rule: {errors[0].message}{more}", errors=errors
        )


def pointer(node_id: str, *parts: str) -> str:
    """The JSON pointer of a place in the graph: ``/graph/3/inputs/width``."""
    return json_pointer("graph", node_id, *parts)


def label(graph: Graph, node_id: str) -> str:
    """How a message calls a node: ``node 3 (EmptyImage, "Background")``."""
    node = graph.get(node_id, {})
    title = " ".join(str((node.get("_meta") or {}).get("title") or "").split())[:60]
    class_type = str(node.get("class_type"))
    named = f', "{title}"' if title and title != class_type else ""
    return f"node {node_id} ({class_type}{named})"


def is_link(value: Any) -> bool:
    """Whether an input's value is a link to another node: ``["3", 0]``."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and not isinstance(value[1], bool)
    )


def links(graph: Graph, node_id: str) -> Iterator[tuple[str, str, int]]:
    """The links into a node: ``(input, source node, slot)``."""
    for name, value in graph[node_id].get("inputs", {}).items():
        if is_link(value):
            yield name, value[0], value[1]


def structure(graph: Graph, catalogue: Catalogue) -> None:
    """Raises `InvalidParameters` for unknown nodes, links into nowhere, cycles and no output."""
    refuse(_unknown_nodes(graph, catalogue))
    refuse(_broken_links(graph, catalogue))
    refuse(_cycles(graph))
    if not any(catalogue.is_output(node["class_type"]) for node in graph.values()):
        message = "no node gives a result; add one that saves or shows something, e.g. SaveImage"
        refuse([FieldError("/graph", "no_output", message)])


def absent(class_type: str, names: Collection[str]) -> str:
    """What else there is to say of a node class that is not among *names*: which custom-node pack
    had it, or what is spelt alike. The end of a sentence, or empty."""
    here = session.find()
    told = here.packs.whereabouts(class_type) if here is not None else ""
    return told or did_you_mean(class_type, names)


def _unknown_nodes(graph: Graph, catalogue: Catalogue) -> list[FieldError]:
    names, errors = catalogue.names(), []
    for node_id, node in graph.items():
        name = node["class_type"]
        if name not in names:
            message = f"{label(graph, node_id)}: there is no node class {name!r}"
            message += absent(name, names)
            errors.append(FieldError(pointer(node_id, "class_type"), "unknown_node", message))
    return errors


def _broken_links(graph: Graph, catalogue: Catalogue) -> list[FieldError]:
    errors = []
    for node_id in graph:
        for name, source, slot in links(graph, node_id):
            where = pointer(node_id, "inputs", name)
            start = f"{label(graph, node_id)}, input {name}"
            if source not in graph:
                message = f"{start}: it is linked to node {source}, which does not exist"
                errors.append(FieldError(where, "unknown_link", message))
            elif not 0 <= slot < (count := catalogue.outputs(graph[source]["class_type"])):
                told = f"{count} output{'' if count == 1 else 's'}, counted from 0"
                message = f"{start}: {label(graph, source)} has {told}; there is no {slot}"
                errors.append(FieldError(where, "unknown_output", message))
    return errors


def _cycles(graph: Graph) -> list[FieldError]:
    """One error for the first cycle; depth first, without recursion, as graphs may be deep."""
    done: set[str] = set()
    for start in graph:
        path: dict[str, Iterator[tuple[str, str, int]]] = {}
        if start not in done:
            path[start] = links(graph, start)
        while path:
            node_id = next(reversed(path))
            link = next(path[node_id], None)
            if link is None:
                del path[node_id]
                done.add(node_id)
            elif link[1] in path:
                around = list(path)[list(path).index(link[1]) :]
                return [_cycle(graph, around, node_id, link[0])]
            elif link[1] not in done:
                path[link[1]] = links(graph, link[1])
    return []


def _cycle(graph: Graph, path: list[str], node_id: str, name: str) -> FieldError:
    # links point to sources, so the data flows the other way round the path
    shown = " → ".join(reversed([*path, path[0]]))
    message = f"{label(graph, node_id)}, input {name}: the links form a cycle: {shown}"
    return FieldError(pointer(node_id, "inputs", name), "cycle", message)
