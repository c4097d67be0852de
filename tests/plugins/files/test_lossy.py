"""Lossy files: decoded again they are the same sound, in time to the sample, in the right order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend import context
from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.media.decoding_audio import decode
from backend.plugins.files.formats import SOUND_FORMATS, AudioFormat
from backend.plugins.files.operations import save_audio

LOSSY: list[AudioFormat] = [name for name, form in SOUND_FORMATS.items() if form.bit_rate]
LOSSY += [name for name, form in SOUND_FORMATS.items() if form.quality]
RNG = np.random.default_rng(17)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path):
    with context.scratch_in(tmp_path):
        yield


def music(frames: int, rate: int, channels: int = 2) -> Audio:
    """A gliding tone for each channel, each with its own knocks."""
    time = np.arange(frames) / rate
    made = [0.3 * np.sin(2 * np.pi * (300 + 150 * c + 80 * time) * time) for c in range(channels)]
    samples = np.stack(made)
    for channel in samples:
        channel[RNG.integers(0, frames, 5)] += 0.5
    return Audio.from_samples(samples, rate)


def again(sound: Audio, form: AudioFormat, folder: Path) -> Audio:
    return decode(save_audio(sound, form).path, folder, 1e6, 0)


def delay(source: np.ndarray, found: np.ndarray) -> int:
    """By how many samples *found* comes late, from the cross-correlation."""
    size = 2 * len(source)
    spectrum = np.fft.rfft(found, size) * np.conj(np.fft.rfft(source, size))
    place = int(np.argmax(np.fft.irfft(spectrum)))
    return place - size if place > size // 2 else place


@pytest.mark.parametrize("form", LOSSY)
@pytest.mark.parametrize("frames", [48_000, 50_001])
def test_length_and_place_are_exact(tmp_path: Path, form: AudioFormat, frames: int):
    """Encoders' delays and fillings are gone: as many frames as before, none early or late."""
    sound = music(frames, 48_000)
    found = again(sound, form, tmp_path)
    assert (found.frames, found.sample_rate) == (frames, 48_000)
    assert delay(sound.samples[0], found.samples[0]) == 0
    noise = np.sqrt(np.mean((found.samples - sound.samples) ** 2) / np.mean(sound.samples**2))
    assert 20 * np.log10(noise) < -15


@pytest.mark.parametrize(
    ("form", "frames"),
    [
        # FFmpeg does not cut an MP3 below what is left of its first packet, 47 samples
        ("mp3_320", 48),
        *((form, frames) for form in ("aac_192", "ogg_high", "opus_64") for frames in (1, 100)),
    ],
)
def test_the_shortest_sounds_keep_their_length(tmp_path: Path, form: AudioFormat, frames: int):
    """One sample, or less than a packet, is still a file that decodes to as much."""
    assert again(music(frames, 48_000), form, tmp_path).frames == frames


@pytest.mark.parametrize(
    ("form", "channels"),
    [
        *(("aac_192", count) for count in (1, 3, 4, 5, 6, 7, 8)),
        *(("ogg_medium", count) for count in (1, 3, 4, 5, 6, 7, 8)),
        *(("opus_128", count) for count in (1, 3, 4, 6, 8)),
        ("mp3_192", 1),
    ],
)
def test_channels_come_back_in_their_order(tmp_path: Path, form: AudioFormat, channels: int):
    """Each channel is nearest to the one it was, also where the format orders them otherwise."""
    time = np.arange(24_000) / 48_000
    # low enough for a low-frequency channel, and far enough from each other
    source = np.stack([0.4 * np.sin(2 * np.pi * 25 * (c + 1) * time) for c in range(channels)])
    found = again(Audio.from_samples(source, 48_000), form, tmp_path)
    assert found.channels == channels
    likeness = np.abs(found.samples.astype(float) @ source.T)
    assert likeness.argmax(axis=1).tolist() == list(range(channels))


def test_the_vorbis_presets_differ():
    """Low, medium and high are three sizes, each at least a quarter above the one before."""
    noise = Audio.from_samples(RNG.normal(0, 0.1, (2, 88_200)), 44_100)
    low, medium, high = (
        save_audio(noise, form).path.stat().st_size
        for form in ("ogg_low", "ogg_medium", "ogg_high")
    )
    assert medium > 1.25 * low
    assert high > 1.25 * medium


@pytest.mark.parametrize(
    ("form", "kbits"), [("mp3_128", 128), ("mp3_192", 192), ("mp3_320", 320), ("aac_192", 192)]
)
def test_a_bit_rate_is_what_its_name_says(form: AudioFormat, kbits: int):
    """Noise, which needs every bit, comes out within a tenth of the rate that was asked for."""
    noise = Audio.from_samples(RNG.normal(0, 0.1, (2, 4 * 44_100)), 44_100)
    assert save_audio(noise, form).path.stat().st_size * 8 / 4000 == pytest.approx(kbits, rel=0.1)


@pytest.mark.parametrize(
    ("form", "rate", "wanted"),
    [
        ("opus_128", 44_100, 48_000),
        ("opus_128", 192_000, 48_000),
        ("mp3_320", 8_000, 32_000),
        ("mp3_320", 96_000, 48_000),
        ("aac_192", 384_000, 96_000),
        ("ogg_low", 37_800, 44_100),
        ("ogg_low", 384_000, 192_000),
    ],
)
def test_a_rate_that_a_format_lacks_becomes_the_next(
    tmp_path: Path, form: AudioFormat, rate: int, wanted: int
):
    """The sound is resampled, keeps its pitch and its length in seconds, and the log says so."""
    said: list[str] = []
    tone = Audio.from_samples(0.5 * np.sin(2 * np.pi * 500 * np.arange(rate) / rate), rate)
    saved = save_audio(tone, form, ctx=context.Context(on_log=said.append))
    found = decode(saved.path, tmp_path, 1e6, 0)
    assert (found.sample_rate, found.frames) == (wanted, wanted)
    assert np.abs(np.fft.rfft(found.samples[0])).argmax() == 500
    assert len(said) == 1
    assert f"{wanted} Hz" in said[0]


def between_samples(rate: int = 44_100) -> Audio:
    """A tone at a quarter of the rate whose samples lie at 0.99 and its crests at 1.4."""
    samples = 1.4 * np.sin(np.pi / 2 * np.arange(rate) + np.pi / 4)
    return Audio.from_samples(samples, rate)


def test_full_scale_is_that_of_what_is_written():
    """At Opus' 48 kHz samples of 0.99 become 1.4: refused, and the problem says how much."""
    with pytest.raises(InvalidParameters) as caught:
        save_audio(between_samples(), "opus_128")
    assert [error.rule for error in caught.value.errors] == ["peak_over_full_scale"]
    assert caught.value.extra["peak_db"] == pytest.approx(2.9, abs=0.2)


def test_a_peak_that_was_asked_for_is_that_of_what_is_written(tmp_path: Path):
    """-6 dBFS is the peak at the file's own rate, to what a lossy encoder moves."""
    saved = save_audio(between_samples(), "opus_192", normalize_db=-6.0)
    found = decode(saved.path, tmp_path, 1e6, 0)
    middle = np.abs(found.samples[0, 4800:-4800]).max()
    assert 20 * np.log10(middle) == pytest.approx(-6.0, abs=0.5)
