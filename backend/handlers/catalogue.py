"""The operations as every describing door shows them: the list, OpenAPI, MCP, the docs page.

Knows: how an operation is written down as JSON, and when the written form is out of date.
Does not know: how to run one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from backend.operations import Operation
    from backend.services.registry import Entry, Registry

T = TypeVar("T")
State = tuple[tuple[str, int, str | None], ...]


class Catalogue:
    """Describes the registry; remembers each description until the registry's state changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._schemas: dict[str, tuple[Operation[..., Any], dict[str, Any]]] = {}
        self._kept: dict[str, tuple[State, Any]] = {}

    def entries(self) -> list[Entry]:
        """All entries, by name."""
        return sorted(self._registry.all(), key=lambda entry: entry.operation.name)

    def state(self) -> State:
        """What descriptions depend on: names, versions, and who is unavailable and why."""
        return tuple(
            (
                entry.operation.name,
                entry.operation.version,
                entry.unavailable.reason if entry.unavailable else None,
            )
            for entry in self.entries()
        )

    def kept(self, what: str, make: Callable[[], T]) -> T:
        """The description called *what*, made again only when the state is another."""
        state = self.state()
        known = self._kept.get(what)
        if known is None or known[0] != state:
            known = (state, make())
            self._kept[what] = known
        made: T = known[1]
        return made

    def schema(self, operation: Operation[..., Any]) -> dict[str, Any]:
        """JSON Schema of the parameters, made once for each operation."""
        known = self._schemas.get(operation.name)
        if known is None or known[0] is not operation:
            known = (operation, operation.json_schema())
            self._schemas[operation.name] = known
        return known[1]

    def describe(self, entry: Entry) -> dict[str, Any]:
        """One operation as JSON: what it takes and gives, and whether it can run now."""
        operation, needs = entry.operation, entry.operation.needs
        return {
            "name": operation.name,
            "summary": operation.summary,
            "description": operation.description,
            "plugin": entry.plugin,
            "version": operation.version,
            "pure": operation.pure,
            "timeout_s": operation.timeout_s,
            "needs": {
                "runs_on": needs.runs_on,
                "comfyui": needs.comfyui,
                "device": needs.device,
                "memory_gib": needs.memory_gib,
                "modules": list(needs.modules),
                "models": list(needs.models),
            },
            "inputs": [
                {
                    "name": item.name,
                    "kind": item.kind,
                    "arity": item.arity,
                    "optional": item.optional,
                }
                for item in operation.inputs
            ],
            "outputs": [
                {"name": item.name, "kind": item.kind, "arity": item.arity}
                for item in operation.outputs
            ],
            "schema": self.schema(operation),
            "node": operation.node_id if entry.is_declared else None,
            "tool": operation.slug,
            "available": entry.unavailable is None,
            "unavailable": entry.unavailable.as_json() if entry.unavailable else None,
            "links": {"self": f"/v1/operations/{operation.name}"},
        }
