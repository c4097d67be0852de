"""Saving sounds: any format, in constant memory; equal calls give equal bytes.

Knows: what comes before an encoder: rate, level, dither, and the rules of formats.
Does not know: how the bytes are made (``media.wav``, ``encoders``, ``vorbis``).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.media.file import File
from backend.media.levels import decibels
from backend.media.resampling import resample_blocks
from backend.media.wav import SampleFormat, WavWriter
from backend.plugins import Context, refused, scratch_folder

from . import encoders, rounding, sound, vorbis
from .formats import SOUND_FORMATS, AudioFormat, Dither, SoundFormat, labelled
from .rules import not_empty, not_lost
from .tags import Tags, riff_info

_WAV: Final[dict[int, SampleFormat]] = {16: "int16", 24: "int24", 0: "float32"}
_AIFF_BYTES: Final = 2**32 - 4096
"""Sizes in an AIFF file have 32 bits; tags take some."""


@dataclass(frozen=True, slots=True)
class Finish:
    """What happens on the way: the level, the dither and its seed, and the tags."""

    level: sound.Level
    dither: Dither
    seed: int
    tags: Tags


def save(
    audio: Audio, audio_format: AudioFormat, file_name: str, finish: Finish, ctx: Context
) -> File:
    """Write *audio* into the run's scratch folder.

    Raises `InvalidParameters` for a peak over 0 dBFS in a format that ends there without a level,
    for a sound without samples, with more channels or larger than the format holds.
    """
    form = SOUND_FORMATS[audio_format]
    _check(audio, audio_format, form)
    rate = _rate(audio.sample_rate, form)
    if rate != audio.sample_rate:
        ctx.log(f"{audio_format} has no {audio.sample_rate} Hz: resampled to {rate} Hz")
        # first of all: between samples a sound may be louder than at them, so a peak asked for, and
        # full scale, are those of what is written
        read = sound.watched(audio.blocks(), audio.frames, ctx, 0, 3)
        resampled = resample_blocks(read, audio.channels, audio.sample_rate, rate)
        audio = Audio.from_blocks(resampled, rate, audio.channels)
    read = sound.watched(audio.blocks(), audio.frames, ctx, 1, 3)
    found = rounding.survey(read, form.bits)
    gain = sound.gain_for(audio, finish.level, ctx, found.peak)
    if found.peak * gain > 1.0 + 1e-6 and audio_format != "wav_32bit_float":
        raise _too_loud(audio_format, decibels(found.peak * gain))
    blocks = sound.scaled(sound.watched(audio.blocks(), audio.frames, ctx, 2, 3), gain)
    ready: Iterator[NDArray[Any]] = blocks
    if form.bits:
        dither = rounding.needs_dither(finish.dither, form.bits, gain, found)
        ready = rounding.integers(blocks, form.bits, dither=dither, seed=finish.seed)
    path = scratch_folder() / f"saved-{uuid.uuid4().hex}{form.suffix}"
    try:
        _write(path, ready, rate, audio.channels, form, finish.tags)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return File(path, form.media_type, labelled(file_name, form.suffix))


def _write(
    path: Path,
    blocks: Iterator[NDArray[Any]],
    rate: int,
    channels: int,
    form: SoundFormat,
    tags: Tags,
) -> None:
    if form.suffix == ".wav":
        with WavWriter(path, rate, channels, _WAV[form.bits], trailer=riff_info(tags)) as writer:
            for block in blocks:
                writer.write(block)
    elif form.quality:
        vorbis.write(path, blocks, rate, channels, quality=form.quality, tags=tags.given())
    else:
        encoders.write(
            path,
            blocks,
            rate,
            channels,
            bits=form.bits,
            bit_rate=form.bit_rate,
            tags=tags.given(),
        )


def _rate(rate: int, form: SoundFormat) -> int:
    """The rate to write: the next one that the format has, else its highest."""
    if not form.rates or rate in form.rates:
        return rate
    return min((each for each in form.rates if each > rate), default=form.rates[-1])


def _check(audio: Audio, name: str, form: SoundFormat) -> None:
    not_empty(audio)
    not_lost(audio, _rate(audio.sample_rate, form), "/format")
    if audio.channels not in form.channels:
        most = [str(count) for count in form.channels]
        sentence = f"{name} holds {', '.join(most[:-1])} or {most[-1]} channels, "
        sentence += f"the audio has {audio.channels}"
        raise refused("/format", "channels", sentence)
    size = audio.frames * audio.channels * form.bits // 8
    if form.suffix == ".aiff" and size > _AIFF_BYTES:
        raise refused("/format", "size", "AIFF ends at 4 GiB; save as WAV or FLAC")


def _too_loud(audio_format: str, peak_db: float) -> Exception:
    sentence = (
        f"the peak is {peak_db:+.2f} dBFS and {audio_format} holds nothing over 0 dBFS; "
        "give normalize_db, or save as wav_32bit_float"
    )
    error = refused("/format", "peak_over_full_scale", sentence)
    error.extra["peak_db"] = peak_db
    return error
