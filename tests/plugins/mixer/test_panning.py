"""The pan laws and the fold-down to stereo."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.plugins.mixer import panning

pans = st.floats(-1.0, 1.0)


@given(pans)
def test_a_mono_source_keeps_its_power_at_every_pan(pan: float) -> None:
    """Left² + right² is 1 wherever a mono source stands."""
    left, right = panning.constant_power(pan)
    assert left**2 + right**2 == pytest.approx(1.0, abs=1e-12)


def test_a_mono_source_is_3_db_down_at_the_centre_and_alone_at_the_ends() -> None:
    """The centre is -3.01 dB on both sides; hard left and hard right are exactly one side."""
    assert panning.constant_power(0.0) == pytest.approx((math.sqrt(0.5), math.sqrt(0.5)))
    assert panning.constant_power(-1.0) == (1.0, 0.0)
    assert panning.constant_power(1.0) == (0.0, 1.0)


def test_balance_lowers_only_the_far_side_of_a_stereo_source() -> None:
    """A stereo source at the centre is untouched; half right halves the left side only."""
    assert panning.matrix(2, 0.0).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert panning.matrix(2, 0.5).tolist() == [[0.5, 0.0], [0.0, 1.0]]
    assert panning.matrix(2, -1.0).tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_five_point_one_is_folded_as_bs_775_says() -> None:
    """Centre and surrounds come in at -3 dB, the low-frequency channel not at all."""
    h = math.sqrt(0.5)
    expected = [[1, 0, h, 0, h, 0], [0, 1, h, 0, 0, h]]
    np.testing.assert_allclose(panning.matrix(6, 0.0), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("channels", range(1, panning.MOST_CHANNELS + 1))
def test_every_fold_is_the_same_seen_in_a_mirror(channels: int) -> None:
    """Left and right sum the same power, and panning to one side silences the other."""
    centre = np.square(panning.matrix(channels, 0.0)).sum(axis=1)
    assert centre[0] == pytest.approx(centre[1])
    assert not panning.matrix(channels, 1.0)[0].any()
    assert not panning.matrix(channels, -1.0)[1].any()
