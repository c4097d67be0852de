"""Time and pitch: exact lengths, true pitches, and seams that nobody hears."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from backend.errors import AssetTooLarge, InvalidParameters
from backend.media.audio import Audio
from backend.plugins.files.editing import stretching
from backend.plugins.files.editing.operations import pitch_shift, time_stretch

RATE = 16_000


def tone(hz: float, seconds: float, channels: int = 1) -> Audio:
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)
    return Audio.from_samples(np.tile(wave, (channels, 1)), RATE)


def pitch(audio: Audio) -> float:
    """The frequency of the highest peak, in Hz, between bins by a parabola."""
    samples = audio.samples[0].astype(float)
    spectrum = np.log(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) + 1e-12)
    top = int(spectrum.argmax())
    low, mid, high = spectrum[top - 1 : top + 2]
    return float((top + 0.5 * (low - high) / (low - 2 * mid + high)) * RATE / len(samples))


@pytest.mark.parametrize("speed", [0.25, 0.7, 1.5, 4.0])
def test_a_stretched_tone_keeps_its_pitch_and_has_its_length(speed: float):
    """440 Hz stays within a tenth of a percent; the length is exact to the sample."""
    made = time_stretch(tone(440, 2.0, 2), speed)
    assert (made.frames, made.channels) == (round(2 * RATE / speed), 2)
    assert pitch(made) == pytest.approx(440, rel=1e-3)


def test_a_length_can_be_asked_for():
    """Two seconds become 3.2 s exactly; neither both ways nor beyond four times."""
    assert time_stretch(tone(440, 2.0), duration_s=3.2).frames == round(3.2 * RATE)
    with pytest.raises(InvalidParameters, match="speed or duration_s"):
        time_stretch(tone(440, 2.0), 2.0, 1.0)
    with pytest.raises(InvalidParameters, match=r"the speed would be 20") as caught:
        time_stretch(tone(440, 2.0), duration_s=0.1)
    assert caught.value.errors[0].pointer == "/duration_s"


@pytest.mark.parametrize("semitones", [-12.0, -0.5, 7.0])
def test_a_shifted_tone_has_its_pitch_and_keeps_its_length(semitones: float):
    """Twelve equal steps to the octave, within a tenth of a percent."""
    sound = tone(440, 2.0)
    made = pitch_shift(sound, semitones)
    assert made.frames == sound.frames
    assert pitch(made) == pytest.approx(440 * 2 ** (semitones / 12), rel=1e-3)


def test_nothing_to_do_changes_nothing():
    """Speed 1 and no semitones give the sound itself."""
    sound = tone(440, 0.5)
    assert time_stretch(sound) is sound
    assert pitch_shift(sound) is sound


@pytest.mark.parametrize("hz", [211.3, 330.0, 457.7, None])
def test_no_seam_is_heard(hz: float | None, monkeypatch: pytest.MonkeyPatch):
    """A tone or noise in pieces of two seconds: at the seams the level moves as elsewhere."""
    monkeypatch.setattr(stretching, "PIECE_S", 2.0)
    if hz is not None:
        sound = tone(hz, 10.0)
    else:
        sound = Audio.from_samples(np.random.default_rng(2).normal(0, 0.1, 10 * RATE), RATE)
    made = time_stretch(sound, 1.25)
    assert made.frames == 8 * RATE
    window = RATE // 20
    power = np.convolve(made.samples[0].astype(float) ** 2, np.ones(window) / window, "same")
    level = 10 * np.log10(power / np.median(power))
    seams = [round(place * 1.6 * RATE) for place in range(1, 5)]
    at_seams = np.concatenate([level[seam - window : seam + window] for seam in seams])
    between = np.concatenate([level[seam + 3 * window : seam + 20 * window] for seam in seams])
    assert np.abs(at_seams).max() < max(0.2, 1.3 * np.abs(between).max())
    if hz is not None:
        assert pitch(made) == pytest.approx(hz, rel=1e-4)


def test_pieces_keep_time(monkeypatch: pytest.MonkeyPatch):
    """Knocks every second, in pieces of two seconds, are within 20 ms of where they belong."""
    monkeypatch.setattr(stretching, "PIECE_S", 2.0)
    samples = np.random.default_rng(1).normal(0, 0.002, 10 * RATE)
    knocks = np.arange(10) * RATE + RATE // 2
    for knock in knocks:
        samples[knock : knock + 200] += np.sin(np.arange(200)) * np.exp(-np.arange(200) / 40)
    made = np.abs(time_stretch(Audio.from_samples(samples, RATE), 0.8).samples[0])
    for knock in knocks:
        place = round(knock / 0.8)
        around = made[place - RATE // 5 : place + RATE // 5]
        loud = np.flatnonzero(around > 0.5 * around.max())[0] - RATE // 5
        assert abs(loud) < 0.03 * RATE


@pytest.mark.parametrize("frames", [1, 100, 3000])
def test_the_shortest_sounds_are_stretched(frames: int):
    """Less than a window of Rubber Band's still has its length."""
    sound = Audio.from_samples(np.full((1, frames), 0.25), RATE)
    assert time_stretch(sound, 0.5).frames == 2 * frames
    assert pitch_shift(sound, 3.0).frames == frames


def test_a_slow_programme_is_no_longer_than_four_hours(hours: Callable[[float], Audio]):
    """3.5 hours at half speed are 413, before hours of work."""
    with pytest.raises(AssetTooLarge, match="audio_seconds"):
        time_stretch(hours(3.5), 0.5)
