"""Sound → picture → sound: what was not edited does not change, by whatever way it went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import PIL.Image
import pytest

from backend.errors import InvalidParameters
from backend.media import codecs, png
from backend.media.audio import Audio
from backend.media.decoding import Limits, decode_upload
from backend.media.image import Image, Mask
from backend.media.spectrogram import SpectrogramSettings
from backend.plugins.spectral.operations import apply, spectrogram

Depth = Literal[8, 16]


def same_bits(one: Audio, other: Audio) -> bool:
    return one.sample_rate == other.sample_rate and np.array_equal(
        one.samples.view(np.uint32), other.samples.view(np.uint32)
    )


def shape(audio: Audio) -> tuple[int, int, int]:
    return audio.sample_rate, audio.channels, audio.frames


@pytest.mark.parametrize("bit_depth", [8, 16])
@pytest.mark.parametrize(("n_fft", "hop"), [(64, 16), (130, 65), (2048, 512), (4096, 37)])
def test_an_unedited_picture_changes_nothing(
    music: Audio, n_fft: int, hop: int, bit_depth: Depth
) -> None:
    """Bit-exact, a minus zero and samples over full scale included, and nothing was removed."""
    seen = spectrogram(music, n_fft, hop, bit_depth=bit_depth)
    back = apply(music, seen.picture)
    assert same_bits(back.audio, music)
    assert not back.removed.samples.any()
    assert back.edited_share == 0.0


@pytest.mark.parametrize("channels", [1, 3, 64])
def test_all_channels_are_in_the_picture(channels: int) -> None:
    """Mono to 64 channels lie below each other, each with its own sound, and come back."""
    t = np.arange(3000) / 8000
    pitches = 500 + 50 * np.arange(channels)[:, None]
    audio = Audio.from_samples(0.5 * np.sin(2 * np.pi * pitches * t), 8000)
    seen = spectrogram(audio, 256, 64)
    assert seen.picture.height == channels * 129
    planes = seen.settings.planes(seen.picture.pixels[:, :, 0])
    loudest = planes[:, :, 20].argmax(axis=1)
    assert np.abs(loudest * 8000 / 256 - pitches[:, 0]).max() <= 8000 / 256
    assert same_bits(apply(audio, seen.picture).audio, audio)


def test_the_picture_is_what_it_says(music: Audio) -> None:
    """Settings name the rate, length, channels and levels; grey is level, 16 bits deep."""
    tone = 0.5 * np.sin(2 * np.pi * 64 * 44100 / 2048 * np.arange(20_000) / 44100)
    seen = spectrogram(Audio.from_samples(tone, 44100), top_db=0.0, range_db=100.0)
    settings = seen.settings
    assert (settings.n_fft, settings.hop_length) == (2048, 512)
    assert (settings.sample_rate, settings.channels, settings.frames) == (44100, 1, 20_000)
    assert (seen.picture.width, seen.picture.height) == (settings.width, settings.height)
    assert (seen.picture.bit_depth, seen.picture.channels) == (16, 1)
    # row 0 is the highest frequency; -6.02 dBFS lies 6.02 % below white
    column = seen.picture.pixels[:, settings.columns // 2, 0]
    assert column.argmax() == settings.bins - 1 - 64
    assert column.max() == pytest.approx(1 + 20 * np.log10(0.5) / 100, abs=1e-5)
    loud = spectrogram(music)
    assert loud.settings.top_db == np.ceil(loud.settings.top_db)
    assert 0.9 < loud.picture.pixels.max() <= 1.0


@pytest.mark.parametrize("bit_depth", [8, 16])
def test_one_file_is_enough(music: Audio, tmp_path: Path, bit_depth: Depth) -> None:
    """Saved as a result, downloaded and uploaded again, the PNG still carries its settings."""
    seen = spectrogram(music, bit_depth=bit_depth)
    stored = codecs.store(seen.picture, tmp_path, "picture")
    assert Image.open(stored.path).spectrogram == seen.settings
    with PIL.Image.open(stored.path) as opened:
        assert json.loads(opened.info["Kino"])["spectrogram"]["n_fft"] == 2048
    uploaded = decode_upload(stored.path, tmp_path, Limits())
    assert uploaded.blake3 == stored.blake3
    back = apply(music, Image.open(uploaded.path))
    assert same_bits(back.audio, music)


def _rounded(grid: np.ndarray) -> np.ndarray:
    return np.rint(grid / 257).astype(np.uint8)


def _cut_off(grid: np.ndarray) -> np.ndarray:
    return (grid >> 8).astype(np.uint8)


@pytest.mark.parametrize("to_8_bits", [_rounded, _cut_off])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_an_editor_that_drops_depth_and_settings(
    music: Audio, tmp_path: Path, to_8_bits, mode: str
) -> None:
    """Opened and saved with 8 bits, in colour, without chunks: unedited is bit-exact all the same
    with the settings as data, and without them a sentence says what is missing."""
    seen = spectrogram(music)
    grey = to_8_bits(png.to_grid(seen.picture.pixels, 16)[:, :, 0])
    PIL.Image.fromarray(grey).convert(mode).save(tmp_path / "edited.png")
    decoded = decode_upload(tmp_path / "edited.png", tmp_path, Limits())
    edited = Image.open(decoded.path)
    assert edited.spectrogram is None
    with pytest.raises(InvalidParameters, match="carries no settings") as caught:
        apply(music, edited)
    assert caught.value.errors[0].pointer == "/settings"
    assert same_bits(apply(music, edited, settings=seen.settings).audio, music)


def test_settings_of_others_are_left_behind(tmp_path: Path) -> None:
    """A text that is no settings, or settings that contradict themselves, does not stay."""
    good = SpectrogramSettings(
        n_fft=64, hop_length=16, sample_rate=8000, channels=1, frames=64, columns=5
    )
    lies = good.text().replace('"columns":5', '"columns":500')
    for number, note in enumerate(["a cat", lies, good.text().replace("}}", ',"more":1}}')]):
        path = tmp_path / f"{number}.png"
        png.write(path, np.zeros((33, 5, 1), np.uint8), note)
        assert Image.open(path).spectrogram is None
        assert png.read_info(Path(decode_upload(path, tmp_path, Limits()).path)).note is None


def test_a_part_is_shown_and_put_back(music: Audio) -> None:
    """Only the columns of the span are in the picture, and only they change the sound."""
    seen = spectrogram(music, 1024, 256, start_s=0.4, duration_s=0.3)
    settings = seen.settings
    assert settings.first_column * 256 <= 0.4 * 44100 < (settings.first_column + 1) * 256
    assert (settings.columns - 2) * 256 <= 0.3 * 44100 + 256 < (settings.columns + 1) * 256
    assert same_bits(apply(music, seen.picture).audio, music)
    black = Image.from_array(np.zeros_like(seen.picture.pixels), 16, settings)
    gone = apply(music, black)
    first = settings.first_column * 256
    last = first + (settings.columns - 1) * 256
    changed = np.flatnonzero((gone.audio.samples != music.samples).any(axis=0))
    assert first - 512 <= changed[0] < first < last < changed[-1] < last + 512
    inside = gone.audio.samples[:, first + 512 : last - 512]
    # what lay below the floor, 100 dB down, was black before
    assert np.abs(inside).max() < 1e-4 * np.abs(music.samples).max()


@pytest.mark.parametrize("multiple_of", [8, 64])
def test_padding_for_models_is_undone(music: Audio, multiple_of: int) -> None:
    """Width and height are multiples, padding is black, and what is drawn on it does not count."""
    seen = spectrogram(music, 1000, 250, multiple_of=multiple_of)
    picture = seen.picture
    assert picture.width % multiple_of == picture.height % multiple_of == 0
    settings = seen.settings
    pixels = picture.pixels.copy()
    assert not pixels[settings.channels * settings.bins :].any()
    assert not pixels[:, settings.columns :].any()
    pixels[settings.channels * settings.bins :] = 1.0
    pixels[:, settings.columns :] = 1.0
    assert same_bits(apply(music, Image.from_array(pixels, 16, settings)).audio, music)


def test_the_defects_of_the_predecessor(music: Audio) -> None:
    """Its round trip had -4.9 dB SNR, was mono, and lost level and length; here one edited corner
    leaves all four as they were."""
    seen = spectrogram(music)
    pixels = seen.picture.pixels.copy()
    pixels[:40, :3] = 0.0  # the highest frequencies of the first moment
    back = apply(music, Image.from_array(pixels, 16, seen.settings)).audio
    assert shape(back) == shape(music)
    error = back.samples - music.samples
    assert error.any()
    assert 10 * np.log10((music.samples**2).mean() / (error**2).mean()) > 60
    level = np.sqrt((back.samples**2).mean(axis=1) / (music.samples**2).mean(axis=1))
    assert np.allclose(level, 1.0, atol=1e-4)


def test_long_sounds_are_streamed(tmp_path: Path) -> None:
    """A file-backed sound gives the same as one in memory, and comes back bit for bit."""
    noise = np.random.default_rng(1).standard_normal((2, 150_000)).astype(np.float32)
    held = Audio.from_samples(noise, 48000)
    held.save(tmp_path / "long.wav")
    filed = Audio.open(tmp_path / "long.wav")
    one, other = spectrogram(held, 512, 256), spectrogram(filed, 512, 256)
    assert one.settings == other.settings
    assert np.array_equal(one.picture.pixels, other.picture.pixels)
    pixels = one.picture.pixels.copy()
    pixels[200:300, 100:300] *= 0.5
    edited = Image.from_array(pixels, 16, one.settings)
    assert same_bits(apply(held, edited).audio, apply(filed, edited).audio)


def test_silence_is_a_black_picture_and_comes_back() -> None:
    """Silence has no level to be white; it stays silence."""
    silence = Audio.from_samples(np.zeros((2, 5000), np.float32), 8000)
    seen = spectrogram(silence, 256, 64)
    assert not seen.picture.pixels.any()
    assert same_bits(apply(silence, seen.picture).audio, silence)


def _other_rate(audio: Audio) -> Audio:
    return Audio.from_samples(audio.samples, 48000)


def _mono(audio: Audio) -> Audio:
    return Audio.from_samples(audio.samples[:1], audio.sample_rate)


def _shorter(audio: Audio) -> Audio:
    return Audio.from_samples(audio.samples[:, :-1], audio.sample_rate)


def _another(audio: Audio) -> Audio:
    return Audio.from_samples(audio.samples[::-1], audio.sample_rate)


@pytest.mark.parametrize("change", [_other_rate, _mono, _shorter, _another])
def test_a_picture_of_another_sound_is_refused(music: Audio, change) -> None:
    """Another rate, channels, length, or only other samples: it is noticed."""
    seen = spectrogram(music)
    with pytest.raises(InvalidParameters) as caught:
        apply(change(music), seen.picture)
    assert [(each.pointer, each.rule) for each in caught.value.errors] == [("/audio", "source")]


def test_another_sound_can_be_asked_for(music: Audio) -> None:
    """Without the digest in the settings a picture is put into any sound of the same shape."""
    seen = spectrogram(music)
    free = seen.settings.model_copy(update={"source": None})
    apply(_another(music), seen.picture, settings=free)


def test_pictures_and_masks_of_another_size_are_refused(music: Audio) -> None:
    """The sentence names both sizes."""
    seen = spectrogram(music)
    small = Image.from_array(seen.picture.pixels[:-1], 16, seen.settings)
    with pytest.raises(InvalidParameters, match=r"105 x 2049 pixels.*105 x 2050") as caught:
        apply(music, small)
    assert caught.value.errors[0].pointer == "/picture"
    mask = Mask.from_array(np.ones((10, 10), np.float32))
    with pytest.raises(InvalidParameters, match="the mask has 10 x 10") as caught:
        apply(music, seen.picture, mask)
    assert caught.value.errors[0].pointer == "/mask"


def test_sound_and_pictures_that_are_not_numbers_are_refused(music: Audio) -> None:
    """NaN and infinity in either get their rule."""
    for bad in (np.nan, np.inf):
        samples = music.samples.copy()
        samples[1, 30_000] = bad
        with pytest.raises(InvalidParameters) as caught:
            spectrogram(Audio.from_samples(samples, 44100))
        assert (caught.value.errors[0].pointer, caught.value.errors[0].rule) == ("/audio", "finite")
        seen = spectrogram(music)
        pixels = seen.picture.pixels.copy()
        pixels[3, 3] = bad
        with pytest.raises(InvalidParameters) as caught:
            apply(music, Image.from_array(pixels, 16, seen.settings))
        assert caught.value.errors[0].rule == "finite"


def test_a_picture_that_would_be_too_large_is_refused() -> None:
    """64 channels at the finest hop are too many pixels, and the sentence says what to do."""
    audio = Audio.from_samples(np.zeros((64, 20_000), np.float32), 8000)
    with pytest.raises(InvalidParameters, match="larger hop_length") as caught:
        spectrogram(audio, 4096, 8)
    assert caught.value.errors[0].rule == "pixels"


def test_a_part_behind_the_end_is_refused(music: Audio) -> None:
    """There is nothing to show there."""
    with pytest.raises(InvalidParameters, match=r"ends at 1\.2 s"):
        spectrogram(music, start_s=1.2)
