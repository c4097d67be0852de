"""Assets in a prompt: the references that nodes of ours name.

Knows: which nodes take references, and that the operation that runs graphs checks them.
Does not know: where an asset lies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from backend.errors import UnknownName
from backend.services.workflow_operation import RUN

if TYPE_CHECKING:
    from backend.media.reference import Resolver
    from backend.services.registry import Registry

_OURS: Final = ("Kino", "Internode")
"""How the classes of nodes begin that take references to assets."""


def resolved(
    prompt: dict[str, Any], registry: Registry, resolver: Resolver
) -> tuple[dict[str, Any], list[str]]:
    """The prompt with its references in their canonical form, and those.

    Raises `InvalidParameters` with a pointer for a reference that leads nowhere.
    """
    ours = {
        node_id: {"class_type": node["class_type"], "inputs": node["inputs"]}
        for node_id, node in prompt.items()
        if str(node.get("class_type")).startswith(_OURS)
    }
    if not ours:
        return prompt, []
    try:
        operation = registry.get(RUN).operation
    except UnknownName:  # no plugin of this service runs graphs, hence none takes assets
        return prompt, []
    checked = operation.check({"graph": ours}, resolver)
    graph = checked.params["graph"]
    found = {
        node_id: {**node, "inputs": graph[node_id]["inputs"]} if node_id in graph else node
        for node_id, node in prompt.items()
    }
    return found, list(checked.inputs)
