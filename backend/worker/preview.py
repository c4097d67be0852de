"""Previews: a small JPEG of an image that is still being made.

Knows: size and quality of a preview.
Does not know: who looks at it.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image as Pillow

from backend.media.image import Image

_LONGEST_SIDE: Final = 512
_QUALITY: Final = 80


def jpeg(image: Image) -> bytes:
    """The image at most 512 px long, as JPEG bytes."""
    grid = np.clip(image.pixels * 255.0 + 0.5, 0, 255).astype(np.uint8)  # [H, W, C]
    picture = Pillow.fromarray(grid[:, :, 0] if grid.shape[2] == 1 else grid[:, :, :3])
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
