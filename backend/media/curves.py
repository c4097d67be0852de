"""Curves over time: what moves a parameter, as points to draw straight lines through.

Knows: where the points of a number, of breakpoints and of an automation lie, and what lies between.
Does not know: what is driven.

One rule for all of them: between two points (p, v) and (q, w) the value at x is
``v + (w - v) * (x - p) / (q - p)``; before the first point its value holds, and after the last.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from backend.media.automation import Automation
from backend.media.breakpoints import Breakpoints

Values = NDArray[np.float64]


def as_points(value: float | Breakpoints | Automation, sample_rate: float) -> tuple[Values, Values]:
    """Positions in samples at *sample_rate*, strictly rising, and values: float64 [k] each, k >= 1.

    A number is one point. Value n of an automation lies in the middle of its frame, at
    ``(n + 1/2) / frame_rate`` seconds: there keyframes are measured, so that they come back in
    time. Raises ``ValueError`` for an automation without values.
    """
    if isinstance(value, Breakpoints):
        points = np.array(value.points, np.float64)
        return points[:, 0] * sample_rate, points[:, 1]
    if isinstance(value, Automation):
        if value.frames == 0:
            raise ValueError("an automation without values cannot drive anything")
        return frame_times(value.frames, value.frame_rate) * sample_rate, value.values.astype(
            np.float64
        )
    return np.zeros(1), np.array([float(value)])


def frame_times(frames: int, frame_rate: Fraction, first: int = 0) -> Values:
    """The middle of each frame in seconds, float64 [frames]: (n + 1/2) / frame_rate.

    The product is taken in whole numbers and divided once, so that nothing adds up: frame
    100 000 at 24000/1001 is as exact as the first one.
    """
    halves = 2 * np.arange(first, first + frames, dtype=np.int64) + 1
    return (halves * frame_rate.denominator) / (2.0 * frame_rate.numerator)


def sampled(value: float | Breakpoints | Automation, times_s: Values) -> Values:
    """The curve's value at each of *times_s*, float64 of the same shape."""
    positions, values = as_points(value, 1.0)
    return np.interp(times_s, positions, values)
