"""The VAE: pictures to latents and back, whole or in tiles.

Knows: the stock nodes, and what a tile may be.
Does not know: which VAE it is.

A picture is an IMAGE, float32 ``[B, H, W, C]``, 0..1. Where memory runs out ComfyUI itself goes
over to tiles.
"""

from __future__ import annotations

from typing import Any, Final

from backend.bricks.direct import verb

OVERLAP: Final = 64
"""Pixels that neighbouring tiles share, where they are large enough."""


def encode(vae: Any, image: Any, tile_px: int | None = None) -> Any:
    """The latent of a picture; *tile_px* (multiples of 64) needs less memory."""
    if tile_px is None:
        return verb("VAEEncode", pixels=image, vae=vae)[0]
    overlap = min(OVERLAP, tile_px // 4)
    return verb("VAEEncodeTiled", pixels=image, vae=vae, tile_size=tile_px, overlap=overlap)[0]


def decode(vae: Any, latent: Any, tile_px: int | None = None) -> Any:
    """The picture of a latent; *tile_px* (multiples of 64) needs less memory, and may show."""
    if tile_px is None:
        return verb("VAEDecode", samples=latent, vae=vae)[0]
    overlap = min(OVERLAP, tile_px // 4)
    return verb("VAEDecodeTiled", samples=latent, vae=vae, tile_size=tile_px, overlap=overlap)[0]
