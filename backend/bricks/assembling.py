"""From what a node's slots hold to the parameters of its operation.

Knows: where each slot's value belongs, and which slot feeds a parameter.
Does not know: how slots come about (``widgets``), and ComfyUI's classes.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from backend.bricks.widgets import Path, Slot
from backend.errors import InvalidParameters, refused


def assemble(
    slots: list[Slot], given: Mapping[str, Any], media: Callable[[Slot, Any], list[Any]]
) -> dict[str, Any]:
    """The parameters that the values *given* to a node's slots stand for.

    *media* gives the references for what a media slot holds. An item of a list of models counts
    only if one of its media slots is linked; what is linked inside of a document lies over what
    the document says. Raises `InvalidParameters` for a text that is not JSON, and for what a slot's
    conversion does not know.
    """
    placed: dict[Path, Any] = {}
    documents: dict[Path, Any] = {}
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
            holder = documents if _is_document(slot, slots) else placed
            holder[slot.path] = _read(slot.name, value)
        elif slot.moves and not isinstance(value, int | float):
            placed[slot.path] = media(replace(slot, kind="automation"), value)[0]
        else:
            placed[slot.path] = _converted(slot, value)
    bearing = {prefix for slot in slots if slot.kind is not None for prefix in _item_prefixes(slot)}
    tree: dict[Any, Any] = {}
    for path, value in placed.items():
        if all(path[:end] in linked or path[:end] not in bearing for end in range(len(path) + 1)):
            _place(tree, path, value)
    for path, document in documents.items():
        _place(tree, path, _lay(document, _at(tree, path)))
    closed: dict[str, Any] = _close(tree)
    return closed


def by_name(
    slots: list[Slot], given: Mapping[str, Any], media: Callable[[Slot, Any], list[Any]]
) -> dict[str, Any]:
    """What came in at each slot, by its name: converted, media as references.

    Raises `InvalidParameters` for a text that is not JSON, and for what is out of range on a slot
    that is not listed (ComfyUI checks the others).
    """
    found: dict[str, Any] = {}
    for slot in slots:
        value = given.get(slot.name)
        if value is None or (slot.is_json and not str(value).strip()):
            continue
        if slot.kind is not None:
            references = media(slot, value)
            found[slot.name] = references if slot.many else references[0]
            continue
        if slot.is_json:
            value = _read(slot.name, value)
        elif not slot.listed:
            value = _checked(slot, value)
        found[slot.name] = _converted(slot, value)
    return found


def _converted(slot: Slot, value: Any) -> Any:
    """What the slot's own conversion makes of a value.

    ComfyUI holds only widgets against their range: what comes over a link can be anything.
    """
    if slot.convert is None:
        return value
    try:
        return slot.convert(value)
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        told = f"{reprlib.repr(value)} is no value that it takes"
        low, high = slot.options.get("min"), slot.options.get("max")
        if low is not None and high is not None:
            told += f"; it goes from {low:g} to {high:g}"
        raise _out(slot, "value", told) from error


def _checked(slot: Slot, value: Any) -> Any:
    """The value as ComfyUI would have read it for a slot that is listed."""
    kinds: dict[Any, Callable[[Any], Any]] = {"FLOAT": float, "INT": int, "BOOLEAN": bool}
    read = kinds.get(slot.type if isinstance(slot.type, str) else None, str)
    try:
        value = read(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _out(slot, "type", f"{value!r} is no {slot.type}") from error
    low, high = slot.options.get("min"), slot.options.get("max")
    if low is not None and not low <= value:  # NaN is refused as well
        raise _out(slot, "minimum", f"{value:g} is below {low:g}")
    if high is not None and not value <= high:
        raise _out(slot, "maximum", f"{value:g} is above {high:g}")
    return value


def _out(slot: Slot, rule: str, told: str) -> InvalidParameters:
    return refused(f"/{slot.name}", rule, f"{slot.name}: {told}")


def _is_document(slot: Slot, slots: list[Slot]) -> bool:
    """Whether other slots lie inside of what this one gives as JSON."""
    end = len(slot.path)
    return any(len(each.path) > end and each.path[:end] == slot.path for each in slots)


def _at(tree: Any, path: Path) -> Any:
    for part in path:
        tree = tree.get(part, {}) if isinstance(tree, dict) else {}
    return tree


def _lay(document: Any, tree: Any) -> Any:
    """*document* with what lies in *tree* (dicts, whose numbers count items of lists) over it."""
    if not isinstance(tree, dict):
        return tree
    if not tree:
        return document
    if all(isinstance(key, int) for key in tree):
        items = list(document) if isinstance(document, list) else []
        items += [{} for _ in range(max(tree) + 1 - len(items))]
        return [_lay(item, tree.get(number, {})) for number, item in enumerate(items)]
    fields = dict(document) if isinstance(document, dict) else {}
    return {**fields, **{key: _lay(fields.get(key), value) for key, value in tree.items()}}


def _item_prefixes(slot: Slot) -> list[Path]:
    """The paths of the list items that *slot* lies in."""
    return [slot.path[: end + 1] for end, part in enumerate(slot.path) if isinstance(part, int)]


def input_at(slots: list[Slot], given: Mapping[str, Any], pointer: str) -> str | None:
    """The name of the slot that feeds the parameter at *pointer*, as near as there is one.

    Items of a list are counted as `assemble` counts them: those that are not linked are left out.
    A document that was given feeds all that lies in it, but for the media that are linked.
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
    for slot in slots:
        inside = [str(part) for part in slot.path] == wanted[: len(slot.path)]
        if inside and slot.is_json and given.get(slot.name) and best < len(wanted):
            return slot.name
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
        broken: Exception = error
    except (ValueError, RecursionError) as error:
        message = f"{name} holds a number of too many digits, or lists within lists without end"
        broken = error
    raise refused(f"/{name}", "json", message) from broken
