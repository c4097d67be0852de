"""Nodes of video under their older names.

Knows: names, slots, choices and defaults, and how an old knob becomes a parameter.
Does not know: ComfyUI (``bricks`` builds the node), nor how a video is read.

``InternodeVideoLoader`` stands in front of ``files.load_video``:

==============  =======================  ========  ==============================================
knob            range                    default   parameter
==============  =======================  ========  ==============================================
video_file                               none      video: a reference, or a file in ComfyUI's
                                                   input folder
load_audio                               true      load_audio
frame_load_cap  0 … 100 000 (0: all)     150       frame_load_cap
start_frame     0 … 10 000 000           0         start_frame
frame_step      1 … 100 000              1         frame_step
resize_mode     ``original``, ``WxH``    512x512   width and height; the proportions are kept and
                                                   what is over is cut off
==============  =======================  ========  ==============================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from backend.plugins import NodeInput, NodeShape

from .nodes import file_input
from .video_operations import MOST_FRAMES

ORIGINAL: Final = "original"
MODES: Final = (
    *(ORIGINAL, "256x256", "512x512", "768x768", "1024x1024"),
    *("512x768", "768x512", "640x360", "854x480", "1280x720", "1920x1080", "720x1280"),
)


def parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of ``files.load_video`` for the knobs of the node."""
    known = {name: value for name, value in given.items() if name != "resize_mode"}
    known["video"] = known.pop("video_file")
    mode = given.get("resize_mode", ORIGINAL)
    if mode == ORIGINAL:
        return known
    width, _, height = mode.partition("x")
    return {**known, "width": int(width), "height": int(height), "fit": "crop"}


def _count(name: str, default: int, low: int, high: int) -> NodeInput:
    return NodeInput(name, name, "INT", {"default": default, "min": low, "max": high, "step": 1})


VIDEO_LOADER: Final = NodeShape(
    node_id="InternodeVideoLoader",
    operation="files.load_video",
    display_name="Video Loader",
    category="Kino/files",
    inputs=(
        file_input("video_file", "video"),
        NodeInput("load_audio", "load_audio", "BOOLEAN", {"default": True}),
        _count("frame_load_cap", 150, 0, MOST_FRAMES),
        _count("start_frame", 0, 0, 10_000_000),
        _count("frame_step", 1, 1, 100_000),
        NodeInput("resize_mode", "width", MODES, {"default": "512x512"}),
    ),
    outputs=(
        ("images", "images"),
        ("audio", "audio"),
        ("fps", "fps"),
        ("frame_count", "frame_count"),
        ("width", "width"),
        ("height", "height"),
    ),
    output_types={"images": "IMAGE"},
    gather=parameters,
)
