"""Decoding video: an upload is rewritten into a clean container, and every picture is decoded once.

Knows: limits, and how to see that a file is cut, damaged or not what it says.
Does not know: where the file came from.

What is kept is not the upload but its compressed pictures and sound in a new container
(``media.rewriting``): to compress every upload again would cost quality, time and space each time
it goes through. What is kept is decoded in full here, so whoever reads it later meets no surprise.
"""

from __future__ import annotations

import shutil
import uuid
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

from backend.errors import (
    AssetRejected,
    AssetTooLarge,
    FieldError,
    InvalidParameters,
    StorageFull,
)
from backend.media import rewriting, soundtrack
from backend.media.containers import (
    NotVideo,
    is_matroska,
    opened,
    picture_stream,
    sound_stream,
)
from backend.media.finite import Unfit
from backend.media.rates import FASTEST, SLOWEST
from backend.media.timeline import Timeline, read_timeline
from backend.media.video import Video
from backend.media.wholeness import matroska_is_whole, mp4_is_whole

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from backend.media.decoding import Limits

MAX_CHANNELS: Final = 8
RATES: Final = (8_000, 384_000)
MAX_FRAMES: Final = 1_000_000
_LATE_S: Final = 1.0
"""A file may declare so much more than it holds: sound often ends a little after the pictures."""


def decode(path: Path, folder: Path, limits: Limits) -> Video:
    """Check the video at *path* and rewrite it into *folder*.

    Raises `AssetRejected` (damaged, cut, a codec not accepted), `AssetTooLarge` (limits
    video_seconds, video_pixels, video_frames), `InvalidParameters` (frame rate, channels, sample
    rate) and `StorageFull`.
    """
    try:
        with opened(path) as container:
            pictures, sound = picture_stream(container), sound_stream(container)
            declared_s = Fraction(container.duration or 0, 1_000_000)
            _check_header(container, pictures, sound, declared_s, limits)
            _check_whole(path, container)
            suffix = rewriting.suffix_for(pictures, sound)
            timeline = read_timeline(container, pictures)
            _check_timeline(timeline, pictures.frames, limits)
        if shutil.disk_usage(folder).free < limits.disk_floor_bytes + path.stat().st_size:
            raise StorageFull("there is not enough disk space for the video")
        target = folder / f"video-{uuid.uuid4().hex}{suffix}"
        rewriting.rewrite(path, target, timeline)
        video = Video.open(target)
        _check_kept(video, timeline)
        held_s = max(_decode_pictures(video), _decode_sound(video, limits))
        if declared_s - timeline.start_s > held_s + _LATE_S:
            raise _cut(f"{float(declared_s):g} s", f"{float(held_s):g} s")
    except NotVideo as error:
        raise AssetRejected(f"the video was not accepted: {error}", rule="damaged") from error
    except Unfit as error:
        told = f"the video was not accepted: {error.detail}"
        raise AssetRejected(told, rule=error.rule) from error
    return video


def _check_header(
    container: InputContainer,
    pictures: VideoStream,
    sound: AudioStream | None,
    declared_s: Fraction,
    limits: Limits,
) -> None:
    """Refuse by what the header says, before anything is read."""
    width, height = pictures.codec_context.width, pictures.codec_context.height
    if width * height > limits.video_pixels:
        raise AssetTooLarge(
            f"the video has {width} x {height} pixels, more than the {limits.video_pixels} allowed "
            "(limit video_pixels)",
            rule="video_pixels",
        )
    if declared_s > limits.video_seconds:
        raise _too_long(limits)
    if sound is not None and not 1 <= sound.channels <= MAX_CHANNELS:
        told = f"its sound has {sound.channels} channels, and 1 to {MAX_CHANNELS} are accepted"
        raise _invalid("channels", told)
    if sound is not None and not RATES[0] <= sound.rate <= RATES[1]:
        told = f"its sound has {sound.rate} Hz, and {RATES[0]} to {RATES[1]} are accepted"
        raise _invalid("sample_rate", told)


def _check_whole(path: Path, container: InputContainer) -> None:
    if not (matroska_is_whole if is_matroska(container) else mp4_is_whole)(path):
        told = "the video was not accepted: it is cut: it declares more bytes than it holds"
        raise AssetRejected(told, rule="cut")


def _check_timeline(timeline: Timeline, declared: int, limits: Limits) -> None:
    """Refuse by when the pictures are shown; *declared* is how many the header says there are."""
    if declared > len(timeline.packets):
        raise _cut(f"{declared} pictures", f"{len(timeline.packets)}")
    if timeline.frame_count > MAX_FRAMES:
        raise AssetTooLarge(
            f"the video has {timeline.frame_count} frames, more than {MAX_FRAMES} "
            "(limit video_frames)",
            rule="video_frames",
        )
    if timeline.frame_count > limits.video_seconds * timeline.frame_rate:
        raise _too_long(limits)
    measured = timeline.measured_rate
    if not SLOWEST <= measured <= FASTEST:
        told = (
            f"it has {float(measured):g} frames per second, and {float(SLOWEST)} to {FASTEST} "
            "are accepted"
        )
        raise _invalid("frame_rate", told)


def _check_kept(video: Video, source: Timeline) -> None:
    """Refuse a file whose edits the new container cannot express: its pictures moved."""
    kept = video.timeline
    same = len(kept.times) == len(source.times) and kept.frame_rate == source.frame_rate
    if not same or kept.frame_count != source.frame_count:
        raise NotVideo("its edit list cannot be kept; export it again without edits")


def _decode_pictures(video: Video) -> Fraction:
    """Decode every picture; returns where the last one ends, in seconds."""
    number, timeline = 0, video.timeline
    with opened(video.path) as container:
        stream = picture_stream(container)
        stream.codec_context.options = {"err_detect": "explode"}
        size = (stream.codec_context.width, stream.codec_context.height)
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise NotVideo(f"picture {number} is damaged")
            if (frame.width, frame.height) != size:
                raise NotVideo("the size of the pictures changes within the file")
            if number >= len(timeline.times) or frame.pts != timeline.times[number]:
                raise NotVideo(f"picture {number} cannot be decoded")
            number += 1
    if number < len(timeline.times):
        raise _cut(f"{len(timeline.times)} pictures", f"{number}")
    return (timeline.end - int(timeline.times[0])) * timeline.time_base


def _decode_sound(video: Video, limits: Limits) -> Fraction:
    """Decode every sample; returns where the last one ends, in seconds from the first picture."""
    with opened(video.path) as container:
        stream = sound_stream(container)
        if stream is None:
            return Fraction(0)
        frames, most = 0, limits.video_seconds * stream.rate
        for block in soundtrack.aligned(container, stream, video.timeline.start_s):
            frames += block.shape[1]
            if frames > most:
                raise _too_long(limits)
        return Fraction(frames, stream.rate)


def _too_long(limits: Limits) -> AssetTooLarge:
    return AssetTooLarge(
        f"the video lasts longer than {limits.video_seconds:g} s (limit video_seconds)",
        rule="video_seconds",
    )


def _cut(declared: str, held: str) -> AssetRejected:
    return AssetRejected(f"the video is cut: it declares {declared} and holds {held}", rule="cut")


def _invalid(rule: str, sentence: str) -> InvalidParameters:
    return InvalidParameters(
        f"the video file breaks a rule: {sentence}", errors=[FieldError("/file", rule, sentence)]
    )
