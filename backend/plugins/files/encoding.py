"""Writing sounds: from float samples to the integers of a file, in constant memory.

Knows: WAV (our own writer) and FLAC (PyAV), rounding, TPDF dither; equal calls give equal bytes.
Does not know: parameters' ranges.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.media.file import File
from backend.media.levels import decibels
from backend.media.wav import SampleFormat, WavWriter
from backend.plugins import Context, FieldError, InvalidParameters, scratch_folder

from . import sound
from .formats import SOUND_FORMATS, AudioFormat, labelled

Integers = NDArray[np.int32]
_FLAC_CHANNELS: Final = 8


@dataclass(frozen=True, slots=True)
class Rounding:
    """How float becomes integer: the peak asked for in dBFS, dither, and the dither's seed."""

    normalize_db: float | None = None
    dither: bool = False
    seed: int = 0


def save(
    audio: Audio, audio_format: AudioFormat, file_name: str, rounding: Rounding, ctx: Context
) -> File:
    """Write *audio* into the run's scratch folder.

    Raises `InvalidParameters` for a peak over 0 dBFS in an integer format without a target.
    """
    form = SOUND_FORMATS[audio_format]
    gain = 1.0
    if form.bits or rounding.normalize_db is not None:
        peak = sound.peak_of(audio, ctx)
        if rounding.normalize_db is not None:
            gain = sound.gain_to(rounding.normalize_db, peak)
        elif peak > 1.0:
            raise _too_loud(audio_format, decibels(peak))
    path = scratch_folder() / f"saved-{uuid.uuid4().hex}{form.suffix}"
    blocks = sound.scaled(sound.watched(audio.blocks(), audio.frames, ctx), gain)
    if not form.bits:
        with WavWriter(path, audio.sample_rate, audio.channels) as writer:
            for block in blocks:
                writer.write(block)
    elif form.suffix == ".wav":
        _write_wav(path, audio, form.bits, _integers(blocks, form.bits, rounding))
    else:
        _write_flac(path, audio, form.bits, _integers(blocks, form.bits, rounding))
    return File(path, form.media_type, labelled(file_name, form.suffix))


def _too_loud(audio_format: str, peak_db: float) -> InvalidParameters:
    sentence = (
        f"the peak is {peak_db:+.2f} dBFS and {audio_format} holds nothing over 0 dBFS; "
        "give normalize_db, or save as wav_32bit_float"
    )
    return InvalidParameters(
        f"The audio is too loud for this format: {sentence}",
        errors=[FieldError("/format", "peak_over_full_scale", sentence)],
        extra={"peak_db": peak_db},
    )


def _integers(blocks: Iterator[sound.Block], bits: int, rounding: Rounding) -> Iterator[Integers]:
    """Float ``[channels, n]`` to integers of *bits*, rounded to the nearest.

    Full scale is 2^(bits-1), the inverse of how integer files are read, so they survive unchanged.
    Only +1.0 itself (and dither beside it) meets the missing last step.
    """
    scale, noise = float(2 ** (bits - 1)), np.random.default_rng(rounding.seed)
    for block in blocks:
        values = block.astype(np.float64) * scale
        if rounding.dither:
            # triangular: the sum of two even ones, one step wide each (Lipshitz et al. 1992)
            values += noise.random((2, *values.T.shape)).sum(axis=0).T - 1.0
        yield np.clip(np.rint(values), -scale, scale - 1.0).astype(np.int32)


def _write_wav(path: Path, audio: Audio, bits: int, blocks: Iterator[Integers]) -> None:
    form: SampleFormat = "int16" if bits == 16 else "int24"
    with WavWriter(path, audio.sample_rate, audio.channels, form) as writer:
        for block in blocks:
            writer.write(block)


def _write_flac(path: Path, audio: Audio, bits: int, blocks: Iterator[Integers]) -> None:
    """FLAC without anything that tells where and when; 24 bits go in as the upper ones of 32."""
    import av

    if audio.channels > _FLAC_CHANNELS:
        sentence = f"FLAC holds {_FLAC_CHANNELS} channels, the audio has {audio.channels}"
        raise InvalidParameters(sentence, errors=[FieldError("/format", "channels", sentence)])
    layout = av.AudioLayout(_layout(audio.channels))
    sample_format = "s16" if bits == 16 else "s32"
    exact = {"fflags": "+bitexact"}
    # FFmpeg's own choice grows with the rate, up to frames that it cannot read again
    frames = {"flags": "+bitexact", "frame_size": "4096"}
    with av.open(str(path), "w", format="flac", options=exact) as container:
        stream = container.add_stream("flac", rate=audio.sample_rate, layout=layout, options=frames)
        stream.codec_context.format = sample_format
        position = 0
        for block in blocks:
            flat = np.ascontiguousarray(block.T).reshape(1, -1)
            packed = flat.astype(np.int16) if bits == 16 else flat << 8
            frame = av.AudioFrame.from_ndarray(packed, format=sample_format, layout=layout)
            frame.sample_rate, frame.pts = audio.sample_rate, position
            position += block.shape[1]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _layout(channels: int) -> str:
    """FFmpeg's usual layout for a number of channels, as FLAC orders them."""
    return {
        1: "mono",
        2: "stereo",
        3: "3.0",
        4: "quad",
        5: "5.0",
        6: "5.1",
        7: "6.1",
        8: "7.1",
    }[channels]
