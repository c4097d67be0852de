"""An operation's JSON Schema, as far as the command line has to understand it.

Knows: ``$ref`` into ``$defs``, unions, items, members, and which strings are references to media.
Does not know: ranges and other rules (the service checks them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MEDIA: Final = "x-kino-media"
Part = Mapping[str, Any]
_NAMES: Final = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}


class Schema:
    """The schema of an operation's parameters."""

    def __init__(self, root: Part) -> None:
        self._root = root
        self.properties: Part = root.get("properties", {})
        self.required: frozenset[str] = frozenset(root.get("required", ()))

    def resolve(self, part: Any) -> Part:
        """What a ``$ref`` stands for, with the keywords that stand beside it."""
        if not isinstance(part, Mapping):
            return {}
        while (target := part.get("$ref")) is not None:
            beside = {key: value for key, value in part.items() if key != "$ref"}
            meant: Part = self._root.get("$defs", {}).get(str(target).rpartition("/")[2], {})
            part = {**meant, **beside}
        found: Part = part
        return found

    def branches(self, part: Any) -> list[Part]:
        """The members of a union, flat; a schema that is none is its own only branch."""
        part = self.resolve(part)
        inner = [*part.get("anyOf", ()), *part.get("oneOf", ())]
        return [leaf for each in inner for leaf in self.branches(each)] or [part]

    def types(self, part: Any) -> set[str]:
        """JSON types that the schema allows; empty if it says nothing."""
        found: set[str] = set()
        for branch in self.branches(part):
            kinds = branch.get("type")
            if kinds is None and ("enum" in branch or "const" in branch):
                values = branch.get("enum", [branch.get("const")])
                found.update(_NAMES.get(type(value), "null") for value in values)
            elif kinds is not None:
                found.update([kinds] if isinstance(kinds, str) else kinds)
        return found

    def media(self, part: Any) -> str | None:
        """The kind of media that the schema takes a reference to (``audio`` …), or None."""
        for branch in self.branches(part):
            if MEDIA in branch:
                return str(branch[MEDIA])
        return None

    def items(self, part: Any) -> Part:
        """The schema of an array's items; empty if it says nothing."""
        for branch in self.branches(part):
            if "items" in branch:
                return self.resolve(branch["items"])
        return {}

    def member(self, part: Any, key: str) -> Part:
        """The schema of an object's member; empty if it says nothing."""
        for branch in self.branches(part):
            inside = branch.get("properties", {}).get(key, branch.get("additionalProperties"))
            if isinstance(inside, Mapping):
                return self.resolve(inside)
        return {}
