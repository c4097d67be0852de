"""Pictures as sound: pitch, level, length, and phases better than the usual ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import InvalidParameters
from backend.media.audio import Audio
from backend.media.image import Image
from backend.media.spectrogram import SpectrogramSettings
from backend.plugins.spectral import phases
from backend.plugins.spectral.grid import Grid
from backend.plugins.spectral.griffin_lim import samples_of, spectra_of
from backend.plugins.spectral.operations import image_to_audio, spectrogram
from backend.plugins.spectral.phases import _tree, integrated

PEER = """
import json, sys, numpy as np, torch, torchaudio
n_fft, hop = 2048, 512
torch.set_num_threads(1)
samples = torch.from_numpy(np.load(sys.argv[1]))
window = torch.hann_window(n_fft)
def magnitudes(x):
    return torch.stft(x, n_fft, hop, window=window, return_complex=True).abs()
wanted = magnitudes(samples)
def off(x):
    return 20 * float(torch.log10((magnitudes(x) - wanted).norm() / wanted.norm()))
torch.manual_seed(0)
peer = torchaudio.functional.griffinlim(
    wanted, window, n_fft, hop, n_fft, 1.0, 100, 0.99, samples.numel(), True)
ours = torch.from_numpy(np.load(sys.argv[2]))
print(json.dumps({"peer": off(peer), "ours": off(ours)}))
"""


def quiet(done: int) -> None:
    """Nobody is told of progress."""


def test_phases_beat_a_hundred_iterations_of_torchaudio(siren, tmp_path: Path) -> None:
    """Spectral convergence on two seconds of music, judged by torch's own STFT: better than
    torchaudio's Griffin-Lim with momentum after 100 iterations, with the default 48."""
    samples = np.zeros(2 * 44100 + 8192, np.float32)  # silent ends: padding plays no part
    samples[4096:-4096] = siren.music[0, : 2 * 44100]
    grid = Grid(2048, 512, samples.size)
    start, stop = grid.reach(0, grid.columns)
    padded = np.pad(samples, (-start, stop - samples.size))
    magnitudes = np.abs(grid.forth(padded[None], grid.columns))[0]
    ours = samples_of(spectra_of(magnitudes, grid, 48, quiet), grid)
    np.save(tmp_path / "source.npy", samples)
    np.save(tmp_path / "ours.npy", ours)
    words = [sys.executable, "-c", PEER, str(tmp_path / "source.npy"), str(tmp_path / "ours.npy")]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=600, check=True)
    found = json.loads(ended.stdout)
    assert found["peer"] < -15  # the peer is in form
    assert found["ours"] < found["peer"] - 0.5


def _steady(n: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * 50.37 / 1024 * n)


def _glide(n: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * (0.02 * n + 4e-6 * n**2))


def _clicks(n: np.ndarray) -> np.ndarray:
    return np.where(n % 3001 == 1500, 1.0, 0.0)


@pytest.mark.parametrize(("make", "off_db"), [(_steady, -30), (_glide, -30), (_clicks, -15)])
def test_integrated_phases_are_those_of_simple_sounds(
    make: Callable[[np.ndarray], np.ndarray], off_db: float
) -> None:
    """From magnitudes alone a tone between two bins, a fast glide and clicks come back in shape,
    without any iteration."""
    samples = make(np.arange(30_000)).astype(np.float32)
    grid = Grid(1024, 256, 30_000)
    start, stop = grid.reach(0, grid.columns)
    padded = np.pad(samples, (-start, stop - 30_000))
    magnitudes = np.abs(grid.forth(padded[None], grid.columns))[0]
    found = samples_of(spectra_of(magnitudes, grid, 0, quiet), grid)
    again = np.abs(grid.forth(np.pad(found, (-start, stop - 30_000))[None], grid.columns))[0]
    middle = slice(4, -6)
    off = np.linalg.norm((again - magnitudes)[middle]) / np.linalg.norm(magnitudes[middle])
    assert 20 * np.log10(off) < off_db


def test_phases_are_integrated_over_the_loudest_ways() -> None:
    """A quiet bin takes its phase from the louder of its neighbours, an island of bins starts at
    its loudest, and what a 60 dB louder bin of its column hides has no way at all."""
    logs = np.array([[9, 8, -20, 3], [7, 1, -20, 2], [6, 5, -20, 4]], float)
    heard = logs > 0
    number = {(0, 0): 0, (0, 1): 1, (0, 3): 2, (1, 0): 3, (1, 1): 4, (1, 3): 5, (2, 0): 6,
              (2, 1): 7, (2, 3): 8}  # fmt: skip
    parent = _tree(logs, heard, known=False)
    assert parent[number[0, 0]] == number[0, 0]
    assert parent[number[1, 1]] == number[0, 1]
    assert parent[number[2, 0]] == number[1, 0]
    assert parent[number[2, 3]] == number[2, 3]
    assert parent[number[1, 3]] == number[2, 3]
    # what is known of the first column starts every way
    known = _tree(logs, heard, known=True)
    assert [known[number[0, bin_]] for bin_ in (0, 1, 3)] == [0, 1, 2]
    assert known[number[1, 3]] == number[0, 3]


def test_long_pictures_are_integrated_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A steady tone goes on from block to block without a seam."""
    grid = Grid(1024, 256, 60_000)
    tone = (0.5 * np.sin(2 * np.pi * 50.37 / 1024 * np.arange(60_000))).astype(np.float32)
    start, stop = grid.reach(0, grid.columns)
    padded = np.pad(tone, (-start, stop - 60_000))
    magnitudes = np.abs(grid.forth(padded[None], grid.columns))[0]
    whole = samples_of(spectra_of(magnitudes, grid, 0, quiet), grid)
    monkeypatch.setattr(phases, "BLOCK", 513 * 50)
    parts = samples_of(spectra_of(magnitudes, grid, 0, quiet), grid)
    middle = slice(4000, 54_000)
    turned = np.sqrt(2) * np.sqrt((whole[middle] ** 2).mean())
    for made in (whole, parts):
        level = np.sqrt(2) * np.sqrt(np.convolve(made[middle] ** 2, np.ones(500) / 500, "valid"))
        assert np.abs(level / turned - 1).max() < 0.1


def test_silence_has_phases_too() -> None:
    """A black picture is silence, without a warning."""
    assert not integrated(np.zeros((5, 33), np.float32), 64, 16, lambda: None).any()
    silent = image_to_audio(Image.from_array(np.zeros((129, 50), np.float32)), hop_length=64)
    assert silent.frames == 49 * 64
    assert not silent.samples.any()


def test_a_spectrogram_becomes_its_sound_again(music: Audio) -> None:
    """Length, rate, channels and level survive, and the magnitudes are near, from the picture
    alone."""
    seen = spectrogram(music)
    made = image_to_audio(seen.picture)
    assert (made.sample_rate, made.channels, made.frames) == (44100, 2, music.frames)
    level = np.sqrt((made.samples**2).mean(axis=1) / (music.samples**2).mean(axis=1))
    assert np.abs(20 * np.log10(level)).max() < 0.5
    # with settings as data it is the same
    bare = Image.from_array(seen.picture.pixels, 16)
    again = image_to_audio(bare, settings=seen.settings)
    assert np.array_equal(again.samples, made.samples)


def test_a_line_in_any_picture_is_a_tone() -> None:
    """In a picture without settings the height is the window, a row a frequency, grey a level."""
    pixels = np.zeros((257, 100, 3), np.float32)
    pixels[256 - 64] = 0.8  # 64/512 of 8 kHz, 20 dB below full scale
    pixels[[256 - 63, 256 - 65]] = 0.8 - 0.0602  # a tone's neighbours have 6 dB less
    sound = image_to_audio(Image.from_array(pixels), 16, 128, 8000, gain_db=-6.0)
    assert (sound.sample_rate, sound.channels, sound.frames) == (8000, 1, 99 * 128)
    core = sound.samples[0, 2000:-2000]
    spectrum = np.abs(np.fft.rfft(core * np.hanning(core.size)))
    assert spectrum.argmax() * 8000 / core.size == pytest.approx(1000, abs=2)
    assert 20 * np.log10(np.abs(core).max()) == pytest.approx(-26.0, abs=1.0)


def test_channels_lie_below_each_other() -> None:
    """The upper half of a stereo picture is the left channel."""
    pixels = np.zeros((2 * 129, 60), np.float32)
    pixels[128 - 20] = 0.8
    sound = image_to_audio(Image.from_array(pixels), 4, 64, 8000, channels=2)
    assert sound.channels == 2
    assert np.abs(sound.samples[0]).max() > 0.05
    assert not sound.samples[1].any()


@pytest.mark.parametrize(
    ("height", "width", "options", "pointer", "rule"),
    [
        (32, 50, {}, "/picture", "size"),
        (2050, 50, {}, "/picture", "size"),
        (129, 50, {"channels": 2}, "/picture", "size"),
        (129, 1, {}, "/picture", "size"),
        (129, 50, {"hop_length": 129}, "/hop_length", "overlap"),
        (2049, 8200, {}, "/picture", "pixels"),
    ],
)
def test_pictures_that_are_no_spectrum_are_refused(
    height: int, width: int, options: dict[str, Any], pointer: str, rule: str
) -> None:
    """Too low, too high, not to be shared out, one column, too wide a hop, too many pixels."""
    picture = Image.from_array(np.zeros((height, width), np.float32))
    with pytest.raises(InvalidParameters) as caught:
        image_to_audio(picture, **{"hop_length": 16, **options})
    assert [(each.pointer, each.rule) for each in caught.value.errors] == [(pointer, rule)]


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"columns": 1}, "/picture"),
        ({"sample_rate": 1}, "/settings/sample_rate"),
        ({"sample_rate": 10_000_000}, "/settings/sample_rate"),
    ],
)
def test_settings_that_no_sound_has_are_refused(changed: dict[str, int], pointer: str) -> None:
    """One column would be a sound without samples, and no other door takes such rates."""
    given = {"n_fft": 64, "hop_length": 16, "sample_rate": 44100, "channels": 1, "frames": 160}
    settings = SpectrogramSettings.model_validate({**given, "columns": 4, **changed})
    picture = Image.from_array(np.ones((33, settings.columns), np.float32))
    with pytest.raises(InvalidParameters) as caught:
        image_to_audio(picture, settings=settings)
    assert [each.pointer for each in caught.value.errors] == [pointer]
