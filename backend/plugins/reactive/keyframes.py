"""Keyframes from sound: one value for each frame of a video, measured in the middle of the frame.

Knows: modes, decibels, smoothing, scale and offset, and when a curve tells nothing.
Does not know: how power is measured (``energy``, ``bands``) and onsets are found (``onsets``).

Frame n is measured around ``(n + 1/2) / fps``, computed from the exact fraction; what is measured
lies on a grid of its own. So nothing drifts, at any rate and over any length.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.curves import frame_times
from backend.plugins import Context, refused

from . import bands, energy, pictures, schedules, shaping
from .choices import BANDS_HZ, Mode
from .limits import MOST_FRAMES
from .results import Keyframes

Values = NDArray[np.float64]

MOST_IN_SCHEDULE: Final = 20_000
_SHORTEST_S: Final = 0.050
"""A level is measured over a frame, but never over less than a period of 20 Hz."""
_SILENT: Final = 1e-10
"""Mean square, -100 dBFS: below it there is nothing to show."""
_FLAT: Final = 1e-3
_SHOWN: Final = {
    "rms": "level (RMS)",
    "low": "low, 20 to 250 Hz",
    "mid": "mid, 250 Hz to 4 kHz",
    "high": "high, above 4 kHz",
    "beat": "beat",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for; meanings and ranges: `operations.keyframes`."""

    fps: Fraction
    mode: Mode
    smoothing: float
    amp_scale: float
    y_offset: float
    beat_threshold: float
    threshold: float
    scale: Literal["db", "linear"]
    range_db: float
    normalize: bool
    low_hz: float
    high_hz: float
    frames: int | None

    @property
    def limits_hz(self) -> tuple[float, float]:
        return BANDS_HZ.get(self.mode, (self.low_hz, self.high_hz))

    @property
    def shown(self) -> str:
        return _SHOWN.get(self.mode, f"band, {self.low_hz:g} to {self.high_hz:g} Hz")


def keyframes(audio: Audio, wish: Wish, ctx: Context) -> Keyframes:
    """Follow *audio*. Raises `InvalidParameters` for a band without width and for too many frames,
    `Unfit` for samples that are not numbers."""
    if wish.mode == "band" and wish.high_hz <= wish.low_hz:
        told = f"high_hz ({wish.high_hz:g}) has to lie above low_hz ({wish.low_hz:g})"
        raise refused("/high_hz", "band", told)
    count = frame_count(audio, wish.fps, wish.frames)
    if wish.mode == "beat":
        values, warnings = _beats(audio, wish, count, ctx)
    else:
        values, warnings = _levels(audio, wish, count, ctx)
    curve = Automation.from_values(values * wish.amp_scale + wish.y_offset, wish.fps)
    warnings += flatness(curve, wish, bool(warnings))
    for warning in warnings:
        ctx.log(warning)
    text = ""
    if count <= MOST_IN_SCHEDULE:
        text = schedules.schedule(curve)
    else:
        warnings.append(
            f"the schedule is left empty, because the curve has {count} frames and not at most "
            f"{MOST_IN_SCHEDULE}: reactive.export writes it to a file"
        )
    picture = pictures.curve(
        curve, f"Keyframes: {wish.shown}", _label(wish), beats=wish.mode == "beat"
    )
    return Keyframes(curve, text, picture, count, warnings)


def frame_count(audio: Audio, fps: Fraction, wanted: int | None = None) -> int:
    """How many frames have their middle within the sound; at least one unless it is empty.

    Exact: with whole numbers. Raises `InvalidParameters` for more than a million.
    """
    twice = 2 * audio.frames * fps.numerator
    rate = audio.sample_rate * fps.denominator
    fitting = (twice + rate) // (2 * rate)
    count = wanted if wanted is not None else max(fitting, min(1, audio.frames))
    if count > MOST_FRAMES:
        told = (
            f"{audio.duration_s:.0f} s at {fps} frames per second are {count} frames; "
            f"at most {MOST_FRAMES} can be made at once"
        )
        raise refused("/fps", "frames", told)
    return count


def _levels(audio: Audio, wish: Wish, count: int, ctx: Context) -> tuple[Values, list[str]]:
    """The level of each frame, 0 to 1, and why it may be nothing."""
    cells = (
        energy.measure(audio, ctx)
        if wish.mode == "rms"
        else bands.measure(audio, (wish.limits_hz,), ctx)[0]
    )
    width = max(_SHORTEST_S, float(1 / wish.fps))
    power = cells.mean(frame_times(count, wish.fps), width)
    warnings = []
    if power.max(initial=0.0) < _SILENT:
        warnings.append(_silence(audio, wish))
    values = scaled(power, wish.scale, wish.range_db, wish.normalize)
    values = np.where(values < wish.threshold, 0.0, values)
    return shaping.smooth(values, wish.smoothing), warnings


def scaled(power: Values, scale: str, range_db: float, normalize: bool) -> Values:
    """Mean squares as 0 to 1.

    ``linear``: the RMS value; ``db``: 0 at *range_db* below the reference and 1 at it, in between
    in proportion to decibels. The reference is the loudest value or, not normalised, full scale.
    """
    loudest = float(power.max(initial=0.0))
    if loudest < _SILENT:
        return np.zeros(power.size)
    reference = loudest if normalize else 1.0
    if scale == "linear":
        return np.sqrt(power / reference)
    below = 10.0 * np.log10(np.maximum(power / reference, 1e-30))
    return np.maximum(0.0, 1.0 + below / range_db)


def _beats(audio: Audio, wish: Wish, count: int, ctx: Context) -> tuple[Values, list[str]]:
    """1 in each frame in which something begins to sound, 0 in all others."""
    from . import onsets

    times = onsets.pick(onsets.novelty(audio, ctx), wish.beat_threshold)
    # what is played on the grid of the frames must not fall into the frame before: onsets are found
    # from 7 ms before to 4 ms behind (clicks, drums); a picture that comes so late is in time
    late = times + onsets.HOP_S
    frames = np.floor(late * wish.fps.numerator / wish.fps.denominator).astype(np.int64)
    values = np.zeros(count)
    values[frames[(frames >= 0) & (frames < count)]] = 1.0
    if times.size:
        return values, []
    return values, ["no beat was found: lower beat_threshold, or use another mode"]


def _silence(audio: Audio, wish: Wish) -> str:
    low, _ = wish.limits_hz
    if wish.mode != "rms" and low >= audio.sample_rate / 2:
        return (
            f"the sound cannot hold anything above {audio.sample_rate / 2:g} Hz (its sample rate "
            f"is {audio.sample_rate} Hz), so the curve is flat: use another mode or band"
        )
    where = "" if wish.mode == "rms" else " in this band"
    return f"the sound is silent{where}, so the curve is flat: use another sound, mode or band"


def flatness(curve: Automation, wish: Wish, explained: bool) -> list[str]:
    """The warning for a curve that never changes, with its remedy, unless that was *explained*."""
    if explained or curve.frames < 2 or float(np.ptp(curve.values)) >= _FLAT:
        return []
    if wish.amp_scale == 0.0:
        return ["the curve is flat, because amp_scale is 0: raise it"]
    remedy = "use less smoothing, another mode or band"
    if wish.mode != "beat":
        remedy += ", a lower threshold, or scale 'linear'"
    return [f"the curve is flat, its values lie within {_FLAT}: {remedy}"]


def _label(wish: Wish) -> str:
    if wish.mode == "beat":
        return "beat [0 or 1]"
    reference = "the loudest frame" if wish.normalize else "full scale"
    if wish.scale == "linear":
        return f"RMS [× {reference}]"
    return f"level [0 to 1 = {wish.range_db:g} dB]"
