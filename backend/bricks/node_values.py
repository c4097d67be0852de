"""The media values of one call of a node: under which references they go to the operation.

Knows: sockets, assets that the graph names, and files of the input folder.
Does not know: which parameter wants what.
"""

from __future__ import annotations

from typing import Any

from backend.bricks import graph_run, input_files, sockets
from backend.bricks.widgets import Slot
from backend.errors import InvalidParameters, refused
from backend.media.finite import Unfit
from backend.media.reference import REFERENCE, MediaValue


class Values:
    """The media values of one call, under references made up for it."""

    def __init__(self) -> None:
        self._held: dict[str, MediaValue] = {}

    def references(self, slot: Slot, value: Any) -> list[str]:
        """Hold what a slot brings; raises `InvalidParameters` for a batch where one is wanted."""
        if slot.type == "STRING" and REFERENCE.fullmatch(value):
            return [value]
        try:
            kind = sockets.NUMBERS if slot.type == sockets.NUMBERS else str(slot.kind)
            if slot.type == "STRING":
                items: list[Any] = [input_files.load(value, kind)]
            else:
                items = sockets.from_socket(kind, value)
        except Unfit as error:
            raise _refused(slot, error.rule, error.detail) from error
        except (TypeError, ValueError) as error:
            raise _refused(slot, "socket", str(error)) from error
        if len(items) != 1 and not slot.many:
            raise _refused(slot, "batch", f"takes one {slot.kind}, not a batch of {len(items)}")
        named = []
        for item in items:
            reference = f"ast_{len(self._held):026d}"
            self._held[reference] = item
            named.append(reference)
        return named

    def resolve(self, reference: str, kind: str) -> object:
        """The `Resolver` of this call: its own values, then those that the graph names."""
        value = self._held.get(reference)
        run = graph_run.find()
        if value is None and run is not None:
            value = run.assets.get(reference)
        if value is None:
            raise ValueError("there is no such asset in this graph")
        if kind not in ("any", value.kind):
            raise ValueError(f"the asset is of kind {value.kind}, not {kind}")
        return value


def _refused(slot: Slot, rule: str, told: str) -> InvalidParameters:
    return refused(f"/{slot.name}", rule, f"{slot.name}: {told}")
