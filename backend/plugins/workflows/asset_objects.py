"""Assets named in a graph as Comfy's own clients name them: ``{"__type": "core/ASSET", …}``.

Knows: that object, and in which inputs it may stand.
Does not know: assets; a reference is only put where Kino's own nodes look for it.

The form is that of the Comfy API v2, https://github.com/Comfy-Org/comfy-python-sdk (spec): the id
decides, ``hash`` and ``file_path`` are hints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .parameters.loaders import LOAD, LOADERS, with_assets

TYPE: Final = "core/ASSET"
OURS: Final = ("Kino", "Internode")
"""Beginnings of the class names of our own nodes; only these take references, alone or in JSON."""

Place = tuple[str, str, str]
"""Node id, input, and what is wrong there."""


def named(graph: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Every input that holds such an object: node id, input's name, the id that it gives."""
    for node_id, node in graph.items():
        for name, value in node["inputs"].items():
            if isinstance(value, dict) and value.get("__type") == TYPE:
                info = value.get("info")
                yield node_id, name, info.get("id") if isinstance(info, dict) else None


def loaded(graph: dict[str, dict[str, Any]]) -> tuple[dict[str, dict[str, Any]], list[Place]]:
    """*graph* with ``KinoLoadAsset`` where a stock loader was given an asset; and what is wrong."""
    found = list(named(graph))
    if not found:
        return graph, []
    wrong: list[Place] = []
    ids: dict[str, str] = {}
    for node_id, name, asset in found:
        kind = graph[node_id]["class_type"]
        if not isinstance(asset, str) or not asset:
            wrong.append((node_id, name, f'{TYPE} is {{"__type": "{TYPE}", "info": {{"id": …}}}}'))
        elif kind in LOADERS:
            ids[node_id] = asset
        elif kind.startswith(OURS):
            graph[node_id]["inputs"][name] = asset
        else:
            takers = ", ".join((*LOADERS, LOAD))
            wrong.append((node_id, name, f"{kind} takes no asset; these nodes do: {takers}"))
    return (graph, wrong) if wrong or not ids else (with_assets(graph, ids)[0], [])
