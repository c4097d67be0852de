"""The operations over files.

Knows: names, parameters, units and ranges; imports nothing heavy.
Does not know: how samples and pixels are read and written; that is imported inside the run.
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le

from backend.media.audio import Audio
from backend.media.file import File
from backend.media.image import Image
from backend.plugins import LOCAL, Context, Needs, operation

from .formats import (
    AudioChannels,
    AudioFacts,
    AudioFormat,
    Dither,
    ImageChannels,
    ImageFacts,
    ImageFormat,
    Label,
    LoadedAudio,
    LoadedImage,
    LoudnessTarget,
    MaskOf,
    PeakTarget,
    Rate,
    Side,
    Waveform,
)
from .loudness import MeasuredLoudness
from .tags import Tags


@operation("files.probe_audio", needs=Needs(memory_gib=0.1), timeout_s=1800.0)
def probe_audio(audio: Audio, *, ctx: Context = LOCAL) -> AudioFacts:
    """Tell the length, the rate and the levels of a sound."""
    from . import sound

    return sound.probe(audio, ctx)


@operation("files.probe_image", needs=Needs(memory_gib=1.2))
def probe_image(image: Image) -> ImageFacts:
    """Tell the size, the depth and the extreme values of a picture."""
    from . import pictures

    return pictures.probe(image)


@operation("files.load_audio", needs=Needs(memory_gib=0.1), timeout_s=3600.0)
def load_audio(
    audio: Audio,
    sample_rate: Rate | None = None,
    channels: AudioChannels = "as_is",
    normalize_db: PeakTarget | None = None,
    normalize_lufs: LoudnessTarget | None = None,
    true_peak: bool = False,
    *,
    ctx: Context = LOCAL,
) -> LoadedAudio:
    """Give a sound in the form a chain of operations needs, with its facts.

    It is what `files.convert_audio` does, with the rate, the length and the channels told.
    """
    from . import sound

    level = sound.Level(normalize_db, true_peak, normalize_lufs)
    loaded = sound.convert(audio, sample_rate, channels, level, ctx)
    return LoadedAudio(loaded, loaded.sample_rate, loaded.duration_s, loaded.channels)


@operation("files.load_image", needs=Needs(memory_gib=1.6))
def load_image(
    image: Image, channels: ImageChannels = "rgb", mask_of: MaskOf = "opacity"
) -> LoadedImage:
    """Give a picture, in RGB unless *channels* says otherwise, and a mask made of its alpha.

    The mask is its ``opacity`` (1 where there is no alpha channel), its ``transparency`` (0 where
    there is none), or the channel ``alpha`` as it is, 0 everywhere if there is none.
    """
    from . import pictures

    return pictures.load(image, channels, mask_of)


@operation("files.convert_audio", needs=Needs(memory_gib=0.1), timeout_s=3600.0)
def convert_audio(
    audio: Audio,
    sample_rate: Rate | None = None,
    channels: AudioChannels = "as_is",
    normalize_db: PeakTarget | None = None,
    normalize_lufs: LoudnessTarget | None = None,
    true_peak: bool = False,
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Change the rate, the channels or the level of a sound.

    It is resampled with soxr VHQ. Mono is copied to both sides; stereo becomes mono as the mean of
    both; ``mono_to_stereo`` leaves whatever is not mono. *normalize_db* says where the largest
    sample shall be, with *true_peak* the largest value between samples too (ITU-R BS.1770), and
    *normalize_lufs* where the integrated loudness shall be; only one of them is given, and silence
    stays silent. What is not asked for stays as it is; values over full scale are kept.
    """
    from . import sound

    level = sound.Level(normalize_db, true_peak, normalize_lufs)
    return sound.convert(audio, sample_rate, channels, level, ctx)


@operation("files.convert_image", needs=Needs(memory_gib=2.5))
def convert_image(
    image: Image,
    width: Side | None = None,
    height: Side | None = None,
    channels: ImageChannels = "as_is",
    bit_depth: Literal[8, 16] | None = None,
) -> Image:
    """Change the size (Lanczos), the channels or the depth of a picture.

    With only one of *width* and *height* the proportions are kept. Grey is the mean weighted as
    in ITU-R BT.709; an added alpha channel is opaque, a removed one is dropped.
    """
    from . import pictures

    return pictures.convert(image, width, height, channels, bit_depth)


@operation("files.save_audio", needs=Needs(memory_gib=0.2), timeout_s=3600.0, version=2)
def save_audio(
    audio: Audio,
    format: AudioFormat = "wav_24bit",  # noqa: A002 - the name that callers know
    file_name: Label = "audio",
    normalize_db: PeakTarget | None = None,
    true_peak: bool = False,
    dither: Dither = "auto",
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0,
    tags: Tags = Tags(),  # noqa: B008 - frozen
    *,
    ctx: Context = LOCAL,
) -> File:
    """Write a sound as a WAV, FLAC, AIFF, MP3, AAC (m4a), Ogg Vorbis or Opus file.

    Samples are never clipped or scaled unasked: all formats but ``wav_32bit_float`` end at 0 dBFS,
    so a higher peak is refused unless *normalize_db* says where the peak shall be (*true_peak*: the
    largest value between samples too). *dither* adds triangular noise of one step (TPDF) before
    rounding, the same for equal *seed*; ``auto`` does so for 16 bits, unless every sample is a
    16-bit one already. MP3, AAC, Vorbis and Opus are resampled to the next rate that they have.
    WAV over 4 GiB is RF64. Lossy files come back with the same length, in time to the sample.
    """
    from . import saving, sound

    finish = saving.Finish(sound.Level(normalize_db, true_peak), dither, seed, tags)
    return saving.save(audio, format, file_name, finish, ctx)


@operation("files.measure_waveform", needs=Needs(memory_gib=0.2), timeout_s=1800.0)
def measure_waveform(audio: Audio, picture: bool = False, *, ctx: Context = LOCAL) -> Waveform:
    """Give the extremes of a sound at every zoom, to draw its waveform from.

    The finest level has a minimum and a maximum for 256 frames, each further one for four times as
    many, until there are at most 1024. Each level is one file in the layout of BBC audiowaveform's
    .dat version 2, 16 bits; what is over full scale ends there. *picture* draws the whole.
    """
    from . import waveform

    return waveform.measure(audio, ctx, picture=picture)


@operation("files.measure_loudness", needs=Needs(memory_gib=0.2), timeout_s=1800.0)
def measure_loudness(
    audio: Audio, picture: bool = True, *, ctx: Context = LOCAL
) -> MeasuredLoudness:
    """Tell how loud a sound is, by ITU-R BS.1770-5 and EBU R 128, and its true peak.

    Of one to eight channels in WAVE's order: surrounds count 1.5 dB more, the low-frequency channel
    not at all. *picture* draws momentary and short-term loudness over time.
    """
    from . import loudness

    return loudness.measure(audio, ctx, picture=picture)


@operation("files.save_image", needs=Needs(memory_gib=2.3))
def save_image(
    image: Image,
    format: ImageFormat = "png_8bit",  # noqa: A002 - the name that callers know
    file_name: Label = "image",
    quality: Annotated[int, Ge(1), Le(100)] = 90,
) -> File:
    """Write a picture as a PNG, JPEG or WebP file; *quality* counts for JPEG and lossy WebP.

    JPEG has no transparency: a picture that is not opaque everywhere is refused.
    """
    from . import pictures

    return pictures.save(image, format, file_name, quality)
