"""Pictures of sounds: right at the edges of what sound can be, however it is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from backend.context import Cancelled, Context
from backend.errors import OperationFailed
from backend.media import plots
from backend.media.audio import Audio
from backend.media.image import Image
from backend.media.loudness import measure
from backend.media.sound_pictures import loudness_picture, waveform_picture

RATE = 8_000


def sine(seconds: float, amplitude: float = 0.5, channels: int = 2) -> Audio:
    wave = amplitude * np.sin(2 * np.pi * 441 * np.arange(round(seconds * RATE)) / RATE)
    return Audio.from_samples(np.tile(wave, (channels, 1)), RATE)


def has(image: Image, colour: str) -> bool:
    """Whether some pixels have just that colour."""
    return bool((np.abs(image.pixels - np.array(to_rgb(colour))).max(axis=2) < 0.06).any())


@pytest.mark.parametrize("frames", [0, 1, 2, 150, 1_799, 1_800, 1_801, 9_999])
def test_a_waveform_of_any_length_can_be_drawn(frames: int):
    """From nothing over single dots to columns of many samples."""
    image = waveform_picture(Audio.from_samples(np.full((2, frames), 0.3), RATE))
    assert (image.width, image.height) == (1000, 340)


@pytest.mark.parametrize(("channels", "height"), [(1, 270), (2, 340), (6, 780), (64, 1000)])
def test_each_channel_has_a_row(channels: int, height: int):
    """Up to eight; of more, the first eight are drawn."""
    assert waveform_picture(sine(0.3, channels=channels)).height == height


def test_no_sample_is_lost_in_a_waveform():
    """A single sample over full scale in a minute is red in the picture; without it nothing is."""
    samples = sine(60.0).samples.copy()
    assert not has(waveform_picture(Audio.from_samples(samples, RATE)), plots.RED)
    samples[1, 123_456] = 1.5
    assert has(waveform_picture(Audio.from_samples(samples, RATE)), plots.RED)


@pytest.mark.parametrize("frames", [100, 1_000])
def test_a_short_sound_is_red_where_it_is_over_full_scale(frames: int):
    """The one sample beyond is marked; the dashed lines at full scale lie elsewhere."""
    samples = np.full((1, frames), 0.5)
    samples[0, frames // 2] = 1.5
    pixels = waveform_picture(Audio.from_samples(samples, RATE)).pixels
    red = np.abs(pixels - np.array(to_rgb(plots.RED))).max(axis=2) < 0.06
    rows = np.flatnonzero(red.any(axis=1))
    highest = red[rows[0]]
    assert 1 <= highest.sum() <= 8  # a dot; a line at full scale is hundreds of pixels


def test_a_waveform_is_as_high_as_the_sound():
    """Twice the amplitude covers twice as many pixels."""

    def covered(amplitude: float) -> int:
        column = waveform_picture(sine(2.0, amplitude, 1)).pixels[:, 500]
        return int((np.abs(column - np.array(to_rgb(plots.BLUE))).max(axis=1) < 0.35).sum())

    assert covered(0.8) == pytest.approx(2 * covered(0.4), rel=0.1)


def test_how_the_sound_is_stored_changes_nothing(tmp_path: Path):
    """A file read in blocks gives the pixels that samples in memory give."""
    sound = sine(30.0)
    sound.save(tmp_path / "sound.wav")
    pixels = waveform_picture(Audio.open(tmp_path / "sound.wav")).pixels
    assert np.array_equal(pixels, waveform_picture(sound).pixels)


def test_drawing_a_waveform_can_be_watched_and_cancelled():
    """Progress is told block by block."""
    said: list[float] = []
    waveform_picture(
        sine(20.0), Context(on_progress=lambda done, total, _: said.append(done / total))
    )
    assert said == sorted(said)
    assert said[-1] == 1.0
    with pytest.raises(Cancelled):
        waveform_picture(sine(1.0), Context(is_cancelled=lambda: True))


def test_a_waveform_of_no_numbers_is_refused():
    """NaN cannot be drawn."""
    with pytest.raises(OperationFailed, match="NaN or infinite"):
        waveform_picture(Audio.from_samples([0.0, np.nan, 0.0], RATE))


@pytest.mark.parametrize("frames", [0, 1, 700, 3_300, RATE * 200])
def test_loudness_of_any_length_can_be_drawn(frames: int):
    """Silence and sound, from nothing to more values than pixels."""
    click = np.zeros((1, frames))
    click[:, :1] = 0.3
    assert loudness_picture(measure(Audio.from_samples(click, RATE))).width == 1000


def test_what_was_measured_is_in_the_picture():
    """Momentary, short-term, integrated and true peak have their colours; silence has none."""
    shown = loudness_picture(measure(sine(5.0)))
    silent = loudness_picture(measure(sine(5.0, 0.0)))
    for colour in (plots.BLUE, plots.AMBER, plots.GREEN, plots.RED):
        assert has(shown, colour)
        assert not has(silent, colour)
