"""The operations over video.

Knows: names, parameters, units and ranges; imports nothing heavy.
Does not know: how frames and sound are read and written; that is imported inside the run.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Final

from annotated_types import Ge, Le, Len

from backend.media.audio import Audio
from backend.media.image import Image
from backend.media.rates import FrameRate
from backend.media.video import Video, VideoForm
from backend.plugins import LOCAL, Context, Needs, operation
from backend.units import Frames

from .formats import Side
from .video_results import Fit, LoadedVideo, VideoFacts

MOST_FRAMES: Final = 100_000

Start = Annotated[Frames, Ge(0), Le(10_000_000)]
Step = Annotated[Frames, Ge(1), Le(100_000)]


@operation("files.probe_video", needs=Needs(memory_gib=0.3), timeout_s=300.0)
def probe_video(video: Video) -> VideoFacts:
    """Tell the length, the exact frame rate, the size and the codecs of a video."""
    from . import video_frames

    return video_frames.probe(video)


@operation("files.load_video", needs=Needs(memory_gib=4.0), timeout_s=3600.0)
def load_video(
    video: Video,
    frame_load_cap: Annotated[Frames, Ge(0), Le(MOST_FRAMES)] = 150,
    start_frame: Start = 0,
    frame_step: Step = 1,
    width: Side | None = None,
    height: Side | None = None,
    fit: Fit = "inside",
    load_audio: bool = True,
    *,
    ctx: Context = LOCAL,
) -> LoadedVideo:
    """Give frames of a video as images, with the sound of the same span.

    From *start_frame* on every *frame_step*-th frame is taken, at most *frame_load_cap* (0: all).
    The sound begins with the first of them and ends when the last one does. Without *width* and
    *height* the size stays; with one of them the other follows. With both, ``inside`` makes the
    picture as large as fits, ``crop`` fills the size and cuts off what is over, ``pad`` adds black
    bars, and only ``stretch`` changes the proportions.
    """
    from . import video_frames

    size = video_frames.Size(width, height, fit)
    span = video_frames.Span(start_frame, frame_step, frame_load_cap)
    return video_frames.load(video, span, size, load_audio, ctx)


@operation("files.load_video_frame", needs=Needs(memory_gib=0.5), timeout_s=300.0)
def load_video_frame(video: Video, frame: Start = 0) -> Image:
    """Give one frame of a video, counted from 0, as an image."""
    from . import video_frames

    return video_frames.single(video, frame)


@operation("files.extract_audio", needs=Needs(memory_gib=0.2), timeout_s=3600.0)
def extract_audio(video: Video) -> Audio:
    """Give the sound of a video, from its first picture on, decoded and not changed."""
    from . import video_frames

    return video_frames.sound_of(video)


@operation("files.save_video", needs=Needs(memory_gib=1.0), timeout_s=3600.0)
def save_video(
    images: Annotated[list[Image], Len(1, MOST_FRAMES)],
    fps: FrameRate = Fraction(24),
    audio: Audio | None = None,
    format: VideoForm = "mp4_h264",  # noqa: A002 - the name that callers know
    crf: Annotated[float, Ge(0), Le(51)] = 17.0,
    *,
    ctx: Context = LOCAL,
) -> Video:
    """Make a video of images of one size, at an exact frame rate, and of a sound.

    ``mp4_h264`` plays nearly everywhere if width and height are even (odd ones need 4:4:4, which
    browsers do not play): 8 bits, BT.709, AAC sound, *crf* x264's constant rate factor (0
    is lossless but for the colour matrix, 17 looks so, 23 is small). ``mkv_ffv1`` keeps every pixel
    and every sample bit for bit; few players know it. Transparency is dropped; sound longer than
    the pictures is cut.
    """
    from . import video_frames

    return video_frames.save(images, fps, audio, video_frames.form(format, crf, images), ctx)


OPERATIONS: Final = (probe_video, load_video, load_video_frame, extract_audio, save_video)
