"""Sounds in a row: exact where they are cut, smooth where they are crossfaded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from backend.errors import AssetTooLarge, InvalidParameters
from backend.media.audio import Audio
from backend.plugins.files.editing.joining import blend
from backend.plugins.files.editing.operations import concat

Make = Callable[..., Audio]


def test_without_crossfade_the_samples_stand_in_a_row(noise: Make):
    """Three sounds of any length follow each other to the bit."""
    sounds = [noise(1), noise(70_000), noise(130_000)]
    expected = np.concatenate([sound.samples for sound in sounds], axis=1)
    assert np.array_equal(concat(sounds).samples, expected)


def test_one_sound_stays_itself(noise: Make):
    """A row of one is that one."""
    sound = noise(1000)
    assert np.array_equal(concat([sound], 0.01).samples, sound.samples)


@pytest.mark.parametrize("frames", [48_000, 65_536, 130_000])
def test_a_crossfade_shortens_by_itself_and_leaves_the_rest(noise: Make, frames: int):
    """Each overlap is where it should be; outside of it every sample is the source's."""
    first, second, third = noise(frames), noise(frames + 1), noise(frames + 2)
    over = 4800
    made = concat([first, second, third], 0.1).samples
    assert made.shape[1] == 3 * frames + 3 - 2 * over
    assert np.array_equal(made[:, : frames - over], first.samples[:, : frames - over])
    start = frames - over
    inner = second.samples[:, over : frames + 1 - over]
    assert np.array_equal(made[:, start + over : start + over + inner.shape[1]], inner)
    falling, rising = blend(over, "constant_power")
    mixed = first.samples[:, -over:] * falling + second.samples[:, :over] * rising
    assert made[:, start : start + over] == pytest.approx(mixed, abs=1e-6)


def test_a_crossfade_keeps_the_power_of_noise():
    """Two independent noises at -20 dB stay within 0.3 dB of it at every moment."""
    rng = np.random.default_rng(4)
    one, other = (Audio.from_samples(rng.normal(0, 0.1, (8, 96_000)), 48_000) for _ in range(2))
    made = concat([one, other], 1.0).samples[:, 48_000:96_000]
    level = 20 * np.log10(np.sqrt((made.reshape(8, 20, -1) ** 2).mean(axis=(0, 2))))
    assert level == pytest.approx(np.full(20, -20.0), abs=0.3)


def test_a_linear_crossfade_of_a_sound_with_itself_is_not_heard():
    """What is alike keeps its level, to the rounding."""
    tone = Audio.from_samples(np.ones((1, 9600)) * 0.7, 48_000)
    assert concat([tone, tone], 0.1, "linear").samples == pytest.approx(0.7, abs=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 1000])
def test_gains_add_up_at_every_sample(frames: int):
    """Squares of the constant-power gains, and the linear gains, add up to 1."""
    assert sum(gain**2 for gain in blend(frames, "constant_power")) == pytest.approx(1.0)
    assert sum(blend(frames, "linear")) == pytest.approx(1.0)


def test_rates_and_channels_become_one(noise: Make):
    """Mono at 8 kHz joins stereo at 48 kHz: resampled, on both sides, in time and in tune."""
    tone = Audio.from_samples(0.5 * np.sin(2 * np.pi * 500 * np.arange(8000) / 8000), 8000)
    sound = noise(48_000)
    made = concat([sound, tone])
    assert (made.sample_rate, made.channels, made.frames) == (48_000, 2, 96_000)
    assert np.array_equal(made.samples[:, :48_000], sound.samples)
    second = made.samples[:, 48_000:]
    assert np.array_equal(second[0], second[1])
    assert np.abs(np.fft.rfft(second[0])).argmax() == 500


def test_channels_that_do_not_fit_are_refused(noise: Make):
    """Stereo has no rule to become six channels: the sound is named."""
    with pytest.raises(InvalidParameters, match="2 channels cannot become 6") as caught:
        concat([noise(100, 6), noise(100, 1), noise(100, 2)])
    assert caught.value.errors[0].pointer == "/sounds/2"


def test_a_sound_shorter_than_its_crossfades_is_refused(noise: Make):
    """In the middle a sound needs room for two of them."""
    with pytest.raises(InvalidParameters, match="shorter than its crossfades") as caught:
        concat([noise(48_000), noise(7000), noise(48_000)], 0.1)
    assert [(e.pointer, e.rule) for e in caught.value.errors] == [("/sounds/1", "too_short")]
    with pytest.raises(InvalidParameters, match="no samples"):
        concat([noise(48_000), Audio.from_samples(np.zeros((2, 0)), 48_000)])


def test_a_row_is_no_longer_than_four_hours(hours: Callable[[float], Audio]):
    """Two sounds of 3.5 hours are 413 together."""
    with pytest.raises(AssetTooLarge, match="audio_seconds"):
        concat([hours(3.5), hours(3.5)])
