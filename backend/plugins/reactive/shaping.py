"""What is done to curves: smoothing, remapping, combining, another frame rate.

Knows: the formulas.
Does not know: where curves come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.automation import Automation
from backend.media.breakpoints import Breakpoints
from backend.media.curves import as_points, frame_times, sampled
from backend.plugins import refused

from .choices import Bend, Method, Step, Way
from .limits import MOST_FRAMES

Values = NDArray[np.float64]


def smooth(values: Values, smoothing: float) -> Values:
    """Exponential smoothing, y[n] = s y[n-1] + (1 - s) x[n], that starts at the first value."""
    if smoothing == 0.0 or values.size == 0:
        return values
    from scipy.signal import lfilter

    start = np.array([smoothing * values[0]])
    smoothed: Values
    smoothed, _ = lfilter([1.0 - smoothing], [1.0, -smoothing], values, zi=start)
    return smoothed


def remap(
    values: Values,
    source: tuple[float, float],
    target: tuple[float, float],
    shape: Bend,
    clamp: bool,
) -> Values:
    """Carry *values* from the range *source* over to *target*, bent by *shape*.

    With t = 0 to 1 over the source (all of a source without width is 0): linear t; ease in t²;
    ease out 1 - (1-t)²; ease in and out t² (3 - 2t); logarithmic log10(1 + 9t); exponential, its
    inverse, (10^t - 1) / 9. Not clamped, the bends go on as straight lines of their last slope.
    """
    low, high = source
    with np.errstate(over="ignore"):  # a range may be so narrow that all else is infinitely far
        part = np.zeros(values.shape) if high == low else (values - low) / (high - low)
    inside = np.clip(part, 0.0, 1.0)
    bent = _BENT[shape](inside)
    if not clamp:
        before, after = _SLOPES[shape]
        for slope, beyond in ((before, np.minimum(part, 0.0)), (after, np.maximum(part - 1, 0.0))):
            bent = bent + slope * beyond if slope else bent
    with np.errstate(invalid="ignore"):  # a curve refuses what is no number
        return target[0] + bent * (target[1] - target[0])


_LN10: Final = float(np.log(10.0))
_BENT: Final[Mapping[Bend, Callable[[Values], Values]]] = {
    "linear": lambda t: t,
    "ease_in": np.square,
    "ease_out": lambda t: 1.0 - np.square(1.0 - t),
    "ease_in_out": lambda t: t * t * (3.0 - 2.0 * t),
    "logarithmic": lambda t: np.log10(1.0 + 9.0 * t),
    "exponential": lambda t: (np.power(10.0, t) - 1.0) / 9.0,
}
_SLOPES: Final[Mapping[Bend, tuple[float, float]]] = {
    "linear": (1.0, 1.0),
    "ease_in": (0.0, 2.0),
    "ease_out": (2.0, 0.0),
    "ease_in_out": (0.0, 0.0),
    "logarithmic": (9.0 / _LN10, 0.9 / _LN10),
    "exponential": (_LN10 / 9.0, 10.0 * _LN10 / 9.0),
}
"""The slope of each bend at its start and at its end."""


def resample(curve: Automation, rate: Fraction, method: Method) -> Automation:
    """*curve* at another rate, as long as before (to the nearest frame, at least one)."""
    count = stretched(curve, rate) if curve.frames else 0
    if method == "maximum" and count:
        into = _into(curve.frames, rate / curve.frame_rate, count)
        values = sampled(curve, frame_times(count, rate))
        fallen = np.full(count, -np.inf)
        np.maximum.at(fallen, into, curve.values)
        return Automation.from_values(np.where(np.isinf(fallen), values, fallen), rate)
    if method == "nearest" and count:
        at = _into(count, curve.frame_rate / rate, curve.frames)
        return Automation.from_values(curve.values[at], rate)
    values = sampled(curve, frame_times(count, rate)) if count else np.zeros(0)
    return Automation.from_values(values, rate)


def _into(frames: int, ratio: Fraction, most: int) -> list[int]:
    """For each of *frames* frames the one of *most* frames at *ratio* times the rate in which its
    middle lies. In Python's whole numbers: a middle may lie exactly on an edge, and a rate may be a
    fraction of 12 digits over 12."""
    above, below = ratio.numerator, 2 * ratio.denominator
    return [min(most - 1, (2 * n + 1) * above // below) for n in range(frames)]


def stretched(curve: Automation, rate: Fraction) -> int:
    """How many frames *curve* has at another rate, at least one.

    Raises `InvalidParameters` for more than `MOST_FRAMES`: a curve may be slower than a frame a
    year.
    """
    count = max(1, round(curve.frames / curve.frame_rate * rate))
    if count > MOST_FRAMES:
        told = (
            f"a curve of {curve.frames} frames at {curve.frame_rate} frames per second has {count} "
            f"at {rate}; at most {MOST_FRAMES} can be made at once"
        )
        raise refused("/fps", "frames", told)
    return count


def through(points: Breakpoints, frames: int, rate: Fraction, shape: Step) -> Automation:
    """A curve through *points*, bent from each to the next."""
    times, values = as_points(points, 1.0)
    at = frame_times(frames, rate)
    if times.size == 1:
        return Automation.from_values(np.full(frames, values[0]), rate)
    start = np.clip(np.searchsorted(times, at, side="right") - 1, 0, times.size - 2)
    part = np.clip((at - times[start]) / (times[start + 1] - times[start]), 0.0, 1.0)
    bent = np.floor(part) if shape == "step" else _BENT[shape](part)
    # not by the difference of two values, which could be larger than both
    return Automation.from_values(values[start] * (1.0 - bent) + values[start + 1] * bent, rate)


def combine(first: Automation, second: Automation, way: Way) -> Automation:
    """Two curves as one, at the rate and with the length of the first; the second is read at the
    first one's frames, and its last value holds.

    Raises `InvalidParameters` for a second one without values, `Unfit` for results that
    32-bit float cannot hold.
    """
    if not second.frames:
        raise refused("/second", "empty", "the second curve holds no value")
    other = at_rate(second, first)
    values = first.values.astype(np.float64)
    results: dict[Way, Values] = {
        "add": values + other,
        "subtract": values - other,
        "multiply": values * other,
        "minimum": np.minimum(values, other),
        "maximum": np.maximum(values, other),
        "average": (values + other) / 2.0,
        "difference": np.abs(values - other),
    }
    return Automation.from_values(results[way], first.frame_rate)


def at_rate(curve: Automation, like: Automation) -> Values:
    """The values of *curve* at the frames of *like*."""
    if curve.frame_rate == like.frame_rate and curve.frames == like.frames:
        return curve.values.astype(np.float64)
    return sampled(curve, frame_times(like.frames, like.frame_rate))
