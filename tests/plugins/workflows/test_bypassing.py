"""Nodes of unknown types are passed by: links go on by their type."""

from __future__ import annotations

from typing import Any

from backend.plugins.workflows.bypassing import bypass
from backend.plugins.workflows.parameters.definitions import Definitions

KNOWN = Definitions(
    {
        "Load": {"output": ["MODEL", "CLIP"], "input": {}},
        "Sample": {
            "output": ["LATENT"],
            "input": {"required": {"model": ["MODEL", {}], "clip": ["CLIP"], "steps": ["INT"]}},
        },
    }
)


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def test_what_came_in_goes_on_by_its_type() -> None:
    """A missing LoRA loader, and a chain of two, give on the model and the CLIP that they got;
    values stay; a node at the end just goes."""
    graph = {
        "1": node("Load"),
        "2": node("PackLora", model=["1", 0], clip=["1", 1], strength=1.0),
        "3": node("PackPatch", model=["2", 0]),
        "4": node("Sample", model=["3", 0], clip=["2", 1], steps=4),
        "5": node("PackShow", latent=["4", 0]),
    }
    kept, warnings = bypass(graph, KNOWN)
    assert list(kept) == ["1", "4"]
    assert kept["4"]["inputs"] == {"model": ["1", 0], "clip": ["1", 1], "steps": 4}
    assert [each.split(":")[0] for each in warnings] == ["node 2", "node 3", "node 5"]
    assert "'PackLora' is not installed" in warnings[0]
    assert graph["4"]["inputs"]["model"] == ["3", 0]


def test_without_a_fitting_input_the_link_goes() -> None:
    """Nothing of another type is put in its place, and a circle of missing nodes ends."""
    graph = {
        "1": node("Load"),
        "2": node("PackMake", clip=["1", 1], other=["3", 0]),
        "3": node("PackMake", other=["2", 0]),
        "4": node("Sample", model=["2", 0], clip=["1", 1]),
    }
    assert bypass(graph, KNOWN)[0]["4"]["inputs"] == {"clip": ["1", 1]}
