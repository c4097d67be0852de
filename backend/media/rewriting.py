"""Rewriting a video: the same compressed pictures and sound in a new, clean container.

Knows: which container holds which codec, and how time stamps are set on the grid of the rate.
Does not know: whether the pictures can be decoded (``media.decoding_video`` looks at the result).

Nothing is compressed again, so nothing is lost; titles, places, chapters, subtitles, attachments,
further tracks and every other tag stay behind. What an encoder wrote between the pictures'
own bits (x264 leaves its settings there) stays. At a constant rate each picture gets the exact time
of its frame, so a rate that a container had only in milliseconds is exact from here on.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from backend.media.containers import codec_name, opened, picture_stream, sound_stream
from backend.media.timeline import Timeline

if TYPE_CHECKING:
    from av import Packet
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_MP4_PICTURES: Final = ("h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video")
_MP4_SOUND: Final = ("aac", "mp3", "opus", "flac", "alac", "ac3", "eac3")
_EXACT: Final = {"fflags": "+bitexact"}
"""No date, no random number and no version in the file: equal packets give equal bytes."""


def muxer(suffix: str, ticks: int) -> dict[str, Any]:
    """PyAV's words for writing a ``.mp4`` or ``.mkv`` file, the same bytes each time.

    The length of each MP4 track is written in *ticks* a second; FFmpeg's own 1000 cut the sound.
    """
    if suffix == ".mkv":
        return {"format": "matroska", "options": dict(_EXACT)}
    options = {**_EXACT, "movflags": "+faststart", "movie_timescale": str(ticks)}
    return {"format": "mp4", "options": options}


def ticks_of(frame_rate: Fraction) -> int:
    """Ticks a second in which every frame of a silent video lasts a whole number of them."""
    return frame_rate.numerator * max(1, round(1000 / frame_rate.numerator))


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """New times for packets, by the order in which they are decoded: ``shown`` and ``decoded``
    and how long each lasts, in ``time_base`` seconds."""

    time_base: Fraction
    shown: NDArray[np.int64]
    decoded: NDArray[np.int64]
    lasts: NDArray[np.int64]


def clock_of(timeline: Timeline) -> Clock:
    """The clock for all packets of a timeline, hidden ones included.

    A picture is decoded as late as may be: in the order of the packets, at the times of the
    pictures, so much earlier that none is decoded after it is shown.
    """
    pts, rate = timeline.packets, timeline.frame_rate
    if timeline.constant and len(pts) == len(timeline.times):
        step, time_base = rate.denominator, Fraction(1, rate.numerator)
        shown = np.searchsorted(timeline.times, pts) * step
        end = len(pts) * step
    else:
        time_base = timeline.time_base
        shown = pts - timeline.times[0]
        end = max(timeline.end - int(timeline.times[0]), int(shown.max()) + 1)
    rising = np.sort(shown)
    rank = np.searchsorted(rising, shown)
    delay = int((np.arange(len(shown)) - rank).max(initial=0))
    step = int(np.diff(rising).min(initial=end - int(rising[0]))) if len(rising) else 1
    early = rising[0] - step * np.arange(delay, 0, -1)
    decoded = np.concatenate([early, rising])[: len(shown)]
    return Clock(time_base, shown, decoded, np.diff(np.append(rising, end))[rank])


def suffix_for(pictures: VideoStream, sound: AudioStream | None) -> str:
    """``.mp4`` where that holds both codecs and players expect it, else ``.mkv``."""
    fits = codec_name(pictures) in _MP4_PICTURES
    return ".mp4" if fits and (sound is None or codec_name(sound) in _MP4_SOUND) else ".mkv"


def rewrite(source: Path, target: Path, timeline: Timeline) -> None:
    """Write pictures and sound of *source* to *target*, an MP4 or Matroska file by its suffix.

    Raises ``NotVideo`` for what FFmpeg finds damaged on the way.
    """
    import av

    clock = clock_of(timeline)
    with opened(source) as reader, ExitStack() as stack:
        pictures, sound = picture_stream(reader), sound_stream(reader)
        ticks = sound.rate if sound else ticks_of(timeline.frame_rate)
        writer = stack.enter_context(av.open(str(target), "w", **muxer(target.suffix, ticks)))
        shown = _copied_pictures(writer, pictures, clock, timeline)
        heard = writer.add_stream_from_template(sound, opaque=True) if sound else None
        number = 0
        for packet in reader.demux([pictures, sound] if sound else [pictures]):
            if not packet.size:
                continue
            if heard is not None and packet.stream is sound:
                _shift(packet, timeline.start_s)
                packet.stream = heard
            else:
                packet.time_base = clock.time_base
                packet.pts, packet.dts = int(clock.shown[number]), int(clock.decoded[number])
                packet.duration = int(clock.lasts[number])
                packet.stream = shown
                number += 1
            writer.mux(packet)


def _copied_pictures(
    writer: OutputContainer, pictures: VideoStream, clock: Clock, timeline: Timeline
) -> VideoStream:
    stream = writer.add_stream_from_template(pictures, opaque=True)
    stream.time_base = clock.time_base
    # written into Matroska as the duration of a frame: its time stamps know milliseconds only
    stream.codec_context.framerate = timeline.frame_rate
    if codec_name(pictures) == "hevc" and "hev1" not in str(pictures.codec_context.codec_tag):
        # the only name under which Apple's players take it
        stream.codec_context.codec_tag = "hvc1"
    return stream


def _shift(packet: Packet[Any], start_s: Fraction) -> None:
    """Count a packet of sound from the first picture on."""
    assert packet.time_base is not None
    back = round(start_s / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts - back
    packet.dts = None if packet.dts is None else packet.dts - back
