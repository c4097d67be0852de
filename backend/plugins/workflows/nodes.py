"""The note under its older name.

Knows: the slot and its text at the start.
Does not know: how a note is drawn in the editor.
"""

from __future__ import annotations

from typing import Final

from backend.plugins import NodeInput, NodeShape

NOTE: Final = NodeShape(
    node_id="InternodeMarkdownNote",
    operation="workflows.note",
    display_name="Markdown Note",
    category="Kino/workflows",
    inputs=(
        NodeInput(
            "text",
            "text",
            "STRING",
            {"multiline": True, "default": "# My Note\n\nStart typing here..."},
        ),
    ),
    outputs=(("text", "result"),),
)
