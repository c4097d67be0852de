"""The separator's node under its older name.

Knows: names, slots and choices.
Does not know: ComfyUI (``bricks.nodes`` builds the node), nor how a mix is taken apart.
"""

from __future__ import annotations

from typing import Final

from backend.plugins import NodeInput, NodeShape

from .catalogue import SIGNATURES

_DEVICES: Final = {"cuda": "auto", "cpu": "cpu"}

STEM_SPLITTER: Final = NodeShape(
    node_id="InternodeStemSplitter",
    operation="stems.separate",
    display_name="Stem Splitter",
    category="Kino/stems",
    inputs=(
        NodeInput("audio", "audio", "AUDIO"),
        NodeInput("model_name", "model", tuple(SIGNATURES), {"default": "htdemucs"}),
        NodeInput("device", "device", tuple(_DEVICES), {"default": "cuda"}, _DEVICES.__getitem__),
    ),
    outputs=(
        ("drums", "stems.drums"),
        ("bass", "stems.bass"),
        ("vocals", "stems.vocals"),
        ("other", "stems.other"),
    ),
)
"""``cuda`` means: a GPU if there is one."""
