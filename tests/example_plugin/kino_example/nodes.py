"""The example's node under a name of its own.

Knows: names, slots, and how a knob becomes a parameter.
Does not know: ComfyUI.
"""

from __future__ import annotations

from typing import Final

from backend.plugins import NodeInput, NodeShape


def percent_to_db(percent: float) -> float:
    """The knob's 0 to 100 as 0 to 40 dB."""
    return 0.4 * percent


TREMOLO: Final = NodeShape(
    node_id="ExampleTremolo",
    operation="example.tremolo",
    display_name="Tremolo",
    category="Kino/example",
    inputs=(
        NodeInput("audio", "sound", "AUDIO"),
        NodeInput("speed", "rate_hz", "FLOAT", {"default": 5.0, "min": 0.1, "max": 20.0}),
        NodeInput(
            "depth", "depth_db", "FLOAT", {"default": 15.0, "min": 0.0, "max": 100.0}, percent_to_db
        ),
    ),
    outputs=(("audio", "audio"),),
)
