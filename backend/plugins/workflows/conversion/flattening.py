"""Links followed to the nodes that really run.

Knows: subgraphs, nodes that are muted or passed by, and the editor's virtual nodes.
Does not know: what is in a widget (``widgets``).

A node inside a subgraph is called after the way to it: ``12:5`` is node 5 in the subgraph that
node 12 stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from backend.plugins import refused

from .document import BYPASS, MOST_NODES, NEVER, Document, Graph, Node

NOTES: Final = ("Note", "MarkdownNote")
REROUTE: Final = "Reroute"
PRIMITIVE: Final = "PrimitiveNode"
SETTERS: Final = ("SetNode",)
GETTERS: Final = ("GetNode",)
VIRTUAL: Final = frozenset((*NOTES, REROUTE, PRIMITIVE, *SETTERS, *GETTERS))
_DEEPEST: Final = 32


@dataclass(frozen=True, slots=True)
class Place:
    """A node on the level that it stands on; ``outer`` is the subgraph's node around it."""

    id: str
    node: Node
    graph: Graph
    outer: Place | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from: a node's output, or a value set on a subgraph's node."""

    id: str = ""
    slot: int = 0
    value: Any = None
    is_value: bool = False


class Flat:
    """A document with all its nodes on one level."""

    def __init__(self, document: Document, values: Callable[[Node], Mapping[str, Any]]) -> None:
        """*values* gives what is in the widgets of a node, by name."""
        self._document = document
        self._values = values
        self.places: dict[str, Place] = {}
        self._setters: dict[tuple[str, str], Place] = {}
        self._add(document.root, "", None, 0)

    def _add(self, graph: Graph, prefix: str, outer: Place | None, depth: int) -> None:
        if depth > _DEEPEST:
            _refuse("depth", f"subgraphs lie more than {_DEEPEST} deep, or inside themselves")
        for node in graph.nodes.values():
            place = Place(prefix + node.id, node, graph, outer)
            self.places[place.id] = place
            if len(self.places) > MOST_NODES:
                # each level may double what lies in it: small documents can be endless graphs
                _refuse("nodes", f"unfolded, the subgraphs are more than {MOST_NODES} nodes")
            if node.type in SETTERS:
                self._setters.setdefault((prefix, _name(node)), place)
            inner = self._document.subgraphs.get(node.type)
            if inner is not None and node.mode not in (NEVER, BYPASS):
                self._add(inner, f"{place.id}:", place, depth + 1)

    def running(self) -> Iterator[Place]:
        """The nodes that run: no notes, no virtual ones, none muted or passed by."""
        for place in self.places.values():
            node = place.node
            if (
                node.mode not in (NEVER, BYPASS)
                and node.type not in VIRTUAL
                and node.type not in self._document.subgraphs
            ):
                yield place

    def source(self, place: Place, index: int) -> Source | None:
        """What an input of a node is fed by; ``None`` if by nothing that runs.

        Raises `InvalidParameters` if that is hundreds of reroutes and bypassed nodes away.
        """
        try:
            return self._input(place, index, None, set())
        except RecursionError:
            _refuse("depth", f"node {place.id} is linked through too many nodes that do not run")

    def _input(
        self, place: Place, index: int, type_: str | None, seen: set[tuple[str, str, int]]
    ) -> Source | None:
        step = (place.id, "in", index)
        if step in seen or index >= len(place.node.inputs):
            return None
        seen.add(step)
        slot = place.node.inputs[index]
        link = place.graph.links.get(slot.link) if slot.link is not None else None
        if link is None:
            return None
        if place.outer is not None and link.origin == place.graph.input_node:
            return self._from_outside(place.outer, link.origin_slot, seen)
        origin = self._beside(place, link.origin)
        return None if origin is None else self._output(
            origin, link.origin_slot, type_ or slot.type, seen
        )  # fmt: skip

    def _from_outside(
        self, outer: Place, slot: int, seen: set[tuple[str, str, int]]
    ) -> Source | None:
        """What comes into a subgraph at one of its inputs."""
        inner = self._document.subgraphs[outer.node.type]
        name = inner.inputs[slot] if slot < len(inner.inputs) else ""
        for index, each in enumerate(outer.node.inputs):
            if each.name == name and each.link is not None:
                return self._input(outer, index, None, seen)
        return self._set_outside(outer, inner, slot)

    def _set_outside(self, outer: Place, inner: Graph, slot: int) -> Source | None:
        """The value that a subgraph's node has for one of the subgraph's inputs: such values are
        saved for the inputs that lead to widgets, in the order of the inputs. Before anybody has
        set one, it is that of the first of those widgets."""
        fronts = _fronts(inner)
        if slot not in fronts:
            return None
        values = outer.node.listed
        if len(values) == len(fronts):
            return Source(value=values[sorted(fronts).index(slot)], is_value=True)
        target, index = fronts[slot]
        return self._value_inside(self.places.get(f"{outer.id}:{target.id}"), target, index)

    def _value_inside(self, place: Place | None, node: Node, index: int) -> Source | None:
        inner = self._document.subgraphs.get(node.type)
        name = node.inputs[index].widget or ""
        if inner is None:
            values = self._values(node)
            return None if name not in values else Source(value=values[name], is_value=True)
        asked = node.inputs[index].name
        if place is None or asked not in inner.inputs:
            return None
        return self._set_outside(place, inner, inner.inputs.index(asked))

    def _output(
        self, place: Place, slot: int, type_: str, seen: set[tuple[str, str, int]]
    ) -> Source | None:
        step = (place.id, "out", slot)
        if step in seen or place.node.mode == NEVER:
            return None
        seen.add(step)
        if place.node.mode == BYPASS:
            index = _passed_by(place.node, slot, type_)
            return None if index is None else self._input(place, index, None, seen)
        inner = self._document.subgraphs.get(place.node.type)
        if inner is not None:
            return self._out_of(place, inner, slot, type_, seen)
        if place.node.type in GETTERS:
            prefix = place.id[: len(place.id) - len(place.node.id)]
            setter = self._setters.get((prefix, _name(place.node)))
            return None if setter is None else self._input(setter, 0, type_, seen)
        if place.node.type in (REROUTE, *SETTERS):
            return self._input(place, 0, type_, seen)
        if place.node.type in VIRTUAL:
            return None
        return Source(place.id, slot)

    def _out_of(
        self, place: Place, inner: Graph, slot: int, type_: str, seen: set[tuple[str, str, int]]
    ) -> Source | None:
        """What a subgraph gives at one of its outputs."""
        for link in inner.links.values():
            if link.target == inner.output_node and link.target_slot == slot:
                origin = self.places.get(f"{place.id}:{link.origin}")
                return None if origin is None else self._output(
                    origin, link.origin_slot, type_, seen
                )  # fmt: skip
        return None

    def _beside(self, place: Place, node_id: str) -> Place | None:
        prefix = place.id[: len(place.id) - len(place.node.id)]
        return self.places.get(prefix + node_id)

    def primitive(self, place: Place, index: int) -> Node | None:
        """The primitive node that sets the widget behind an input, reroutes between them or not."""
        link_id = place.node.inputs[index].link
        for _ in range(len(self.places)):
            link = place.graph.links.get(link_id) if link_id is not None else None
            origin = None if link is None else self._beside(place, link.origin)
            if origin is None:
                return None
            if origin.node.type == PRIMITIVE:
                return origin.node
            if origin.node.type != REROUTE or not origin.node.inputs:
                return None
            link_id = origin.node.inputs[0].link
        return None


def _fronts(inner: Graph) -> dict[int, tuple[Node, int]]:
    """The inputs of a subgraph that stand in front of widgets inside it: the first of those."""
    found: dict[int, tuple[Node, int]] = {}
    for link in inner.links.values():
        target = inner.nodes.get(link.target)
        if link.origin != inner.input_node or target is None:
            continue
        slots = target.inputs[link.target_slot : link.target_slot + 1]
        if slots and slots[0].widget is not None:
            found.setdefault(link.origin_slot, (target, link.target_slot))
    return found


def _refuse(rule: str, sentence: str) -> NoReturn:
    raise refused("/workflow/definitions/subgraphs", rule, sentence)


def _name(node: Node) -> str:
    """The name under which a Set node keeps a value and a Get node asks for it."""
    return str(node.listed[0]) if node.listed else ""


def _passed_by(node: Node, slot: int, type_: str) -> int | None:
    """The input that takes the place of an output of a node that is passed by."""
    types = [each.type for each in node.inputs]
    own = node.output_types[slot] if slot < len(node.output_types) else "*"
    if type_ in ("*", ""):
        return slot if slot < len(types) else (0 if types else None)
    if slot < len(types) and _fits(types[slot], own) and _fits(types[slot], type_):
        return slot
    if type_ in types:
        return types.index(type_)
    return next((n for n, t in enumerate(types) if _fits(t, own) and _fits(t, type_)), None)


def _fits(one: str, other: str) -> bool:
    """Whether the editor would connect two types; each may be several, ``*`` is any."""
    if one in ("*", "") or other in ("*", ""):
        return True
    ones, others = (set(text.lower().split(",")) for text in (one, other))
    return bool(ones & others) or "*" in ones or "*" in others
