"""The ducker: when it moves, how far, and how fast."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.context import LOCAL, Cancelled
from backend.errors import OperationFailed
from backend.media.audio import Audio
from backend.plugins.mixer import dynamics
from backend.plugins.mixer.dynamics import CONTROL, SPAN, GainFollower, Shape, ducked
from backend.plugins.mixer.feeds import Block, Feed
from backend.plugins.mixer.operations import duck

RATE = 48000
SHAPE = Shape(threshold_db=-24.0, ratio=4.0, knee_db=6.0, attack_ms=10.0, release_ms=500.0)


def flat(seconds: float, level: float = 1.0, channels: int = 1, rate: int = RATE) -> Block:
    """Samples that all have one value, so that what comes out of the ducker is its gain."""
    return np.full((channels, round(seconds * rate)), level, np.float32)


def sine(seconds: float, level_db: float, rate: int = RATE, hertz: float = 1000.0) -> Block:
    time = np.arange(round(seconds * rate)) / rate
    return (10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * time)).astype(np.float32)[None, :]


def audio(samples: Block, rate: int = RATE) -> Audio:
    return Audio.from_samples(samples, rate)


def gain_db(music_s: float, voice: Block, rate: int = RATE, **knobs: float) -> Block:
    """The gain in dB that *voice* makes, over *music_s* seconds."""
    shape = dataclasses.replace(SHAPE, **knobs)
    out = dynamics.duck(
        audio(flat(music_s, rate=rate), rate), audio(voice, rate), shape, 0.0, LOCAL
    )
    gains: Block = 20 * np.log10(out.samples[0])
    return gains


@pytest.mark.parametrize("over_db", [3.5, 6.0, 12.0, 20.0])
@pytest.mark.parametrize("ratio", [1.5, 4.0, 20.0])
def test_a_steady_voice_lowers_by_the_curve(over_db: float, ratio: float) -> None:
    """L dB over the threshold lower the music by (1 - 1/ratio) L, within 0.1 dB."""
    gains = gain_db(1.0, sine(1.0, -24.0 + over_db), ratio=ratio)
    expected = -(1 - 1 / ratio) * over_db
    assert gains[RATE // 2 :] == pytest.approx(expected, abs=0.1)


@given(st.floats(0.0, 24.0), st.floats(1.0, 20.0), st.floats(-60.0, 0.0))
def test_the_curve_is_smooth_and_never_falls(knee: float, ratio: float, threshold: float) -> None:
    """Reduction starts at 0 below the knee, never falls with level, and never bends upwards
    faster than the slope beyond the knee."""
    shape = dataclasses.replace(SHAPE, knee_db=knee, ratio=ratio, threshold_db=threshold)
    levels = np.linspace(-120.0, 40.0, 3201)
    reduction = shape.reduction_db(levels)
    steps = np.diff(reduction)
    slope = (1 - 1 / ratio) * (levels[1] - levels[0])
    assert reduction[levels <= threshold - knee / 2].max(initial=0.0) < 1e-12
    assert steps.min() >= -1e-9
    assert steps.max() <= slope + 1e-9


def test_the_knee_is_half_way_at_the_threshold() -> None:
    """At the threshold a 6 dB knee takes slope · 6/8 dB; a knee of 0 takes nothing."""
    at_threshold = np.array([-24.0])
    assert SHAPE.reduction_db(at_threshold)[0] == pytest.approx(0.75 * 6 / 8)
    hard = dataclasses.replace(SHAPE, knee_db=0.0)
    assert hard.reduction_db(at_threshold)[0] == 0.0


def test_a_silent_voice_leaves_the_music_as_it_was() -> None:
    """Silence, and a voice under the knee, pass the music to the bit."""
    music = np.random.default_rng(1).standard_normal((2, 3 * SPAN + 7)).astype(np.float32)
    for voice in (flat(1.0, 0.0), sine(4.0, -28.0), np.zeros((1, 0), np.float32)):
        out = duck(audio(music), audio(voice))
        np.testing.assert_array_equal(out.samples, music)


@pytest.mark.parametrize("onset", [0, 1, 4799, 4800, 4815, SPAN - 1, SPAN + 3])
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


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_the_result_does_not_depend_on_the_blocks(data: st.DataObject) -> None:
    """Music and voice cut into blocks of any size give the same samples to the bit."""
    rng = np.random.default_rng(7)
    frames = 2 * SPAN + 1234
    music = rng.standard_normal((2, frames)).astype(np.float32)
    swell = np.abs(np.sin(np.arange(frames) / 9000))
    voice = (swell * rng.standard_normal((1, frames))).astype(np.float32)
    one, two = (data.draw(st.integers(1000, frames)) for _ in range(2))

    def feed(samples: Block, size: int) -> Feed:
        cuts = [samples[:, at : at + size] for at in range(0, frames, size)]
        return Feed(cuts, channels=samples.shape[0])

    def run(music_blocks: int, voice_blocks: int) -> Block:
        feeds = feed(music, music_blocks), feed(voice, voice_blocks)
        blocks = ducked(*feeds, GainFollower(SHAPE, RATE), makeup_db=0.0)
        return np.concatenate(list(blocks), axis=1)

    np.testing.assert_array_equal(run(one, two), run(frames, frames))


def test_the_gain_is_the_recursion_that_the_docstring_defines() -> None:
    """A plain loop over the definition gives the same gain within 1e-9, over several spans."""
    rng = np.random.default_rng(3)
    key = (rng.standard_normal(3 * SPAN) * np.repeat([1, 0, 0.3], SPAN)).astype(np.float32)
    follower = GainFollower(SHAPE, RATE)
    got = np.concatenate([follower.gain(key[None, a : a + SPAN]) for a in range(0, key.size, SPAN)])

    peaks = np.abs(key.astype(np.float64)).reshape(-1, CONTROL).max(axis=1)
    wanted = SHAPE.reduction_db(20 * np.log10(np.maximum(peaks, 1e-10)))
    release = math.exp(-CONTROL / (0.5 * RATE))
    attack = math.exp(-CONTROL / (0.01 * RATE))
    held = smooth = 0.0
    points = [1.0, 1.0]
    for reduction in wanted:
        held = max(float(reduction), release * held)
        smooth = attack * smooth + (1 - attack) * held
        points.append(10 ** (-smooth / 20))
    knots = np.arange(len(points)) * CONTROL - 1 - CONTROL
    expected = np.interp(np.arange(key.size) - CONTROL, knots, points)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("frames", [0, 1])
def test_no_music_and_one_sample_of_music_are_music_too(frames: int) -> None:
    """Nothing stays nothing, and one sample comes back as it was."""
    music = np.full((2, frames), 0.25, np.float32)
    out = duck(audio(music), audio(flat(1.0)))
    np.testing.assert_array_equal(out.samples, music)


def test_a_voice_that_is_no_number_fails_in_words() -> None:
    """NaN in the key is an error, never music full of NaN."""
    follower = GainFollower(SHAPE, RATE)
    with pytest.raises(OperationFailed, match="not numbers"):
        follower.gain(np.array([[0.0, np.nan]], np.float32))


def test_progress_is_told_and_cancel_is_heard() -> None:
    """Each span reports its frames; a cancelled run ends within one span."""
    seen: list[tuple[float, float]] = []
    music, voice = audio(flat(3.0)), audio(flat(0.1))
    watching = dataclasses.replace(LOCAL, on_progress=lambda done, of, _: seen.append((done, of)))
    duck(music, voice, ctx=watching)
    assert seen[-1] == (3 * RATE, 3 * RATE)
    with pytest.raises(Cancelled):
        duck(music, voice, ctx=dataclasses.replace(LOCAL, is_cancelled=lambda: True))
