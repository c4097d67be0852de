"""The graph editor's document: nodes, links and subgraphs as it saves them.

Knows: both forms of a link, and the fields that matter for running.
Does not know: what a node takes (``widgets``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NoReturn

from backend.plugins import FieldError, InvalidParameters

NEVER, BYPASS = 2, 4
"""Modes of a node that is muted, and of one that is passed by; all others run."""

MOST_NODES: Final = 20_000
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Link:
    """From an output to an input. In a subgraph an end may be its input or output node."""

    id: int
    origin: str
    origin_slot: int
    target: str
    target_slot: int
    type: str


@dataclass(frozen=True, slots=True)
class Input:
    """An input slot of a node; ``widget`` is the widget that it stands in front of."""

    name: str
    type: str
    link: int | None
    widget: str | None


@dataclass(frozen=True, slots=True)
class Node:
    """One node as saved."""

    id: str
    type: str
    mode: int
    title: str | None
    inputs: tuple[Input, ...]
    output_types: tuple[str, ...]
    values: list[Any] | dict[str, Any]

    @property
    def listed(self) -> list[Any]:
        """The values in their order, whether they were saved with names or without."""
        return list(self.values.values()) if isinstance(self.values, dict) else self.values


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes and links of one level: the document itself or the inside of a subgraph."""

    nodes: Mapping[str, Node]
    links: Mapping[int, Link]
    input_node: str = ""
    output_node: str = ""
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A whole workflow."""

    root: Graph
    subgraphs: Mapping[str, Graph] = field(default_factory=dict)


def is_document(value: object) -> bool:
    """Whether this is the editor's form and not the executor's."""
    return isinstance(value, Mapping) and isinstance(value.get("nodes"), list)


def read(value: Json) -> Document:
    """Read a document. Raises `InvalidParameters` with a pointer for what has another form."""
    if not is_document(value):
        _refuse("", "an editor's workflow has a list of nodes")
    root = _graph(value, "")
    fresh = _Fresh(value, root)
    subgraphs = {}
    definitions = _object(value, "definitions", "")
    for number, each in enumerate(_list(definitions, "subgraphs", "/definitions")):
        where = f"/definitions/subgraphs/{number}"
        subgraphs[str(_item(each, "id", where))] = fresh.renamed(_graph(each, where))
    document = Document(root, subgraphs)
    if sum(len(graph.nodes) for graph in (document.root, *subgraphs.values())) > MOST_NODES:
        _refuse("/nodes", f"at most {MOST_NODES} nodes")
    return document


class _Fresh:
    """Gives new ids to nodes of subgraphs whose ids are taken, as the editor does on loading."""

    def __init__(self, value: Json, root: Graph) -> None:
        self._taken = set(root.nodes)
        last = value.get("last_node_id") or _object(value, "state", "").get("lastNodeId")
        self._last = max(
            [
                last if isinstance(last, int) else 0,
                *(int(id_) for id_ in root.nodes if id_.isdecimal()),
            ]
        )

    def renamed(self, graph: Graph) -> Graph:
        """*graph* with ids that no node before has."""
        names: dict[str, str] = {}
        for id_ in graph.nodes:
            if id_ in self._taken:
                names[id_] = self._next()
            else:
                self._taken.add(id_)
                self._last = max(self._last, int(id_) if id_.isdecimal() else 0)
        if not names:
            return graph
        nodes = {
            names.get(id_, id_): replace(node, id=names.get(id_, id_))
            for id_, node in graph.nodes.items()
        }
        links = {
            id_: replace(
                link,
                origin=names.get(link.origin, link.origin),
                target=names.get(link.target, link.target),
            )
            for id_, link in graph.links.items()
        }
        return replace(graph, nodes=nodes, links=links)

    def _next(self) -> str:
        self._last += 1
        while str(self._last) in self._taken:
            self._last += 1
        self._taken.add(str(self._last))
        return str(self._last)


def _graph(value: Any, where: str) -> Graph:
    nodes = {}
    for number, each in enumerate(_list(value, "nodes", where)):
        node = _node(each, f"{where}/nodes/{number}")
        nodes[node.id] = node
    links = {}
    for number, each in enumerate(_list(value, "links", where)):
        link = _link(each, f"{where}/links/{number}")
        links[link.id] = link
    if not where:
        return Graph(nodes, links)
    return Graph(
        nodes,
        links,
        str(_object(value, "inputNode", where).get("id", "")),
        str(_object(value, "outputNode", where).get("id", "")),
        tuple(_names(value, "inputs", where)),
    )


def _node(value: Any, where: str) -> Node:
    inputs = tuple(
        _input(each, f"{where}/inputs/{number}")
        for number, each in enumerate(_list(value, "inputs", where))
    )
    outputs = (each for each in _list(value, "outputs", where) if isinstance(each, Mapping))
    mode = value.get("mode")
    return Node(
        id=str(_item(value, "id", where)),
        type=str(_item(value, "type", where)),
        mode=mode if isinstance(mode, int) else 0,
        title=value.get("title"),
        inputs=inputs,
        output_types=tuple(_type(each.get("type")) for each in outputs),
        values=_values(value.get("widgets_values"), where),
    )


def _input(value: Any, where: str) -> Input:
    link = _item(value, "link", where, -1)
    if link is not None and not isinstance(link, int):
        _refuse(where, "'link' is the number of a link or null")
    widget = _object(value, "widget", where).get("name")
    return Input(
        str(value.get("name", "")),
        _type(value.get("type")),
        None if link == -1 else link,
        None if widget is None else str(widget),
    )


def _values(value: Any, where: str) -> list[Any] | dict[str, Any]:
    """What is in the widgets: by their order, or by their names."""
    if value is not None and not isinstance(value, list | Mapping):
        _refuse(f"{where}/widgets_values", "a list or an object is needed")
    return dict(value) if isinstance(value, Mapping) else list(value or ())


def _names(value: Any, key: str, where: str) -> list[str]:
    return [
        str(_item(each, "name", f"{where}/{key}/{number}", ""))
        for number, each in enumerate(_list(value, key, where))
    ]


def _link(value: Any, where: str) -> Link:
    try:
        if isinstance(value, Mapping):
            keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
            value = [value[key] for key in keys]
        id_, origin, origin_slot, target, target_slot, type_ = (*value, "*")[:6]
        slots = int(origin_slot), int(target_slot)
        if min(slots) < 0:
            raise ValueError("a slot is counted from 0")
        return Link(int(id_), str(origin), slots[0], str(target), slots[1], _type(type_))
    except (KeyError, OverflowError, TypeError, ValueError):
        _refuse(where, "a link is [id, origin, slot, target, slot, type]")


def _type(value: Any) -> str:
    """The type of a slot; -1 and 0 are the editor's older words for any and none."""
    return value if isinstance(value, str) else "*"


def _item(value: Any, key: str, where: str, default: Any = None) -> Any:
    if not isinstance(value, Mapping):
        _refuse(where, "an object is needed")
    if key not in value and default is None:
        _refuse(where, f"{key!r} is missing")
    return value.get(key, default)


def _list(value: Any, key: str, where: str) -> list[Any]:
    found = _item(value, key, where, ()) or ()
    if not isinstance(found, list | tuple):
        _refuse(f"{where}/{key}", "a list is needed")
    return list(found)


def _object(value: Any, key: str, where: str) -> Json:
    found: Any = _item(value, key, where, {}) or {}
    if not isinstance(found, Mapping):
        _refuse(f"{where}/{key}", "an object is needed")
    return dict(found)


def _refuse(pointer: str, sentence: str) -> NoReturn:
    message = f"The workflow cannot be read: {pointer or '/'}: {sentence}"
    raise InvalidParameters(
        message, errors=[FieldError(f"/workflow{pointer}", "workflow", sentence)]
    )
