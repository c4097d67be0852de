"""Saving sounds: never clipped or scaled unasked, exact, and the same every time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import psutil
import pytest

from backend import context
from backend.context import Cancelled, Context
from backend.errors import InvalidParameters
from backend.media import wav
from backend.media.audio import Audio
from backend.media.decoding_audio import decode
from backend.plugins.files.formats import SOUND_FORMATS, AudioFormat
from backend.plugins.files.operations import convert_audio, save_audio
from backend.plugins.files.tags import Tags

RNG = np.random.default_rng(9)
INTEGER = {
    "wav_16bit": 16, "wav_24bit": 24, "flac": 16, "flac_24bit": 24, "aiff": 16, "aiff_24bit": 24
}  # fmt: skip


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path):
    with context.scratch_in(tmp_path):
        yield


def read(path: Path, tmp_path: Path) -> np.ndarray:
    return decode(path, tmp_path, 1e6, 0).samples


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("form", INTEGER)
def test_samples_on_the_grid_survive(tmp_path: Path, form: str):
    """What came from an integer file goes back into one to the bit, extremes included."""
    scale = 2 ** (INTEGER[form] - 1)
    values = np.concatenate([[-scale, -1, 0, 1, scale - 1], RNG.integers(-scale, scale, 70_000)])
    sound = Audio.from_samples(np.stack([values, values[::-1]]) / scale, 44_100)
    saved = save_audio(sound, form)  # type: ignore[arg-type]
    assert np.array_equal(read(saved.path, tmp_path), sound.samples)


@pytest.mark.parametrize(("channels", "rate"), [(4, 384_000), (8, 192_000)])
def test_fast_and_wide_flac_can_be_uploaded_again(tmp_path: Path, channels: int, rate: int):
    """Noise in many channels at a high rate makes the largest frames; each can still be read."""
    noise = RNG.integers(-(2**23), 2**23, (channels, 70_000)) / 2**23
    sound = Audio.from_samples(noise, rate)
    saved = save_audio(sound, "flac_24bit")
    assert np.array_equal(read(saved.path, tmp_path), sound.samples)


def test_float_is_kept_over_full_scale(tmp_path: Path):
    """32-bit float holds any level: nothing is refused and nothing changes."""
    sound = Audio.from_samples(RNG.normal(size=(2, 1000)) * 10, 48_000)
    saved = save_audio(sound, "wav_32bit_float", "loud")
    assert np.array_equal(wav.read_samples(saved.path), sound.samples)
    assert (saved.name, saved.media_type) == ("loud.wav", "audio/wav")


@pytest.mark.parametrize("form", INTEGER)
def test_over_full_scale_is_refused_with_the_measured_peak(tmp_path: Path, form: str):
    """Twice full scale cannot be an integer: the field, the rule and +6.02 dBFS are named."""
    sound = Audio.from_samples([0.0, -2.0], 48_000)
    with pytest.raises(InvalidParameters, match=r"\+6\.02 dBFS") as caught:
        save_audio(sound, form)  # type: ignore[arg-type]
    (error,) = caught.value.errors
    assert (error.pointer, error.rule) == ("/format", "peak_over_full_scale")
    assert "normalize_db" in error.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", [0.0, -0.1, -20.0])
@pytest.mark.parametrize("peak", [4.0, 0.01])
def test_the_peak_goes_where_it_is_asked_to_be(tmp_path: Path, target: float, peak: float):
    """With a target loud and quiet sounds alike reach it within one step of 24 bits."""
    sound = Audio.from_samples([peak, -peak / 3], 48_000)
    samples = read(save_audio(sound, "wav_24bit", normalize_db=target).path, tmp_path)
    assert np.abs(samples).max() == pytest.approx(10 ** (target / 20), abs=2**-22)
    assert samples[0, 1] / samples[0, 0] == pytest.approx(-1 / 3, abs=1e-4)


def test_silence_stays_silent(tmp_path: Path):
    """A target means nothing where there is no peak."""
    saved = save_audio(Audio.from_samples(np.zeros(10), 48_000), "wav_16bit", normalize_db=-1.0)
    assert not read(saved.path, tmp_path).any()


def test_dither_is_triangular_unbiased_and_small(tmp_path: Path):
    """Error against the input: mean 0, variance 1/4 step² as for TPDF, under 1.5 steps."""
    sound = Audio.from_samples(np.full(200_000, 0.3 / 32768), 48_000)
    saved = save_audio(sound, "wav_16bit", dither="on", seed=1)
    error = read(saved.path, tmp_path)[0].astype(np.float64) * 32768 - 0.3
    assert abs(error.mean()) < 0.01
    assert error.var() == pytest.approx(0.25, abs=0.01)
    assert np.abs(error).max() <= 1.5


@pytest.mark.parametrize("form", SOUND_FORMATS)
def test_equal_calls_give_equal_bytes(form: AudioFormat):
    """Dither follows its seed, and no file tells when it was made, nor by a random number."""
    sound = Audio.from_samples(RNG.uniform(-0.9, 0.9, (2, 30_000)), 48_000)
    tags = Tags(title="Same", date="2024")
    one, other, seeded = (
        save_audio(sound, form, dither="on", seed=seed, tags=tags) for seed in (5, 5, 6)
    )
    assert digest(one.path) == digest(other.path)
    assert (digest(one.path) != digest(seeded.path)) == (SOUND_FORMATS[form].bits > 0)


def test_dither_comes_where_it_is_needed_and_only_there(tmp_path: Path):
    """By itself: for 16 bits, unless the sound came from so few; never for 24, nor when off."""
    grid = Audio.from_samples(RNG.integers(-9000, 9000, 20_000) / 2**15, 48_000)
    fine = Audio.from_samples(np.full(20_000, 0.3 / 2**15), 48_000)
    assert np.array_equal(read(save_audio(grid, "wav_16bit").path, tmp_path), grid.samples)
    assert read(save_audio(fine, "wav_16bit").path, tmp_path).any()
    assert read(save_audio(fine, "aiff").path, tmp_path).any()
    assert not read(save_audio(fine, "wav_16bit", dither="off").path, tmp_path).any()
    exact = read(save_audio(fine, "wav_24bit").path, tmp_path)
    assert len(np.unique(exact)) == 1
    # a gain takes a sound off its grid
    quieter = read(save_audio(grid, "wav_16bit", normalize_db=-20.0).path, tmp_path)
    plain = read(save_audio(grid, "wav_16bit", normalize_db=-20.0, dither="off").path, tmp_path)
    assert not np.array_equal(quieter, plain)


def test_a_true_peak_is_brought_to_its_target():
    """A sine at a quarter of the rate, sampled beside its crest, has its true peak at -1 dB."""
    wave = 0.5 * np.sin(np.pi / 2 * np.arange(24_000) + np.pi / 4) * np.hanning(24_000)
    loaded = convert_audio(Audio.from_samples(wave, 48_000), normalize_db=-1.0, true_peak=True)
    # the crest is sqrt(2) times the largest sample
    assert 20 * np.log10(np.abs(loaded.samples).max()) == pytest.approx(-1.0 - 3.01, abs=0.05)


@pytest.mark.parametrize("form", ["mp3_128", "aac_192", "ogg_low", "opus_64", "aiff", "flac"])
def test_over_full_scale_is_never_clipped_silently(form: AudioFormat):
    """No format that ends at 0 dBFS takes more, lossy ones neither."""
    with pytest.raises(InvalidParameters, match=r"\+6\.02 dBFS"):
        save_audio(Audio.from_samples([0.0, -2.0] * 500, 48_000), form)


@pytest.mark.parametrize(
    ("form", "channels", "told"),
    [("mp3_320", 3, "1 or 2"), ("opus_64", 5, "6 or 8"), ("flac", 64, "7 or 8")],
)
def test_more_channels_than_a_format_holds_are_refused(form: AudioFormat, channels: int, told: str):
    """The sentence names the numbers of channels that there are; WAV takes 64."""
    sound = Audio.from_samples(np.zeros((channels, 100)), 48_000)
    with pytest.raises(InvalidParameters, match=f"{told} channels") as caught:
        save_audio(sound, form)
    assert [(e.pointer, e.rule) for e in caught.value.errors] == [("/format", "channels")]
    assert save_audio(sound, "wav_24bit").path.stat().st_size > 100 * channels * 3


def test_nothing_is_saved_of_nothing():
    """A sound without samples breaks a rule, instead of making a file that nobody reads."""
    with pytest.raises(InvalidParameters, match="no samples") as caught:
        save_audio(Audio.from_samples(np.zeros((1, 0)), 48_000))
    assert [(e.pointer, e.rule) for e in caught.value.errors] == [("/audio", "empty")]


def test_aiff_ends_at_4_gib(tmp_path: Path):
    """Sizes that an AIFF header cannot hold are refused before an hour of work."""
    path, frames = tmp_path / "long.wav", 2**30 + 1
    with wav.WavWriter(path, 384_000, 2) as writer:
        writer.frames = frames
    with path.open("r+b") as file:
        file.truncate(wav.DATA_OFFSET + frames * 8)
    with pytest.raises(InvalidParameters, match="4 GiB"):
        save_audio(Audio.open(path), "aiff")


def test_a_failed_save_leaves_no_file(tmp_path: Path):
    """A sound that turns out to be broken on the way leaves nothing behind."""
    with pytest.raises(InvalidParameters, match="NaN or infinite"):
        save_audio(Audio.from_samples([0.0, np.nan], 48_000), "mp3_128")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("form", ["flac", "aiff"])
def test_every_number_of_channels_is_exact(tmp_path: Path, form: AudioFormat, channels: int):
    """One to eight channels come back in their order."""
    values = RNG.integers(-(2**15), 2**15, (channels, 5000)) / 2**15
    saved = save_audio(Audio.from_samples(values, 48_000), form)
    assert np.array_equal(read(saved.path, tmp_path), values.astype(np.float32))


def test_the_suffix_stands_once():
    """A name that has the suffix already does not get a second one."""
    sound = Audio.from_samples([0.0], 48_000)
    assert save_audio(sound, "flac", "a.FLAC").name == "a.FLAC"
    assert save_audio(sound, "flac", "a.wav").name == "a.wav.flac"


def test_two_hours_are_saved_in_constant_memory_and_can_be_stopped(tmp_path: Path):
    """Two hours add under 60 MiB of private memory, and a cancel ends the run at the next block."""
    path, frames = tmp_path / "long.wav", 7200 * 8_000
    with wav.WavWriter(path, 8_000, 1) as writer:
        writer.write(np.zeros((1, 1), np.float32))
        writer.frames = frames
    with path.open("r+b") as file:
        file.truncate(wav.DATA_OFFSET + frames * 4)
    process, calls, most = psutil.Process(), 0, 0
    before = process.memory_full_info().uss

    def watch(done: float, total: float, node: str | None) -> None:
        nonlocal calls, most
        calls += 1
        if calls % 100 == 0:
            most = max(most, process.memory_full_info().uss - before)

    saved = save_audio(Audio.open(path), "wav_16bit", ctx=Context(on_progress=watch))
    assert wav.read_info(saved.path).frames == frames
    assert calls > 1000
    assert most < 60 * 2**20
    calls = 0
    with pytest.raises(Cancelled):
        save_audio(
            Audio.open(path),
            ctx=Context(on_progress=watch, is_cancelled=lambda: calls >= 3),
        )
    assert calls == 3
