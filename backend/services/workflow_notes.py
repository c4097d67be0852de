"""What a workflow's own document says of it: the note that bears its name.

Knows: notes in the editor's format, and how a heading becomes a name.
Does not know: how notes are shown.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

NOTES: Final = ("MarkdownNote", "Note", "InternodeMarkdownNote")
LONGEST: Final = 2000
_LINE: Final = 300


def name_of(text: str) -> str:
    """The name of a workflow that is called *text*: ``Text to image (Flux)`` is
    ``text_to_image_flux``."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def about(name: str, original: bytes) -> str:
    """The note that is called like the workflow: its heading and first sentence as a line, and then
    the rest. Empty if there is none."""
    document = json.loads(original)
    nodes = document.get("nodes") if isinstance(document, dict) else None
    for node in nodes if isinstance(nodes, list) else ():
        heading, _, below = _text(node).lstrip().partition("\n")
        if heading.startswith("# ") and name_of(heading) == name and below.strip():
            return _begun_with_a_line(heading[2:].strip(" .!?"), below.strip()[:LONGEST])
    return ""


def _text(node: Any) -> str:
    if not isinstance(node, dict) or node.get("type") not in NOTES:
        return ""
    values = node.get("widgets_values")
    first = values[0] if isinstance(values, list) and values else ""
    return first if isinstance(first, str) else ""


def _begun_with_a_line(heading: str, text: str) -> str:
    paragraph, _, more = text.partition("\n\n")
    sentence, stop, rest = " ".join(paragraph.split()).partition(". ")
    if len(sentence) > _LINE:
        sentence, stop, rest = sentence[: _LINE - 1] + "…", "", paragraph
    line = f"{heading}. {sentence}{stop.rstrip()}"
    return "\n\n".join(part for part in (line, rest.strip(), more.strip()) if part)
