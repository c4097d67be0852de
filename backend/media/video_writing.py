"""Writing video: frames, one after the other, and sound become a file; equal calls, equal bytes.

Knows: H.264 and AAC in MP4 (x264 by PyAV's wheel, under the GPL like Kino itself; AAC by FFmpeg),
and FFV1 and PCM in Matroska, without any loss.
Does not know: where frames come from.

=========  ==================================================================================
format     how
=========  ==================================================================================
mp4_h264   x264 at a constant rate factor, BT.709, 4:2:0, 8 bits; every player reads it. An odd
           width or height needs 4:4:4, which browsers show and most hardware does not. AAC with
           96 kbit/s a channel; another rate than AAC's becomes 48 kHz.
mkv_ffv1   FFV1 RGB, 8 or 16 bits, and float PCM: bit for bit what was given. Large.
=========  ==================================================================================
"""

from __future__ import annotations

import itertools
import uuid
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from backend import context
from backend.media.audio import Audio
from backend.media.finite import check_finite
from backend.media.layouts import AAC_RATES, MOST_CHANNELS, layout
from backend.media.resampling import resample_blocks
from backend.media.rewriting import muxer, ticks_of
from backend.media.soundtrack import Block
from backend.media.video import Frame, Video, VideoForm

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

DEFAULT_CRF: Final = 17.0
"""x264's constant rate factor: at 17 to 18 the eye sees no difference."""

_THREADS: Final = "4"
"""A fixed number: what x264 writes depends on it."""
_AAC_BITS: Final = 96_000
_BT709: Final = 1
_LIMITED: Final = 1


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """How a video is written: its form, x264's constant rate factor, 8 or 16 bits for FFV1."""

    form: VideoForm = "mp4_h264"
    crf: float = DEFAULT_CRF
    bit_depth: Literal[8, 16] = 8


def write(
    frames: Iterable[Frame],
    frame_rate: Fraction,
    audio: Audio | None = None,
    how: VideoFormat = VideoFormat(),
) -> Video:
    """A video of *frames*, all of one size, in the run's scratch folder; memory stays constant.

    Frames are float ``[H, W, C]`` with 1, 3 or 4 channels (alpha is dropped), 0..1; values beyond
    are clipped. Sound longer than the pictures is cut. Raises ``ValueError`` for no frame and for
    frames of different sizes, `Unfit` for values that are not finite.
    """
    suffix = ".mp4" if how.form == "mp4_h264" else ".mkv"
    path = context.scratch_folder() / f"video-{uuid.uuid4().hex}{suffix}"
    try:
        _write(path, frames, frame_rate, audio, how)
        video = Video.open(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    if not context.in_run():
        # nobody else clears the system's temporary folder
        weakref.finalize(video, path.unlink, missing_ok=True)
    return video


def _write(
    path: Path, frames: Iterable[Frame], rate: Fraction, audio: Audio | None, how: VideoFormat
) -> None:
    import av

    stream_of = iter(frames)
    first = next(stream_of, None)
    if first is None:
        raise ValueError("a video needs at least one frame")
    ticks = _sound_rate(audio, how) if audio is not None else ticks_of(rate)
    with av.open(str(path), "w", **muxer(path.suffix, ticks)) as container:
        pictures = _picture_stream(container, first.shape[1], first.shape[0], rate, how)
        sound = _Sound(container, audio, how) if audio is not None else None
        for number, frame in enumerate(itertools.chain([first], stream_of)):
            if frame.shape[:2] != first.shape[:2]:
                raise ValueError(
                    f"frame {number} is {frame.shape[1]} x {frame.shape[0]}, the first one "
                    f"{first.shape[1]} x {first.shape[0]}"
                )
            picture = _picture(frame, how, pictures.pix_fmt)
            picture.pts, picture.time_base = number, 1 / rate
            container.mux(pictures.encode(picture))
            if sound is not None:
                sound.write_until((number + 1) / rate)
        container.mux(pictures.encode(None))
        if sound is not None:
            sound.finish()


def _picture_stream(
    container: OutputContainer, width: int, height: int, rate: Fraction, how: VideoFormat
) -> VideoStream:
    if how.form == "mkv_ffv1":
        stream = container.add_stream(
            "ffv1", rate=rate, options={"threads": _THREADS, "level": "3"}
        )
        stream.pix_fmt = "gbrp16le" if how.bit_depth == 16 else "bgr0"
    else:
        # x264's macroblock tree reads memory that it has not written: other bytes on each run
        options = {"crf": f"{how.crf:g}", "threads": _THREADS, "mbtree": "0"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.pix_fmt = "yuv420p" if width % 2 == height % 2 == 0 else "yuv444p"
        codec = stream.codec_context
        codec.color_range, codec.colorspace = _LIMITED, _BT709
        codec.color_primaries, codec.color_trc = _BT709, _BT709
        # a place to begin with every two seconds, for whoever wants a frame in the middle
        codec.gop_size = max(1, min(250, round(2 * rate)))
    stream.width, stream.height = width, height
    return stream


def _picture(frame: Frame, how: VideoFormat, pix_fmt: str | None) -> Any:
    """One frame as FFmpeg's, in the format of the stream."""
    import av
    from av.video.reformatter import Interpolation

    check_finite(frame, "video")
    pixels = np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame[:, :, :3]
    deep = how.form == "mkv_ffv1" and how.bit_depth == 16
    grid = _grid(pixels, 65535 if deep else 255, np.uint16 if deep else np.uint8)
    picture = av.VideoFrame.from_ndarray(grid, format="rgb48le" if deep else "rgb24")
    exact = Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INP
    is_rgb = how.form == "mkv_ffv1"
    return picture.reformat(
        format=pix_fmt,
        interpolation=Interpolation.BICUBIC | exact,
        dst_colorspace=None if is_rgb else "ITU709",
        dst_color_range=None if is_rgb else _LIMITED,
        threads=1,
    )


def _grid(pixels: Frame, full: int, kind: type) -> NDArray[Any]:
    """Values 0..1 to whole numbers 0..*full*, rounded to the nearest."""
    return np.ascontiguousarray(np.rint(np.clip(pixels, 0.0, 1.0) * full).astype(kind))


def _sound_rate(audio: Audio, how: VideoFormat) -> int:
    """The sample rate at which the sound is written."""
    fits = how.form == "mkv_ffv1" or audio.sample_rate in AAC_RATES
    return audio.sample_rate if fits else 48_000


class _Sound:
    """The sound of a file that is written: as much of it at a time as there are pictures."""

    def __init__(self, container: OutputContainer, audio: Audio, how: VideoFormat) -> None:
        if audio.channels > MOST_CHANNELS:
            raise ValueError(f"a video has up to {MOST_CHANNELS} channels, not {audio.channels}")
        self._container = container
        self._rate, self._channels = _sound_rate(audio, how), audio.channels
        blocks: Iterator[Block] = audio.blocks()
        aac = how.form == "mp4_h264"
        if self._rate != audio.sample_rate:
            blocks = resample_blocks(blocks, self._channels, audio.sample_rate, self._rate)
        self._stream: AudioStream = container.add_stream(
            "aac" if aac else "pcm_f32le", rate=self._rate, layout=layout(self._channels)
        )
        if aac:
            self._stream.bit_rate = _AAC_BITS * self._channels
        self._blocks, self._left = blocks, np.empty((self._channels, 0), np.float32)
        self._done = 0

    def write_until(self, seconds: Fraction) -> None:
        """Write the sound up to this time, as far as there is any."""
        wanted = round(seconds * self._rate) - self._done
        while self._left.shape[1] < wanted:
            block = next(self._blocks, None)
            if block is None:
                break
            self._left = np.concatenate([self._left, block], axis=1)
        now, self._left = self._left[:, :wanted], self._left[:, wanted:]
        if now.shape[1]:
            self._container.mux(self._stream.encode(self._frame(now)))
            self._done += now.shape[1]

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))

    def _frame(self, block: Block) -> Any:
        import av

        named = layout(self._channels)
        if self._stream.codec_context.name == "aac":
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", named)
        else:
            flat = np.ascontiguousarray(block.T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(flat, "flt", named)
        frame.sample_rate, frame.pts = self._rate, self._done
        frame.time_base = Fraction(1, self._rate)
        return frame
