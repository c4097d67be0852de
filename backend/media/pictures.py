"""Pictures of a video, decoded: upright RGB pixels of the frames that are wanted.

Knows: seeking, colour matrices, and the eight ways a picture can be turned.
Does not know: which frames are wanted, and why (``media.video``).

8-bit video is given in steps of 1/255, deeper video in steps of 1/65535. Video that does not name
its colour matrix is read as players do: ITU-R BT.709 from 720 lines on, BT.601 below.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from backend.media.containers import NotVideo, opened, picture_stream
from backend.media.timeline import Timeline

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

HD_LINES: Final = 720
WORTH_A_JUMP: Final = 16
"""Pictures that are rather decoded than jumped over."""
_UNSPECIFIED: Final = 2
_BT709, _BT601 = "ITU709", "ITU601"


def decode(path: Path, timeline: Timeline, numbers: NDArray[np.int64]) -> Iterator[Any]:
    """The frames *numbers* (rising) of the video at *path*, float32 ``[H, W, 3]``, 0..1.

    The file is open while the frames are taken. Raises `NotVideo` where a picture is missing.
    """
    wanted = timeline.pictures(numbers)
    if len(wanted) == 0:
        return
    with opened(path) as container:
        stream = picture_stream(container)
        reader = _Reader(container, stream, timeline)
        last, frame = -1, None
        for picture in wanted.tolist():
            if picture != last or frame is None:
                last, frame = picture, to_rgb(reader.picture(picture))
            yield frame


class _Reader:
    """Gives one picture after the other, and jumps where that saves decoding."""

    def __init__(self, container: InputContainer, stream: VideoStream, timeline: Timeline) -> None:
        self._container, self._stream, self._timeline = container, stream, timeline
        self._frames = container.decode(stream)
        self._last = -1

    def picture(self, number: int) -> VideoFrame:
        """Picture *number*; numbers only rise. Raises `NotVideo`."""
        wanted = int(self._timeline.times[number])
        key = self._timeline.key_before(number)
        if key > self._last + WORTH_A_JUMP:
            self._seek(key)
        frame = self._next(wanted)
        if frame is None or frame.pts != wanted:
            # the container's index led astray: from the beginning there is no doubt
            self._seek(0)
            frame = self._next(wanted)
        if frame is None or frame.pts != wanted:
            raise NotVideo(f"picture {number} of the video cannot be decoded")
        self._last = number
        return frame

    def _next(self, wanted: int) -> VideoFrame | None:
        """The first picture at or after the time *wanted*."""
        return next((frame for frame in self._frames if (frame.pts or 0) >= wanted), None)

    def _seek(self, picture: int) -> None:
        time = int(self._timeline.times[picture])
        self._container.seek(time, stream=self._stream, backward=True)
        self._frames = self._container.decode(self._stream)


def to_rgb(frame: VideoFrame) -> NDArray[np.float32]:
    """One decoded picture, upright, float32 ``[H, W, 3]``, 0..1."""
    deep = any(component.bits > 8 for component in frame.format.components)
    form, full = ("rgb48le", 65535.0) if deep else ("rgb24", 255.0)
    grid = frame.to_ndarray(format=form, **_colours(frame), **_scaling())
    upright = turn(grid, _orientation(frame))
    return np.ascontiguousarray(upright, np.float32) / np.float32(full)


def _colours(frame: VideoFrame) -> dict[str, Any]:
    """Range and matrix: the picture's own, or what is usual for a picture that names none."""
    found: dict[str, Any] = {"src_color_range": frame.color_range}
    if frame.colorspace == _UNSPECIFIED and not frame.format.is_rgb:
        found["src_colorspace"] = _BT709 if frame.height >= HD_LINES else _BT601
    return found


def _scaling() -> dict[str, Any]:
    """Exact rounding and full chroma: the fast paths are off by two steps, and read past edges."""
    from av.video.reformatter import Interpolation

    exact = Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
    return {"interpolation": Interpolation.BICUBIC | exact, "threads": 1}


Orientation = tuple[bool, bool, bool]
"""Whether to swap rows and columns, then to reverse rows, then columns."""


def _orientation(frame: VideoFrame) -> Orientation:
    """How a picture must be turned, by the display matrix that it may carry."""
    from av.sidedata.sidedata import Type

    side_data: Any = frame.side_data  # PyAV's stub says that its keys are texts
    matrix = side_data.get(Type.DISPLAYMATRIX)
    return (False, False, False) if matrix is None else read_matrix(bytes(matrix))


def read_matrix(raw: bytes) -> Orientation:
    """The nearest of the eight orientations of a display matrix (ISO 14496-12, 6.2.2).

    It leads from the stored place (x, y) to the shown one, (a x + c y, b x + d y).
    """
    a, b, _, c, d = struct.unpack("=9i", raw)[:5]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (False, d < 0, a < 0)
    return (True, b < 0, c < 0)


def turn(grid: NDArray[Any], orientation: Orientation) -> NDArray[Any]:
    """Pixels ``[H, W, C]``, turned."""
    swap, rows, columns = orientation
    turned = grid.swapaxes(0, 1) if swap else grid
    return turned[:: -1 if rows else 1, :: -1 if columns else 1]


def depth_of(stream: VideoStream) -> Literal[8, 16]:
    """Bits a channel of an image that keeps all that the pictures of *stream* hold."""
    form = stream.codec_context.format
    return 16 if form is not None and any(each.bits > 8 for each in form.components) else 8


def size_of(container: InputContainer, stream: VideoStream) -> tuple[int, int]:
    """Width and height of a frame. Decodes one picture: the turn is written beside it."""
    container.seek(0)
    frame = next(container.decode(stream), None)
    if frame is None:
        raise NotVideo("no picture of the video can be decoded")
    swap = _orientation(frame)[0]
    return (frame.height, frame.width) if swap else (frame.width, frame.height)
