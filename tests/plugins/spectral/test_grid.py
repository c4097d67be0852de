"""The transform itself: forth and back, at every size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.plugins.spectral.editing import Source
from backend.plugins.spectral.grid import Grid

SIZES = [(64, 1), (64, 32), (100, 33), (1022, 300), (2048, 512), (4096, 2048)]


def noise(channels: int, frames: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((channels, frames))


@pytest.mark.parametrize(("n_fft", "hop"), SIZES)
def test_forth_and_back_is_the_sound(n_fft: int, hop: int) -> None:
    """Every sample comes back to 1e-12, first and last ones too, whatever window and hop."""
    samples = noise(2, 5000)
    grid = Grid(n_fft, hop, 5000)
    start, stop = grid.reach(0, grid.columns)
    padded = np.pad(samples, ((0, 0), (-start, stop - 5000)))
    found = grid.forth(padded, grid.columns)
    assert found.shape == (2, grid.columns, n_fft // 2 + 1)
    back = grid.back(found)[:, -start : -start + 5000] / grid.weight(0, 5000)
    assert np.abs(back - samples).max() < 1e-12


@pytest.mark.parametrize(("n_fft", "hop"), SIZES)
def test_the_weight_of_a_part_is_a_part_of_the_weight(n_fft: int, hop: int) -> None:
    """The sum of squared windows is the same however it is cut, and never below 1/2."""
    grid = Grid(n_fft, hop, 5000)
    whole = grid.weight(0, 5000)
    assert whole.min() > 0.499
    for start, stop in ((0, 7), (0, 1000), (1234, 1300), (4000, 5000), (4999, 5000)):
        assert np.allclose(grid.weight(start, stop), whole[start:stop], rtol=0, atol=1e-12)


def test_a_full_scale_sine_is_full_scale() -> None:
    """A sine of amplitude 1 in the middle of a bin has the magnitude that is called 0 dB."""
    grid = Grid(1024, 256, 8192)
    sine = np.sin(2 * np.pi * 32 / 1024 * np.arange(8192))[None]
    found = np.abs(grid.forth(sine, 20))
    assert np.allclose(found[0, :, 32], grid.full_scale)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 700)), min_size=1, max_size=12))
def test_spans_are_the_samples_with_silence_around(steps: list[tuple[int, int]]) -> None:
    """Whatever is asked for from front to back, before the start and behind the end is silence."""
    samples = noise(2, 1000).astype(np.float32)
    source = Source(Audio.from_samples(samples, 8000))
    padded = np.pad(samples, ((0, 0), (200, 5000)))
    start = -200
    for forward, length in steps:
        start += forward
        span = source.span(start, start + length)
        assert np.array_equal(span, padded[:, start + 200 : start + 200 + length])


@pytest.mark.parametrize(
    ("frames", "n_fft", "hop", "pointer", "rule"),
    [
        (0, 64, 16, "/audio", "too_short"),
        (1, 64, 16, "/audio", "too_short"),
        (63, 64, 16, "/audio", "too_short"),
        (1000, 1002, 16, "/n_fft", "too_long"),
        (5000, 64, 33, "/hop_length", "overlap"),
        (5000, 2048, 2048, "/hop_length", "overlap"),
    ],
)
def test_where_a_grid_cannot_lie(
    frames: int, n_fft: int, hop: int, pointer: str, rule: str
) -> None:
    """Nothing, one sample, a window longer than the sound, and a hop that loses samples."""
    audio = Audio.from_samples(np.zeros((1, frames), np.float32), 8000)
    with pytest.raises(InvalidParameters) as caught:
        Grid.over(audio, n_fft, hop)
    assert [(each.pointer, each.rule) for each in caught.value.errors] == [(pointer, rule)]
