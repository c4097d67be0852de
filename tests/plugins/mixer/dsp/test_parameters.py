"""Numbers and curves: rounding to samples, values between points, what is neutral."""

from __future__ import annotations

import numpy as np
import pytest

from backend.plugins.mixer.dsp.parameters import (
    BandSettings,
    Curve,
    EqualizerSettings,
    first_value,
    is_constant,
    largest,
    lookahead_frames,
    value_at,
    values_at,
    whole,
)

LINE = Curve(np.array([10.5, 20.5]), np.array([1.0, 3.0]))


@pytest.mark.parametrize(("value", "expected"), [(2.5, 3), (2.45, 2), (3.5, 4), (-0.5, 0)])
def test_halves_are_rounded_upwards(value: float, expected: int) -> None:
    """As Math.round does in the twin, and not to even."""
    assert whole(value) == expected


@pytest.mark.parametrize(
    ("ms", "rate", "frames"), [(0.0, 48000, 0), (5.0, 48000, 256), (1.0, 48000, 64), (2.0, 8000, 0)]
)
def test_lookahead_is_a_whole_number_of_grid_steps(ms: float, rate: int, frames: int) -> None:
    """The nearest multiple of 64 samples."""
    assert lookahead_frames(ms, rate) == frames


def test_a_curve_is_linear_between_points_and_held_outside() -> None:
    """v + (w - v) (n - p) / (q - p), also where points lie between samples."""
    np.testing.assert_allclose(LINE.at(np.array([0.0, 10.5, 13.0, 20.5, 99.0])), [1, 1, 1.5, 3, 3])
    np.testing.assert_array_equal(values_at(LINE, np.array([0.0, 13.0])), [1, 1.5])
    np.testing.assert_array_equal(values_at(2.0, np.zeros(3)), [2.0, 2.0, 2.0])
    assert value_at(2, np.zeros(3)) == 2.0


def test_what_is_asked_of_parameters() -> None:
    """First value, largest value, and whether one never leaves a value; a curve always may."""
    assert (first_value(LINE), largest(LINE)) == (1.0, 3.0)
    assert (first_value(2), largest(2)) == (2.0, 2.0)
    assert is_constant(0.0, 0.0)
    assert not is_constant(Curve(np.zeros(1), np.zeros(1)), 0.0)


def test_an_equalizer_is_neutral_only_without_filters() -> None:
    """A band of 0 dB counts as none; a moving one, a high-pass and a low-pass do not."""
    assert EqualizerSettings(mid=BandSettings(0.0, 500.0)).is_neutral
    assert not EqualizerSettings(mid=BandSettings(LINE, 500.0)).is_neutral
    assert not EqualizerSettings(high_pass_hz=20.0).is_neutral
    assert not EqualizerSettings(low_pass_hz=LINE).is_neutral
