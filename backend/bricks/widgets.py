"""Widgets and slots of a node, from the JSON Schema of an operation.

Knows: how a parameter becomes widgets.
Does not know: ComfyUI's classes, and how what widgets hold becomes parameters (``assembling``).

A nested model is flattened (``master_gain_db``); a list of media, or of models that hold media,
becomes optional ``name_1 … name_8``; a number that may move is one number widget whose socket
takes a curve as well; a document is one text widget that takes JSON, with a slot for each medium
in it; whatever is left is one text widget too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from backend.bricks.sockets import TYPES
from backend.media.breakpoints import AUTOMATABLE

LIST_SLOTS: Final = 8
DOCUMENT: Final = "x-kino-document"
"""Keyword of a model's schema: on a node it is one text, and not a widget for each field."""
WIDEST_FLOAT: Final = 1e12
WIDEST_INT: Final = 2**53

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Slot:
    """One widget or slot of a node and the parameter that it feeds.

    ``path`` leads to the parameter; a number counts an item of a list from 0. ``kind`` is the media
    kind, if it is a slot for media; ``many`` says that a whole batch may come in; ``moves`` that an
    automation may come where a number is shown; one that is not ``listed`` is only answered.
    """

    name: str
    path: Path
    type: str | list[Any]
    options: dict[str, Any] = field(default_factory=dict)
    required: bool = False
    kind: str | None = None
    many: bool = False
    is_json: bool = False
    moves: bool = False
    convert: Callable[[Any], Any] | None = None
    listed: bool = True

    def spec(self) -> tuple[Any, dict[str, Any]]:
        """As ``INPUT_TYPES`` wants it."""
        return self.type, dict(self.options)


def slots_of(schema: Schema) -> list[Slot]:
    """The slots of a whole parameter schema, media first, in the order of the declaration."""
    found = list(_fields(_Walk(schema.get("$defs", {})), schema, "", (), optional=False))
    return sorted(found, key=lambda slot: (slot.kind is None, not slot.required))


def input_types(slots: list[Slot]) -> dict[str, dict[str, Any]]:
    """The value of a V1 node's ``INPUT_TYPES``."""
    answered = {slot.name: slot.spec() for slot in slots if not slot.listed}
    optional: dict[str, Any] = Answering(answered) if answered else {}
    grouped: dict[str, dict[str, Any]] = {"required": {}, "optional": optional}
    for slot in slots:
        if slot.listed:
            grouped["required" if slot.required else "optional"][slot.name] = slot.spec()
    return grouped


class Answering(dict[str, Any]):
    """A node's inputs, which also answers for names that it does not list: ComfyUI shows those it
    can list, and gives a node every input whose name is answered for."""

    def __init__(self, answered: Mapping[str, Any]) -> None:
        super().__init__()
        self.answered = dict(answered)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self.answered

    def __missing__(self, name: str) -> Any:
        return self.answered[name]


@dataclass(frozen=True, slots=True)
class _Walk:
    definitions: Mapping[str, Any]

    def resolve(self, schema: Schema) -> dict[str, Any]:
        """The schema with its ``$ref`` followed; what stands beside the reference wins."""
        resolved = dict(schema)
        while "$ref" in resolved:
            name = resolved.pop("$ref").rpartition("/")[2]
            resolved = {**self.definitions[name], **resolved}
        if len(resolved.get("allOf", ())) == 1:
            only = resolved.pop("allOf")[0]
            resolved = {**self.resolve(only), **resolved}
        return resolved

    def nullable(self, schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """The schema without its null, and whether it had one."""
        members = schema.get("anyOf", ())
        others = [member for member in members if member.get("type") != "null"]
        if len(others) != 1 or len(others) == len(members):
            return schema, False
        beside = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**self.resolve(others[0]), **beside}, True

    def holds_media(self, schema: Schema) -> bool:
        inner, _ = self.nullable(self.resolve(schema))
        return "x-kino-media" in inner or any(
            self.holds_media(each) for each in inner.get("properties", {}).values()
        )


def _fields(
    walk: _Walk, schema: Schema, name: str, path: Path, *, optional: bool
) -> Iterator[Slot]:
    required = set(schema.get("required", ()))
    for key, each in schema.get("properties", {}).items():
        inner = f"{name}_{key}" if name else key
        yield from _slots(walk, each, inner, (*path, key), optional or key not in required)


def _slots(walk: _Walk, schema: Schema, name: str, path: Path, optional: bool) -> Iterator[Slot]:
    resolved, nullable = walk.nullable(walk.resolve(schema))
    kind = resolved.get("x-kino-media")
    if kind is not None:
        told = _tooltip(resolved)
        yield Slot(name, path, TYPES[kind], told, required=not optional, kind=kind)
    elif DOCUMENT in resolved:
        yield _widget({**resolved, "type": "object"}, name, path, optional=optional, nullable=False)
        inside = _fields(walk, resolved, name, path, optional=True)
        yield from (slot for slot in inside if slot.kind is not None)
    elif resolved.get("type") == "object" and "properties" in resolved and not nullable:
        yield from _fields(walk, _with_defaults(resolved), name, path, optional=optional)
    elif resolved.get("type") == "array" and walk.holds_media(resolved.get("items", {})):
        yield from _items(walk, resolved, name, path)
    elif AUTOMATABLE in resolved:
        yield _moving(walk, resolved, name, path, optional=optional, nullable=nullable)
    else:
        yield _widget(resolved, name, path, optional=optional, nullable=nullable)


def _moving(
    walk: _Walk, schema: dict[str, Any], name: str, path: Path, *, optional: bool, nullable: bool
) -> Slot:
    """A number widget for a parameter that may move; its socket takes curves as well."""
    number = {**walk.resolve(schema["anyOf"][0]), **schema}
    slot = _widget(number, name, path, optional=optional, nullable=nullable)
    return replace(
        slot,
        type=f"{slot.type},{TYPES['automation']}",
        options={**slot.options, "widgetType": slot.type},
        moves=True,
    )


def _with_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """A nested model's schema, its fields' defaults replaced by those of the parameter itself."""
    given = schema.get("default")
    if not isinstance(given, dict):
        return schema
    fields = {
        key: {**each, "default": given[key]} if key in given else each
        for key, each in schema["properties"].items()
    }
    return {**schema, "properties": fields, "required": []}


def _items(walk: _Walk, schema: Schema, name: str, path: Path) -> Iterator[Slot]:
    count = min(LIST_SLOTS, int(schema.get("maxItems", LIST_SLOTS)))
    for number in range(count):
        for slot in _slots(walk, schema["items"], f"{name}_{number + 1}", (*path, number), True):
            many = slot.kind is not None and len(slot.path) == len(path) + 1
            yield replace(slot, required=False, many=many)


def _widget(
    schema: dict[str, Any], name: str, path: Path, *, optional: bool, nullable: bool
) -> Slot:
    options = _tooltip(schema)
    has_default = schema.get("default") is not None
    if has_default:
        options["default"] = schema["default"]
    kind = schema.get("type")
    choices = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    widget: str | list[Any]
    if choices:
        widget = list(choices)
    elif kind == "boolean":
        widget = "BOOLEAN"
    elif kind in ("integer", "number"):
        widget = "INT" if kind == "integer" else "FLOAT"
        options.update(_range(schema, whole=kind == "integer"))
    elif kind == "string" or (isinstance(kind, list) and "string" in kind):
        widget = "STRING"
    else:
        text = json.dumps(schema["default"]) if has_default else ""
        more = {**options, "default": text, "multiline": True}
        more["tooltip"] = f"{options.get('tooltip', '')} (JSON)".strip()
        return Slot(name, path, "STRING", more, required=not optional, is_json=True)
    if nullable and not has_default:
        # a widget always has a value; a slot can be left open, which means: none
        options["forceInput"] = True
    return Slot(name, path, widget, options, required=not optional)


def _range(schema: Schema, *, whole: bool) -> dict[str, Any]:
    widest = WIDEST_INT if whole else WIDEST_FLOAT
    low = schema.get("minimum", schema.get("exclusiveMinimum", -widest))
    high = schema.get("maximum", schema.get("exclusiveMaximum", widest))
    # without a range of its own a number widget stops at 2048
    limits = {"min": low, "max": high}
    return {**limits, "step": 1} if whole else {**limits, "step": 0.01, "round": False}


def _tooltip(schema: Schema) -> dict[str, Any]:
    unit = schema.get("unit")
    parts = [str(schema.get("description", "")), f"[{unit}]" if unit else ""]
    text = " ".join(part for part in parts if part)
    return {"tooltip": text} if text else {}
