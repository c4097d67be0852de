"""Level and place: gain, pan, fold-down, width, balance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backend.plugins.mixer.dsp.parameters import Curve
from backend.plugins.mixer.dsp.stereo import Balance, Gain, Placement, Width

RNG = np.random.default_rng(1)


def line(first: float, last: float, frames: int = 101) -> Curve:
    return Curve(np.array([0.0, frames - 1.0]), np.array([first, last]))


def test_gain_is_in_db_and_0_db_is_nothing() -> None:
    """20 dB is ten times; 0 dB leaves the samples to the bit; -120 dB and below is silence."""
    samples = RNG.standard_normal((2, 100))
    np.testing.assert_allclose(Gain(20.0).process(samples.copy(), 0), 10 * samples)
    np.testing.assert_array_equal(Gain(0.0).process(samples.copy(), 0), samples)
    assert not Gain(-120.0).process(samples.copy(), 0).any()


def test_a_moving_gain_is_a_line_in_db_down_to_silence() -> None:
    """Half way between -130 and 0 dB it is -65 dB; where it is -120 dB or less it is 0."""
    out = Gain(line(-130, 0)).process(np.ones((1, 101)), 0)[0]
    assert out[50] == pytest.approx(10 ** (-65 / 20))
    assert not out[:8].any()
    assert out[8] > 0


@pytest.mark.parametrize("pan", [-1.0, -0.3, 0.0, 1.0])
def test_mono_keeps_its_power(pan: float) -> None:
    """L² + R² = 1, -3 dB each at the centre, one side alone at the ends."""
    left, right = Placement(1, pan, 0.0).process(np.ones((1, 1)), 0)[:, 0]
    assert left**2 + right**2 == pytest.approx(1.0)
    assert (left - right) * pan <= 0
    if pan == 0.0:
        assert left == pytest.approx(math.sqrt(0.5))


def test_stereo_at_the_centre_passes_to_the_bit_and_is_balanced_elsewhere() -> None:
    """The near side is never touched; the input is not written to."""
    samples = RNG.standard_normal((2, 50))
    kept = samples.copy()
    np.testing.assert_array_equal(Placement(2, 0.0, 0.0).process(samples, 0), kept)
    out = Placement(2, 0.25, 0.0).process(samples, 0)
    np.testing.assert_array_equal(out[1], kept[1])
    np.testing.assert_allclose(out[0], 0.75 * kept[0])
    np.testing.assert_array_equal(samples, kept)


def test_six_channels_are_folded() -> None:
    """5.1: centre and surrounds at -3 dB, the low-frequency channel left out."""
    out = Placement(6, 0.0, 0.0).process(np.eye(6), 0)
    h = math.sqrt(0.5)
    np.testing.assert_allclose(out, [[1, 0, h, 0, h, 0], [0, 1, h, 0, 0, h]])


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_a_pan_that_moves_is_at_each_sample_the_pan_that_stands_there(channels: int) -> None:
    """Sample by sample the moving laws equal the standing ones, fader included."""
    samples = RNG.standard_normal((channels, 101))
    moving = Placement(channels, line(-1, 1), line(-6, 6)).process(samples, 0)
    for n in (0, 13, 50, 77, 100):
        still = Placement(channels, -1 + n / 50, -6 + 12 * n / 100)
        wanted = still.process(samples[:, n : n + 1], 0)[:, 0]
        np.testing.assert_allclose(moving[:, n], wanted, atol=1e-14)


def test_width() -> None:
    """0 is mono, 1 nothing at all, 2 doubles the side; the mid stays."""
    samples = RNG.standard_normal((2, 50))
    np.testing.assert_array_equal(Width(1.0).process(samples.copy(), 0), samples)
    mono = Width(0.0).process(samples.copy(), 0)
    np.testing.assert_array_equal(mono[0], mono[1])
    wide = Width(2.0).process(samples.copy(), 0)
    np.testing.assert_allclose(wide.sum(axis=0), samples.sum(axis=0), atol=1e-14)
    np.testing.assert_allclose(wide[0] - wide[1], 2 * (samples[0] - samples[1]))
    moving = Width(line(0, 2)).process(np.tile([[1.0], [-1.0]], 101), 0)
    np.testing.assert_allclose(moving[0], np.arange(101) / 50)


def test_balance() -> None:
    """The far side falls linearly; 0 is nothing at all; it moves."""
    ones = np.ones((2, 101))
    np.testing.assert_array_equal(Balance(0.0).process(ones.copy(), 0), ones)
    np.testing.assert_allclose(Balance(-0.4).process(ones.copy(), 0)[:, 0], [1.0, 0.6])
    moving = Balance(line(-1, 1)).process(ones.copy(), 0)
    np.testing.assert_allclose(moving[:, 0], [1.0, 0.0])
    np.testing.assert_allclose(moving[:, 75], [0.5, 1.0])
