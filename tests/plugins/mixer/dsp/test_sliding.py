"""Sliding windows and the decaying peak, against their plain definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backend.plugins.mixer.dsp.sliding import (
    SPAN,
    DecayingPeak,
    maximum_between,
    sliding_maximum,
    sliding_sum,
)


@pytest.mark.parametrize("width", [1, 2, 3, 7, 16, 100])
def test_windows_are_what_they_say(width: int) -> None:
    """Maximum and sum of every window of a width equal numpy's over the window itself."""
    values = np.random.default_rng(1).standard_normal(100)
    windows = np.lib.stride_tricks.sliding_window_view(values, width)
    np.testing.assert_array_equal(sliding_maximum(values, width), windows.max(axis=1))
    np.testing.assert_allclose(sliding_sum(values, width), windows.sum(axis=1), atol=1e-13)


def test_the_maximum_between_places_is_what_it_says() -> None:
    """Of windows of any widths, in any order, numpy's maximum of each."""
    rng = np.random.default_rng(4)
    values = rng.standard_normal(300)
    ends = np.sort(rng.integers(0, 300, (500, 2)), axis=1)
    wanted = [values[first : last + 1].max() for first, last in ends]
    np.testing.assert_array_equal(maximum_between(values, ends[:, 0], ends[:, 1]), wanted)
    none = np.zeros(0, np.int64)
    assert maximum_between(values, none, none).size == 0


@pytest.mark.parametrize("piece", [1000, SPAN, 10_000])
def test_a_decay_that_moves_is_the_recursion(piece: int) -> None:
    """y[k] = max(x[k], e^-d[k] y[k-1]) over several spans, cut anywhere, through silence too."""
    rng = np.random.default_rng(3)
    values = rng.random(3 * SPAN) ** 40
    values[:1500] = 0.0
    decays = rng.uniform(0.0, 0.2, values.size)
    wanted, y = [], 0.0
    for x, decay in zip(values.tolist(), decays.tolist(), strict=True):
        y = max(x, math.exp(-decay) * y)
        wanted.append(y)
    peak = DecayingPeak()
    starts = range(0, values.size, piece)
    made = [peak.process(values[i : i + piece], decays[i : i + piece]) for i in starts]
    np.testing.assert_allclose(np.concatenate(made), wanted, rtol=1e-11, atol=1e-30)


def test_a_sum_of_zeros_is_zero() -> None:
    """Nothing is left of a loud passage in the windows after it."""
    values = np.concatenate((np.full(50, 1e9), np.zeros(50)))
    assert not sliding_sum(values, 13)[50:].any()


def test_a_decaying_peak_is_the_recursion() -> None:
    """y[k] = max(x[k], r y[k-1]) over several spans, to 1e-12 of the value."""
    values = np.random.default_rng(2).random(3 * SPAN) ** 40
    decay = 0.01
    wanted, y = [], 0.0
    for x in values.tolist():
        y = max(x, math.exp(-decay) * y)
        wanted.append(y)
    np.testing.assert_allclose(DecayingPeak(decay).process(values), wanted, rtol=1e-11)


def test_a_decaying_peak_dies() -> None:
    """After long silence the value is 0 and not a number too small to be fast."""
    peak = DecayingPeak(0.1)
    peak.process(np.ones(10))
    later = peak.process(np.zeros(2 * SPAN))
    assert later[0] > 0.5
    assert later[-1] == 0.0
    assert not later[(later > 0) & (later < 1e-30)].size
