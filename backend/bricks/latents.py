"""Latents: empty ones of each kind, repeated, enlarged, masked.

Knows: which stock node makes which kind.
Does not know: what is in a latent; it is opaque.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from backend.bricks import node_classes
from backend.bricks.direct import verb

Kind = Literal["sd", "sd3", "flux2", "hunyuan_image", "chroma_radiance"]
VideoKind = Literal["ltxv", "hunyuan", "mochi", "cosmos"]

_EMPTY: Final[dict[str, str]] = {
    "sd": "EmptyLatentImage",
    "sd3": "EmptySD3LatentImage",
    "flux2": "EmptyFlux2LatentImage",
    "hunyuan_image": "EmptyHunyuanImageLatent",
    "chroma_radiance": "EmptyChromaRadianceLatentImage",
}
"""SD 1.x, SD 2.x and SDXL share one kind; SD3, Flux, Qwen-Image and others the second."""

_EMPTY_VIDEO: Final[dict[str, str]] = {
    "ltxv": "EmptyLTXVLatentVideo",
    "hunyuan": "EmptyHunyuanLatentVideo",
    "mochi": "EmptyMochiLatentVideo",
    "cosmos": "EmptyCosmosLatentVideo",
}


def kinds() -> tuple[str, ...]:
    """The kinds of empty latents that this ComfyUI can make."""
    known = set(node_classes.names())
    both = (*_EMPTY.items(), *_EMPTY_VIDEO.items())
    return tuple(kind for kind, node in both if node in known)


def empty(width: int, height: int, batch: int = 1, kind: Kind = "sd") -> Any:
    """An empty latent for pictures of *width* x *height* pixels, multiples of 8 (flux2: of 16)."""
    return verb(_EMPTY[kind], width=width, height=height, batch_size=batch)[0]


def empty_video(
    width: int, height: int, frames: int, batch: int = 1, kind: VideoKind = "ltxv"
) -> Any:
    """An empty latent for *frames* frames (ltxv: 8 n + 1) of *width* x *height* pixels."""
    node = _EMPTY_VIDEO[kind]
    return verb(node, width=width, height=height, length=frames, batch_size=batch)[0]


def repeat(latent: Any, times: int) -> Any:
    """A batch of *times* the same."""
    return latent if times == 1 else verb("RepeatLatentBatch", samples=latent, amount=times)[0]


def enlarge(latent: Any, factor: float, method: str = "bislerp") -> Any:
    """The latent of a picture *factor* times as large: the first half of a hires fix."""
    return verb("LatentUpscaleBy", samples=latent, upscale_method=method, scale_by=factor)[0]


def with_mask(latent: Any, mask: Any) -> Any:
    """A latent that is sampled anew only where *mask* (MASK) is 1."""
    return verb("SetLatentNoiseMask", samples=latent, mask=mask)[0]
