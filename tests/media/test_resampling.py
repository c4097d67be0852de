"""Resampling: streamed, of the right length, and clean."""

from __future__ import annotations

import numpy as np
import pytest

from backend.media.audio import Audio
from backend.media.resampling import resample_blocks, resampled, with_channels


@pytest.mark.parametrize(("rates"), [(44_100, 48_000), (48_000, 44_100), (8_000, 96_000)])
@pytest.mark.parametrize("frames", [0, 1, 999, 20_001])
def test_blocks_of_any_size_give_the_same_samples(rates: tuple[int, int], frames: int):
    """How the sound is cut changes nothing, and the length is the scaled one, rounded."""
    samples = np.random.default_rng(2).normal(size=(2, frames)).astype(np.float32)

    def run(size: int) -> np.ndarray:
        blocks = (samples[:, i : i + size] for i in range(0, frames, size))
        out = list(resample_blocks(blocks, 2, *rates))
        return np.concatenate([*out, np.empty((2, 0), np.float32)], axis=1)

    whole = run(max(1, frames))
    assert whole.shape == (2, round(frames * rates[1] / rates[0]))
    assert np.array_equal(whole, run(997))


def test_a_sine_stays_a_sine():
    """1 kHz from 44.1 to 48 kHz differs from the ideal sine by less than -120 dB."""
    ideal = [np.sin(2 * np.pi * 1000 * np.arange(rate) / rate) for rate in (44_100, 48_000)]
    sound = resampled(Audio.from_samples(ideal[0], 44_100), 48_000)
    error = (sound.samples[0] - ideal[1])[2000:-2000]
    assert 20 * np.log10(np.abs(error).max()) < -120


def test_equal_rates_change_nothing():
    """A sound at the wanted rate is the same value."""
    sound = Audio.from_samples([0.5], 48_000)
    assert resampled(sound, 48_000) is sound


def test_mono_is_copied_and_stereo_is_averaged():
    """Both directions keep the level of a centred sound; other changes are refused."""
    stereo = np.array([[1.0, 0.5], [0.0, 0.5]], np.float32)
    assert with_channels(stereo, 1).tolist() == [[0.5, 0.5]]
    assert with_channels(stereo[:1], 2).tolist() == [[1.0, 0.5], [1.0, 0.5]]
    with pytest.raises(ValueError, match="6 channels cannot become 2"):
        with_channels(np.zeros((6, 1), np.float32), 2)
