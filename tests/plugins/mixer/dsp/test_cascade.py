"""Rows of samples through second-order sections: equal to the plain recursion."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import sosfilt

from backend.plugins.mixer.dsp import biquads
from backend.plugins.mixer.dsp.cascade import Cascade

RATE = 48000
SECTIONS = np.concatenate(
    [
        biquads.high_pass(20.0, 0.707, 0.0, RATE),
        biquads.low_shelf(250.0, 0.707, 9.0, RATE),
        biquads.peak(1000.0, 12.0, -24.0, RATE),
        biquads.high_shelf(4000.0, 0.5, 6.0, RATE),
        biquads.low_pass(18000.0, 0.707, 0.0, RATE),
    ]
)


def noise(channels: int, frames: int) -> npt.NDArray[np.float64]:
    """White noise [channels, frames]."""
    return np.random.default_rng(7).standard_normal((channels, frames))


def recursion(
    sections: npt.NDArray[np.float64], samples: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The samples through the recursion itself, in numbers of higher precision where there are."""
    exact = sosfilt(sections.astype(np.longdouble), samples.astype(np.longdouble), axis=-1)
    return np.asarray(exact, dtype=np.float64)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_rows_are_the_recursion(count: int, channels: int) -> None:
    """Any number of sections and channels, as near to the exact recursion as a plain one."""
    samples = noise(channels, 20000)
    wanted = recursion(SECTIONS[:count], samples)
    out = Cascade(SECTIONS[:count], channels).process(samples)
    plain = np.abs(sosfilt(SECTIONS[:count], samples, axis=-1) - wanted).max()
    assert np.abs(out - wanted).max() <= 4.0 * plain


@pytest.mark.parametrize("pieces", [[1, 4096, 31, 8192, 7680], [4095] * 4, [65536 + 192, 140000]])
def test_the_state_goes_on_from_piece_to_piece(pieces: list[int]) -> None:
    """Products of rows, what is left of them, and blocks of more than one piece follow on."""
    samples = noise(2, sum(pieces))
    cascade, parts, at = Cascade(SECTIONS, 2), [], 0
    for frames in pieces:
        parts.append(cascade.process(samples[:, at : at + frames]))
        at += frames
    out = np.concatenate(parts, axis=1)
    np.testing.assert_allclose(out, recursion(SECTIONS, samples), rtol=0, atol=1e-10)


def test_silence_stays_silence_and_a_decay_ends() -> None:
    """Zeros give zeros to the bit, before a sound and, at last, after it."""
    cascade = Cascade(SECTIONS[1:], 2)
    assert not cascade.process(np.zeros((2, 8192))).any()
    cascade.process(noise(2, 8192))
    cascade.process(np.zeros((2, 8 * 65536)))
    assert not cascade.process(np.zeros((2, 8192))).any()


def test_the_samples_given_are_left_as_they_are() -> None:
    """What comes out lies in an array of its own."""
    samples = noise(2, 5000)
    given = samples.copy()
    Cascade(SECTIONS, 2).process(samples)
    np.testing.assert_array_equal(samples, given)
