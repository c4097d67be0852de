"""Filter coefficients, against the cookbook's analogue prototypes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import bilinear

from backend.plugins.mixer.dsp import biquads

RATE = 48000


def prototype(kind: str, q: float, gain_db: float) -> tuple[list[float], list[float]]:
    """H(s) of the cookbook for a frequency of 1 rad/s, numerator and denominator."""
    a = 10 ** (gain_db / 40)
    b = a**0.5 / q
    prototypes: dict[str, tuple[list[float], list[float]]] = {
        "high_pass": ([1, 0, 0], [1, 1 / q, 1]),
        "low_pass": ([0, 0, 1], [1, 1 / q, 1]),
        "peak": ([1, a / q, 1], [1, 1 / (a * q), 1]),
        "low_shelf": ([a, a * b, a * a], [a, b, 1]),
        "high_shelf": ([a * a, a * b, a], [1, b, a]),
    }
    return prototypes[kind]


@pytest.mark.parametrize("kind", ["high_pass", "low_pass", "peak", "low_shelf", "high_shelf"])
@pytest.mark.parametrize(("hertz", "q", "gain_db"), [(20, 0.707, 6), (1000, 4, -12), (9000, 1, 18)])
def test_coefficients_are_the_prototype_through_the_bilinear_transform(
    kind: str, hertz: float, q: float, gain_db: float
) -> None:
    """scipy's bilinear transform of H(s), prewarped, gives the same six numbers to 1e-9."""
    numerator, denominator = prototype(kind, q, gain_db)
    warp = np.tan(np.pi * hertz / RATE)
    powers = warp ** np.arange(3)
    b, a = bilinear(np.array(numerator) * powers, np.array(denominator) * powers, fs=0.5)
    row = getattr(biquads, kind)(float(hertz), q, float(gain_db), RATE)[0]
    np.testing.assert_allclose(row, np.concatenate((b, a)) / a[0], rtol=1e-9, atol=1e-12)


def test_many_settings_at_once_are_each_alone() -> None:
    """Arrays give one row each, equal to the rows of the numbers."""
    hertz, gains = np.array([100.0, 2000.0]), np.array([3.0, -9.0])
    both = biquads.peak(hertz, 1.2, gains, RATE)
    for row, f, g in zip(both, hertz, gains, strict=True):
        np.testing.assert_array_equal(row, biquads.peak(float(f), 1.2, float(g), RATE)[0])


@pytest.mark.parametrize("rate", [8000, 44100, 384000])
def test_filters_are_stable_at_any_rate(rate: int) -> None:
    """A frequency at or above half the rate is held below it, and every pole lies inside."""
    for kind in ("high_pass", "low_pass", "peak", "low_shelf", "high_shelf"):
        for hertz in (0.0, 20.0, 4000.0, 20000.0, 1e6):
            row = getattr(biquads, kind)(hertz, 0.707, 12.0, rate)[0]
            assert np.abs(np.roots(row[3:])).max() < 1.0
