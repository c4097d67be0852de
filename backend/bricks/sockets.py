"""Sockets: media values as ComfyUI's AUDIO, IMAGE, MASK, VIDEO and curves, and back, bit for bit.

Knows: the shapes on both sides.
Does not know: which node wants what.

==========  ==========================  =====================================================
value       samples                     socket
==========  ==========================  =====================================================
Audio       float32 [channels, frames]  ``{"waveform": float32 [B, C, T], "sample_rate": int}``
Image       float32 [H, W, C], 0..1     float32 [B, H, W, C]; grey becomes three equal channels
Mask        float32 [H, W], 0..1        float32 [B, H, W]
Automation  float32 [frames], a rate    a list of float that knows its rate (`FloatCurve`)
Video       a file                      ``comfy_api``'s VideoFromFile of the same file
others      the value itself            MIDI, FILE …
==========  ==========================  =====================================================
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from backend.bricks import _compat
from backend.context import scratch_folder
from backend.media import video_writing
from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.containers import NotVideo
from backend.media.image import Image, Mask
from backend.media.rates import read_rate
from backend.media.reference import MediaValue
from backend.media.video import Video

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image as Picture

TYPES: Final = {
    "audio": "AUDIO",
    "image": "IMAGE",
    "mask": "MASK",
    "midi": "MIDI",
    "automation": "AUTOMATION",
    "video": "VIDEO",
    "file": "FILE",
}
"""Kind of a media value → name of ComfyUI's socket type."""

OUTPUT_TYPES: Final = {**TYPES, "automation": "AUTOMATION,FLOAT,FLOAT_LIST"}
"""The same for outputs: a curve also fits where other nodes take a value for each frame, which is
one Python list of numbers on a FLOAT (AnimateDiff, Advanced-ControlNet, KJNodes) or a FLOAT_LIST.
"""


NUMBERS: Final = "FLOAT_LIST"
"""A slot for automation whose frame rate does not matter: it takes everybody's lists."""


class FloatCurve(list[float]):
    """An automation as other nodes read it: its values as a list; ``automation`` is the whole."""

    def __init__(self, automation: Automation) -> None:
        super().__init__(automation.values.tolist())
        self.automation: Final = automation


def to_socket(value: MediaValue) -> Any:
    """A media value as what a node's slot takes: a batch of one, or the value itself."""
    if isinstance(value, Audio):
        return audio_to_socket(value)
    if isinstance(value, Image):
        return image_to_socket(value)
    if isinstance(value, Mask):
        return mask_to_socket(value)
    if isinstance(value, Automation):
        return FloatCurve(value)
    if isinstance(value, Video):
        return _compat.video_of_file(value.path)
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
    if kind == "automation":
        return [automation_from_socket(value)]
    if kind == "video":
        return [video_from_socket(value)]
    if kind == NUMBERS:
        return [numbers_from_socket(value)]
    return [value]


def numbers_from_socket(socket: Any) -> Automation:
    """Any list of numbers, for what works number by number; without a rate it counts as 24 a
    second. Raises ``ValueError`` for what is no list of numbers."""
    if isinstance(socket, list) and not isinstance(socket, FloatCurve):
        return Automation.from_values(socket, 24)
    return automation_from_socket(socket)


def automation_from_socket(socket: Any) -> Automation:
    """The automation of a curve that Kino gave. Raises ``ValueError`` for a list of others'."""
    if isinstance(socket, FloatCurve):
        return socket.automation
    if isinstance(socket, Automation):
        return socket
    raise ValueError(
        "this is no automation: numbers without a frame rate become one in KinoFloatsToAutomation"
    )


def audio_to_socket(audio: Audio) -> dict[str, Any]:
    """AUDIO of shape [1, C, T]. The samples are copied: nodes may change them in place."""
    return {"waveform": _tensor(audio.samples)[None], "sample_rate": audio.sample_rate}


def audio_from_socket(socket: Any) -> list[Audio]:
    """One `Audio` for each item of an AUDIO batch. Raises ``ValueError`` for other shapes."""
    if not isinstance(socket, dict) or not socket.keys() >= {"waveform", "sample_rate"}:
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


def images_to_socket(images: Sequence[Image]) -> torch.Tensor:
    """IMAGE of shape [B, H, W, C]. Raises ``ValueError`` for none, or for different sizes."""
    import torch

    first = images[0] if images else None
    if first is None or any((i.width, i.height) != (first.width, first.height) for i in images):
        raise ValueError("a batch is one or more images of one size")
    channels = max(3, first.channels)
    batch = torch.empty((len(images), first.height, first.width, channels))
    for place, image in enumerate(images):
        batch[place] = image_to_socket(image)[0]
    return batch


def video_from_socket(socket: Any) -> Video:
    """The video on a VIDEO slot: the file itself where there is one, else a new one of its frames.

    Raises ``ValueError`` for what is no video.
    """
    if isinstance(socket, Video):
        return socket
    if not _compat.is_video(socket):
        raise ValueError("there is no video on this slot")
    found = _compat.video_file(socket)
    if found is not None:
        source, start_s, duration_s = found
        try:
            return _span(Video.open(_as_file(source)), start_s, duration_s)
        except NotVideo:
            pass  # a format of its own, that ComfyUI can take apart
    parts = socket.get_components()
    audio = audio_from_socket(parts.audio)[0] if parts.audio is not None else None
    return video_from_images(parts.images, Fraction(parts.frame_rate), audio)


def video_from_images(batch: torch.Tensor, frame_rate: Fraction, audio: Audio | None) -> Video:
    """A new video of an IMAGE batch [B, H, W, C], in H.264; a frame rate that came as a decimal
    number (29.97) is the exact one that it means."""
    if frame_rate.denominator > 1_000_000:
        meant = read_rate(round(float(frame_rate), 3))
        frame_rate = meant if meant.denominator == 1001 else frame_rate.limit_denominator(1001)
    return video_writing.write((_array(frame) for frame in batch), frame_rate, audio)


def _span(video: Video, start_s: float, duration_s: float) -> Video:
    """A part of *video* as a new file; all of it is the file itself."""
    if start_s == 0 and duration_s == 0:
        return video
    rate = video.frame_rate
    start = round(start_s * rate) + (video.frame_count if start_s < 0 else 0)
    start = min(max(0, start), video.frame_count - 1)
    count = max(1, round(duration_s * rate)) if duration_s else video.frame_count
    count = min(count, video.frame_count - start)
    audio = video.read_audio(start / rate, count / rate)
    return video_writing.write(video.frames(start, 1, count), rate, audio)


def _as_file(source: Any) -> Path:
    if isinstance(source, str):
        return Path(source)
    path = scratch_folder() / f"video-{uuid.uuid4().hex}"
    path.write_bytes(source.getvalue())
    return path


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
