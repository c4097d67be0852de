"""Video: a file of pictures at an exact, constant frame rate, and perhaps sound.

Knows: the file's facts, and how frames and sound are read from it a few at a time.
Does not know: how it came to be (``media.video_writing``), and uploads (``media.decoding_video``).

A frame is upright (the file's rotation is applied), RGB, without transparency, as wide and as high
as it is stored: pixels that are not square are not stretched, interlaced fields stay as they are.
Frames and sound begin with the first picture; `media.timeline` says how a variable rate is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.media.reference import MediaValue
from backend.media.timeline import Timeline

MEDIA_TYPES: Final = {
    ".mp4": "video/mp4",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
}
VideoForm = Literal["mp4_h264", "mkv_ffv1"]
"""What a video is written as (``media.video_writing``)."""

Frame = NDArray[np.float32]
"""One frame, float32 ``[H, W, 3]``, 0..1."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Video(MediaValue):
    """A handle on a file. ``width`` and ``height`` are those of a frame;
    ``bit_depth`` is what keeps all that its pictures hold.

    What Kino writes is MP4 or Matroska; a file that a graph saved is taken as it is, so it may be
    MOV or WebM as well.
    """

    kind: ClassVar[str] = "video"
    path: Path
    width: int
    height: int
    frame_rate: Fraction
    frame_count: int
    has_audio: bool
    bit_depth: Literal[8, 16]
    suffix: str
    timeline: Timeline = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the facts of a file; no picture is decoded.

        Raises ``containers.NotVideo`` (a ``ValueError``) and ``FileNotFoundError``.
        """
        from backend.media import containers, pictures, timeline

        with containers.opened(path) as container:
            stream = containers.picture_stream(container)
            has_audio = containers.sound_stream(container) is not None
            times = timeline.read_timeline(container, stream)
            width, height = pictures.size_of(container, stream)
            depth = pictures.depth_of(stream)
        rate, count, suffix = times.frame_rate, times.frame_count, containers.suffix_of(path)
        return cls(path, width, height, rate, count, has_audio, depth, suffix, times)

    @property
    def duration_s(self) -> float:
        """Length in seconds: frames by frame rate."""
        return float(self.frame_count / self.frame_rate)

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.suffix]

    def frames(self, start: int = 0, step: int = 1, count: int | None = None) -> Iterator[Frame]:
        """Every *step*-th frame from *start* on, at most *count*, decoded one after the other.

        Raises ``ValueError`` for a start or count below 0 or a step below 1, and ``NotVideo`` for
        a picture that cannot be decoded.
        """
        if start < 0 or step < 1 or (count is not None and count < 0):
            raise ValueError("frames start at 0 or later, with a step of at least 1")
        numbers = np.arange(start, self.frame_count, step, dtype=np.int64)[:count]
        return self._decoded(numbers)

    def _decoded(self, numbers: NDArray[np.int64]) -> Iterator[Frame]:
        """Holds on to the video, and so to a file that goes with it."""
        from backend.media import pictures

        yield from pictures.decode(self.path, self.timeline, numbers)

    @property
    def audio(self) -> Audio | None:
        """All sound from the first picture on, decoded now; None without any."""
        return self.read_audio()

    def read_audio(
        self, start_s: Fraction | int = 0, duration_s: Fraction | None = None
    ) -> Audio | None:
        """The sound from *start_s* seconds on; None without any.

        With *duration_s* it lasts exactly so long, to the nearest sample, with silence where the
        file has no sound. Longer sound goes to a file in the run's scratch folder.
        """
        from backend.media import soundtrack

        if not self.has_audio:
            return None
        return soundtrack.decode(self.path, self.timeline.start_s + start_s, duration_s)
