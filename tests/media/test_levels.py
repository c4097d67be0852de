"""Levels in decibels."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import OperationFailed
from backend.media.levels import SILENCE_DB, LevelMeter, decibels


@pytest.mark.parametrize(
    ("level", "wanted"),
    [(1.0, 0.0), (2.0, 6.0206), (0.5, -6.0206), (1e-12, -240.0), (1e-30, -240.0), (0.0, -240.0)],
)
def test_a_level_is_said_in_decibels_and_never_infinite(level: float, wanted: float) -> None:
    """Full scale is 0 dBFS; silence, and what lies below it, is -240."""
    assert decibels(level) == pytest.approx(wanted, abs=1e-4)
    assert decibels(level) >= SILENCE_DB


def test_peak_and_rms_of_a_stream():
    """The largest sample of either sign, and the mean power over all channels; nothing is 0."""
    meter = LevelMeter()
    assert (meter.peak, meter.rms) == (0.0, 0.0)
    meter.add(np.array([[0.5, 0.0], [0.0, 0.0]]))
    meter.add(np.empty((2, 0)))
    meter.add(np.array([[0.0], [-2.0]]))
    assert meter.peak == 2.0
    assert meter.rms == pytest.approx(np.sqrt((0.25 + 4.0) / 6))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_what_has_no_level_is_refused(value: float):
    """NaN, infinity and what 32-bit float cannot hold."""
    with pytest.raises(OperationFailed, match="NaN or infinite"):
        LevelMeter().add(np.array([[0.0, value]]))
