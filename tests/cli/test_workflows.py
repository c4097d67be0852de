"""``kino workflows`` against a service with the fake engine, and a run of what was stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend.testing.service import Service

GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 4, "color": 255}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
}


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose comfy worker has the fake engine."""
    service = Service.start(tmp_path_factory.mktemp("fake"), workers=["comfy"], engine="fake")
    try:
        service.wait_ready()
        yield service
    finally:
        service.kill()


def test_import_run_export_delete(fake: Service, kino_at: Callable[[str], Any]) -> None:
    """A file becomes an operation with options, comes back byte for byte, and goes."""
    kino = kino_at(fake.url)
    document = json.dumps(GRAPH, indent=5).encode()
    (kino.folder / "My Picture.json").write_bytes(document)
    said = kino.ok("workflows", "import", "My Picture.json").out
    assert "my_picture, version 1" in said
    assert "--width" in said and "1…16384" in said
    assert [each["name"] for each in kino.ok("workflows", "list", "--json").json()] == [
        "my_picture"
    ]
    assert "workflow.my_picture" in kino.ok("workflows", "list").out
    assert "--save-image-filename-prefix" in kino.ok("describe", "workflow.my_picture").out
    job = kino.ok("run", "workflow.my_picture", "--width=5", "--json").json()
    assert job["result"]["images"][0]["width"] == 5
    assert kino.ok("workflows", "export", "my_picture").out.encode() == document
    kino.ok("workflows", "export", "my_picture", "--output", "again.json")
    assert (kino.folder / "again.json").read_bytes() == document
    assert kino("workflows", "export", "my_picture", "--output", "again.json").status == 2
    kino.ok("workflows", "delete", "my_picture")
    assert kino("workflows", "export", "my_picture").status == 1


def test_validate(fake: Service, kino_at: Callable[[str], Any]) -> None:
    """The parameters of a good one; what is wrong with a bad one; nothing is stored."""
    kino = kino_at(fake.url)
    (kino.folder / "good.json").write_text(json.dumps(GRAPH))
    assert "--height" in kino.ok("workflows", "validate", "good.json").out
    gone = {**GRAPH, "3": {"class_type": "Gone", "inputs": {}}}
    (kino.folder / "bad.json").write_text(json.dumps(gone))
    ended = kino("workflows", "validate", "bad.json")
    assert ended.status == 1
    assert "'Gone' (node 3) is not installed" in ended.err
    passed = kino.ok("workflows", "validate", "bad.json", "--bypass-missing").out
    assert "node 3: the node type 'Gone' is not installed" in passed
    (kino.folder / "none.json").write_text("[]")
    assert kino("workflows", "validate", "none.json").status == 2
    assert kino("workflows", "validate", "nowhere.json").status == 2
    assert kino.ok("workflows", "list", "--json").json() == []
