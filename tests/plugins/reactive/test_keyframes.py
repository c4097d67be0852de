"""Keyframes: what is followed, when, and what happens to it on the way."""

from __future__ import annotations

import dataclasses
import re
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from backend.context import LOCAL, Cancelled, scratch_in
from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.plugins.reactive.operations import analyse, keyframes

FILM = Fraction(24000, 1001)


def sine(hertz: float, seconds: float = 1.0, level: float = 1.0, rate: int = 44100) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def audio(samples: np.ndarray, rate: int = 44100) -> Audio:
    return Audio.from_samples(samples, rate)


def clicks(at: list[int], frames: int, rate: int) -> Audio:
    samples = np.zeros(frames)
    samples[at] = 1.0
    return audio(samples, rate)


def test_an_hour_at_24000_1001_drifts_by_no_frame() -> None:
    """A pulse in the middle of frame n makes frame n the loudest, in the first second and in the
    last one of an hour; the hour has 86 314 frames. (A grid of whole samples for each frame would
    be 0.7 frames off after an hour at 48 kHz, and 24 fps instead of 24000/1001 86 frames.)"""
    rate = 1000
    wanted = [0, 10, 1000, 43_157, 86_000, 86_300, 86_313]
    at = [int((n + Fraction(1, 2)) / FILM * rate) for n in wanted]
    result = keyframes(clicks(at, 3600 * rate, rate), FILM, smoothing=0.0, scale="linear")
    assert result.frame_count == result.curve.frames == 86_314
    assert result.curve.frame_rate == FILM
    values = result.curve.values
    for number in wanted:
        near = slice(max(0, number - 3), number + 4)
        assert near.start + int(np.argmax(values[near])) == number


@pytest.mark.parametrize("fps", [Fraction(24), FILM, Fraction(30000, 1001)])
def test_beats_of_59_seconds_fall_into_their_own_frames(fps: Fraction) -> None:
    """Bursts of noise a second apart light frame floor(t · fps), or the next one if that begins
    within 12 ms: the grid of the predecessor was 2 frames off after 59 s."""
    rate, random = 22050, np.random.default_rng(1)
    samples = np.zeros(59 * rate)
    times = np.arange(58) + 0.5
    for each in times:
        start = int(each * rate)
        burst = random.standard_normal(1000) * np.exp(-np.arange(1000) / 200)
        samples[start : start + 1000] = 0.3 * burst
    curve = keyframes(audio(samples, rate), fps, "beat").curve
    lit = np.flatnonzero(curve.values)
    assert lit.size == times.size
    early, late = times * float(fps), (times + 0.012) * float(fps)
    assert np.all((np.floor(early) <= lit) & (lit <= np.floor(late)))


@pytest.mark.parametrize(("fps", "step"), [(24, 12), (30, 15), (60, 30)])
@pytest.mark.parametrize("kind", ["click", "kick"])
def test_what_is_played_on_the_grid_lights_its_own_frame(fps: int, step: int, kind: str) -> None:
    """At 120 BPM the beats fall on the edge of frames: each lights the frame that begins there, and
    not the one before."""
    rate, beat = 48_000, 24_000
    samples = np.zeros(10 * rate)
    time_s = np.arange(beat) / rate
    hit = np.sin(2 * np.pi * 60.0 * time_s) * np.exp(-time_s / 0.08)
    for at in range(beat, samples.size - beat + 1, beat):
        samples[at : at + beat] += hit if kind == "kick" else time_s == 0.0
    found = keyframes(audio(samples, rate), fps=Fraction(fps), mode="beat").curve.values
    assert np.flatnonzero(found).tolist() == [step * n for n in range(1, 20)]


def test_beats_are_0_or_1(some_drums) -> None:
    """The predecessor's beats had 244 different values; scale and offset keep them at two."""
    for fps in (24, "30000/1001", 60):
        rate = Fraction(fps)
        curve = keyframes(some_drums.audio, rate, "beat", smoothing=0.9).curve
        assert set(curve.values.tolist()) == {0.0, 1.0}
    moved = keyframes(some_drums.audio, mode="beat", amp_scale=2.0, y_offset=1.0).curve
    assert set(moved.values.tolist()) == {1.0, 3.0}


@pytest.mark.parametrize("fps", [24, 25, "30000/1001", 60])
@pytest.mark.parametrize(("bpm", "seed"), [(90.0, 1), (120.0, 2), (150.0, 3)])
def test_beats_of_a_drum_set_are_found(
    make_drums, measured_f, fps: float | str, bpm: float, seed: int
) -> None:
    """F ≥ 0.98, a beat counting as found if a lit frame is at most one frame from its own; the
    middle of the lit frame is then within 50 ms and half a frame of the stroke."""
    played, rate = make_drums(bpm, seed=seed), Fraction(fps)
    lit = np.flatnonzero(keyframes(played.audio, rate, "beat").curve.values)
    frames = np.floor(played.times * float(rate))
    assert measured_f(lit, frames, 1) >= 0.98
    middles = (lit + 0.5) / float(rate)
    assert measured_f(middles, played.times, 0.05 + 0.5 / float(rate)) >= 0.98


@pytest.mark.parametrize(("mode", "hertz"), [("low", 100.0), ("mid", 1000.0), ("high", 8000.0)])
def test_each_band_hears_its_own_tone(mode: str, hertz: float) -> None:
    """Three tones one after another, as loud as each other: a band shows its own at 0 dB (1.0) and
    the others 40 dB lower or less (0.33 of 60 dB)."""
    tones = np.concatenate([sine(each) for each in (100.0, 1000.0, 8000.0)])
    values = keyframes(audio(tones), Fraction(24), mode, smoothing=0.0).curve.values  # type: ignore[arg-type]
    own = [100.0, 1000.0, 8000.0].index(hertz)
    for number in range(3):
        steady = values[24 * number + 3 : 24 * number + 21]
        if number == own:
            assert steady.min() > 0.98
        else:
            assert steady.max() < 0.34


def test_a_band_of_ones_own() -> None:
    """band follows low_hz to high_hz; a band without width is refused."""
    tones = audio(np.concatenate([sine(440.0), sine(880.0)]))
    curve = keyframes(tones, mode="band", low_hz=800.0, high_hz=960.0, smoothing=0.0).curve
    assert curve.values[3:21].max() < 0.34 < 0.98 < curve.values[27:45].min()
    with pytest.raises(InvalidParameters, match="has to lie above") as caught:
        keyframes(tones, mode="band", low_hz=800.0, high_hz=800.0)
    assert [each.pointer for each in caught.value.errors] == ["/high_hz"]


def test_levels_are_exact_in_decibels_and_in_proportion() -> None:
    """Full scale, then 20 dB less: 2/3 of 60 dB, or a tenth; a sine is 3 dB below full scale."""
    steps = audio(np.concatenate([sine(997.0), sine(997.0, level=0.1)]))
    plain = {"smoothing": 0.0, "mode": "rms"}
    loud, soft = slice(2, 22), slice(26, 46)
    db = keyframes(steps, **plain).curve.values  # type: ignore[arg-type]
    assert db[loud] == pytest.approx(1.0, abs=2e-3)
    assert db[soft] == pytest.approx(2 / 3, abs=2e-3)
    linear = keyframes(steps, scale="linear", **plain).curve.values  # type: ignore[arg-type]
    assert linear[soft] == pytest.approx(0.1, abs=1e-3)
    absolute = keyframes(steps, normalize=False, **plain).curve.values  # type: ignore[arg-type]
    assert absolute[loud] == pytest.approx(1 - 3.01 / 60, abs=2e-3)


def test_the_level_does_not_depend_on_the_bands_or_channels() -> None:
    """A sound whose channels cancel each other is as loud as each of them; so are its bands."""
    tone = sine(1000.0)
    fading = tone * np.linspace(0, 1, tone.size)
    one, both = audio(fading), audio(np.stack([fading, -fading]))
    for mode in ("rms", "mid"):
        np.testing.assert_allclose(
            keyframes(both, mode=mode).curve.values,
            keyframes(one, mode=mode).curve.values,
            atol=1e-4,
        )


def test_threshold_smoothing_scale_and_offset_are_applied_in_this_order() -> None:
    """Below the threshold is 0; y[n] = s y[n-1] + (1-s) x[n]; then times scale, plus offset."""
    steps = audio(np.concatenate([sine(997.0, level=0.01), sine(997.0)]))
    raw = keyframes(steps, smoothing=0.0, scale="linear").curve.values
    made = keyframes(
        steps, smoothing=0.5, scale="linear", threshold=0.1, amp_scale=2.0, y_offset=-1.0
    ).curve.values
    gated = np.where(raw < 0.1, 0.0, raw)
    expected, last = [], gated[0]
    for value in gated:
        last = 0.5 * last + 0.5 * value
        expected.append(2.0 * last - 1.0)
    np.testing.assert_allclose(made, expected, atol=1e-6)
    assert made[0] == -1.0


def test_the_schedule_can_be_read_back() -> None:
    """`frame:(value)`, commas, plain decimals: every frame once, within half a ten-thousandth."""
    result = keyframes(audio(sine(50.0) * np.linspace(0, 1, 44100)), y_offset=-0.00004)
    found = re.findall(r"([0-9]+):\s*\((-?[0-9]+(?:\.[0-9]+)?)\)", result.schedule)
    assert ", ".join(f"{frame}:({value})" for frame, value in found) == result.schedule
    assert [int(frame) for frame, _ in found] == list(range(result.frame_count))
    read = np.array([float(value) for _, value in found])
    np.testing.assert_allclose(read, result.curve.values, atol=5.1e-5)


@pytest.mark.parametrize(
    ("sound", "mode", "told"),
    [
        (audio(np.zeros(44100)), "rms", "silent, so the curve is flat: use another"),
        (audio(np.zeros(44100)), "beat", "no beat was found: lower beat_threshold"),
        (audio(sine(1000.0)), "rms", "the curve is flat.*less smoothing"),
        (audio(sine(100.0, rate=8000), 8000), "high", "cannot hold anything above 4000 Hz"),
    ],
)
def test_a_flat_curve_warns_with_its_remedy(sound: Audio, mode: str, told: str) -> None:
    """Silence, a steady tone, a band that the rate cannot hold: each says why, and what would help;
    the log hears it too."""
    heard: list[str] = []
    ctx = dataclasses.replace(LOCAL, on_log=heard.append)
    result = keyframes(sound, mode=mode, ctx=ctx)  # type: ignore[arg-type]
    assert len(result.warnings) == 1 and re.search(told, result.warnings[0])
    assert heard == result.warnings
    assert np.ptp(result.curve.values) < 1e-2


def test_a_scale_of_0_is_named_as_the_reason(some_drums) -> None:
    """A curve that the caller flattened himself says so."""
    (warning,) = keyframes(some_drums.audio, amp_scale=0.0).warnings
    assert "amp_scale is 0" in warning


@pytest.mark.parametrize("mode", ["rms", "low", "mid", "high", "band", "beat"])
@pytest.mark.parametrize("frames", [0, 1, 100])
@pytest.mark.parametrize("rate", [8000, 384_000])
def test_very_short_sounds_have_as_many_frames_as_they_last(
    mode: str, frames: int, rate: int
) -> None:
    """No sound has no frame, one sample has one; nothing fails, nothing is NaN."""
    result = keyframes(audio(np.full(frames, 0.5), rate), mode=mode)  # type: ignore[arg-type]
    assert result.curve.frames == result.frame_count == min(1, frames)
    assert np.isfinite(result.curve.values).all()


def test_64_channels_are_one_sound() -> None:
    """They are averaged as powers: equal channels are as loud as one of them."""
    tone = sine(1000.0, 0.5) * np.linspace(0, 1, 22050)
    for mode in ("rms", "mid", "beat"):
        many = keyframes(audio(np.tile(tone, (64, 1))), mode=mode).curve.values
        one = keyframes(audio(tone), mode=mode).curve.values
        np.testing.assert_allclose(many, one, atol=1e-3)


@pytest.mark.parametrize("mode", ["rms", "low", "beat"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_fail_in_words(mode: str, bad: float) -> None:
    """NaN and infinity are named, whatever is followed."""
    samples = sine(1000.0)
    samples[4321] = bad
    with pytest.raises(InvalidParameters, match="NaN or infinite"):
        keyframes(audio(samples), mode=mode)  # type: ignore[arg-type]


@pytest.mark.parametrize("fps", [0, 10_000, "1/0", -1])
def test_an_impossible_frame_rate_is_refused_at_the_door(fps: object) -> None:
    """0 and 10 000 frames per second get their sentence."""
    with pytest.raises(InvalidParameters, match="frame rate") as caught:
        keyframes.check(
            {"audio": "blake3:" + "0" * 64, "fps": fps}, lambda reference, kind: reference
        )
    assert [each.pointer for each in caught.value.errors] == ["/fps"]


def test_more_than_a_million_frames_are_refused_with_the_number() -> None:
    """The limit is named before anything is measured."""
    with pytest.raises(InvalidParameters, match=r"1100000 frames; at most 1000000") as caught:
        keyframes(audio(np.zeros(1100), 1), Fraction(1000))
    assert [each.pointer for each in caught.value.errors] == ["/fps"]


def test_a_schedule_of_too_many_frames_is_left_empty_with_a_word() -> None:
    """20 001 frames have no schedule in the result, and the warning says where to get one."""
    result = keyframes(clicks([5], 20, 10), Fraction(1000), frames=20_001)
    assert (result.frame_count, result.schedule) == (20_001, "")
    assert "reactive.export" in result.warnings[-1]


def test_frames_can_be_asked_for() -> None:
    """A curve longer than its sound is silent at the end, a shorter one stops."""
    tone = audio(sine(997.0))
    longer = keyframes(tone, frames=48, smoothing=0.0).curve.values
    assert longer.size == 48 and longer[:23].min() > 0.9 and not longer[25:].any()
    assert keyframes(tone, frames=7).frame_count == 7


def test_progress_grows_and_cancel_ends_the_run(some_drums) -> None:
    """The run reports while it reads and stops at the next block when it is cancelled."""
    seen: list[float] = []
    ctx = dataclasses.replace(LOCAL, on_progress=lambda done, of, _: seen.append(done / of))
    keyframes(some_drums.audio, mode="beat", ctx=ctx)
    assert len(seen) > 4 and seen[-1] == 1.0
    stopped = dataclasses.replace(LOCAL, is_cancelled=lambda: True)
    for mode in ("rms", "low", "beat"):
        with pytest.raises(Cancelled):
            keyframes(some_drums.audio, mode=mode, ctx=stopped)


def test_a_long_sound_is_read_in_constant_memory(tmp_path: Path) -> None:
    """Ten minutes of stereo, 212 MB as an array, are followed in under 50 MiB."""

    def programme() -> Iterator[np.ndarray]:
        block = np.random.default_rng(1).standard_normal((2, 65536)).astype(np.float32)
        for _ in range(600 * 44100 // 65536):
            yield block

    with scratch_in(tmp_path):
        long = Audio.from_blocks(programme(), 44100, 2)
        tracemalloc.start()
        try:
            keyframes(long, mode="low")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 50 * 2**20


def test_the_picture_shows_beats_and_curves(some_drums) -> None:
    """Both are pictures of the same size, and not the same."""
    level = keyframes(some_drums.audio).picture.pixels
    beats = keyframes(some_drums.audio, mode="beat").picture.pixels
    assert level.shape == beats.shape == (320, 1000, 3)
    assert np.mean(level != beats) > 0.01


def test_an_analysis_gives_six_curves_of_one_length() -> None:
    """A low tone then a high one: the bands take turns, and the centroid follows the pitch."""
    two = audio(np.concatenate([sine(100.0), sine(8000.0)]))
    result = analyse(two, smoothing=0.0)
    assert list(result.curves) == ["level", "low", "mid", "high", "flux", "centroid_hz"]
    assert {curve.frames for curve in result.curves.values()} == {48}
    centroid = result.curves["centroid_hz"].values
    assert centroid[3:20] == pytest.approx(100, abs=5)
    assert centroid[28:45] == pytest.approx(8000, rel=0.01)
    low, high = result.curves["low"].values, result.curves["high"].values
    assert low[10] > 0.98 > 0.4 > low[35] and high[35] > 0.98 > 0.4 > high[10]
    flux = result.curves["flux"].values
    # a new tone is new; its going on is not
    assert int(np.argmax(flux[20:28])) + 20 in (23, 24) and flux[5:20].max() < 0.05


def test_silence_is_analysed_with_a_warning() -> None:
    """Every curve is flat and finite, and the result says why."""
    result = analyse(audio(np.zeros(44100)))
    assert all(not curve.values.any() for curve in result.curves.values())
    assert "silent" in result.warnings[0]
