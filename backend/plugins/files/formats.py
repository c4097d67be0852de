"""The names that files are saved under, and what the operations give back.

Knows: formats, sizes and labels as parameters have them.
Does not know: how a format is written (``encoding``, ``pictures``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, NamedTuple

from annotated_types import Ge, Le
from pydantic import Field

from backend.media.audio import Audio
from backend.media.image import Image, Mask
from backend.units import Decibels, Frames, Pixels, SampleRate, Seconds

AudioFormat = Literal["wav_16bit", "wav_24bit", "wav_32bit_float", "flac", "flac_24bit"]
ImageFormat = Literal["png_8bit", "png_16bit", "jpeg", "webp", "webp_lossless"]
AudioChannels = Literal["as_is", "mono", "stereo"]
ImageChannels = Literal["as_is", "grey", "rgb", "rgba"]

Rate = Annotated[SampleRate, Ge(8000), Le(384_000)]
Side = Annotated[Pixels, Ge(1), Le(16_384)]
PeakTarget = Annotated[Decibels, Ge(-60), Le(0)]
Label = Annotated[
    str,
    Field(
        pattern=r"^[^/\\\x00-\x1f\x7f]{1,120}$",
        description="Name of the file, without a folder; the format's suffix is added.",
    ),
]


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """How an audio format is written; 0 bits means 32-bit float."""

    suffix: str
    media_type: str
    bits: int


SOUND_FORMATS: Final[dict[AudioFormat, SoundFormat]] = {
    "wav_16bit": SoundFormat(".wav", "audio/wav", 16),
    "wav_24bit": SoundFormat(".wav", "audio/wav", 24),
    "wav_32bit_float": SoundFormat(".wav", "audio/wav", 0),
    "flac": SoundFormat(".flac", "audio/flac", 16),
    "flac_24bit": SoundFormat(".flac", "audio/flac", 24),
}


class AudioFacts(NamedTuple):
    """What `files.probe_audio` gives."""

    duration_s: Seconds
    sample_rate: SampleRate
    channels: int
    frames: Frames
    peak_db: Decibels
    """Largest absolute sample in dBFS; silence is given as -240."""
    rms_db: Decibels
    """Root mean square over all samples in dBFS (a full-scale sine has -3.01); at least -240."""


class ImageFacts(NamedTuple):
    """What `files.probe_image` gives."""

    width: Pixels
    height: Pixels
    channels: int
    bit_depth: int
    darkest: float
    brightest: float


class LoadedAudio(NamedTuple):
    """What `files.load_audio` gives."""

    audio: Audio
    sample_rate: SampleRate
    duration_s: Seconds
    channels: int


class LoadedImage(NamedTuple):
    """What `files.load_image` gives."""

    image: Image
    """The picture in RGB."""
    mask: Mask
    """Its opacity: 1 where it is opaque, and everywhere if it has no alpha channel."""
    width: Pixels
    height: Pixels


def labelled(name: str, suffix: str) -> str:
    """The file name: *name* with *suffix*, once."""
    return name if name.lower().endswith(suffix) else name + suffix
