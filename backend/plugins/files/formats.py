"""The names that files are saved under, and what the operations give back.

Knows: formats, sizes and labels as parameters have them.
Does not know: how a format is written (``saving``, ``encoders``, ``vorbis``, ``pictures``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, NamedTuple

from annotated_types import Ge, Le
from pydantic import Field

from backend.media.audio import Audio
from backend.media.file import File
from backend.media.image import Image, Mask
from backend.media.layouts import AAC_RATES
from backend.units import Decibels, Frames, Pixels, SampleRate, Seconds, Unit

AudioFormat = Literal[
    "wav_16bit",
    "wav_24bit",
    "wav_32bit_float",
    "flac",
    "flac_24bit",
    "aiff",
    "aiff_24bit",
    "mp3_128",
    "mp3_192",
    "mp3_320",
    "aac_192",
    "ogg_low",
    "ogg_medium",
    "ogg_high",
    "opus_64",
    "opus_128",
    "opus_192",
]
ImageFormat = Literal["png_8bit", "png_16bit", "jpeg", "webp", "webp_lossless"]
AudioChannels = Literal["as_is", "mono", "stereo", "mono_to_stereo"]
ImageChannels = Literal["as_is", "grey", "rgb", "rgba"]
MaskOf = Literal["opacity", "transparency", "alpha"]
Dither = Literal["auto", "on", "off"]

Rate = Annotated[SampleRate, Ge(8000), Le(384_000)]
Side = Annotated[Pixels, Ge(1), Le(16_384)]
PeakTarget = Annotated[Decibels, Ge(-60), Le(0)]
LoudnessTarget = Annotated[float, Unit("LUFS"), Ge(-60), Le(0)]
Label = Annotated[
    str,
    Field(
        pattern=r"^[^/\\\x00-\x1f\x7f]{1,120}$",
        description="Name of the file, without a folder; the format's suffix is added.",
    ),
]


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """How a sound is written: ``bits`` of an integer format, else 0; the numbers of ``channels``
    and the sample ``rates`` there are (none: any); bits a second, or Vorbis' quality (0..1)."""

    suffix: str
    media_type: str
    bits: int = 0
    channels: Sequence[int] = range(1, 9)
    rates: tuple[int, ...] = ()
    bit_rate: int = 0
    quality: float = 0.0


_ANY: Final = range(1, 65_536)
_MP3_RATES: Final = (32_000, 44_100, 48_000)
"""At lower rates MP3 has no 192 and no 320 kbit/s."""
_VORBIS_RATES: Final = (*AAC_RATES, 176_400, 192_000)


def _mp3(kbits: int) -> SoundFormat:
    return SoundFormat(".mp3", "audio/mpeg", 0, (1, 2), _MP3_RATES, 1000 * kbits)


def _vorbis(quality: float) -> SoundFormat:
    return SoundFormat(".ogg", "audio/ogg", rates=_VORBIS_RATES, quality=quality)


def _opus(kbits: int) -> SoundFormat:
    # FFmpeg 8.1 mixes up the channels where there are five or seven
    channels = (1, 2, 3, 4, 6, 8)
    return SoundFormat(".opus", "audio/ogg", 0, channels, (48_000,), 1000 * kbits)


SOUND_FORMATS: Final[dict[AudioFormat, SoundFormat]] = {
    "wav_16bit": SoundFormat(".wav", "audio/wav", 16, _ANY),
    "wav_24bit": SoundFormat(".wav", "audio/wav", 24, _ANY),
    "wav_32bit_float": SoundFormat(".wav", "audio/wav", 0, _ANY),
    "flac": SoundFormat(".flac", "audio/flac", 16),
    "flac_24bit": SoundFormat(".flac", "audio/flac", 24),
    "aiff": SoundFormat(".aiff", "audio/aiff", 16),
    "aiff_24bit": SoundFormat(".aiff", "audio/aiff", 24),
    "mp3_128": _mp3(128),
    "mp3_192": _mp3(192),
    "mp3_320": _mp3(320),
    "aac_192": SoundFormat(".m4a", "audio/mp4", rates=AAC_RATES, bit_rate=192_000),
    "ogg_low": _vorbis(0.2),
    "ogg_medium": _vorbis(0.5),
    "ogg_high": _vorbis(0.8),
    "opus_64": _opus(64),
    "opus_128": _opus(128),
    "opus_192": _opus(192),
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
    mask: Mask
    width: Pixels
    height: Pixels


class WaveformLevel(NamedTuple):
    """One level of a waveform: how many frames a pair of extremes stands for, and how many pairs
    each channel has."""

    samples_per_pixel: Frames
    length: int


class Waveform(NamedTuple):
    """What `files.measure_waveform` gives."""

    peaks: list[File]
    """One file for each level, finest first, in the layout of BBC audiowaveform's .dat version 2:
    16-bit minimum and maximum by channel."""
    levels: list[WaveformLevel]
    """What is in these files, in the same order."""
    overview: list[list[list[float]]]
    """The coarsest level as numbers: for each channel its [minimum, maximum] pairs."""
    picture: Image | None
    """A drawing of it, if it was asked for."""


def labelled(name: str, suffix: str) -> str:
    """The file name: *name* with *suffix*, once."""
    return name if name.lower().endswith(suffix) else name + suffix
