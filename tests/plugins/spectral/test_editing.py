"""Edits: they act where they are made, as much as they say, and nowhere else."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from backend.media.audio import Audio
from backend.media.image import Image, Mask
from backend.plugins.spectral.grid import Grid
from backend.plugins.spectral.operations import apply, spectrogram

N_FFT, HOP = 1024, 256


def magnitudes(audio: Audio, n_fft: int = N_FFT, hop: int = HOP) -> np.ndarray:
    grid = Grid(n_fft, hop, audio.frames)
    padded = np.pad(audio.samples.astype(float), ((0, 0), (n_fft // 2, n_fft + hop)))
    return np.abs(grid.forth(padded, grid.columns))


def test_an_edit_reaches_half_a_window_in_time(music: Audio) -> None:
    """Outside of half a window around the edited column every sample keeps its bits."""
    seen = spectrogram(music, N_FFT, HOP)
    pixels = seen.picture.pixels.copy()
    pixels[100, 60] *= 0.5
    edited = apply(music, Image.from_array(pixels, 16, seen.settings))
    bits = edited.audio.samples.view(np.uint32) != music.samples.view(np.uint32)
    changed = np.flatnonzero(bits[0])  # a minus zero is not a zero
    assert abs(changed - 60 * HOP).max() < N_FFT // 2
    assert changed.size > N_FFT // 2
    assert np.array_equal(edited.audio.samples[1], music.samples[1])
    assert edited.edited_share == pytest.approx(1 / pixels.size)
    assert np.array_equal(edited.removed.samples != 0, edited.audio.samples != music.samples)


def test_darker_is_softer_by_as_many_decibels() -> None:
    """A steady tone whose bins lose 12 dB of the picture's range is 12 dB softer, phase kept."""
    t = np.arange(20_000) / 8000
    tone = Audio.from_samples(0.5 * np.sin(2 * np.pi * 1000 * t), 8000)
    seen = spectrogram(tone, N_FFT, HOP, range_db=120.0)
    pixels = np.maximum(seen.picture.pixels - np.float32(12 / 120), 0)
    softer = apply(tone, Image.from_array(pixels, 16, seen.settings)).audio
    assert np.abs(softer.samples - tone.samples * 10 ** (-12 / 20)).max() < 2e-3


def test_brighter_is_louder(music: Audio) -> None:
    """All raised by 6 dB gives the sound twice as loud, but for what was below the floor."""
    seen = spectrogram(music, N_FFT, HOP, top_db=30.0, range_db=200.0)
    pixels = seen.picture.pixels + np.float32(20 * np.log10(2) / 200) * (seen.picture.pixels > 0)
    louder = apply(music, Image.from_array(pixels, 16, seen.settings))
    assert np.abs(louder.audio.samples - 2 * music.samples).max() < 1e-3
    # more was added than there was: what was removed is less than nothing
    assert np.abs(louder.removed.samples + music.samples).max() < 1e-3


def test_black_removes_altogether(music: Audio) -> None:
    """A picture made all black leaves what was black before, below the floor, and what was removed
    is the rest: with the floor low enough all of it."""
    for range_db, left in ((100.0, 1e-4), (200.0, 1e-9)):
        seen = spectrogram(music, N_FFT, HOP, range_db=range_db)
        picture = Image.from_array(np.zeros_like(seen.picture.pixels), 16, seen.settings)
        black = apply(music, picture)
        assert np.abs(black.audio.samples).max() < left
        assert np.allclose(black.removed.samples, music.samples, atol=left)
        assert black.edited_share > 0.5


def test_an_eraser_removes(music: Audio) -> None:
    """What an editor made transparent is gone as if it were black."""
    seen = spectrogram(music, N_FFT, HOP)
    black = seen.picture.pixels.copy()
    black[200:300, 40:60] = 0.0
    erased = np.repeat(seen.picture.pixels, 4, axis=2)
    erased[:, :, 3] = 1.0
    erased[200:300, 40:60, 3] = 0.0
    one, other = (
        apply(music, Image.from_array(each, 16, seen.settings)).audio for each in (black, erased)
    )
    assert np.array_equal(one.samples, other.samples)


def test_only_masked_pixels_count(music: Audio) -> None:
    """A picture that changed everywhere, as by a model, acts within the mask alone; a grey mask
    acts in part."""
    seen = spectrogram(music, N_FFT, HOP)
    shape = seen.picture.pixels.shape
    wobble = np.random.default_rng(5).uniform(-0.02, 0.02, shape).astype(np.float32)
    pixels = np.clip(seen.picture.pixels + wobble, 0, 1)
    pixels[200:300, 40:60] = 0.0
    through_model = Image.from_array(np.repeat(pixels, 3, axis=2), 16)
    area = np.zeros(shape[:2], np.float32)
    nothing = apply(music, through_model, Mask.from_array(area), seen.settings)
    assert np.array_equal(nothing.audio.samples, music.samples)
    assert nothing.edited_share == 0.0
    area[200:300, 40:60] = 1.0
    masked = apply(music, through_model, Mask.from_array(area), seen.settings)
    by_hand = seen.picture.pixels.copy()
    by_hand[200:300, 40:60] = 0.0
    wanted = apply(music, Image.from_array(by_hand, 16, seen.settings))
    assert np.array_equal(masked.audio.samples, wanted.audio.samples)
    half = apply(music, through_model, Mask.from_array(area / 2), seen.settings)
    assert np.allclose(half.removed.samples, masked.removed.samples / 2, atol=1e-6)


@pytest.mark.parametrize("bit_depth", [8, 16])
def test_a_siren_is_painted_over(siren, bit_depth: Literal[8, 16]) -> None:
    """A siren 15 dB over the music, blackened in the picture, leaves the music 15 dB over the
    rest at least: both 8 and 16 bits."""
    seen = spectrogram(siren.audio, bit_depth=bit_depth)
    settings = seen.settings
    pixels = seen.picture.pixels.copy()
    for time_s, pitch in siren.way:
        column = round(time_s * 44100 / 512)
        row = round(pitch * 2048 / 44100)
        for channel in range(2):
            top = channel * settings.bins + settings.bins - 1 - row
            pixels[top - 3 : top + 4, max(0, column - 1) : column + 2] = 0.0
    cleaned = apply(siren.audio, Image.from_array(pixels, bit_depth, settings)).audio
    assert siren.snr_db(siren.audio) == pytest.approx(-15.0, abs=0.1)
    assert siren.snr_db(cleaned) > 15.0


def test_painted_sound_gets_phases_of_its_own() -> None:
    """A gliding tone painted into faint noise: with fitted phases its spectrum is 30 dB nearer to
    the painted one than with those of the noise, and the rest stays bit for bit."""
    rate, frames = 22050, 44100
    noise = np.random.default_rng(2).standard_normal(frames) * 1e-3
    source = Audio.from_samples(noise, rate)
    n = np.arange(frames)
    tone = 0.3 * np.sin(2 * np.pi * np.cumsum(800 + 200 * n / rate) / rate)
    wanted = Audio.from_samples(np.where((n > 12_000) & (n < 30_000), tone, 0.0) + noise, rate)
    seen, goal = (spectrogram(each, N_FFT, HOP, top_db=0.0) for each in (source, wanted))
    paint = goal.picture.pixels - seen.picture.pixels > 0.15
    pixels = np.where(paint, goal.picture.pixels, seen.picture.pixels)
    picture = Image.from_array(pixels, 16, seen.settings)
    off = {}
    target = magnitudes(wanted)
    for phase in ("source", "fitted"):
        painted = apply(source, picture, phase=phase).audio
        assert np.array_equal(painted.samples[:, :10_000], source.samples[:, :10_000])
        error = np.linalg.norm(magnitudes(painted) - target) / np.linalg.norm(target)
        off[phase] = 20 * np.log10(error)
    assert off["fitted"] < off["source"] - 30
    assert off["fitted"] < -40


def test_paint_on_digital_silence_sounds() -> None:
    """Where there is nothing at all to be made louder, paint has its level all the same."""
    silence = Audio.from_samples(np.zeros(20_000, np.float32), 8000)
    seen = spectrogram(silence, N_FFT, HOP)
    pixels = seen.picture.pixels.copy()
    pixels[300, 20:60] = 0.8
    painted = apply(silence, Image.from_array(pixels, 16, seen.settings), phase="fitted").audio
    found = 20 * np.log10(magnitudes(painted)[0, 40].max() / (N_FFT / 4))
    assert found == pytest.approx(-20.0, abs=6.0)
