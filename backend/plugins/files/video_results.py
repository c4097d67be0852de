"""What the operations over video give back, and the choices that they offer.

Knows: names, units, exact rates.
Does not know: how a video is read (``video_frames``).
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from backend.media.audio import Audio
from backend.media.image import Image
from backend.units import Frames, Pixels, SampleRate, Seconds, Unit

Fit = Literal["inside", "crop", "pad", "stretch"]
"""How a picture gets a size of other proportions."""


class VideoFacts(NamedTuple):
    """What `files.probe_video` gives."""

    duration_s: Seconds
    frame_rate: str
    """Frames per second, exact: ``30000/1001``."""
    fps: Annotated[float, Unit("frames/s")]
    """The same as a number, rounded."""
    variable_frame_rate: bool
    """Whether the file's own pictures come unevenly; what is read is even all the same."""
    frame_count: Frames
    width: Pixels
    height: Pixels
    bit_depth: int
    has_audio: bool
    audio_sample_rate: SampleRate | None
    audio_channels: int | None
    media_type: str
    video_codec: str
    audio_codec: str | None


class LoadedVideo(NamedTuple):
    """What `files.load_video` gives."""

    images: list[Image]
    audio: Audio | None
    """The sound of the same span of time; none if the video has none."""
    frame_rate: str
    """Frames per second of these images, exact: the video's own divided by the step."""
    fps: Annotated[float, Unit("frames/s")]
    """The same as a number, rounded."""
    frame_count: Frames
    width: Pixels
    height: Pixels
