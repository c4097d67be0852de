"""Latents: empty ones of each kind, repeated, enlarged, masked.

Knows: which stock node makes which kind.
Does not know: what is in a latent; it is opaque.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from backend.bricks import node_classes
from backend.bricks.direct import verb

Kind = Literal[
    "sd", "sd3", "flux2", "hunyuan_image", "chroma_radiance", "hidream_o1", "qwen_layered"
]
VideoKind = Literal["ltxv", "hunyuan", "hunyuan_15", "mochi", "cosmos", "autoregressive"]
AudioKind = Literal["stable_audio", "ace", "ace_15"]

_EMPTY: Final[dict[str, str]] = {
    "sd": "EmptyLatentImage",
    "sd3": "EmptySD3LatentImage",
    "flux2": "EmptyFlux2LatentImage",
    "hunyuan_image": "EmptyHunyuanImageLatent",
    "chroma_radiance": "EmptyChromaRadianceLatentImage",
    "hidream_o1": "EmptyHiDreamO1LatentImage",
    "qwen_layered": "EmptyQwenImageLayeredLatentImage",
}
"""SD 1.x, SD 2.x and SDXL share one kind; SD3, Flux, Qwen-Image and others the second."""

_EMPTY_VIDEO: Final[dict[str, str]] = {
    "ltxv": "EmptyLTXVLatentVideo",
    "hunyuan": "EmptyHunyuanLatentVideo",
    "mochi": "EmptyMochiLatentVideo",
    "cosmos": "EmptyCosmosLatentVideo",
    "hunyuan_15": "EmptyHunyuanVideo15Latent",
    "autoregressive": "EmptyARVideoLatent",
}

_EMPTY_AUDIO: Final[dict[str, str]] = {
    "stable_audio": "EmptyLatentAudio",
    "ace": "EmptyAceStepLatentAudio",
    "ace_15": "EmptyAceStep1.5LatentAudio",
}
_EMPTY_SHAPE: Final = "EmptyLatentHunyuan3Dv2"


def kinds() -> tuple[str, ...]:
    """The kinds of empty latents that this ComfyUI can make."""
    known = set(node_classes.names())
    every = {**_EMPTY, **_EMPTY_VIDEO, **_EMPTY_AUDIO, "hunyuan_3d": _EMPTY_SHAPE}
    return tuple(kind for kind, node in every.items() if node in known)


def empty(width: int, height: int, batch: int = 1, kind: Kind = "sd") -> Any:
    """An empty latent for pictures of *width* x *height* pixels, multiples of 8 (sd3, flux2: of 16;
    hunyuan_image, hidream_o1: of 32). qwen_layered has four layers: the picture, and three."""
    return verb(_EMPTY[kind], width=width, height=height, batch_size=batch)[0]


def empty_video(
    width: int, height: int, frames: int, batch: int = 1, kind: VideoKind = "ltxv"
) -> Any:
    """An empty latent for *frames* frames (ltxv: 8 n + 1) of *width* x *height* pixels."""
    node = _EMPTY_VIDEO[kind]
    return verb(node, width=width, height=height, length=frames, batch_size=batch)[0]


def empty_audio(duration_s: float, batch: int = 1, kind: AudioKind = "ace_15") -> Any:
    """An empty latent for *duration_s* seconds of sound, at least 1, at the model's own rate."""
    return verb(_EMPTY_AUDIO[kind], seconds=duration_s, batch_size=batch)[0]


def empty_shape(resolution: int = 3072, batch: int = 1) -> Any:
    """An empty latent for 3D shapes of *resolution* tokens (Hunyuan3D 2)."""
    return verb(_EMPTY_SHAPE, resolution=resolution, batch_size=batch)[0]


def repeat(latent: Any, times: int) -> Any:
    """A batch of *times* the same."""
    return latent if times == 1 else verb("RepeatLatentBatch", samples=latent, amount=times)[0]


def enlarge(latent: Any, factor: float, method: str = "bislerp") -> Any:
    """The latent of a picture *factor* times as large: the first half of a hires fix."""
    return verb("LatentUpscaleBy", samples=latent, upscale_method=method, scale_by=factor)[0]


def with_mask(latent: Any, mask: Any) -> Any:
    """A latent that is sampled anew only where *mask* (MASK) is 1."""
    return verb("SetLatentNoiseMask", samples=latent, mask=mask)[0]
