"""K-weighting: the recommendation's own numbers at its rate, its response at all others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import sosfreqz

from backend.media.k_weighting import KWeighting, sections, weights


def response_db(rate: int, frequencies_hz: np.ndarray) -> np.ndarray:
    _, response = sosfreqz(sections(rate), frequencies_hz, fs=rate)
    return np.asarray(20 * np.log10(np.abs(response)))


def test_at_48_khz_it_is_the_table_of_the_recommendation():
    """BS.1770-5, tables 1 and 2, to the last digit."""
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285]
    poles = [1.0, -1.69065929318241, 0.73248077421585]
    high_pass = [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621]
    table = [[*shelf, *poles], high_pass]
    assert sections(48_000).tolist() == table
    assert sections(48_001) == pytest.approx(np.array(table), abs=2e-4)


@pytest.mark.parametrize(
    ("rate", "most_db"),
    [(8_000, 0.025), (11_025, 0.008), (16_000, 0.002)]
    + [(rate, 0.0006) for rate in (22_050, 32_000, 44_100, 88_200, 96_000, 192_000, 384_000)],
)
def test_the_response_is_the_same_at_any_rate(rate: int, most_db: float):
    """From 20 Hz to 0.45 times the rate, a fraction of what bilinear transforms deviate."""
    heard = np.geomspace(20, min(20_000, 0.45 * rate), 300)
    deviation = response_db(rate, heard) - response_db(48_000, heard)
    assert np.abs(deviation).max() < most_db


def test_channels_have_the_weights_of_their_places():
    """Surrounds 1.41, LFE nothing, back channels of 7.1 as the front; alone and as a sum."""
    assert weights(2) == (1, 1)
    assert weights(6) == (1, 1, 1, 0, 1.41, 1.41)
    assert weights(8) == (1, 1, 1, 0, 1, 1, 1.41, 1.41)
    click = np.zeros((8, 50))
    click[:, 0] = 1.0
    alone = KWeighting(48_000, 1).powers(click[:1])
    assert KWeighting(48_000, 8).powers(click) == pytest.approx(alone * 7.82)


def test_a_decay_ends():
    """Long after a sound the filter holds exactly nothing, so silence costs nothing."""
    weighting = KWeighting(48_000, 1)
    weighting.powers(np.ones((1, 1_000)))
    for _ in range(12):
        weighting.powers(np.zeros((1, 65_536)))
    assert not weighting.powers(np.zeros((1, 10))).any()
    assert not weighting._state.any()
