"""The operations on curves: oscillators, envelopes, remapping, combining, texts, export.

Knows: names, parameters, units and ranges; imports nothing heavy.
Does not know: how they work, which is imported inside the run.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from annotated_types import Ge, Le, Len

from backend.media.automation import Automation
from backend.media.breakpoints import Breakpoints
from backend.media.rates import FrameRate
from backend.plugins import Needs, operation
from backend.units import Frames

from .choices import Bend, Method, Step, Waveform, Way
from .limits import MOST_FRAMES, Smoothing
from .results import Curve, Remapped, Texts, Wave, Written

FrameCount = Annotated[Frames, Ge(1), Le(MOST_FRAMES)]
Stretch = Annotated[Frames, Ge(0), Le(MOST_FRAMES)]
Value = Annotated[float, Ge(-1e6), Le(1e6)]
LIGHT = Needs(memory_gib=0.2)


@operation("reactive.lfo", needs=LIGHT)
def lfo(
    waveform: Waveform = "sine",
    period_frames: Annotated[float, Ge(1), Le(MOST_FRAMES)] = 60.0,
    amplitude: Annotated[float, Ge(0), Le(100)] = 0.5,
    offset: Annotated[float, Ge(-100), Le(100)] = 0.5,
    phase: Annotated[float, Ge(0), Le(1)] = 0.0,
    frames: FrameCount = 120,
    fps: FrameRate = Fraction(24),
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0,
) -> Wave:
    """Make a wave: *offset* plus *amplitude* times a waveform between -1 and 1.

    It repeats every *period_frames*; *phase* moves it by a part of the period. ``random`` holds a
    value for each period; the same *seed* gives the same values.
    """
    from . import making

    return making.wave(waveform, period_frames, amplitude, offset, phase, frames, fps, seed)


@operation("reactive.adsr", needs=LIGHT, version=2)
def adsr(
    attack_frames: Stretch = 10,
    decay_frames: Stretch = 10,
    sustain_level: Annotated[float, Ge(0), Le(1)] = 0.7,
    release_frames: Stretch = 20,
    hold_frames: Stretch = 30,
    frames: FrameCount | None = None,
    triggers: Annotated[list[Stretch], Len(0, 10_000)] | None = None,
    beats: Automation | None = None,
    fps: FrameRate | None = None,
) -> Curve:
    """Make an envelope: attack, decay, sustain, release, at each trigger.

    Triggers are frames, and the places where *beats* (a curve of beats, say) comes to 0.5 or above;
    without any of both there is one, at frame 0.
    *hold_frames* is how long a trigger lasts. A trigger that ends early is released from where the
    envelope is, and a new one starts from there. Without *frames* the curve is as long as *beats*,
    or 120 frames; without *fps* it has the rate of *beats*, or 24.
    """
    from . import generators, making

    shape = generators.Envelope(
        attack_frames, decay_frames, sustain_level, release_frames, hold_frames
    )
    return making.envelope(shape, frames, triggers, beats, fps)


@operation("reactive.remap", needs=LIGHT)
def remap(
    value: Value = 0.5,
    in_min: Value = 0.0,
    in_max: Value = 1.0,
    out_min: Value = 0.0,
    out_max: Value = 10.0,
    shape: Bend = "linear",
    clamp: bool = True,
    curve: Automation | None = None,
) -> Remapped:
    """Carry a value, and a curve, from one range over to another.

    With t from 0 at *in_min* to 1 at *in_max*: ``ease_in`` is t², ``ease_out`` 1 - (1 - t)²,
    ``ease_in_out`` t² (3 - 2t), ``logarithmic`` log10(1 + 9t), ``exponential`` (10^t - 1) / 9. With
    *clamp* nothing leaves the range; without, the bends go on as straight lines.
    """
    from . import making

    return making.remapped(value, (in_min, in_max), (out_min, out_max), shape, clamp, curve)


@operation("reactive.combine", needs=LIGHT)
def combine(first: Automation, second: Automation, way: Way = "multiply") -> Curve:
    """Make one curve of two, with the rate and length of the first.

    A second curve at another rate is read in the middle of the first one's frames; beyond its end
    its last value holds.
    """
    from . import making, shaping

    return making.shown(shaping.combine(first, second, way), f"Combined: {way}")


@operation("reactive.smooth", needs=LIGHT)
def smooth(curve: Automation, smoothing: Smoothing = 0.5) -> Curve:
    """Smooth a curve exponentially: each value takes the part *smoothing* of the one before."""
    from . import making, shaping

    values = shaping.smooth(curve.values.astype("float64"), smoothing)
    return making.shown(Automation.from_values(values, curve.frame_rate), "Smoothed")


@operation("reactive.resample", needs=LIGHT)
def resample(
    curve: Automation,
    fps: FrameRate = Fraction(24),
    method: Method = "linear",
) -> Curve:
    """Give a curve another frame rate; it lasts as long as before.

    ``maximum`` takes the largest value that falls within a frame, so that no beat is lost.
    """
    from . import making, shaping

    return making.shown(shaping.resample(curve, fps, method), "Resampled")


@operation("reactive.breakpoints", needs=LIGHT)
def breakpoints(
    curve: Breakpoints,
    frames: FrameCount = 120,
    fps: FrameRate = Fraction(24),
    shape: Step = "linear",
) -> Curve:
    """Draw a curve through breakpoints (time in seconds, value), one value for each frame.

    *shape* is how it goes from point to point, as in ``reactive.remap``; ``step`` holds each value
    until the next point.
    """
    from . import making, shaping

    return making.shown(shaping.through(curve, frames, fps, shape), "Breakpoints")


@operation("reactive.from_values", needs=LIGHT)
def from_values(
    values: Annotated[list[Value], Len(1, MOST_FRAMES)], fps: FrameRate = Fraction(24)
) -> Curve:
    """Make a curve of a list of numbers, one for each frame."""
    from . import making

    return making.shown(Automation.from_values(values, fps), "Curve")


@operation("reactive.text", needs=LIGHT)
def text(
    schedule: Annotated[str, Len(0, 1_000_000)] = "0: A cat in the rain\n30: A dog in the sun",
    frames: Annotated[Frames, Ge(1), Le(100_000)] = 120,
    frame: Stretch = 0,
) -> Texts:
    """Give each frame its text, from lines ``frame: text``.

    A text holds until the next one begins; the first one also holds before. *frame* is the one
    whose text is given by itself; beyond the end it is the last. Blank lines and lines that begin
    with ``#`` are left out.
    """
    from . import schedules

    every = schedules.texts(schedule, frames)
    return Texts(every[min(frame, frames - 1)], every)


@operation("reactive.export", needs=LIGHT)
def export(
    curve: Automation,
    form: Literal["schedule", "json", "csv"] = "schedule",
    decimals: Annotated[int, Ge(0), Le(9)] = 4,
) -> Written:
    """Write a curve as text.

    ``schedule`` is ``0:(0.1), 1:(0.5)`` …, as the schedules of AnimateDiff, Advanced-ControlNet and
    FizzNodes; ``json`` is how Kino stores it (exact); ``csv`` has the columns frame, time_s, value.
    """
    from . import making

    return making.written(curve, form, decimals)
