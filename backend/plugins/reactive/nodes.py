"""Nodes of the plugin under their older names.

Knows: names, slots, widget ranges, and what the old choices are called now.
Does not know: ComfyUI (``bricks.nodes`` builds the nodes), nor how curves are made.

==============================  ====================  ============================================
node                            operation             old name → parameter
==============================  ====================  ============================================
``InternodeAudioToKeyframes``   reactive.keyframes    the same names
``InternodeAudioAnalyzer``      reactive.keyframes    the same; ``frame_rate``, ``smoothness`` too
``InternodeLFO``                reactive.lfo          phase_shift → phase, total_frames → frames
``InternodeADSR``               reactive.adsr         hold_duration → hold_frames,
                                                      trigger_start → triggers (of one)
``InternodeParamRemap``         reactive.remap        curve → shape, value_list → curve
``InternodeStringSequencer``    reactive.text         total_frames → frames, current_frame → frame
``KinoFloatsToAutomation``      reactive.from_values  a list of other packs' numbers → values
==============================  ====================  ============================================

A curve leaves on one slot that other packs' FLOAT and FLOAT_LIST inputs take as a list of numbers.
``fps`` takes whole and broken numbers: 23.976 and 29.97 mean the exact broadcast rates.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from backend.plugins import NodeInput, NodeShape

from .limits import MOST_FRAMES

CATEGORY: Final = "Kino/reactive"

MODES: Final = {
    "RMS (Volume)": "rms",
    "Low (Bass/Kick)": "low",
    "Mid (Vocals)": "mid",
    "High (Hats)": "high",
    "Beat (Trigger)": "beat",
}
WAVEFORMS: Final = {
    "Sine": "sine",
    "Square": "square",
    "Triangle": "triangle",
    "Sawtooth": "saw",
    "Random": "random",
}
SHAPES_OF_OLD: Final = {
    "Linear": "linear",
    "Ease In (Square)": "ease_in",
    "Ease Out (InvSquare)": "ease_out",
    "Logarithmic": "logarithmic",
}


def mode(shown: str) -> str:
    """``RMS (Volume)`` is ``rms``, and so on; ``RMS`` alone is understood as well."""
    short = {name.partition(" ")[0]: value for name, value in MODES.items()}
    return {**short, **MODES}.get(shown, shown)


def waveform(shown: str) -> str:
    """``Sawtooth`` is ``saw``; the others are only written small."""
    return WAVEFORMS.get(shown, shown)


def shape(shown: str) -> str:
    """``Ease In (Square)`` is ``ease_in``, and so on."""
    return SHAPES_OF_OLD.get(shown, shown)


def one_trigger(frame: int) -> list[int]:
    """The list of a single trigger."""
    return [frame]


def numbers(given: Any) -> list[float]:
    """A number, or the numbers of anything that can be gone through, as a list."""
    return [float(each) for each in given] if isinstance(given, Iterable) else [float(given)]


def _float(default: float, low: float, high: float, step: float = 0.01) -> dict[str, Any]:
    return {"default": default, "min": low, "max": high, "step": step, "round": False}


def _int(default: int, low: int, high: int = MOST_FRAMES) -> dict[str, Any]:
    return {"default": default, "min": low, "max": high}


FPS: Final = {**_float(24.0, 1.0, 120.0, 0.001), "widgetType": "FLOAT"}
_FOLLOW: Final = (
    NodeInput("audio", "audio", "AUDIO"),
    NodeInput("fps", "fps", "FLOAT,INT", FPS),
    NodeInput("mode", "mode", tuple(MODES), {"default": "RMS (Volume)"}, mode),
    NodeInput("smoothing", "smoothing", "FLOAT", _float(0.2, 0.0, 0.99)),
    NodeInput("amp_scale", "amp_scale", "FLOAT", _float(1.0, 0.0, 10.0, 0.1)),
    NodeInput("y_offset", "y_offset", "FLOAT", _float(0.0, -10.0, 10.0, 0.1)),
    NodeInput("beat_threshold", "beat_threshold", "FLOAT", _float(0.4, 0.01, 1.0)),
)
_FOLLOWED: Final = (
    ("float_curve", "curve"),
    ("schedule_str", "schedule"),
    ("curve_image", "picture"),
    ("frame_count", "frame_count"),
)

KEYFRAMES: Final = NodeShape(
    "InternodeAudioToKeyframes", "reactive.keyframes", "Audio to Keyframes (React)", CATEGORY,
    _FOLLOW, _FOLLOWED,
)  # fmt: skip

ANALYZER: Final = NodeShape(
    "InternodeAudioAnalyzer", "reactive.keyframes", "Audio Analyzer (Curves)", CATEGORY,
    (
        *_FOLLOW,
        NodeInput("frame_rate", "fps", "FLOAT,INT", FPS, optional=True, listed=False),
        NodeInput(
            "smoothness", "smoothing", "FLOAT", _float(0.5, 0.0, 0.99), optional=True, listed=False
        ),
    ),
    _FOLLOWED,
)  # fmt: skip

LFO: Final = NodeShape(
    "InternodeLFO", "reactive.lfo", "LFO Generator", CATEGORY,
    (
        NodeInput("waveform", "waveform", tuple(WAVEFORMS), {"default": "Sine"}, waveform),
        NodeInput("period_frames", "period_frames", "INT", _int(60, 1, 9999)),
        NodeInput("amplitude", "amplitude", "FLOAT", _float(0.5, 0.0, 100.0)),
        NodeInput("offset", "offset", "FLOAT", _float(0.5, -100.0, 100.0)),
        NodeInput("phase_shift", "phase", "FLOAT", _float(0.0, 0.0, 1.0)),
        NodeInput("total_frames", "frames", "INT", _int(120, 1)),
    ),
    (("float_curve", "curve"), ("last_value", "last_value")),
)  # fmt: skip

ADSR: Final = NodeShape(
    "InternodeADSR", "reactive.adsr", "ADSR Envelope", CATEGORY,
    (
        NodeInput("attack_frames", "attack_frames", "INT", _int(10, 0)),
        NodeInput("decay_frames", "decay_frames", "INT", _int(10, 0)),
        NodeInput("sustain_level", "sustain_level", "FLOAT", _float(0.7, 0.0, 1.0)),
        NodeInput("release_frames", "release_frames", "INT", _int(20, 0)),
        NodeInput("total_frames", "frames", "INT", _int(120, 1)),
        NodeInput("trigger_start", "triggers", "INT", _int(0, 0), one_trigger),
        NodeInput("hold_duration", "hold_frames", "INT", _int(30, 0)),
    ),
    (("envelope", "curve"),),
)  # fmt: skip

REMAP: Final = NodeShape(
    "InternodeParamRemap", "reactive.remap", "Parameter Remapper", CATEGORY,
    (
        NodeInput("value", "value", "FLOAT", _float(0.5, -1e6, 1e6)),
        NodeInput("in_min", "in_min", "FLOAT", _float(0.0, -1e6, 1e6)),
        NodeInput("in_max", "in_max", "FLOAT", _float(1.0, -1e6, 1e6)),
        NodeInput("out_min", "out_min", "FLOAT", _float(0.0, -1e6, 1e6)),
        NodeInput("out_max", "out_max", "FLOAT", _float(10.0, -1e6, 1e6)),
        NodeInput("curve", "shape", tuple(SHAPES_OF_OLD), {"default": "Linear"}, shape),
        NodeInput("clamp", "clamp", "BOOLEAN", {"default": True}),
        NodeInput("value_list", "curve", "FLOAT_LIST", optional=True),
    ),
    (("value", "value"), ("value_list", "curve")),
)  # fmt: skip

SEQUENCER: Final = NodeShape(
    "InternodeStringSequencer", "reactive.text", "String Sequencer", CATEGORY,
    (
        NodeInput(
            "schedule", "schedule", "STRING",
            {
                "multiline": True,
                "dynamicPrompts": False,
                "default": "0: A cinematic shot of a cat\n30: A cinematic shot of a dog",
            },
        ),
        NodeInput("total_frames", "frames", "INT", _int(120, 1, 100_000)),
        NodeInput("current_frame", "frame", "INT", _int(0, 0)),
    ),
    (("current_string", "text"), ("string_list", "texts")),
    {"string_list": "STRING_LIST"},
)  # fmt: skip

FROM_LIST: Final = NodeShape(
    "KinoFloatsToAutomation", "reactive.from_values", "Floats to Automation", CATEGORY,
    (
        NodeInput("values", "values", "FLOAT,FLOAT_LIST", {"forceInput": True}, numbers),
        NodeInput("fps", "fps", "FLOAT,INT", FPS),
    ),
    (("curve", "curve"), ("curve_image", "picture")),
)  # fmt: skip

SHAPES: Final = (KEYFRAMES, ANALYZER, LFO, ADSR, REMAP, SEQUENCER, FROM_LIST)
