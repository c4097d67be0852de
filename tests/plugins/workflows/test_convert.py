"""A workflow of the editor is converted and run over HTTP, with the nodes that are installed."""

from __future__ import annotations

from typing import Any

import pytest

from backend.testing.service import Service

pytestmark = pytest.mark.xdist_group("comfy")

WORKFLOW: dict[str, Any] = {
    "nodes": [
        {
            "id": 1, "type": "EmptyImage", "inputs": [],
            "outputs": [{"name": "IMAGE", "type": "IMAGE"}], "widgets_values": [32, 16, 1, 255],
        },
        {
            "id": 2, "type": "ImageInvert", "mode": 4,
            "inputs": [{"name": "image", "type": "IMAGE", "link": 1}],
            "outputs": [{"name": "IMAGE", "type": "IMAGE"}],
        },
        {
            "id": 3, "type": "SaveImage", "widgets_values": ["converted"],
            "inputs": [{"name": "images", "type": "IMAGE", "link": 2}], "outputs": [],
        },
        {"id": 4, "type": "MarkdownNote", "widgets_values": ["# Note"]},
    ],
    "links": [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"]],
}  # fmt: skip


def test_a_converted_workflow_runs(service: Service) -> None:
    """The graph that comes back is what `workflows.run` takes; a second conversion changes
    nothing."""
    job = service.run("workflows.convert", {"workflow": WORKFLOW})
    assert job["state"] == "succeeded", job["error"]
    graph = job["result"]["graph"]
    assert graph["3"]["inputs"] == {"filename_prefix": "converted", "images": ["1", 0]}
    assert job["result"]["missing"] == {}
    again = service.run("workflows.convert", {"workflow": graph})
    assert again["result"]["graph"] == graph
    (image,) = service.run("workflows.run", {"graph": graph})["result"]["images"]
    assert (image["width"], image["height"]) == (32, 16)


def test_a_broken_workflow_is_told(service: Service) -> None:
    """422 with the place."""
    broken = {"nodes": [{"id": 1}]}
    answer = service.ask("POST", "/v1/operations/workflows.convert?wait=120", {"workflow": broken})
    assert answer.status == 422
    assert answer.json()["errors"][0]["pointer"] == "/workflow/nodes/0"
    path = "/v1/operations/workflows.convert?wait=120"
    answer = service.ask("POST", path, {"workflow": {"a": 1}})
    assert answer.status == 422
    assert answer.json()["errors"][0]["pointer"].startswith("/workflow/a")


def test_an_older_mixer_is_told(service: Service) -> None:
    """Its hundred knobs are no mix: 422 with the node, by conversion and by storing; a document of
    another version of a node is converted, with a warning that names node, title and input."""
    knobs = {"id": 7, "type": "InternodeAudioMixer", "title": "Desk", "inputs": [], "outputs": []}
    document = {**WORKFLOW, "nodes": [*WORKFLOW["nodes"], {**knobs, "widgets_values": [0.75] * 64}]}
    answer = service.ask("POST", "/v1/operations/workflows.convert?wait=60", {"workflow": document})
    assert answer.status == 422
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["rule"]) == ("/workflow/7/inputs/mix", "older_node")
    assert 'node 7 (InternodeAudioMixer, "Desk")' in error["message"]
    answer = service.ask("PUT", "/v1/workflows/older_mixer", document)
    assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, "/7/inputs/mix")
    first = {**WORKFLOW["nodes"][0], "title": "Canvas", "widgets_values": [32, 16, "black", 255]}
    document = {**WORKFLOW, "nodes": [first, *WORKFLOW["nodes"][1:]]}
    result = service.run("workflows.convert", {"workflow": document})["result"]
    (warning,) = result["warnings"]
    assert warning.startswith('node 1 (EmptyImage, "Canvas"), input batch_size: ')
