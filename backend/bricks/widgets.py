"""Widgets and slots of a node, from the JSON Schema of an operation, and back to parameters.

Knows: how a parameter becomes widgets, and how their values become parameters again.
Does not know: ComfyUI's classes, and what an operation does.

A nested model is flattened (``master_gain_db``); a list of media, or of models that hold media,
becomes optional ``name_1 … name_8``; whatever is left is one text widget that takes JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from backend.bricks.sockets import TYPES
from backend.errors import FieldError, InvalidParameters

LIST_SLOTS: Final = 8
WIDEST_FLOAT: Final = 1e12
WIDEST_INT: Final = 2**53

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Slot:
    """One widget or slot of a node and the parameter that it feeds.

    ``path`` leads to the parameter; a number counts an item of a list from 0. ``kind`` is the media
    kind, if it is a slot for media; ``many`` says that a whole batch may come in.
    """

    name: str
    path: Path
    type: str | list[Any]
    options: dict[str, Any] = field(default_factory=dict)
    required: bool = False
    kind: str | None = None
    many: bool = False
    is_json: bool = False
    convert: Callable[[Any], Any] | None = None

    def spec(self) -> tuple[Any, dict[str, Any]]:
        """As ``INPUT_TYPES`` wants it."""
        return self.type, dict(self.options)


def slots_of(schema: Schema) -> list[Slot]:
    """The slots of a whole parameter schema, media first, in the order of the declaration."""
    found = list(_fields(_Walk(schema.get("$defs", {})), schema, "", (), optional=False))
    return sorted(found, key=lambda slot: (slot.kind is None, not slot.required))


def input_types(slots: list[Slot]) -> dict[str, dict[str, Any]]:
    """The value of a V1 node's ``INPUT_TYPES``."""
    grouped: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
    for slot in slots:
        grouped["required" if slot.required else "optional"][slot.name] = slot.spec()
    return grouped


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
    elif resolved.get("type") == "object" and "properties" in resolved and not nullable:
        yield from _fields(walk, _with_defaults(resolved), name, path, optional=optional)
    elif resolved.get("type") == "array" and walk.holds_media(resolved.get("items", {})):
        yield from _items(walk, resolved, name, path)
    else:
        yield _widget(resolved, name, path, optional=optional, nullable=nullable)


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
            yield Slot(
                slot.name, slot.path, slot.type, slot.options, False, slot.kind, many, slot.is_json
            )


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
    elif kind == "string":
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


def assemble(
    slots: list[Slot], given: Mapping[str, Any], media: Callable[[Slot, Any], list[Any]]
) -> dict[str, Any]:
    """The parameters that the values *given* to a node's slots stand for.

    *media* gives the references for what a media slot holds. An item of a list of models counts
    only if one of its media slots is linked. Raises `InvalidParameters` for a text that is not
    JSON.
    """
    placed: dict[Path, Any] = {}
    linked: set[Path] = set()
    touched = {slot.path[0] for slot in slots if given.get(slot.name) is not None}
    for slot in slots:
        value = given.get(slot.name)
        if value is None and len(slot.path) > 1 and slot.path[0] in touched:
            # of a model that is given in part, the rest is what its widgets show
            value = slot.options.get("default")
        if value is None or (slot.is_json and value == ""):
            continue
        if slot.kind is not None:
            references = media(slot, value)
            linked.update(slot.path[:end] for end in range(len(slot.path) + 1))
            for place, reference in enumerate(references):
                placed[(*slot.path, place) if slot.many else slot.path] = reference
        elif slot.is_json:
            placed[slot.path] = _read(slot.name, value)
        else:
            placed[slot.path] = slot.convert(value) if slot.convert is not None else value
    bearing = {prefix for slot in slots if slot.kind is not None for prefix in _item_prefixes(slot)}
    tree: dict[Any, Any] = {}
    for path, value in placed.items():
        if all(path[:end] in linked or path[:end] not in bearing for end in range(len(path) + 1)):
            _place(tree, path, value)
    closed: dict[str, Any] = _close(tree)
    return closed


def _item_prefixes(slot: Slot) -> list[Path]:
    """The paths of the list items that *slot* lies in."""
    return [slot.path[: end + 1] for end, part in enumerate(slot.path) if isinstance(part, int)]


def input_at(slots: list[Slot], given: Mapping[str, Any], pointer: str) -> str | None:
    """The name of the slot that feeds the parameter at *pointer*, as near as there is one.

    Items of a list are counted as `assemble` counts them: those that are not linked are left out.
    """
    for slot in slots:
        if pointer == f"/{slot.name}":
            return slot.name
    linked = {
        prefix for slot in slots if slot.kind is not None and given.get(slot.name) is not None
        for prefix in _item_prefixes(slot)
    }  # fmt: skip
    wanted = pointer.split("/")[1:]
    best, name = 0, None
    for slot in slots:
        shared = 0
        for place, (part, asked) in enumerate(zip(slot.path, wanted, strict=False)):
            if isinstance(part, int):
                before = slot.path[:place]
                found = sorted(p[-1] for p in linked if p[:-1] == before)
                part = found.index(part) if part in found else f"no item {part}"
            if str(part) != asked:
                break
            shared += 1
        if shared > best:
            best, name = shared, slot.name
    return name


def _place(tree: dict[Any, Any], path: Path, value: Any) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value


def _close(tree: Any) -> Any:
    """Turn nested dicts whose keys are numbers into lists, in order, gaps left out."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(isinstance(key, int) for key in tree):
        items: list[Any] = []
        for key in sorted(tree):
            item = _close(tree[key])
            # what came as a batch on one slot of a list is several items
            items.extend(item if _is_batch(tree[key]) else [item])
        return items
    return {key: _close(value) for key, value in tree.items()}


def _is_batch(tree: Any) -> bool:
    return isinstance(tree, dict) and bool(tree) and all(isinstance(key, int) for key in tree)


def _read(name: str, text: Any) -> Any:
    try:
        return json.loads(str(text))
    except json.JSONDecodeError as error:
        message = f"{name} is not JSON: {error.msg} at character {error.pos + 1}"
        raise InvalidParameters(
            message, errors=[FieldError(f"/{name}", "json", message)]
        ) from error
