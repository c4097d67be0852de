"""Nodes of the plugin under their older names.

Knows: names, slots, widget ranges, and how an old knob becomes a parameter.
Does not know: ComfyUI (``bricks.nodes`` builds the node), nor the arithmetic.

``InternodeSpectrogram`` stands in front of ``spectral.spectrogram``, ``InternodeImageToAudio`` in
front of ``spectral.image_to_audio``; amp_scale a becomes gain_db = 20 log10(a). The picture of a
node has no file to carry its settings in, so they are an output and an input of their own.
"""

from __future__ import annotations

import math
from typing import Final

from backend.plugins import NodeInput, NodeShape


def linear_to_db(gain: float) -> float:
    """A linear gain, above 0, in decibels."""
    return 20.0 * math.log10(gain)


_N_FFT: Final = {"default": 2048, "min": 64, "max": 4096, "step": 2}
_HOP: Final = {"default": 512, "min": 1, "max": 2048, "step": 1}

SPECTROGRAM: Final = NodeShape(
    node_id="InternodeSpectrogram",
    operation="spectral.spectrogram",
    display_name="Audio to Spectrogram",
    category="Kino/spectral",
    inputs=(
        NodeInput("audio", "audio", "AUDIO"),
        NodeInput("n_fft", "n_fft", "INT", _N_FFT),
        NodeInput("hop_length", "hop_length", "INT", _HOP),
        NodeInput(
            "multiple_of",
            "multiple_of",
            "INT",
            {"default": 1, "min": 1, "max": 256, "step": 1},
            optional=True,
        ),
    ),
    outputs=(("image", "picture"), ("settings", "settings")),
)

IMAGE_TO_AUDIO: Final = NodeShape(
    node_id="InternodeImageToAudio",
    operation="spectral.image_to_audio",
    display_name="Image to Audio",
    category="Kino/spectral",
    inputs=(
        NodeInput("image", "picture", "IMAGE"),
        NodeInput("n_iter", "n_iter", "INT", {"default": 48, "min": 0, "max": 1000, "step": 1}),
        NodeInput("hop", "hop_length", "INT", _HOP),
        NodeInput(
            "amp_scale",
            "gain_db",
            "FLOAT",
            {"default": 1.0, "min": 0.001, "max": 1000.0, "step": 0.001},
            linear_to_db,
        ),
        NodeInput(
            "sample_rate",
            "sample_rate",
            "INT",
            {"default": 44100, "min": 8000, "max": 384_000, "step": 1},
        ),
        NodeInput("settings", "settings", "JSON", {"forceInput": True}, optional=True),
    ),
    outputs=(("audio", "audio"),),
)
