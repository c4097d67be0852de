"""Sound as a picture that can be edited.

Knows: levels in decibels, how they become grey, and how a picture says which sound it shows.
Does not know: how a picture that comes back is read (``applying``).
"""

from __future__ import annotations

import math
from typing import Final

import blake3
import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.media.image import Image
from backend.media.spectrogram import SpectrogramSettings
from backend.plugins import Context, refused

from .editing import spectra
from .grid import Grid, Spectra

PIXELS: Final = 50_000_000
"""A picture has at most as many: as many as an upload may have."""
LOWEST_DB: Final = -400.0
"""Level of nothing at all."""

Levels = NDArray[np.float64]


def levels_db(found: Spectra, grid: Grid) -> Levels:
    """Levels of spectra in dB; a full-scale sine has 0."""
    magnitudes = np.abs(found) / grid.full_scale
    levels: Levels = 20.0 * np.log10(np.maximum(magnitudes, 10.0 ** (LOWEST_DB / 20.0)))
    return levels


def shades(levels: Levels, settings: SpectrogramSettings) -> Levels:
    """Levels as values 0 (black) to 1 (white)."""
    values: Levels = 1.0 + (levels - settings.top_db) / settings.range_db
    return np.clip(values, 0.0, 1.0, out=values)


def digest(audio: Audio) -> str:
    """The blake3 of the interleaved samples, 64 hex digits: by it a sound is known again."""
    found = blake3.blake3()
    for block in audio.blocks():
        found.update(np.ascontiguousarray(block.T, "<f4").tobytes())
    return found.hexdigest()


def span(grid: Grid, sample_rate: int, start_s: float, duration_s: float | None) -> tuple[int, int]:
    """The columns, from and up to, of a part of a sound. Raises `InvalidParameters` behind it."""
    if start_s * sample_rate >= grid.frames:
        seconds = grid.frames / sample_rate
        raise refused("/start_s", "outside", f"the sound ends at {seconds:g} s")
    first = math.floor(start_s * sample_rate / grid.hop)
    if duration_s is None:
        return first, grid.columns
    last = math.ceil((start_s + duration_s) * sample_rate / grid.hop) + 1
    return first, min(last, grid.columns)


def picture(
    audio: Audio,
    grid: Grid,
    columns: tuple[int, int],
    top_db: float | None,
    range_db: float,
    bit_depth: int,
    multiple_of: int,
    ctx: Context,
) -> Image:
    """The spectrogram of *columns* with all channels; its settings are in ``spectrogram``.

    Without *top_db* the loudest bin, rounded up to a whole dB, is white. Raises
    `InvalidParameters` for more than `PIXELS`.
    """
    first, last = columns
    pad_right = -(last - first) % multiple_of
    pad_bottom = -(audio.channels * grid.bins) % multiple_of
    _check_size(last - first + pad_right, audio.channels * grid.bins + pad_bottom)
    levels = np.empty((audio.channels, grid.bins, last - first), np.float32)
    for at, found in spectra(audio, grid, first, last, ctx):
        begin = at - first
        levels[:, :, begin : begin + found.shape[1]] = levels_db(found, grid).transpose(0, 2, 1)
    if top_db is None:
        top_db = _whole_top(float(levels.max()))
    settings = SpectrogramSettings.model_validate({
        "n_fft": grid.n_fft, "hop_length": grid.hop, "sample_rate": audio.sample_rate,
        "channels": audio.channels, "frames": audio.frames, "first_column": first,
        "columns": last - first, "top_db": top_db, "range_db": range_db, "bit_depth": bit_depth,
        "pad_right": pad_right, "pad_bottom": pad_bottom, "source": digest(audio),
    })  # fmt: skip
    most = np.float32(2**bit_depth - 1)
    for plane in levels:
        # in place and one channel after the other: these are the largest arrays here
        plane[:] = np.rint(shades(plane.astype(np.float64), settings) * most).astype(np.float32)
        plane /= most
    return Image.from_array(settings.pixels(levels), bit_depth, settings)


def _whole_top(loudest_db: float) -> float:
    """The loudest level rounded up; 0 for silence."""
    return float(math.ceil(loudest_db)) if loudest_db > LOWEST_DB / 2 else 0.0


def _check_size(width: int, height: int) -> None:
    if width * height > PIXELS:
        raise refused(
            "/duration_s",
            "pixels",
            f"the picture would have {width} x {height} pixels, more than {PIXELS}; show a shorter "
            "part (start_s, duration_s), or use a larger hop_length or a smaller n_fft",
        )
