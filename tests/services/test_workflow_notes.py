"""What a workflow's document says of it becomes the line of its operation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.services.workflow_notes import about


def document(*texts: Any, kind: str = "MarkdownNote") -> bytes:
    nodes = [{"id": n, "type": kind, "widgets_values": [text]} for n, text in enumerate(texts)]
    return json.dumps({"nodes": nodes}).encode()


def test_the_note_with_its_name_counts() -> None:
    """Heading and first sentence are the line; what follows stays in paragraphs."""
    own = "# My Portrait!\n\nMakes a face. With\nlight.\n\nNeeds `sdxl`."
    told = about("my_portrait", document("# Links\n\nno", own))
    assert told == "My Portrait. Makes a face.\n\nWith light.\n\nNeeds `sdxl`."


@pytest.mark.parametrize(
    "original",
    [
        document("# Another\n\nMakes a face."), document("My portrait\n\nMakes a face."),
        document("# My portrait"), document(7), document("# My portrait\n\nx", kind="Save"),
        b'{"nodes": [7, {"type": "Note"}, {"type": "Note", "widgets_values": {"a": 1}}]}',
        b'{"nodes": 7}', b"[]", b'{"1": {"class_type": "Note", "inputs": {}}}',
    ],
)  # fmt: skip
def test_any_other_says_nothing(original: bytes) -> None:
    """Other notes, headings without a text, other nodes, other documents."""
    assert about("my_portrait", original) == ""


def test_a_long_note_is_cut() -> None:
    """A line has three hundred characters at most, and all of it two thousand."""
    told = about("a", document("# A\n\n" + "word " * 5000))
    assert len(told) < 2700
    assert len(told.partition("\n\n")[0]) <= 310
