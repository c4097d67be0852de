"""Files: look at sounds, pictures and MIDI, convert them, and write them in the formats people use.

Knows: which operations the plugin gives.
Does not know: how samples and pixels are read and written (``sound``, ``saving``, ``pictures``),
nor how sounds are edited (``editing``: the family ``audio.*``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from backend.plugins import NodeShape, Operation, hookimpl

name: Final = "files"
summary: Final = (
    "Probes, loads, converts and saves audio, images and video; loads MIDI; edits audio."
)


@hookimpl
def register_operations() -> Sequence[Operation[..., Any]]:
    """Give the ``files.*`` and ``audio.*`` operations."""
    from . import midi_operations, operations
    from . import video_operations as video
    from .editing import operations as editing

    return [
        operations.probe_audio,
        operations.probe_image,
        operations.load_audio,
        operations.load_image,
        operations.convert_audio,
        operations.convert_image,
        operations.save_audio,
        operations.save_image,
        operations.measure_loudness,
        operations.measure_waveform,
        *editing.OPERATIONS,
        *video.OPERATIONS,
        *midi_operations.OPERATIONS,
    ]


@hookimpl
def register_nodes() -> Sequence[NodeShape]:
    """Give the loaders and the saver under their older names."""
    from . import midi_nodes, nodes, video_nodes

    return [
        nodes.AUDIO_LOADER,
        nodes.AUDIO_SAVER,
        nodes.IMAGE_LOADER,
        video_nodes.VIDEO_LOADER,
        midi_nodes.MIDI_LOADER,
    ]


@hookimpl
def register_web_assets() -> Path:
    """Give what the loaders' nodes show of a file, for the graph editor."""
    return Path(__file__).parent / "web"
