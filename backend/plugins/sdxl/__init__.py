"""Stable Diffusion: pictures from words, from pictures, and larger ones.

Knows: which operations the plugin gives.
Does not know: how a picture is made (``backend.bricks``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from backend.plugins import Operation, hookimpl

name: Final = "sdxl"
summary: Final = "Makes, changes, fills and enlarges pictures with SDXL, SD 1.5 and their like."


@hookimpl
def register_operations() -> Sequence[Operation[..., Any]]:
    """Give the ``sdxl.*`` operations."""
    from . import operations

    return [
        operations.text_to_image,
        operations.image_to_image,
        operations.inpaint,
        operations.upscale,
    ]
