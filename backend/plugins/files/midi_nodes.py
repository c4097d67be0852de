"""Nodes of MIDI under their older names.

Knows: names, slots, choices and defaults, and how a knob becomes a parameter.
Does not know: ComfyUI (``bricks`` builds the node), nor how a MIDI file is read.

``InternodeMidiLoader`` stands in front of ``files.load_midi``. The older node had ``midi_file`` and
the first output alone; what came later is optional, so older graphs run.

===========  ===============  =======  ===================================================
knob         range            default  parameter
===========  ===============  =======  ===================================================
midi_file                     none     midi: a reference, or a file in ComfyUI's input folder
transpose    -60 … 60         0        transpose_st
track        0 … 65 535       0        track; 0 is every track
channel      0 … 16           0        channel; 0 is every channel
tempo_scale  0.1 … 10         1.0      tempo_scale
piano_roll                    true     picture
===========  ===============  =======  ===================================================
"""

from __future__ import annotations

from typing import Final

from backend.plugins import NodeInput, NodeShape

from .nodes import file_input


def chosen(number: int) -> int | None:
    """Which track or channel; 0 is all of them."""
    return number or None


MIDI_LOADER: Final = NodeShape(
    node_id="InternodeMidiLoader",
    operation="files.load_midi",
    display_name="MIDI Loader",
    category="Kino/files",
    inputs=(
        file_input("midi_file", "midi"),
        NodeInput(
            "transpose",
            "transpose_st",
            "INT",
            {"default": 0, "min": -60, "max": 60, "tooltip": "Semitones; drums stay"},
            optional=True,
        ),
        NodeInput(
            "track",
            "track",
            "INT",
            {"default": 0, "min": 0, "max": 65_535, "tooltip": "0 is every track"},
            chosen,
            optional=True,
        ),
        NodeInput(
            "channel",
            "channel",
            "INT",
            {"default": 0, "min": 0, "max": 16, "tooltip": "0 is every channel"},
            chosen,
            optional=True,
        ),
        NodeInput(
            "tempo_scale",
            "tempo_scale",
            "FLOAT",
            {"default": 1.0, "min": 0.1, "max": 10.0, "step": 0.01},
            optional=True,
        ),
        NodeInput("piano_roll", "picture", "BOOLEAN", {"default": True}, optional=True),
    ),
    outputs=(
        ("midi_data", "midi"),
        ("piano_roll", "picture"),
        ("duration", "duration_s"),
        ("notes", "notes"),
        ("bpm", "bpm"),
    ),
)
