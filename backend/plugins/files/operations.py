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
    ImageChannels,
    ImageFacts,
    ImageFormat,
    Label,
    LoadedAudio,
    LoadedImage,
    PeakTarget,
    Rate,
    Side,
)


@operation("files.probe_audio", needs=Needs(memory_gib=0.1), timeout_s=1800.0)
def probe_audio(audio: Audio, *, ctx: Context = LOCAL) -> AudioFacts:
    """Tell the length, the rate and the levels of a sound."""
    from . import sound

    return sound.probe(audio, ctx)


@operation("files.probe_image", needs=Needs(memory_gib=0.5))
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
    *,
    ctx: Context = LOCAL,
) -> LoadedAudio:
    """Give a sound in the form a chain of operations needs, with its facts.

    Resampled (soxr VHQ) to *sample_rate*, made mono or stereo, and, if *normalize_db* is given,
    scaled so that its peak is there.
    """
    from . import sound

    loaded = sound.convert(audio, sample_rate, channels, normalize_db, ctx)
    return LoadedAudio(loaded, loaded.sample_rate, loaded.duration_s, loaded.channels)


@operation("files.load_image", needs=Needs(memory_gib=0.5))
def load_image(image: Image) -> LoadedImage:
    """Give a picture in RGB, and its opacity as a mask."""
    from . import pictures

    return pictures.load(image)


@operation("files.convert_audio", needs=Needs(memory_gib=0.1), timeout_s=3600.0)
def convert_audio(
    audio: Audio,
    sample_rate: Rate | None = None,
    channels: AudioChannels = "as_is",
    normalize_db: PeakTarget | None = None,
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Change the rate, the channels or the peak level of a sound.

    Mono is copied to both sides; stereo becomes mono as the mean of both. What is not asked for
    stays as it is; values over full scale are kept.
    """
    from . import sound

    return sound.convert(audio, sample_rate, channels, normalize_db, ctx)


@operation("files.convert_image", needs=Needs(memory_gib=0.5))
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


@operation("files.save_audio", needs=Needs(memory_gib=0.1), timeout_s=3600.0)
def save_audio(
    audio: Audio,
    format: AudioFormat = "wav_24bit",  # noqa: A002 - the name that callers know
    file_name: Label = "audio",
    normalize_db: PeakTarget | None = None,
    dither: bool = False,
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0,
    *,
    ctx: Context = LOCAL,
) -> File:
    """Write a sound as a WAV or FLAC file.

    Samples are never clipped or scaled unasked: integer formats hold nothing over 0 dBFS, so a
    higher peak is refused unless *normalize_db* says where the peak shall be. *dither* adds
    triangular noise of one step (TPDF) before rounding to 16 or 24 bits, the same for equal *seed*.
    """
    from . import encoding

    return encoding.save(
        audio, format, file_name, encoding.Rounding(normalize_db, dither, seed), ctx
    )


@operation("files.save_image", needs=Needs(memory_gib=0.5))
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
