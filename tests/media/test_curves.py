"""Curves as points."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from backend.media.automation import Automation
from backend.media.breakpoints import Breakpoints
from backend.media.curves import as_points, frame_times, sampled


def test_a_number_is_one_point():
    """A constant holds everywhere."""
    positions, values = as_points(-6.0, 48000)
    assert (positions.tolist(), values.tolist()) == ([0.0], [-6.0])


def test_breakpoints_lie_where_they_say():
    """Times become samples; between points it is a straight line, outside the value holds."""
    points = Breakpoints(points=[(1.0, 0.0), (3.0, 10.0)])
    positions, values = as_points(points, 48000)
    assert (positions.tolist(), values.tolist()) == ([48000.0, 144000.0], [0.0, 10.0])
    at = np.array([0.0, 1.0, 2.0, 3.0, 9.0])
    assert sampled(points, at).tolist() == [0.0, 0.0, 5.0, 10.0, 10.0]


def test_values_of_an_automation_lie_in_the_middle_of_their_frames():
    """A curve read where its frames have their middle gives its values back exactly."""
    curve = Automation.from_values([1, 3, 2], "24000/1001")
    positions, values = as_points(curve, 48000)
    np.testing.assert_allclose(positions, (np.arange(3) + 0.5) * 2002, rtol=1e-15)
    assert values.tolist() == [1.0, 3.0, 2.0]
    assert sampled(curve, frame_times(3, curve.frame_rate)).tolist() == [1.0, 3.0, 2.0]


def test_frame_times_do_not_drift():
    """Frame 863 136 at 24000/1001 (ten hours) is at its exact time, to the last bit of a double."""
    last = frame_times(1, Fraction(24000, 1001), first=863_136)[0]
    assert last == float((863_136 + Fraction(1, 2)) * Fraction(1001, 24000))


def test_an_automation_without_values_drives_nothing():
    """That is an error of whoever asks, not a silent 0."""
    with pytest.raises(ValueError, match="without values"):
        as_points(Automation.from_values([], 24), 48000)
