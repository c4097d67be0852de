"""Nodes of the mixer under their older names.

Knows: names, slots, widget ranges, and how an old knob becomes a parameter.
Does not know: ComfyUI (``bricks.nodes`` builds the node), nor the arithmetic.

``InternodeSidechain`` stands in front of ``mixer.duck``:

============  =============  =======  ============  ==================
knob          range          default  parameter     conversion
============  =============  =======  ============  ==================
threshold     .001 … .5      .02      threshold_db  20 log10(knob)
ratio         1.1 … 20       4        ratio         none
attack        .01 … 1 s      .1       attack_ms     1000 knob
release       .01 … 2 s      .5       release_ms    1000 knob
makeup_gain   1 … 2          1        makeup_db     20 log10(knob)
============  =============  =======  ============  ==================
"""

from __future__ import annotations

import math
from typing import Final

from backend.plugins import NodeInput, NodeShape


def linear_to_db(gain: float) -> float:
    """A linear gain or level, above 0, in decibels."""
    return 20.0 * math.log10(gain)


def seconds_to_ms(seconds: float) -> float:
    """Seconds in milliseconds."""
    return 1000.0 * seconds


def _slider(default: float, low: float, high: float, step: float) -> dict[str, object]:
    return {"default": default, "min": low, "max": high, "step": step, "display": "slider"}


SIDECHAIN: Final = NodeShape(
    node_id="InternodeSidechain",
    operation="mixer.duck",
    display_name="Sidechain Ducker",
    category="Kino/mixer",
    inputs=(
        NodeInput("music", "music", "AUDIO"),
        NodeInput("voice", "voice", "AUDIO"),
        NodeInput(
            "threshold", "threshold_db", "FLOAT", _slider(0.02, 0.001, 0.5, 0.001), linear_to_db
        ),
        NodeInput("ratio", "ratio", "FLOAT", _slider(4.0, 1.1, 20.0, 0.1)),
        NodeInput("attack", "attack_ms", "FLOAT", _slider(0.1, 0.01, 1.0, 0.01), seconds_to_ms),
        NodeInput("release", "release_ms", "FLOAT", _slider(0.5, 0.01, 2.0, 0.01), seconds_to_ms),
        NodeInput("makeup_gain", "makeup_db", "FLOAT", _slider(1.0, 1.0, 2.0, 0.01), linear_to_db),
    ),
    outputs=(("ducked_music", "audio"),),
)
