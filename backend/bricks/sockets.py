"""Sockets: media values as ComfyUI's AUDIO, IMAGE and MASK, and back, bit for bit.

Knows: the shapes on both sides.
Does not know: which node wants what.

=======  ==========================  =====================================================
value    samples                     socket
=======  ==========================  =====================================================
Audio    float32 [channels, frames]  ``{"waveform": float32 [B, C, T], "sample_rate": int}``
Image    float32 [H, W, C], 0..1     float32 [B, H, W, C]; grey becomes three equal channels
Mask     float32 [H, W], 0..1        float32 [B, H, W]
others   the value itself            MIDI, AUTOMATION, FILE
=======  ==========================  =====================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from backend.media.audio import Audio
from backend.media.image import Image, Mask
from backend.media.reference import MediaValue

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image as Picture

TYPES: Final = {
    "audio": "AUDIO",
    "image": "IMAGE",
    "mask": "MASK",
    "midi": "MIDI",
    "automation": "AUTOMATION",
    "file": "FILE",
}
"""Kind of a media value → name of ComfyUI's socket type."""


def to_socket(value: MediaValue) -> Any:
    """A media value as what a node's slot takes: a batch of one, or the value itself."""
    if isinstance(value, Audio):
        return audio_to_socket(value)
    if isinstance(value, Image):
        return image_to_socket(value)
    if isinstance(value, Mask):
        return mask_to_socket(value)
    return value


def from_socket(kind: str, value: Any) -> list[Any]:
    """What a slot of this kind holds, as media values: one for each item of the batch.

    Raises ``TypeError`` and ``ValueError`` for what such a slot cannot hold.
    """
    if kind == "audio":
        return list(audio_from_socket(value))
    if kind == "image":
        return list(image_from_socket(value))
    if kind == "mask":
        return list(mask_from_socket(value))
    return [value]


def audio_to_socket(audio: Audio) -> dict[str, Any]:
    """AUDIO of shape [1, C, T]. The samples are copied: nodes may change them in place."""
    return {"waveform": _tensor(audio.samples)[None], "sample_rate": audio.sample_rate}


def audio_from_socket(socket: Any) -> list[Audio]:
    """One `Audio` for each item of an AUDIO batch. Raises ``ValueError`` for other shapes."""
    if not isinstance(socket, dict) or "waveform" not in socket:
        raise ValueError("there is no sound on this slot")
    waveform = _array(socket["waveform"])  # [B, C, T]
    if waveform.ndim != 3:
        raise ValueError(f"AUDIO is [B, C, T], not {waveform.shape}")
    return [Audio.from_samples(item, int(socket["sample_rate"])) for item in waveform]


def image_to_socket(image: Image) -> torch.Tensor:
    """IMAGE of shape [1, H, W, C], C 3 or 4: ComfyUI's own nodes know no grey."""
    pixels = image.pixels
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return _tensor(pixels)[None]


def image_from_socket(batch: Any, bit_depth: int = 8) -> list[Image]:
    """One `Image` for each item of an IMAGE batch. Raises ``ValueError`` for other shapes."""
    pixels = _array(batch)  # [B, H, W, C]
    if pixels.ndim != 4:
        raise ValueError(f"IMAGE is [B, H, W, C], not {pixels.shape}")
    return [Image.from_array(item, bit_depth) for item in pixels]


def mask_to_socket(mask: Mask) -> torch.Tensor:
    """MASK of shape [1, H, W]."""
    return _tensor(mask.values)[None]


def mask_from_socket(batch: Any) -> list[Mask]:
    """One `Mask` for each item of a MASK batch. Raises ``ValueError`` for other shapes."""
    values = _array(batch)  # [B, H, W], or [B, 1, H, W] from some nodes
    if values.ndim == 4 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3:
        raise ValueError(f"MASK is [B, H, W], not {values.shape}")
    return [Mask.from_array(item) for item in values]


def transparency(image: Image) -> Mask | None:
    """The mask that ComfyUI derives from an image with alpha: 1 where it is transparent."""
    if image.channels != 4:
        return None
    return Mask.from_array(1.0 - image.pixels[:, :, 3])


def image_from_picture(picture: Picture) -> Image:
    """A Pillow picture (a sampler's preview) as an `Image`."""
    grid = np.asarray(picture.convert("RGB"), dtype=np.float32)  # [H, W, 3], 0..255
    return Image.from_array(grid / 255.0)


def _tensor(array: Any) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.array(array, dtype=np.float32, copy=True, order="C"))


def _array(tensor: Any) -> Any:
    import torch

    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"a tensor is needed, not {type(tensor).__name__}")
    # a copy: the tensor may be cached by ComfyUI and changed by another node
    return np.array(tensor.detach().to("cpu", torch.float32).numpy(), copy=True, order="C")
