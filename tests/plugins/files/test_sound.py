"""Probing and converting sounds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from backend import context
from backend.errors import InvalidParameters
from backend.media import audio as audio_module
from backend.media.audio import Audio
from backend.plugins.files.operations import convert_audio, load_audio, probe_audio, save_audio


def test_the_facts_of_a_sine():
    """A full-scale sine has its peak at 0 dBFS and an RMS of -3.01 dBFS."""
    sine = np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000)
    facts = probe_audio(Audio.from_samples(sine, 48_000))
    assert (facts.duration_s, facts.sample_rate, facts.channels, facts.frames) == (
        1,
        48_000,
        1,
        48_000,
    )
    assert facts.peak_db == pytest.approx(0.0, abs=1e-6)
    assert facts.rms_db == pytest.approx(-10 * math.log10(2), abs=1e-6)


@pytest.mark.parametrize("frames", [0, 10])
def test_silence_has_a_level_that_json_can_say(frames: int):
    """Nothing, and nothing heard, are at -240 dBFS."""
    facts = probe_audio(Audio.from_samples(np.zeros((2, frames)), 48_000))
    assert (facts.peak_db, facts.rms_db) == (-240.0, -240.0)


def test_over_full_scale_is_measured_not_cut():
    """A peak of 2 is +6.02 dBFS."""
    facts = probe_audio(Audio.from_samples([0.5, -2.0], 48_000))
    assert facts.peak_db == pytest.approx(6.0206, abs=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_has_no_level(bad: float):
    """NaN and infinity are said to be there, not measured as silence or written as noise."""
    sound = Audio.from_samples([0.5, bad], 48_000)
    with pytest.raises(InvalidParameters, match="NaN or infinite"):
        probe_audio(sound)
    with pytest.raises(InvalidParameters, match="NaN or infinite"):
        convert_audio(sound, normalize_db=-1.0)
    with pytest.raises(InvalidParameters, match="NaN or infinite"):
        save_audio(sound, "wav_16bit")


def test_what_is_not_asked_for_stays_as_it_is():
    """Without any wish the sound is the same value."""
    sound = Audio.from_samples([0.5, 3.0], 44_100)
    assert convert_audio(sound) is sound
    assert load_audio(sound).audio is sound
    assert convert_audio(sound, 44_100, "mono") is sound


def test_rate_channels_and_peak_change_together():
    """Mono at 44.1 kHz becomes stereo at 48 kHz with its peak at -0.1 dBFS, and says so."""
    sine = 0.25 * np.sin(2 * np.pi * 500 * np.arange(44_100) / 44_100)
    loaded = load_audio(Audio.from_samples(sine, 44_100), 48_000, "stereo", -0.1)
    assert loaded[1:] == (48_000, 1.0, 2)
    samples = loaded.audio.samples
    assert np.array_equal(samples[0], samples[1])
    assert np.abs(samples).max() == pytest.approx(10 ** (-0.1 / 20), abs=1e-6)


def test_surround_cannot_become_stereo_unasked_how():
    """Six channels have no rule for stereo: the field is named."""
    with pytest.raises(InvalidParameters, match="6 channels cannot become stereo") as caught:
        convert_audio(Audio.from_samples(np.zeros((6, 10)), 48_000), channels="stereo")
    assert caught.value.errors[0].pointer == "/channels"


def test_a_sound_shorter_than_a_sample_is_refused():
    """One sample at 48 kHz is nothing at 8 kHz, and is not given as a sound without samples."""
    one = Audio.from_samples([0.5], 48_000)
    with pytest.raises(InvalidParameters, match="nothing is left") as caught:
        convert_audio(one, 8_000)
    assert caught.value.errors[0].pointer == "/sample_rate"
    with pytest.raises(InvalidParameters, match="nothing is left") as caught:
        save_audio(Audio.from_samples([0.5], 384_000), "opus_64")
    assert caught.value.errors[0].pointer == "/format"


def test_loudness_is_a_target_too():
    """A tone comes out at -23 LUFS; only one target may be given; silence stays silent."""
    tone = Audio.from_samples(0.1 * np.sin(2 * np.pi * 997 * np.arange(48_000) / 48_000), 48_000)
    made = convert_audio(tone, normalize_lufs=-23.0)
    # a full-scale sine of 997 Hz on one channel has -3.01 LUFS (BS.1770)
    assert np.abs(made.samples).max() == pytest.approx(10 ** ((-23.0 + 3.01) / 20), rel=0.01)
    with pytest.raises(InvalidParameters) as caught:
        convert_audio(tone, normalize_lufs=-23.0, normalize_db=-1.0)
    assert [(e.pointer, e.rule) for e in caught.value.errors] == [("/normalize_lufs", "exclusive")]
    silent = Audio.from_samples(np.zeros(48_000), 48_000)
    assert not convert_audio(silent, normalize_lufs=-23.0).samples.any()


@pytest.mark.parametrize(("frames", "channels"), [(10_000, 1), (48_000, 9)])
def test_a_sound_without_loudness_is_refused(frames: int, channels: int):
    """Shorter than 0.4 s, or of more channels than the standard knows: a sentence, no guess."""
    sound = Audio.from_samples(np.full((channels, frames), 0.1), 48_000)
    with pytest.raises(InvalidParameters) as caught:
        convert_audio(sound, normalize_lufs=-23.0)
    assert [(e.pointer, e.rule) for e in caught.value.errors] == [("/normalize_lufs", "loudness")]


def test_mono_to_stereo_leaves_the_rest_alone():
    """Mono is doubled; stereo and surround stay what they are."""
    for channels, wanted in ((1, 2), (2, 2), (6, 6)):
        sound = Audio.from_samples(np.full((channels, 10), 0.5), 48_000)
        assert convert_audio(sound, channels="mono_to_stereo").channels == wanted


def test_long_sounds_pass_through_files(tmp_path: Path, monkeypatch):
    """Beyond the memory limit the result is file-backed and has the same samples."""
    sound = Audio.from_samples(np.random.default_rng(3).normal(size=(1, 50_000)), 44_100)
    short = convert_audio(sound, 48_000, "stereo").samples
    monkeypatch.setattr(audio_module, "IN_MEMORY", 1000)
    with context.scratch_in(tmp_path):
        long = convert_audio(sound, 48_000, "stereo")
    assert long.path is not None
    assert np.array_equal(long.samples, short)
