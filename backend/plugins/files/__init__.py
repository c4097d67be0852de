"""Files: look at sounds and pictures, convert them, and write them in the formats people use.

Knows: which operations the plugin gives.
Does not know: how samples and pixels are read and written (``sound``, ``encoding``, ``pictures``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from backend.plugins import Operation, hookimpl

name: Final = "files"
summary: Final = "Probes, loads, converts and saves audio and images."


@hookimpl
def register_operations() -> Sequence[Operation[..., Any]]:
    """Give the ``files.*`` operations."""
    from . import operations

    return [
        operations.probe_audio,
        operations.probe_image,
        operations.load_audio,
        operations.load_image,
        operations.convert_audio,
        operations.convert_image,
        operations.save_audio,
        operations.save_image,
    ]
