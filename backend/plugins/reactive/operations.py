"""The operations that listen: keyframes, analysis, tempo, key.

Knows: names, parameters, units and ranges; imports nothing heavy.
Does not know: how they work, which is imported inside the run.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from annotated_types import Ge, Le

from backend.media.audio import Audio
from backend.media.rates import FrameRate
from backend.plugins import LOCAL, Context, Needs, operation
from backend.units import Decibels, Frames, Hertz

from .choices import Mode
from .limits import MOST_FRAMES, Smoothing
from .results import Analysis, Key, Keyframes, Tempo


@operation("reactive.keyframes", needs=Needs(memory_gib=0.3), timeout_s=1800.0)
def keyframes(
    audio: Audio,
    fps: FrameRate = Fraction(24),
    mode: Mode = "rms",
    smoothing: Smoothing = 0.2,
    amp_scale: Annotated[float, Ge(0), Le(10)] = 1.0,
    y_offset: Annotated[float, Ge(-10), Le(10)] = 0.0,
    beat_threshold: Annotated[float, Ge(0.01), Le(1)] = 0.4,
    threshold: Annotated[float, Ge(0), Le(1)] = 0.0,
    scale: Literal["db", "linear"] = "db",
    range_db: Annotated[Decibels, Ge(6), Le(120)] = 60.0,
    normalize: bool = True,
    low_hz: Annotated[Hertz, Ge(0), Le(192_000)] = 20.0,
    high_hz: Annotated[Hertz, Ge(1), Le(192_000)] = 250.0,
    frames: Annotated[Frames, Ge(1), Le(MOST_FRAMES)] | None = None,
    *,
    ctx: Context = LOCAL,
) -> Keyframes:
    """Follow a sound: one value for each frame of a video.

    *mode* is what is followed: ``rms`` the level, ``low`` (20 to 250 Hz), ``mid`` (250 Hz to
    4 kHz), ``high`` (above) or ``band`` (*low_hz* to *high_hz*) the level in that band, ``beat`` a
    1 in every frame in which something begins to sound and a 0 in all others.

    A level is the RMS value over the frame (50 ms at least) around its middle, at
    ``(n + 1/2) / fps``: exact for every rate, over any length. With *scale* ``db`` it runs from 0,
    *range_db* below the reference, to 1 at the reference, in proportion to decibels; with
    ``linear`` in proportion to the RMS value. The reference is the loudest frame, or full scale if
    *normalize* is off. What lies below *threshold* becomes 0. Then *smoothing* (each value takes
    that part of the one before), *amp_scale* and *y_offset* are applied; beats are not smoothed.

    *beat_threshold* is how strong an onset must be, where 1 is about a typical one of this sound.
    Without *frames* the curve is as long as the sound.
    """
    from . import keyframes as follow

    wish = follow.Wish(
        fps, mode, smoothing, amp_scale, y_offset, beat_threshold, threshold, scale, range_db,
        normalize, low_hz, high_hz, frames,
    )  # fmt: skip
    return follow.keyframes(audio, wish, ctx)


@operation("reactive.analyse", needs=Needs(memory_gib=0.4), timeout_s=1800.0)
def analyse(
    audio: Audio,
    fps: FrameRate = Fraction(24),
    smoothing: Smoothing = 0.5,
    range_db: Annotated[Decibels, Ge(6), Le(120)] = 60.0,
    *,
    ctx: Context = LOCAL,
) -> Analysis:
    """Measure a sound in several ways at once: a curve for each.

    ``level`` and the bands ``low`` (20 to 250 Hz), ``mid`` (to 4 kHz) and ``high`` are 0 to 1, 0
    being *range_db* below the loudest frame; ``flux`` (0 to 1) is how much rises in the spectrum;
    ``centroid_hz`` is the middle of the spectrum, what is heard as brightness.
    """
    from . import analysis

    return analysis.analyse(audio, fps, smoothing, range_db, ctx)


@operation("reactive.tempo", needs=Needs(memory_gib=0.4), timeout_s=1800.0)
def tempo(
    audio: Audio,
    slowest_bpm: Annotated[float, Ge(20), Le(200)] = 40.0,
    fastest_bpm: Annotated[float, Ge(40), Le(400)] = 220.0,
    *,
    ctx: Context = LOCAL,
) -> Tempo:
    """Find the tempo of a sound and where its beats lie.

    One tempo is given for the whole. Of tempos that fit equally well, such as half and double, the
    one nearer to 120 beats per minute is chosen; the others are candidates.
    """
    from . import tempo as pulse

    return pulse.tempo(audio, slowest_bpm, fastest_bpm, ctx)


@operation("reactive.key", needs=Needs(memory_gib=0.3), timeout_s=1800.0)
def key(audio: Audio, *, ctx: Context = LOCAL) -> Key:
    """Find the key of a sound (``A minor``), and how it is tuned."""
    from . import key as pitch

    return pitch.key(audio, ctx)
