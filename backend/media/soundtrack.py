"""The sound of a video, decoded: a span of it as `Audio`, in time with the pictures.

Knows: time stamps of sound, and gaps.
Does not know: pictures; whoever asks says at which second of the file the span begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.media.containers import NotVideo, is_matroska, opened, sound_stream
from backend.media.finite import check_finite
from backend.media.sound_frames import to_float

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

Block = NDArray[np.float32]
"""Samples ``[channels, n]``."""

GAP_S: Final = 0.05
"""Time stamps may be off by so much before a gap is taken for one; Matroska rounds to 1 ms."""
_SILENCE: Final = 65536


def decode(path: Path, start_s: Fraction, duration_s: Fraction | None = None) -> Audio | None:
    """The sound of the video at *path* from the file's second *start_s* on; None without any.

    With *duration_s* it has exactly that length, silence included. Raises `NotVideo`.
    """
    with opened(path) as container:
        stream = sound_stream(container)
        if stream is None:
            return None
        blocks = aligned(container, stream, start_s)
        if duration_s is not None:
            frames = max(0, round(duration_s * stream.rate))
            blocks = fitted(blocks, frames, stream.channels)
        elif stream.duration and stream.time_base and not is_matroska(container):
            # an MP4 says where the sound ends; the last packet holds more
            end = (stream.start_time or 0) + stream.duration
            blocks = _until(blocks, round((end * stream.time_base - start_s) * stream.rate))
        return Audio.from_blocks(blocks, stream.rate, stream.channels)


def aligned(
    container: InputContainer, stream: AudioStream, start_s: Fraction = Fraction(0)
) -> Iterator[Block]:
    """Every block of *stream*, such that the first sample sounds at the file's second *start_s*.

    What comes before is left out, gaps are silent. Raises `Unfit` for samples that are not
    finite, `NotVideo` for a change of rate or channels.
    """
    rate, channels = stream.rate, stream.channels
    if start_s > 1 and stream.time_base:
        # a second early: some codecs need a moment until they are right
        container.seek(int((start_s - 1) / stream.time_base), stream=stream)
    due: int | None = None  # where the next sample belongs, counted from the start
    for frame in container.decode(stream):
        if (frame.sample_rate, frame.layout.nb_channels) != (rate, channels):
            raise NotVideo("the sample rate or the channels change within the sound")
        block = to_float(frame, channels)
        check_finite(block, "audio")
        place = _place(frame, start_s, rate, due)
        if due is not None and abs(place - due) <= GAP_S * rate:
            place = due
        if place > (due or 0):
            yield from _silence(place - max(due or 0, 0), channels)
        # what is from before the start, or from before what was given already, is left out
        skipped = min(block.shape[1], max(0, max(due or 0, 0) - place))
        if skipped < block.shape[1]:
            yield block[:, skipped:]
        due = max(place + block.shape[1], place if due is None else due)


def _place(frame: AudioFrame, start_s: Fraction, rate: int, due: int | None) -> int:
    """Where a frame belongs, in samples from the start; right after the last if it tells not."""
    if frame.pts is None or frame.time_base is None:
        return due or 0
    return round((frame.pts * frame.time_base - start_s) * rate)


def _silence(frames: int, channels: int) -> Iterator[Block]:
    for start in range(0, frames, _SILENCE):
        yield np.zeros((channels, min(_SILENCE, frames - start)), np.float32)


def _until(blocks: Iterator[Block], frames: int) -> Iterator[Block]:
    """*blocks* without what is beyond *frames* frames."""
    left = frames
    for block in blocks:
        if left <= 0:
            return
        yield block[:, :left]
        left -= block.shape[1]


def fitted(blocks: Iterator[Block], frames: int, channels: int) -> Iterator[Block]:
    """Exactly *frames* frames of *blocks*: cut, or followed by silence."""
    left = frames
    for block in _until(blocks, frames):
        yield block
        left -= block.shape[1]
    yield from _silence(left, channels)
