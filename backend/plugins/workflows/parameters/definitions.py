"""What node classes take and give, out of ``/object_info``.

Knows: its forms: choices as a list or as options, several types in one, inputs of a choice.
Does not know: graphs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = Mapping[str, Any]
_DYNAMIC: Final = "COMFY_DYNAMICCOMBO_V3"
ANYTHING: Final = ("*", "COMFY_MATCHTYPE_V3", "COMFY_MULTITYPED_V3")
"""Types of slots that take or give whatever is linked."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One input: its type (the first, of several), its options, and whether it must be given."""

    type: str
    options: Json
    required: bool

    @property
    def choices(self) -> list[Any]:
        """What a COMBO offers."""
        found = self.options.get("options") or []
        if self.type == _DYNAMIC:
            return [option.get("key") for option in found]
        return list(found)


class Definitions:
    """All node classes, as ``{class: part of /object_info}``."""

    def __init__(self, info: Json) -> None:
        self._info = info

    def names(self) -> Collection[str]:
        """Every class there is."""
        return self._info.keys()

    def is_output(self, class_type: str) -> bool:
        """Whether its nodes save or show something."""
        return self._info[class_type].get("output_node") is True

    def outputs(self, class_type: str) -> int:
        """How many outputs its nodes have."""
        return len(self._info[class_type].get("output") or ())

    def output(self, class_type: str, slot: int) -> tuple[str, str]:
        """Type and name of one output; ``*`` for what nobody knows."""
        known = self._info.get(class_type) or {}
        types, names = known.get("output") or [], known.get("output_name") or []
        kind = types[slot] if 0 <= slot < len(types) else "*"
        # a list of choices as a type, which old packs have, is a text
        kind = kind if isinstance(kind, str) else "COMBO"
        return kind, str(names[slot]) if 0 <= slot < len(names) else ""

    def title(self, class_type: str) -> str:
        """What the editor calls a node of this class."""
        return str((self._info.get(class_type) or {}).get("display_name") or class_type)

    def inputs(self, class_type: str, given: Json) -> dict[str, Spec]:
        """The inputs of a node, in order; *given* are its values, as some bring further inputs."""
        groups = (self._info.get(class_type) or {}).get("input") or {}
        return dict(_all(groups, given, ""))


def _all(groups: Json, given: Json, above: str) -> Iterator[tuple[str, Spec]]:
    for section in ("required", "optional"):
        for name, raw in (groups.get(section) or {}).items():
            spec, full = _spec(raw, section == "required"), f"{above}{name}"
            yield full, spec
            if spec.type != _DYNAMIC:
                continue
            for option in spec.options.get("options") or ():
                if option.get("key") == given.get(full):
                    yield from _all(option.get("inputs") or {}, given, f"{full}.")


def _spec(raw: Any, required: bool) -> Spec:
    kind, *more = raw if isinstance(raw, list | tuple) and raw else ["*"]
    options = dict(more[0]) if more and isinstance(more[0], Mapping) else {}
    if isinstance(kind, list | tuple):
        return Spec("COMBO", {**options, "options": list(kind)}, required)
    return Spec(str(kind).split(",", maxsplit=1)[0], options, required)
