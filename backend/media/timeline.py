"""The timeline of a video: when each picture is shown, and which one every frame of it is.

Knows: time stamps, the exact frame rate behind them, and how an uneven rate becomes an even one.
Does not know: pixels. Nothing is decoded here; packets are only counted.

Time 0 is the first picture. Frame n is what is on the screen in its middle, at
``(n + 1/2) / frame_rate``. Where every picture lies within half a frame of its place, the rate is
constant: picture n is frame n, and rounded or trembling time stamps change nothing. Everything else
is a variable rate (a telephone's, a screen recorder's): there the frame rate is the usual one
nearest to the median distance of the pictures, and pictures are repeated or left out so that each
is shown when it was and the sound stays in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from backend.media.containers import NotVideo, codec_name, is_matroska
from backend.media.rates import FASTEST, SLOWEST

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

Times = NDArray[np.int64]

USUAL: Final = (
    *(Fraction(whole) for whole in (5, 6, 8, 10, 12, 15, 16, 18, 20, 24, 25, 30)),
    *(Fraction(whole) for whole in (48, 50, 60, 90, 100, 120, 144, 200, 240)),
    *(Fraction(1000 * whole, 1001) for whole in (12, 15, 24, 30, 48, 60, 120, 240)),
)
"""Frame rates that cameras, films and broadcasts have."""

_CLEAN: Final = (1, 2, 4, 5, 8, 10, 100, 1000, 1001)
"""Denominators of rates that somebody has chosen; others come from counting."""
_NEAR: Final = 0.02
_IF_UNKNOWN: Final = Fraction(25)
_VP8_SHOWN: Final = 0x10
"""Bit of a picture's first byte, without which it is only for others to refer to (RFC 6386, 9.1);
an edit list hides pictures, too, and FFmpeg marks those itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """``times`` are the rising time stamps of the pictures, in ``time_base`` seconds, ``end`` is
    where the last one ends; ``keys`` are the numbers of those that need no others; ``packets`` are
    the time stamps of all packets, hidden ones included, in the order in which they are decoded."""

    times: Times
    keys: Times
    packets: Times
    end: int
    time_base: Fraction
    frame_rate: Fraction
    constant: bool

    @property
    def start_s(self) -> Fraction:
        """The file's own time of the first picture, in seconds."""
        return int(self.times[0]) * self.time_base

    @property
    def frame_count(self) -> int:
        """How many frames there are at the constant frame rate."""
        if self.constant:
            return len(self.times)
        seconds = (self.end - int(self.times[0])) * self.time_base
        return max(1, round(seconds * self.frame_rate))

    @property
    def measured_rate(self) -> Fraction:
        """Pictures by the time from the first to the last."""
        if len(self.times) == 1:
            return self.frame_rate
        return (len(self.times) - 1) / (int(self.times[-1] - self.times[0]) * self.time_base)

    def pictures(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which picture, counted from 0, each of *frames* (rising numbers) shows."""
        if self.constant:
            return frames
        ticks = (frames + 0.5) / float(self.frame_rate * self.time_base)
        found = np.searchsorted(self.times - self.times[0], ticks, side="right") - 1
        return np.asarray(np.clip(found, 0, len(self.times) - 1), np.int64)

    def key_before(self, picture: int) -> int:
        """The last picture up to *picture* that decoding can begin with."""
        return int(self.keys[max(0, int(np.searchsorted(self.keys, picture, side="right")) - 1)])


def read_timeline(container: InputContainer, stream: VideoStream) -> Timeline:
    """Count the packets of *stream*, from where *container* stands; nothing is decoded.

    Raises `NotVideo` for no picture, for one without a time stamp, and for two at one time.
    """
    every, shown, keys, latest = list[int](), list[int](), list[int](), (0, 0)
    is_vp8 = codec_name(stream) == "vp8"
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if packet.pts is None:
            raise NotVideo("the pictures have no time stamps")
        every.append(packet.pts)
        if packet.is_discard or (is_vp8 and not bytes(packet)[0] & _VP8_SHOWN):
            continue
        if not shown or packet.pts > latest[0]:
            latest = (packet.pts, packet.duration or 0)
        shown.append(packet.pts)
        if packet.is_keyframe:
            keys.append(packet.pts)
    if not shown:
        raise NotVideo("the file holds no pictures")
    time_base = stream.time_base
    if time_base is None or time_base <= 0:
        raise NotVideo("the pictures have no time base")
    times = np.sort(np.asarray(shown, np.int64))
    if len(times) > 1 and (np.diff(times) == 0).any():
        raise NotVideo("two pictures have the same time stamp")
    # with one picture FFmpeg's other guess is the resolution of the clock
    guesses = (stream.average_rate, stream.base_rate if len(times) > 1 else None)
    declared = [Fraction(rate) for rate in guesses if rate]
    end = _end(container, stream, latest)
    rate, constant = frame_rate_of(times, time_base, end, declared)
    starts = np.searchsorted(times, np.sort(np.asarray(keys, np.int64)))
    packets = np.asarray(every, np.int64)
    return Timeline(times, np.append(0, starts), packets, end, time_base, rate, constant)


def _end(container: InputContainer, stream: VideoStream, latest: tuple[int, int]) -> int:
    """Where the last picture ends, of which *latest* is the time and the length.

    MP4 tells how long pictures are decoded, not how long they are shown, but how long all last.
    """
    end = latest[0] + latest[1]
    if not is_matroska(container) and stream.duration:
        whole = (stream.start_time or 0) + stream.duration
        return whole if whole > latest[0] else end
    return end


def frame_rate_of(
    times: Times, time_base: Fraction, end: int, declared: list[Fraction]
) -> tuple[Fraction, bool]:
    """The exact rate of pictures at *times*, and whether it is constant.

    *declared* is what the container says, best first: believed as far as the pictures agree.
    """
    if len(times) == 1:
        seconds = (end - int(times[0])) * time_base
        return _within((*declared, 1 / seconds if seconds > 0 else _IF_UNKNOWN)[0]), True
    mean = (len(times) - 1) / ((int(times[-1]) - int(times[0])) * time_base)
    nearest = min(USUAL, key=lambda usual: abs(usual - mean))
    # exactly even, to the tick; then with time stamps that were rounded; then trembling ones
    for tolerance, rates in (
        (Fraction(0), declared),
        (time_base, [rate for rate in declared if rate.denominator in _CLEAN]),
        (time_base, [nearest, *declared]),
        (None, [nearest, *declared, mean.limit_denominator(1001)]),
    ):
        for rate in rates:
            if rate <= 0:
                continue
            allowed = Fraction(1, 2) if tolerance is None else tolerance * rate
            if _deviation(times, time_base, rate) <= min(float(allowed), 0.499):
                return rate, True
    median = Fraction(int(np.median(np.diff(times)))) * time_base
    usual = min(USUAL, key=lambda rate: abs(rate * median - 1))
    rate = usual if abs(usual * median - 1) <= _NEAR else (1 / median).limit_denominator(1001)
    return _within(rate), False


def _deviation(times: Times, time_base: Fraction, rate: Fraction) -> float:
    """How far, in frames, any picture lies from its place; 0 only where it is exactly there."""
    step = 1 / (rate * time_base)
    count = np.arange(len(times))
    elapsed = times - times[0]
    if step.denominator == 1 and np.array_equal(elapsed, count * int(step)):
        return 0.0
    return float(np.abs(elapsed / float(step) - count).max()) + 1e-9


def _within(rate: Fraction) -> Fraction:
    return min(max(rate, SLOWEST), FASTEST)
