"""Coefficients of second-order filters.

Knows: high-pass, low-pass, peak and shelves, for one setting or for many at once.
Does not know: state and samples (``equalizer``).

R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients"; docs/dsp.md,
section 3. Every function gives rows [n, 6] of b0 b1 b2 a0 a1 a2, divided by a0, as
``scipy.signal.sosfilt`` takes them; frequencies, qualities and gains are arrays [n] or numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Like = float | Values

HIGHEST: Final = 0.49
"""Largest frequency, as a part of the sample rate."""


def _angle(hertz: Like, rate: int) -> tuple[Values, Values]:
    """Cosine and sine of the filter's frequency."""
    angle = 2.0 * np.pi * np.clip(hertz, 1.0, HIGHEST * rate) / rate
    return np.cos(angle), np.sin(angle)


def _rows(*coefficients: Like) -> Values:
    columns = np.broadcast_arrays(*np.atleast_1d(*coefficients))
    rows: Values = np.stack(columns, axis=-1)
    rows /= rows[:, 3:4].copy()
    return rows


def high_pass(hertz: Like, q: Like, gain_db: Like, rate: int) -> Values:
    """12 dB an octave below the frequency; the gain means nothing."""
    c, s = _angle(hertz, rate)
    alpha = s / (2.0 * q)
    edge = (1.0 + c) / 2.0
    return _rows(edge, -2.0 * edge, edge, 1.0 + alpha, -2.0 * c, 1.0 - alpha)


def low_pass(hertz: Like, q: Like, gain_db: Like, rate: int) -> Values:
    """12 dB an octave above the frequency; the gain means nothing."""
    c, s = _angle(hertz, rate)
    alpha = s / (2.0 * q)
    edge = (1.0 - c) / 2.0
    return _rows(edge, 2.0 * edge, edge, 1.0 + alpha, -2.0 * c, 1.0 - alpha)


def peak(hertz: Like, q: Like, gain_db: Like, rate: int) -> Values:
    """A bell around the frequency."""
    c, s = _angle(hertz, rate)
    alpha = s / (2.0 * q)
    a = np.power(10.0, np.asarray(gain_db) / 40.0)
    return _rows(
        1.0 + alpha * a, -2.0 * c, 1.0 - alpha * a, 1.0 + alpha / a, -2.0 * c, 1.0 - alpha / a
    )


def low_shelf(hertz: Like, q: Like, gain_db: Like, rate: int) -> Values:
    """All below the frequency."""
    return _shelf(hertz, q, gain_db, rate, side=1.0)


def high_shelf(hertz: Like, q: Like, gain_db: Like, rate: int) -> Values:
    """All above the frequency."""
    return _shelf(hertz, q, gain_db, rate, side=-1.0)


def _shelf(hertz: Like, q: Like, gain_db: Like, rate: int, side: float) -> Values:
    """A low shelf; with *side* -1 the sign of every cosine, b1 and a1 turns: a high shelf."""
    c, s = _angle(hertz, rate)
    a = np.power(10.0, np.asarray(gain_db) / 40.0)
    bend = np.sqrt(a) * s / q  # 2 sqrt(A) alpha
    more, less, c = a + 1.0, a - 1.0, side * c
    return _rows(
        a * (more - less * c + bend),
        side * 2.0 * a * (less - more * c),
        a * (more - less * c - bend),
        more + less * c + bend,
        side * -2.0 * (less + more * c),
        more + less * c - bend,
    )


Design = Callable[[Like, Like, Like, int], Values]
