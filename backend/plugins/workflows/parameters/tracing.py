"""Following links backwards through a graph.

Knows: nodes that pass on what they are given: reroutes, switches, whatever stands between a text
and the sampler that it is for.
Does not know: what a value means (``roles``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from backend.bricks.checks import is_link

from .definitions import ANYTHING, Definitions

Graph = Mapping[str, Mapping[str, Any]]
Place = tuple[str, str]
"""A node's id and the name of one of its inputs."""

NUMBERS: Final = ("INT", "FLOAT")
TEXTS: Final = ("text", "text_g", "text_l", "prompt", "clip_l", "clip_g", "t5xxl", "llama", "tags")
"""Names of a text that is encoded, besides those which the node shows in several lines."""

_VALUES: Final = ("value", "text", "string", "prompt", "int", "float", "number", "seed")


@dataclass(slots=True)
class Path:
    """What stands behind a link: the places of its texts, and every node on the way."""

    texts: list[Place] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)


def linked(value: Any) -> tuple[str, int] | None:
    """Node and output of a link, or None for a value."""
    return (value[0], value[1]) if is_link(value) else None


class Tracer:
    """One graph, and what its nodes take."""

    def __init__(self, graph: Graph, definitions: Definitions) -> None:
        self.graph = graph
        self.definitions = definitions

    def given(self, node: str) -> Mapping[str, Any]:
        """The inputs of a node as they are."""
        inputs: Mapping[str, Any] = self.graph[node].get("inputs") or {}
        return inputs

    def class_of(self, node: str) -> str:
        return str(self.graph[node]["class_type"])

    def names(self, node: str) -> set[str]:
        """Every input that a node has or is given."""
        specs = self.definitions.inputs(self.class_of(node), self.given(node))
        return {*specs, *self.given(node)}

    def is_value(self, node: str, name: str) -> bool:
        """Whether an input holds a value: its own or, if it has none, its default."""
        given = self.given(node)
        if name in given:
            return linked(given[name]) is None
        spec = self.definitions.inputs(self.class_of(node), given).get(name)
        return spec is not None and (bool(spec.choices) or "default" in spec.options)

    def behind(self, node: str, *kinds: str) -> Iterator[tuple[str, str, int]]:
        """The links into a node that bring one of *kinds*, or could: input, source, output."""
        for name, value in self.given(node).items():
            link = linked(value)
            if link is None or link[0] not in self.graph:
                continue
            kind = self.definitions.output(self.class_of(link[0]), link[1])[0]
            if kind in kinds or kind in ANYTHING:
                yield name, *link

    # --- values -----------------------------------------------------------------------------

    def value(self, node: str, name: str) -> Place | None:
        """The place where the value of an input is written: its own, or that of the node that does
        nothing but hold it."""
        if self.is_value(node, name):
            return node, name
        seen: set[tuple[str, int]] = set()
        link = linked(self.given(node).get(name))
        while link is not None and link not in seen and link[0] in self.graph:
            seen.add(link)
            source = link[0]
            held = [each for each in self._held(source, link[1]) if self.is_value(source, each)]
            kinds = (*NUMBERS, "STRING", "COMBO", "BOOLEAN")
            onward = [each[1:] for each in self.behind(source, *kinds)]
            if not onward:
                return (source, _likeliest(held, name)) if held else None
            if not self._passes(*link):
                return None
            side = self._side(source)
            if side is not None and self.is_value(source, side):
                return source, side
            link = linked(self.given(source).get(side)) if side is not None else onward[0]
        return None

    def _side(self, node: str) -> str | None:
        """The input of a switch that is on in the graph as it is; None for any other node."""
        if not {"switch", "on_true", "on_false"} <= self.names(node):
            return None
        place = self.value(node, "switch")
        return "on_true" if place and self.given(place[0]).get(place[1]) else "on_false"

    def _held(self, node: str, slot: int) -> list[str]:
        """Inputs of the type that an output has."""
        kind = self.definitions.output(self.class_of(node), slot)[0]
        wanted = NUMBERS if kind in NUMBERS else (kind,)
        specs = self.definitions.inputs(self.class_of(node), self.given(node))
        return [name for name, spec in specs.items() if spec.type in wanted]

    def _passes(self, node: str, slot: int) -> bool:
        return self.definitions.output(self.class_of(node), slot)[0] in ANYTHING

    # --- texts ------------------------------------------------------------------------------

    def conditioning(self, node: str, name: str, *, negative: bool) -> Path:
        """What the conditioning of an input was made of.

        Where a node has a positive and a negative side, the walk stays on its own. Behind
        ``ConditioningZeroOut`` no text counts any more.
        """
        path = Path()
        start = linked(self.given(node).get(name))
        stack, seen = [start] if start else [], set()
        while stack:
            link = stack.pop()
            if link in seen or link[0] not in self.graph:
                continue
            seen.add(link)
            source = link[0]
            path.nodes.append(source)
            if self.class_of(source) == "ConditioningZeroOut":
                continue
            texts = self._encoded(source, negative=negative)
            if texts:
                path.texts += [place for text in texts for place in self.texts(source, text)]
            else:
                stack += reversed(list(self._sides(*link)))
        path.texts = list(dict.fromkeys(path.texts))
        return path

    def _sides(self, node: str, slot: int) -> Iterator[tuple[str, int]]:
        links = {name: (source, at) for name, source, at in self.behind(node, "CONDITIONING")}
        if {"positive", "negative"} <= links.keys():
            called = self.definitions.output(self.class_of(node), slot)[1].lower()
            side = "negative" if "negative" in called or (slot == 1 and not called) else "positive"
            links = {side: links[side]}
        yield from links.values()

    def _encoded(self, node: str, *, negative: bool) -> list[str]:
        """The inputs whose texts a node encodes."""
        specs = self.definitions.inputs(self.class_of(node), self.given(node))
        texts = [
            name
            for name, spec in specs.items()
            if spec.type == "STRING"
            and (name in TEXTS or spec.options.get("multiline"))
            and (name in self.given(node) or "default" in spec.options)
        ]
        if {"positive", "negative"} <= set(texts):
            return ["negative" if negative else "positive"]
        return texts

    def texts(self, node: str, name: str) -> list[Place]:
        """Where the text of an input is written; several places, where it is switched or joined.

        A node that looks at a picture and describes it is none: what it is told is no prompt.
        """
        if self.is_value(node, name):
            return [(node, name)]
        start = linked(self.given(node).get(name))
        stack, seen, found = [start] if start else [], set(), []
        while stack:
            link = stack.pop()
            if link in seen or link[0] not in self.graph:
                continue
            seen.add(link)
            source = link[0]
            side = self._side(source)
            if side is not None:
                found += self.texts(source, side)
                continue
            onward = [(each[1], each[2]) for each in self.behind(source, "STRING")]
            stack += reversed(onward)
            others = sum(linked(value) is not None for value in self.given(source).values())
            held = [each for each in self._held(source, link[1]) if self.is_value(source, each)]
            if held and not onward and not others:
                found.append((source, _likeliest(held, name)))
        return found


def _likeliest(names: list[str], wanted: str) -> str:
    for name in (wanted, *_VALUES):
        if name in names:
            return name
    return names[0]
