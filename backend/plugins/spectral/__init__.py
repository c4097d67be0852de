"""Sound as a picture that can be edited, and pictures as sound.

Knows: which operations and nodes the plugin gives.
Does not know: how they work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from backend.plugins import NodeShape, Operation, hookimpl

name: Final = "spectral"
summary: Final = "Sound as a picture that can be edited, and pictures as sound."


@hookimpl
def register_operations() -> Sequence[Operation[..., Any]]:
    """Give the ``spectral.*`` operations."""
    from . import operations

    return [
        operations.spectrogram,
        operations.apply,
        operations.brush,
        operations.image_to_audio,
        operations.plot,
    ]


@hookimpl
def register_nodes() -> Sequence[NodeShape]:
    """Give InternodeSpectrogram and InternodeImageToAudio."""
    from . import nodes

    return [nodes.SPECTROGRAM, nodes.IMAGE_TO_AUDIO]
