"""The parameters of a graph: names, types, defaults, and where each value goes.

Knows: how values that belong together become one parameter, and how the rest is named.
Does not know: who calls the workflow.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from . import roles
from .definitions import Definitions, Spec
from .kinds import NOTHING, fitting
from .loaders import LOAD, kind_of, with_assets
from .tracing import Graph, Place, Tracer

Parameter = dict[str, Any]
MOST_LETTERS: Final = 60
_RESERVED: Final = frozenset((*dir(BaseModel), *keyword.kwlist, "ctx", "return", "self"))
_TELLING: Final = ("type", "minimum", "maximum", "choices", "examples", "multiline")


def find(graph: Graph, definitions: Definitions) -> tuple[dict[str, Any], list[Parameter]]:
    """The graph as a template, in which assets are loaded instead of files, and its parameters.

    Each parameter has ``name``, ``type`` (integer, number, boolean, string, choice, asset),
    ``role``, ``description``, ``places`` (node, input, and the rule that found it), and where it
    has them ``default``, ``minimum``, ``maximum``, ``choices``, ``examples``, ``media``.
    """
    template, replaced = with_assets(graph)
    tracer = Tracer(template, definitions)
    names = _Names()
    found = _with_roles(tracer, names)
    taken = {(place["node"], place["input"]) for each in found for place in each["places"]}
    found += _assets(tracer, names, replaced, taken)
    taken |= {(place["node"], place["input"]) for each in found for place in each["places"]}
    found += _others(tracer, names, taken)
    return template, found


class _Names:
    """Gives each parameter a name of its own."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, wanted: str) -> str:
        name = wanted if wanted not in _RESERVED else f"{wanted}_value"
        number = 1
        while name in self._taken or name in _RESERVED:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name


def slug(text: str) -> str:
    """Words of a title as a name: ``Load Checkpoint`` becomes ``load_checkpoint``."""
    apart = re.sub(
        r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z]{2})(?=[A-Z][a-z])", "_", text.replace("LoRA", "Lora")
    )
    made = re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")
    made = made if made[:1].isalpha() else f"node_{made}".rstrip("_")
    return made[:MOST_LETTERS].rstrip("_")


def _with_roles(tracer: Tracer, names: _Names) -> list[Parameter]:
    """Values of one role that are equal in the template are one parameter, others are numbered."""
    groups: dict[str, list[Parameter]] = {}
    for each in roles.find(tracer):
        made = _fitting(tracer, each.place)
        if made is None:
            continue
        told = {**_place(each.place), "rule": each.rule}
        alike = [one for one in groups.setdefault(each.role, []) if _merge(one, made)]
        if alike:
            alike[0]["places"].append(told)
        else:
            groups[each.role].append({**made, "role": each.role, "places": [told]})
    found = [each for group in groups.values() for each in group]
    return [_named(tracer, each, names.new(each["role"])) for each in found]


def _merge(one: Parameter, other: Parameter) -> bool:
    """Whether both can be one parameter; its range is then what fits both."""
    same = all(one.get(key) == other.get(key) for key in ("type", "default", "choices"))
    if same:
        for key, stricter in (("minimum", max), ("maximum", min)):
            limits = [each[key] for each in (one, other) if key in each]
            if limits:
                one[key] = stricter(limits)
    return same


def _assets(
    tracer: Tracer, names: _Names, replaced: Mapping[str, str], taken: Collection[Place]
) -> Iterator[Parameter]:
    for node in tracer.graph:
        if tracer.class_of(node) != LOAD or (node, "asset") in taken:
            continue
        kind = kind_of(tracer.graph, node)
        title = _title(tracer.graph, node)
        plain = (None, LOAD, "Kino Load Asset", tracer.definitions.title(replaced.get(node, LOAD)))
        own = title not in plain and title != replaced.get(node)
        wanted = slug(str(title)) if own else ("asset" if kind == "any" else kind)
        stood = f"{replaced[node]}, loaded as an asset" if node in replaced else f"input of {LOAD}"
        made: Parameter = {"type": "asset", "media": kind, "role": kind}
        held = tracer.given(node).get("asset")
        if isinstance(held, str) and held:
            made["default"] = held
        made["places"] = [{**_place((node, "asset")), "rule": stood}]
        yield _named(tracer, made, names.new(wanted))


def _others(tracer: Tracer, names: _Names, taken: Collection[Place]) -> list[Parameter]:
    """Every other value, under the title of its node and its own name. Equal values of nodes of one
    class that bear the same title of their own are one parameter."""
    alike: dict[tuple[Any, ...], Parameter] = {}
    for node in tracer.graph:
        class_type, own = tracer.class_of(node), _own_title(tracer, node)
        specs = tracer.definitions.inputs(class_type, tracer.given(node))
        needed = [name for name, spec in specs.items() if spec.required]
        for name in dict.fromkeys([*tracer.given(node), *needed]):
            if (node, name) in taken or not tracer.is_value(node, name):
                continue
            made = _fitting(tracer, (node, name))
            if made is None:
                continue
            given = name in tracer.given(node)
            rule = "value in the graph" if given else "default of the node class"
            place = {**_place((node, name)), "rule": rule}
            key = (class_type, own or node, name, repr(made.get("default")))
            if key in alike and _merge(alike[key], made):
                alike[key]["places"].append(place)
            else:
                alike[key] = {**made, "role": "input", "places": [place]}
    return [_named(tracer, each, names.new(_wanted(tracer, each))) for each in alike.values()]


def _wanted(tracer: Tracer, made: Parameter) -> str:
    """The name for a value: its node's title and its own; what both say is said once. A node with a
    title of its own that does nothing but hold this value gives its title alone."""
    node, name = made["places"][0]["node"], made["places"][0]["input"]
    own = _own_title(tracer, node)
    if own is None:
        return slug(f"{_title(tracer.graph, node) or tracer.class_of(node)}_{name}")
    specs = tracer.definitions.inputs(tracer.class_of(node), tracer.given(node))
    if [*specs] == [name]:
        return slug(own)
    said_twice = slug(name).startswith(slug(own) + "_")
    return slug(name if said_twice else f"{own}_{name}")


def _own_title(tracer: Tracer, node: str) -> str | None:
    """The title of a node, if somebody gave it one."""
    title, class_type = _title(tracer.graph, node), tracer.class_of(node)
    return None if title in (class_type, tracer.definitions.title(class_type)) else title


def _fitting(tracer: Tracer, place: Place) -> Parameter | None:
    node, name = place
    return fitting(_spec(tracer, place), tracer.given(node).get(name, NOTHING))


def _spec(tracer: Tracer, place: Place) -> Spec | None:
    node, name = place
    return tracer.definitions.inputs(tracer.class_of(node), tracer.given(node)).get(name)


def _place(place: Place) -> dict[str, str]:
    return {"node": place[0], "input": place[1]}


def _title(graph: Graph, node: str) -> str | None:
    title = (graph[node].get("_meta") or {}).get("title")
    return title if isinstance(title, str) and title.strip() else None


def _named(tracer: Tracer, made: Parameter, name: str) -> Parameter:
    """The parameter with its name and a sentence on it, keys in the order of reading."""
    first = (made["places"][0]["node"], made["places"][0]["input"])
    spec = _spec(tracer, first)
    where = ", ".join(
        f"{place['input']} of node {place['node']}"
        f" ({_title(tracer.graph, place['node']) or tracer.class_of(place['node'])})"
        for place in made["places"]
    )
    tooltip = str(spec.options.get("tooltip") or "").strip() if spec else ""
    sentences = [f"{where}.", tooltip] if tooltip else [f"{where}."]
    order = ("role", *_TELLING, "media", "default")
    told: Parameter = {"name": name, "description": " ".join(sentences)}
    told.update({key: made[key] for key in order if key in made})
    return {**told, "places": made["places"]}
