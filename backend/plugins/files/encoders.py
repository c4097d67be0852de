"""Encoders: FLAC, AIFF, MP3, AAC and Opus files, written by PyAV.

Knows: which muxer, encoder and sample format each takes, and what keeps their bytes the same.
Does not know: levels and rounding; samples come ready for the format.

``bitexact`` keeps dates, random serial numbers and the library's name out of the files. The delay
of the encoder is told in each format's own way (LAME's tag, MP4's edit list, the pre-skip of Opus),
so that a player begins and ends at the right sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from backend.media import layouts

if TYPE_CHECKING:
    from av import AudioFrame

_FRAMES: Final = 4096
"""Frames in a packet, where the format leaves it open."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """How FFmpeg calls a format: muxer, encoder, the format of its samples, and options of both."""

    muxer: str
    codec: str
    samples: str
    options: Mapping[str, str] = field(default_factory=dict)
    container_options: Mapping[str, str] = field(default_factory=dict)


# FFmpeg's own choice of frames grows with the rate, up to ones that it cannot read again
_FLAC: Final = {"frame_size": str(_FRAMES)}
_ID3: Final = {"write_id3v2": "1"}
_ENCODERS: Final = {
    (".flac", 16): Encoder("flac", "flac", "s16", _FLAC),
    (".flac", 24): Encoder("flac", "flac", "s32", _FLAC),
    (".aiff", 16): Encoder("aiff", "pcm_s16be", "s16", container_options=_ID3),
    (".aiff", 24): Encoder("aiff", "pcm_s24be", "s32", container_options=_ID3),
    (".mp3", 0): Encoder("mp3", "libmp3lame", "fltp"),
    (".m4a", 0): Encoder("ipod", "aac", "fltp"),
    (".opus", 0): Encoder("opus", "libopus", "flt"),
}


def write(
    path: Path,
    blocks: Iterable[NDArray[Any]],
    sample_rate: int,
    channels: int,
    *,
    bits: int,
    bit_rate: int,
    tags: Mapping[str, str],
) -> None:
    """Write *blocks* ``[channels, n]``, integers of *bits* or, for 0 bits, float, to *path*.

    *bit_rate* is that of mono and stereo; more channels get more in proportion.
    """
    import av
    from av.audio.resampler import AudioResampler

    encoder = _ENCODERS[path.suffix, bits]
    layout = av.AudioLayout(_layout(encoder, channels))
    exact = {"fflags": "+bitexact", **encoder.container_options}
    if encoder.muxer == "ipod":
        # its edit list counts in this unit, by default in milliseconds
        exact["movie_timescale"] = str(sample_rate)
    options = {"flags": "+bitexact", **encoder.options}
    with av.open(str(path), "w", format=encoder.muxer, options=exact) as container:
        container.metadata.update(tags)
        stream: Any = container.add_stream(
            encoder.codec, rate=sample_rate, layout=layout, options=options
        )
        context = stream.codec_context
        context.format = encoder.samples
        if bit_rate:
            stream.bit_rate = bit_rate * max(2, channels) // 2
        context.open()
        cut = AudioResampler(
            encoder.samples, layout, sample_rate, frame_size=context.frame_size or _FRAMES
        )
        position = 0
        for block in blocks:
            packed = _packed(block, bits, layout, sample_rate, position)
            position += block.shape[1]
            for frame in cut.resample(packed):
                container.mux(stream.encode(frame))
        for frame in cut.resample(None):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _layout(encoder: Encoder, channels: int) -> str:
    # told the layout, the AIFF muxer writes a chunk for 7.1 at which FFmpeg 8.0's reader crashes
    if encoder.muxer == "aiff" and channels > 2:
        return f"{channels} channels"
    return layouts.layout(channels)


def _packed(
    block: NDArray[Any], bits: int, layout: Any, sample_rate: int, position: int
) -> AudioFrame:
    """One block as FFmpeg takes it, its channels interleaved; 24 bits are the upper ones of 32."""
    import av

    if bits:
        block = block.astype(np.int16) if bits == 16 else block << 8
    samples = {0: "flt", 16: "s16", 24: "s32"}[bits]
    flat = np.ascontiguousarray(block.T).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(flat, format=samples, layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = sample_rate, position, Fraction(1, sample_rate)
    return frame
