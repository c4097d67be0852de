"""The ducker: when it moves, how far, how fast, and what it leaves alone."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from backend.context import LOCAL, Cancelled
from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.breakpoints import Breakpoints
from backend.plugins.mixer.operations import duck
from backend.plugins.mixer.signals import FRAMES

RATE = 48000
CONTROL = 16
"""Samples between two control values; the gain answers at most two of them late."""
Block = npt.NDArray[np.float32]


def flat(seconds: float, level: float = 1.0, channels: int = 1, rate: int = RATE) -> Block:
    """Samples that all have one value, so that what comes out of the ducker is its gain."""
    return np.full((channels, round(seconds * rate)), level, np.float32)


def sine(seconds: float, level_db: float, rate: int = RATE, hertz: float = 1000.0) -> Block:
    time = np.arange(round(seconds * rate)) / rate
    return (10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * time)).astype(np.float32)[None, :]


def audio(samples: Block, rate: int = RATE) -> Audio:
    return Audio.from_samples(samples, rate)


def gain_db(music_s: float, voice: Block, rate: int = RATE, **knobs: Any) -> Block:
    """The gain in dB that *voice* makes, over *music_s* seconds."""
    out = duck(audio(flat(music_s, rate=rate), rate), audio(voice, rate), **knobs)
    gains: Block = 20 * np.log10(out.samples[0])
    return gains


@pytest.mark.parametrize("over_db", [3.5, 6.0, 12.0, 20.0])
@pytest.mark.parametrize("ratio", [1.5, 4.0, 20.0])
def test_a_steady_voice_lowers_by_the_curve(over_db: float, ratio: float) -> None:
    """L dB over the threshold lower the music by (1 - 1/ratio) L, within 0.1 dB."""
    gains = gain_db(1.0, sine(1.0, -24.0 + over_db), ratio=ratio)
    expected = -(1 - 1 / ratio) * over_db
    assert gains[RATE // 2 :] == pytest.approx(expected, abs=0.1)


def test_a_silent_voice_leaves_the_music_as_it_was() -> None:
    """Silence, and a voice under the knee, pass the music to the bit."""
    music = np.random.default_rng(1).standard_normal((2, 3 * FRAMES + 7)).astype(np.float32)
    for voice in (flat(1.0, 0.0), sine(4.0, -28.0), np.zeros((1, 0), np.float32)):
        out = duck(audio(music), audio(voice))
        np.testing.assert_array_equal(out.samples, music)


@pytest.mark.parametrize("onset", [0, 1, 4799, 4800, 4815, FRAMES - 1, FRAMES + 3])
def test_nothing_moves_before_the_voice_does(onset: int) -> None:
    """Up to and with the sample where the voice starts the gain is 1; 32 samples on it falls."""
    voice = np.concatenate([flat(0, 0.0), np.zeros((1, onset), np.float32), flat(0.5)], axis=1)
    out = duck(audio(flat(3.0)), audio(voice), attack_ms=0.0).samples[0]
    assert (out[: onset + 1] == 1.0).all()
    assert out[onset + 2 * CONTROL] < 0.5


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 96000])
@pytest.mark.parametrize("attack_ms", [5.0, 50.0])
def test_attack_is_a_time_constant(rate: int, attack_ms: float) -> None:
    """63.2 % of the reduction is reached after the attack time, at any sample rate."""
    gains = gain_db(1.0, flat(1.0, rate=rate), rate=rate, attack_ms=attack_ms, knee_db=0.0)
    reached = int(np.argmax(gains <= -18.0 * (1 - math.exp(-1))))
    assert abs(reached / rate - attack_ms / 1000) <= 2 * CONTROL / rate + 0.0001


@pytest.mark.parametrize("release_ms", [50.0, 500.0])
def test_release_is_a_time_constant(release_ms: float) -> None:
    """After the voice ends, reduction falls to 36.8 % within the release time."""
    gains = gain_db(3.0, flat(0.5), attack_ms=0.0, release_ms=release_ms, knee_db=0.0)
    assert gains[RATE // 2] == pytest.approx(-18.0, abs=0.01)
    after = gains[RATE // 2 :]
    passed = int(np.argmax(after >= -18.0 * math.exp(-1)))
    assert abs(passed / RATE - release_ms / 1000) <= 2 * CONTROL / RATE + 0.0001
    recovered = -18.0 * math.exp(-2.4 / (release_ms / 1000))
    assert gains[-1] == pytest.approx(recovered, abs=0.2)


def test_a_pause_between_words_is_not_pumped() -> None:
    """In a gap of 50 ms with a release of 500 ms the music comes back by about a tenth only."""
    words = np.concatenate([flat(0.5), flat(0.05, 0.0), flat(0.5)], axis=1)
    gains = gain_db(1.0, words, knee_db=0.0)
    gap = gains[RATE // 2 : round(0.56 * RATE)]
    assert gap.max() < -18.0 * math.exp(-0.05 / 0.5) + 0.1


def test_the_voice_may_be_longer_or_shorter_than_the_music() -> None:
    """The music's length stays; what comes after its end cannot be heard in it."""
    music = flat(1.0)
    short = duck(audio(music), audio(flat(0.1)))
    long = duck(audio(music), audio(flat(5.0)))
    assert short.frames == long.frames == RATE
    same = duck(audio(music), audio(flat(1.0)))
    np.testing.assert_array_equal(long.samples, same.samples)


def test_any_channel_of_the_voice_ducks_every_channel_of_the_music() -> None:
    """The key is linked: a voice on one side only lowers both sides by the same gain."""
    music = np.random.default_rng(1).uniform(0.5, 1.0, (2, RATE)).astype(np.float32)
    one_sided = np.concatenate([flat(1.0, 0.0), sine(1.0, -6.0)])
    out = duck(audio(music), audio(one_sided)).samples
    centred = duck(audio(music), audio(sine(1.0, -6.0))).samples
    np.testing.assert_array_equal(out, centred)
    np.testing.assert_allclose(out[0] / music[0], out[1] / music[1], rtol=1e-6)


def test_a_voice_at_another_rate_ducks_at_the_same_time() -> None:
    """A 22.05 kHz voice that starts at 0.5 s lowers 44.1 kHz music from 0.5 s, as far."""
    voice = np.concatenate([flat(0.5, 0.0, rate=22050), sine(0.5, -6.0, rate=22050)], axis=1)
    out = duck(audio(flat(1.0, rate=44100), 44100), audio(voice, 22050)).samples[0]
    start = int(np.argmax(out < 0.99))
    assert start / 44100 == pytest.approx(0.5, abs=0.003)
    assert 20 * math.log10(out[-1]) == pytest.approx(-13.5, abs=0.15)


def test_makeup_raises_everything() -> None:
    """Make-up gain is in dB, lies over all the music, and may lead above full scale."""
    out = duck(audio(flat(0.2, 0.9)), audio(flat(0.2, 0.0)), makeup_db=6.020599913279624)
    np.testing.assert_allclose(out.samples, 1.8, rtol=1e-6)


def test_a_ducked_tone_stays_a_tone() -> None:
    """Under a steady voice the harmonics of the music stay 80 dB down."""
    music = sine(2.0, -6.0, hertz=1000.0)
    out = duck(audio(music), audio(sine(2.0, -6.0, hertz=3000.0))).samples[0]
    steady = out[RATE : RATE + RATE // 2].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(steady.size)))
    fundamental = spectrum[490:511].max()
    harmonics = [spectrum[500 * n - 10 : 500 * n + 11].max() for n in range(2, 11)]
    assert 20 * math.log10(max(harmonics) / fundamental) < -80


@pytest.mark.parametrize("frames", [0, 1])
def test_no_music_and_one_sample_of_music_are_music_too(frames: int) -> None:
    """Nothing stays nothing, and one sample comes back as it was."""
    music = np.full((2, frames), 0.25, np.float32)
    out = duck(audio(music), audio(flat(1.0)))
    np.testing.assert_array_equal(out.samples, music)


def test_progress_is_told_and_cancel_is_heard() -> None:
    """Each span reports its frames; a cancelled run ends within one span."""
    seen: list[tuple[float, float]] = []
    music, voice = audio(flat(3.0)), audio(flat(0.1))
    watching = dataclasses.replace(LOCAL, on_progress=lambda done, of, _: seen.append((done, of)))
    duck(music, voice, ctx=watching)
    assert seen[-1] == (3 * RATE, 3 * RATE)
    with pytest.raises(Cancelled):
        duck(music, voice, ctx=dataclasses.replace(LOCAL, is_cancelled=lambda: True))


def test_a_voice_that_is_no_number_fails_in_words() -> None:
    """NaN in the key is an error that names it, never music full of NaN."""
    with pytest.raises(InvalidParameters, match="NaN or infinite") as caught:
        duck(audio(flat(0.1)), audio(np.array([[0.0, np.nan]], np.float32)))
    assert [(each.pointer, each.rule) for each in caught.value.errors] == [("/voice", "finite")]


def test_the_range_is_the_most_that_it_ducks() -> None:
    """A voice 24 dB over a threshold asks 18 dB; a range of 6 dB gives 6."""
    gains = gain_db(1.0, flat(1.0), range_db=6.0)
    assert gains[RATE // 2 :] == pytest.approx(-6.0, abs=0.01)


def test_hold_keeps_the_music_down() -> None:
    """With a hold of 200 ms nothing comes back in the first 200 ms after the voice."""
    voice = np.concatenate([flat(0.2), flat(0.8, 0.0)], axis=1)
    gains = gain_db(1.0, voice, hold_ms=200.0, attack_ms=0.0, release_ms=20.0, knee_db=0.0)
    assert gains[round(0.39 * RATE)] == pytest.approx(-18.0, abs=0.01)
    assert gains[round(0.6 * RATE)] > -0.1


def test_look_ahead_is_there_before_the_voice() -> None:
    """With 20 ms of look-ahead the music is down when the voice begins, and is as long as before;
    without it, it is not."""
    voice = np.concatenate([flat(0.5, 0.0), flat(0.5)], axis=1)
    ahead = gain_db(1.0, voice, lookahead_ms=20.0, attack_ms=3.0, knee_db=0.0)
    assert ahead.size == RATE
    assert ahead[RATE // 2] == pytest.approx(-18.0, abs=0.1)
    assert ahead[round(0.478 * RATE)] == 0.0
    assert gain_db(1.0, voice, attack_ms=3.0, knee_db=0.0)[RATE // 2] == 0.0


def test_the_threshold_may_move() -> None:
    """Breakpoints and an automation that lift the threshold over the voice let go of the music."""
    voice = flat(1.0, 10 ** (-12 / 20))
    moved = Breakpoints(points=[(0.0, -24.0), (0.45, -24.0), (0.46, 0.0)])
    curve = Automation.from_values([-24.0] * 45 + [0.0] * 55, 100)
    for threshold in (moved, curve):
        out = duck(
            audio(flat(1.0)), audio(voice), threshold, attack_ms=0.0, release_ms=5.0, knee_db=0.0
        )
        gains = 20 * np.log10(out.samples[0])
        assert gains[round(0.4 * RATE)] == pytest.approx(-9.0, abs=0.01)
        assert gains[-1] == pytest.approx(0.0, abs=0.01)


def test_a_silent_voice_does_not_shape_start_and_end() -> None:
    """The predecessor began and ended at half the level under a silent voice; here the first and
    the last sample are as they were, and the duck of a voice is 16.5 dB where that is right."""
    music = flat(1.0)
    out = duck(audio(music), audio(flat(1.0, 0.0)), attack_ms=100.0).samples[0]
    assert (out[0], out[-1], out.min()) == (1.0, 1.0, 1.0)
    # a voice at -2 dBFS over a threshold of -24 dB: (1 - 1/4) · 22 dB
    ducked = gain_db(2.0, flat(2.0, 10 ** (-2 / 20)), attack_ms=100.0)
    assert ducked[-1] == pytest.approx(-16.5, abs=0.05)
