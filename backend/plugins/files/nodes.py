"""Nodes of files under their older names.

Knows: names, slots, choices and defaults, and how an old knob becomes a parameter.
Does not know: ComfyUI (``bricks`` builds the nodes), nor how files are read and written.

========================  =========================  ==========================================
node                      knob                       parameter
========================  =========================  ==========================================
``InternodeAudioLoader``  audio_file                 audio: a reference, or a file in ComfyUI's
                                                     input folder
..                        normalize                  normalize_db: -0.1, or none
..                        mono_to_stereo             channels: mono_to_stereo, or as_is
..                        target_sample_rate         sample_rate; ``keep`` is none
``InternodeAudioSaver``   filename_prefix            file_name: what follows the last slash
..                        normalize_before_save      normalize_db: -0.1, or none
``InternodeImageLoader``  image_file                 image, as audio_file
..                        mode                       channels
..                        invert_mask                mask_of: transparency, or alpha
========================  =========================  ==========================================
"""

from __future__ import annotations

from typing import Any, Final

from backend.plugins import NodeInput, NodeShape

NORMALIZED_DB: Final = -0.1

SAVED: Final = (
    *("wav_16bit", "wav_24bit", "wav_32bit_float", "flac", "flac_24bit"),
    *("ogg_low", "ogg_medium", "ogg_high", "mp3_128", "mp3_192", "mp3_320", "aac_192", "aiff"),
)
"""The saver's list, in its old order; newer formats follow it."""

NEWER: Final = ("aiff_24bit", "opus_64", "opus_128", "opus_192")
_MODES: Final = {"RGB": "rgb", "RGBA": "rgba", "Gray": "grey"}


def peak_if(wanted: bool) -> float | None:
    """-0.1 dBFS if it is *wanted*."""
    return NORMALIZED_DB if wanted else None


def stereo_if(wanted: bool) -> str:
    """What becomes of mono."""
    return "mono_to_stereo" if wanted else "as_is"


def rate_of(choice: str) -> int | None:
    """A rate in Hz; ``keep`` is none."""
    return None if choice == "keep" else int(choice)


def name_of(prefix: str) -> str:
    """The name without its folders: what is saved becomes an asset and lies in none."""
    return prefix.replace("\\", "/").rstrip("/").rpartition("/")[2]


def mask_of(inverted: bool) -> str:
    """Which mask is made."""
    return "transparency" if inverted else "alpha"


def file_input(name: str, parameter: str) -> NodeInput:
    """A file by its name."""
    told = "A content reference (blake3:…), an asset id (ast_…) or a file in the input folder."
    return NodeInput(name, parameter, "STRING", {"default": "none", "tooltip": told})


def _switch(name: str, parameter: str, default: bool, convert: Any) -> NodeInput:
    return NodeInput(name, parameter, "BOOLEAN", {"default": default}, convert, optional=True)


AUDIO_LOADER: Final = NodeShape(
    node_id="InternodeAudioLoader",
    operation="files.load_audio",
    display_name="Audio Loader",
    category="Kino/files",
    inputs=(
        file_input("audio_file", "audio"),
        _switch("normalize", "normalize_db", False, peak_if),
        _switch("mono_to_stereo", "channels", True, stereo_if),
        NodeInput(
            "target_sample_rate",
            "sample_rate",
            ("keep", "22050", "44100", "48000", "96000"),
            {"default": "keep"},
            rate_of,
            optional=True,
        ),
    ),
    outputs=(
        ("audio", "audio"),
        ("sample_rate", "sample_rate"),
        ("duration", "duration_s"),
        ("channels", "channels"),
    ),
)

AUDIO_SAVER: Final = NodeShape(
    node_id="InternodeAudioSaver",
    operation="files.save_audio",
    display_name="Audio Saver",
    category="Kino/files",
    inputs=(
        NodeInput("audio", "audio", "AUDIO"),
        NodeInput("filename_prefix", "file_name", "STRING", {"default": "audio_output"}, name_of),
        NodeInput("format", "format", (*SAVED, *NEWER), {"default": "wav_16bit"}),
        _switch("normalize_before_save", "normalize_db", False, peak_if),
    ),
    outputs=(("file_path", "file.path"), ("filename", "file.name")),
    saves=True,
)

IMAGE_LOADER: Final = NodeShape(
    node_id="InternodeImageLoader",
    operation="files.load_image",
    display_name="Image Loader",
    category="Kino/files",
    inputs=(
        file_input("image_file", "image"),
        NodeInput(
            "mode",
            "channels",
            tuple(_MODES),
            {"default": "RGB"},
            _MODES.__getitem__,
            optional=True,
        ),
        _switch("invert_mask", "mask_of", False, mask_of),
    ),
    outputs=(("image", "image"), ("mask", "mask"), ("width", "width"), ("height", "height")),
)
