"""Waveforms: the extremes at every zoom, in BBC audiowaveform's layout."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from backend import context
from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.plugins.files.operations import measure_waveform

RNG = np.random.default_rng(23)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path):
    with context.scratch_in(tmp_path):
        yield


def parse(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """The header's six numbers, and pixels ``[n, channels, 2]``, by the published layout."""
    raw = path.read_bytes()
    header = struct.unpack("<iIiiIi", raw[:24])
    return header, np.frombuffer(raw[24:], "<i2").reshape(header[4], header[5], 2)


@pytest.mark.parametrize("frames", [1, 256, 257, 65_536, 300_000])
def test_every_level_holds_the_extremes_of_its_frames(frames: int):
    """Each pair is the smallest and the largest sample of its stretch, found one by one."""
    samples = RNG.uniform(-1, 1, (2, frames)).astype(np.float32)
    made = measure_waveform(Audio.from_samples(samples, 48_000))
    steps = np.rint(samples * 32767).astype(np.int16)
    assert [level.samples_per_pixel for level in made.levels] == [
        256 * 4**k for k in range(len(made.levels))
    ]
    for file, level in zip(made.peaks, made.levels, strict=True):
        header, pixels = parse(file.path)
        each = level.samples_per_pixel
        assert header == (2, 0, 48_000, each, -(-frames // each), 2)
        for place in (0, len(pixels) // 2, len(pixels) - 1):
            part = steps[:, place * each : (place + 1) * each]
            assert pixels[place].tolist() == [[p.min(), p.max()] for p in part]
    assert made.levels[-1].length <= 1024
    assert len(made.levels) == 1 or made.levels[-2].length > 1024


def test_the_overview_is_the_coarsest_level_as_numbers():
    """By channel, pairs of minimum and maximum, 1.0 being full scale; over it ends there."""
    samples = np.stack([np.full(1000, 0.5), np.full(1000, -2.0)])
    made = measure_waveform(Audio.from_samples(samples, 48_000))
    assert made.overview[0] == [[pytest.approx(0.5, abs=1e-4)] * 2] * 4
    assert made.overview[1] == [[-1.0, -1.0]] * 4


def test_the_picture_shows_every_channel_and_is_the_same_every_time():
    """Asked for, there is a picture, taller for more channels, equal for equal sound."""
    one = Audio.from_samples(RNG.normal(0, 0.2, (1, 30_000)), 48_000)
    two = Audio.from_samples(np.repeat(one.samples, 2, axis=0), 48_000)
    pictures = [measure_waveform(sound, picture=True).picture for sound in (one, two, two)]
    single, stereo, again = (picture for picture in pictures if picture is not None)
    assert stereo.height > single.height
    assert np.array_equal(stereo.pixels, again.pixels)
    assert measure_waveform(one).picture is None


def test_nothing_has_no_waveform():
    """A sound without samples breaks a rule."""
    with pytest.raises(InvalidParameters, match="no samples"):
        measure_waveform(Audio.from_samples(np.zeros((1, 0)), 48_000))
