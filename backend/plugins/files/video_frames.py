"""Frames of video: loaded as images, in the size that is wanted, and made into a video again.

Knows: spans, sizes, and how much may be in memory at once.
Does not know: containers and codecs (``media.video``, ``media.video_writing``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from backend.media import video_writing
from backend.media.audio import Audio
from backend.media.containers import NotVideo, codec_name, opened, picture_stream, sound_stream
from backend.media.image import Image
from backend.media.layouts import MOST_CHANNELS
from backend.media.video import Frame, Video, VideoForm
from backend.media.video_writing import VideoFormat
from backend.plugins import Context, OperationFailed, refused

from .pictures import resized
from .video_results import Fit, LoadedVideo, VideoFacts

PIXEL_BUDGET: Final = 2**29
"""Pixels of all frames that are loaded at once: 258 in Full HD. A graph holds them as float RGB,
which is 6 GiB then."""

IN_MEMORY: Final = 2**25
"""With more pixels than this the images of a job lie in files."""


@dataclass(frozen=True, slots=True)
class Span:
    """Every *step*-th frame from *start* on, at most *cap* (0: all)."""

    start: int
    step: int
    cap: int

    def count(self, video: Video) -> int:
        """How many frames of *video* it has. Raises `InvalidParameters` past the end."""
        if self.start >= video.frame_count:
            sentence = f"the video has {video.frame_count} frames, counted from 0"
            raise refused("/start_frame", "frame", sentence)
        there = len(range(self.start, video.frame_count, self.step))
        return min(there, self.cap) if self.cap else there


@dataclass(frozen=True, slots=True)
class Size:
    """The size that is wanted, and how a picture of other proportions gets it."""

    width: int | None
    height: int | None
    fit: Fit

    def of(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of what becomes of a picture of this size."""
        if self.width and self.height and self.fit != "inside":
            return self.width, self.height
        return self._scaled(width, height, most=False)

    def _scaled(self, width: int, height: int, *, most: bool) -> tuple[int, int]:
        """The picture's own proportions, as large as fits, or (*most*) as small as fills."""
        scales = [
            Fraction(wanted, own)
            for wanted, own in ((self.width, width), (self.height, height))
            if wanted
        ]
        scale = (max(scales) if most else min(scales)) if scales else Fraction(1)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def before_cut(self, width: int, height: int) -> tuple[int, int]:
        """What a picture of this size is scaled to, before anything of it is cut off."""
        if self.fit == "crop":
            return self._scaled(width, height, most=True)
        return self.of(width, height)

    def apply(self, frame: Frame, bits: int) -> Frame:
        """A frame ``[H, W, 3]`` of so many bits in this size."""
        height, width = frame.shape[:2]
        wanted = self.of(width, height)
        if wanted == (width, height):
            return frame
        if self.fit in ("stretch", "inside"):
            return _resized(frame, wanted, bits)
        scaled = self._scaled(width, height, most=self.fit == "crop")
        picture = _resized(frame, scaled, bits) if scaled != (width, height) else frame
        return _centred(picture, wanted)


def _resized(frame: Frame, size: tuple[int, int], bits: int) -> Frame:
    """*frame* by Lanczos; one that has 8 bits keeps to them, which is several times faster."""
    import PIL.Image

    if bits > 8:
        return resized(frame, size)
    picture = PIL.Image.fromarray(np.rint(frame * np.float32(255)).astype(np.uint8))
    small = np.asarray(picture.resize(size, PIL.Image.Resampling.LANCZOS), np.float32)
    return small / np.float32(255)


def _centred(picture: Frame, size: tuple[int, int]) -> Frame:
    """*picture* in the middle of *size*: cut, or with black around it."""
    width, height = size
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    cut = picture[max(0, top) :, max(0, left) :][:height, :width]
    if cut.shape[:2] == (height, width):
        return np.ascontiguousarray(cut)
    canvas = np.zeros((height, width, 3), np.float32)
    top, left = (height - cut.shape[0]) // 2, (width - cut.shape[1]) // 2
    canvas[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return canvas


def load(video: Video, span: Span, size: Size, load_audio: bool, ctx: Context) -> LoadedVideo:
    """Images of *span*, and the sound of the same time.

    Raises `InvalidParameters` for a span past the end and for more than `PIXEL_BUDGET` pixels.
    """
    count = span.count(video)
    width, height = size.of(video.width, video.height)
    _check_budget(count, width, height)
    _check_scaled(size, video)
    in_files = count * width * height > IN_MEMORY
    images, rate = [], video.frame_rate / span.step
    with _readable():
        for frame in video.frames(span.start, span.step, count):
            image = Image.from_array(size.apply(frame, video.bit_depth), video.bit_depth)
            images.append(image.in_file() if in_files else image)
            ctx.progress(len(images), count)
        audio = None
        if load_audio:
            audio = video.read_audio(span.start / video.frame_rate, count / rate)
    return LoadedVideo(images, audio, str(rate), float(rate), count, width, height)


def _check_budget(count: int, width: int, height: int) -> None:
    if count * width * height > PIXEL_BUDGET:
        sentence = (
            f"{count} frames of {width} x {height} are {count * width * height} pixels, more than "
            f"the {PIXEL_BUDGET} that may be loaded at once; lower frame_load_cap, raise "
            "frame_step, or give a smaller width and height"
        )
        raise refused("/frame_load_cap", "frame_budget", sentence)


def _check_scaled(size: Size, video: Video) -> None:
    """A long strip that is to fill a square is scaled far beyond it before it is cut."""
    width, height = size.before_cut(video.width, video.height)
    if width * height > PIXEL_BUDGET:
        told = f"to fill that size each frame would first become {width} x {height} pixels"
        raise refused("/fit", "frame_budget", f"{told}; take another fit, or a smaller size")


def single(video: Video, number: int) -> Image:
    """Frame *number*. Raises `InvalidParameters` past the end."""
    if number >= video.frame_count:
        sentence = f"the video has {video.frame_count} frames, counted from 0"
        raise refused("/frame", "frame", sentence)
    with _readable():
        (frame,) = video.frames(number, 1, 1)
    return Image.from_array(frame, video.bit_depth)


def sound_of(video: Video) -> Audio:
    """All sound. Raises `InvalidParameters` for a silent film."""
    with _readable():
        audio = video.audio
    if audio is None:
        raise refused("/video", "no_audio", "the video has no sound")
    return audio


def probe(video: Video) -> VideoFacts:
    """All facts of *video*; nothing is decoded."""
    with _readable(), opened(video.path) as container:
        sound = sound_stream(container)
        return VideoFacts(
            video.duration_s,
            str(video.frame_rate),
            float(video.frame_rate),
            not video.timeline.constant,
            video.frame_count,
            video.width,
            video.height,
            video.bit_depth,
            video.has_audio,
            sound.rate if sound else None,
            sound.channels if sound else None,
            video.media_type,
            codec_name(picture_stream(container)),
            codec_name(sound) if sound else None,
        )


def form(name: VideoForm, crf: float, images: Sequence[Image]) -> VideoFormat:
    """How a video of *images* is written: as deep as the deepest of them."""
    deep = any(image.bit_depth == 16 for image in images)
    return VideoFormat(name, crf, 16 if deep else 8)


def save(
    images: Sequence[Image], rate: Fraction, audio: Audio | None, how: VideoFormat, ctx: Context
) -> Video:
    """A video of *images*, read one after the other.

    Raises `InvalidParameters` for images of different sizes and for too many channels of sound.
    """
    first = images[0]
    for number, image in enumerate(images):
        if (image.width, image.height) != (first.width, first.height):
            sentence = (
                f"the image is {image.width} x {image.height} and the first one "
                f"{first.width} x {first.height}; a video has one size"
            )
            raise refused(f"/images/{number}", "size", sentence)
    if audio is not None and audio.channels > MOST_CHANNELS:
        sentence = f"a video has up to {MOST_CHANNELS} channels of sound"
        raise refused("/audio", "channels", f"{sentence}, not {audio.channels}")
    return video_writing.write(_watched(images, ctx), rate, audio, how)


def _watched(images: Sequence[Image], ctx: Context) -> Iterator[Frame]:
    for number, image in enumerate(images):
        yield image.pixels
        ctx.progress(number + 1, len(images))


@contextmanager
def _readable() -> Iterator[None]:
    """Within this block a picture or a sound that cannot be decoded fails the operation."""
    try:
        yield
    except NotVideo as error:
        raise OperationFailed(str(error)) from error
