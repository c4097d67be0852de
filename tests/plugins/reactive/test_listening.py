"""Onsets, tempo and key: what is heard in a sound."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backend.context import LOCAL
from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.plugins.reactive import energy, onsets, spectra
from backend.plugins.reactive.key import NAMES
from backend.plugins.reactive.operations import analyse, key, keyframes, tempo

RATE = 22050


def audio(samples: np.ndarray, rate: int = RATE) -> Audio:
    return Audio.from_samples(samples, rate)


def found(sound: Audio, threshold: float = 0.4) -> np.ndarray:
    return onsets.pick(onsets.novelty(sound, LOCAL), threshold)


def note(pitch: float, seconds: float, rate: int = RATE) -> np.ndarray:
    """A tone with eight harmonics that dies away; *pitch* 69 is 440 Hz."""
    time = np.arange(int(seconds * rate)) / rate
    hertz = 440.0 * 2 ** ((pitch - 69) / 12)
    n = np.arange(1, 9)[:, None]
    parts = np.sin(2 * np.pi * hertz * n * time) / n**1.3
    return np.asarray(parts.sum(axis=0) * np.exp(-2 * time))


def cadence(tonic: int, minor: bool, cents: float = 0.0) -> np.ndarray:
    """I, IV, V and I of a key around middle C; the fifth has its major third in minor as well."""
    third = 3 if minor else 4
    chords = [(0, third, 7), (5, 5 + third, 12), (7, 11, 14), (0, third, 7)]
    shift = 60 + tonic + cents / 100
    return np.concatenate(
        [sum(note(shift + tone, 0.5) for tone in (*chord, chord[0] - 12)) for chord in chords]
    )


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
def test_onsets_are_found_at_every_rate_within_10_ms(make_drums, measured_f, rate: int) -> None:
    """The same drums at four rates: F ≥ 0.98 within 50 ms, and 10 ms at most for a typical one."""
    played = make_drums(seconds=6.0, rate=rate, seed=5)
    times = found(played.audio)
    assert measured_f(times, played.times, 0.05) >= 0.98
    away = [np.min(np.abs(times - each)) for each in played.times]
    assert np.median(away) < 0.010


def test_onsets_do_not_depend_on_the_level(make_drums) -> None:
    """60 dB softer, the same onsets are found at the same times."""
    played = make_drums(seconds=6.0, seed=6, bed=0.0)
    soft = audio(played.audio.samples * 0.001, played.audio.sample_rate)
    np.testing.assert_array_equal(found(soft), found(played.audio))


def test_what_does_not_begin_is_no_onset() -> None:
    """A tone with vibrato, steady noise and silence have at most the onset that they start with."""
    time = np.arange(6 * RATE) / RATE
    vibrato = np.sin(2 * np.pi * (440 * time + 2 * np.sin(2 * np.pi * 5 * time)))
    noise = 0.1 * np.random.default_rng(0).standard_normal(time.size)
    for sound in (vibrato, noise, np.zeros(time.size)):
        times = found(audio(sound))
        assert times.size == 0 or times.max() < 0.1


def test_the_curve_does_not_depend_on_how_the_sound_is_cut() -> None:
    """A sound in one block and in a file of many gives the same spectra and the same energy."""
    samples = np.random.default_rng(3).standard_normal((2, 200_000)).astype(np.float32)
    grid = spectra.Grid.of(RATE, 0.01, 0.046)
    whole = np.concatenate(list(spectra.spectra(audio(samples), grid, LOCAL)))
    assert whole.shape == (200_000 // grid.hop + 1, grid.window // 2 + 1)
    # Parseval: the power of noise of variance 1 is 1
    assert whole[5:-5].sum(axis=1).mean() == pytest.approx(1.0, abs=0.02)
    cells = energy.measure(audio(samples), LOCAL)
    size = round(0.005 * RATE)
    expected = np.square(samples[:, : size * 1000], dtype=np.float64)
    np.testing.assert_allclose(
        cells.power[:1000], expected.reshape(2, 1000, size).mean(axis=(0, 2)), rtol=1e-9
    )


def test_power_is_that_of_each_channel_averaged() -> None:
    """One, two and three channels go three ways through the transform; a sine counts 1/2."""
    time = np.arange(RATE) / RATE
    left, right = np.sin(2 * np.pi * 440 * time), 0.1 * np.sin(2 * np.pi * 3000 * time)
    grid = spectra.Grid.of(RATE, 0.01, 0.046)
    for channels in ([left], [left, right], [left, right, right]):
        total = np.concatenate(list(spectra.spectra(audio(np.stack(channels)), grid, LOCAL)))
        expected = sum(np.mean(np.square(each)) for each in channels) / len(channels)
        assert total[20:80].sum(axis=1) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("bpm", [62.5, 90.0, 117.3, 128.0, 174.0])
def test_the_tempo_of_drums_is_exact(make_drums, bpm: float) -> None:
    """Within 0.3 %, or among the candidates where half or double fits as well; beats are as far
    apart."""
    result = tempo(make_drums(bpm, seconds=20.0, rate=RATE, seed=7).audio)
    tempos = [result.bpm, *result.candidates]
    assert min(abs(each / bpm - 1) for each in tempos) < 0.003
    assert 80 <= result.bpm <= 180
    steps = np.diff(result.beats_s)
    assert 60 / float(np.median(steps)) == pytest.approx(result.bpm, rel=0.02)
    assert 0.1 < result.confidence <= 1.0


def test_beats_lie_on_the_strokes(make_drums) -> None:
    """At 120 BPM every beat but those at the very end lies within 25 ms of a stroke."""
    played = make_drums(120.0, seconds=10.0, rate=RATE, seed=8)
    result = tempo(played.audio)
    assert result.bpm == pytest.approx(120, abs=0.4)
    away = [np.min(np.abs(played.times - beat)) for beat in result.beats_s]
    assert max(away) < 0.025
    assert len(result.beats_s) >= 18


@pytest.mark.parametrize(("slowest", "fastest"), [(119.9, 120.1), (120.0, 200.0), (60.0, 120.0)])
def test_a_tempo_at_the_limits_is_found(make_drums, slowest: float, fastest: float) -> None:
    """Whoever knows the tempo nearly may ask for a narrow range."""
    found = tempo(make_drums(bpm=120).audio, slowest, fastest)
    assert any(abs(each - 120.0) < 0.1 for each in (found.bpm, *found.candidates))


def test_no_tempo_is_named_twice() -> None:
    """Noise has many faint maxima, of which some lead to the same tempo."""
    noise = np.random.default_rng(0).standard_normal((3, 20 * RATE)) * 0.1
    for each in noise:
        made = tempo(audio(each))
        assert len({made.bpm, *made.candidates}) == 1 + len(made.candidates)


def test_what_does_not_repeat_has_no_tempo() -> None:
    """Silence and a sound of 0.1 s: 0 BPM, no beats."""
    for sound in (np.zeros(10 * RATE), np.ones(RATE // 10), np.zeros(0)):
        assert tempo(audio(sound)) == (0.0, 0.0, [], [])


@pytest.mark.parametrize("minor", [False, True])
def test_all_24_keys_are_told_apart(minor: bool) -> None:
    """A cadence in each key is heard as that key, with every pitch class named."""
    for tonic in range(12):
        result = key(audio(cadence(tonic, minor)))
        assert result.key == f"{NAMES[tonic]} {'minor' if minor else 'major'}"
        assert result.confidence > 0.0
        assert result.tuning_hz == pytest.approx(440, abs=2)
        assert max(result.chroma.values()) == 1.0


@pytest.mark.parametrize("cents", [-40.0, 30.0])
def test_a_key_is_heard_out_of_tune(cents: float) -> None:
    """Tuned 40 cents flat or 30 sharp, the key is the same, and the tuning is told."""
    result = key(audio(cadence(9, minor=True, cents=cents)))
    assert result.key == "A minor"
    assert 1200 * math.log2(result.tuning_hz / 440) == pytest.approx(cents, abs=5)


def test_silence_and_noise_have_no_key() -> None:
    """No key is an empty one, and not C."""
    noise = np.random.default_rng(1).standard_normal(3 * RATE)
    for sound in (np.zeros(RATE), noise, np.zeros(0), np.ones(1)):
        assert key(audio(sound)).key == ""


def test_a_sound_with_nan_has_no_tempo_and_no_key() -> None:
    """Both fail in words."""
    bad = np.full(RATE, np.nan)
    for listen in (tempo, key):
        with pytest.raises(InvalidParameters, match="NaN or infinite"):
            listen(audio(bad))


def test_a_fastest_tempo_below_the_slowest_is_refused() -> None:
    """No tempo lies between them, and 0 BPM would say that nothing repeats."""
    with pytest.raises(InvalidParameters) as caught:
        tempo(audio(note(60, 4.0)), slowest_bpm=180.0, fastest_bpm=60.0)
    assert [each.pointer for each in caught.value.errors] == ["/fastest_bpm"]


@pytest.mark.parametrize("listen", [tempo, key, analyse, keyframes])
def test_what_is_far_beyond_any_sound_is_refused(listen) -> None:
    """Its power is more than 32-bit float holds, and would be infinite."""
    with pytest.raises(InvalidParameters, match="240 dB over full scale"):
        listen(audio(np.full(RATE, -1e13, np.float32)))


@pytest.mark.parametrize("rate", [1, 7, 59])
def test_a_rate_below_all_bands_has_no_onsets(rate: int) -> None:
    """Half of the rate lies below the lowest band: nothing is found, and nothing breaks."""
    assert tempo(audio(np.ones(1000), rate)).bpm == 0.0
    assert keyframes(audio(np.ones(1000), rate), mode="beat").frame_count > 0
