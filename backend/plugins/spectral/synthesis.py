"""Sound of a picture alone: magnitudes from grey values, phases made up.

Knows: what a picture without settings is taken for, and the way from grey to magnitudes.
Does not know: how phases are found (``griffin_lim``); with a source, ``applying`` keeps its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.media.image import Image
from backend.media.spectrogram import LARGEST_N_FFT, SMALLEST_N_FFT, SpectrogramSettings
from backend.plugins import Context, InvalidParameters, refused

from . import griffin_lim
from .applying import grey
from .grid import Grid

VALUES: Final = 2**24
"""Most pixels of one channel: all its spectra are in memory, several times over."""
LOWEST_RATE_HZ: Final = 8000
HIGHEST_RATE_HZ: Final = 384_000

Values = NDArray[np.float32]


def plain_settings(
    picture: Image, hop: int, sample_rate: int, channels: int, top_db: float, range_db: float
) -> SpectrogramSettings:
    """Settings for a picture that has none: its height says how long the windows are.

    Raises `InvalidParameters` for a height that cannot be a spectrum.
    """
    bins, rest = divmod(picture.height, channels)
    if rest or not SMALLEST_N_FFT // 2 < bins <= LARGEST_N_FFT // 2 + 1:
        raise refused(
            "/picture",
            "size",
            f"{picture.height} rows are no spectrum of {channels} channel(s): each takes n_fft/2+1 "
            f"rows, from {SMALLEST_N_FFT // 2 + 1} to {LARGEST_N_FFT // 2 + 1}; resize the picture",
        )
    n_fft = 2 * (bins - 1)
    if hop > n_fft // 2:
        told = f"at this height windows have {n_fft} samples and lie at most {n_fft // 2} apart"
        raise refused("/hop_length", "overlap", told)
    columns = picture.width
    if columns < 2:
        raise _one_column()
    return SpectrogramSettings(
        n_fft=n_fft, hop_length=hop, sample_rate=sample_rate, channels=channels,
        frames=(columns - 1) * hop, columns=columns, top_db=top_db, range_db=range_db,
    )  # fmt: skip


def sound(
    picture: Image, settings: SpectrogramSettings, n_iter: int, gain: float, ctx: Context
) -> Audio:
    """The sound of *picture*, every channel for itself, of the length that its settings say.

    Raises `InvalidParameters` for a picture of another size, of one column, or over `VALUES`, and
    for settings of a rate that no sound has here.
    """
    if settings.columns < 2:
        raise _one_column()
    if not LOWEST_RATE_HZ <= settings.sample_rate <= HIGHEST_RATE_HZ:
        told = f"{settings.sample_rate} Hz; sounds have {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz"
        raise refused("/settings/sample_rate", "sample_rate", told)
    if settings.columns * settings.bins > VALUES:
        raise refused(
            "/picture",
            "pixels",
            f"{settings.columns} x {settings.bins} pixels a channel are more than {VALUES} "
            "that can be made sound of at once",
        )
    try:
        planes = settings.planes(grey(picture))
    except ValueError as error:
        raise refused("/picture", "size", str(error)) from error
    start = settings.first_column * settings.hop_length
    end = (settings.first_column + settings.columns - 1) * settings.hop_length
    grid = Grid(settings.n_fft, settings.hop_length, min(settings.frames, end) - start)
    made = []
    for number, plane in enumerate(planes):
        progress = _progress(ctx, number * n_iter, max(1, settings.channels * n_iter))
        magnitudes = levels_to_magnitudes(plane.T, settings, grid.full_scale)
        found = griffin_lim.spectra_of(magnitudes, grid, n_iter, progress)
        made.append(griffin_lim.samples_of(found, grid) * np.float32(gain))
    return Audio.from_samples(np.stack(made), settings.sample_rate)


def _one_column() -> InvalidParameters:
    return refused("/picture", "size", "one column is no sound; at least 2 are needed")


def levels_to_magnitudes(plane: Values, settings: SpectrogramSettings, full_scale: float) -> Values:
    """Grey values as magnitudes of a spectrum; black is silence."""
    levels = settings.top_db + (plane - np.float32(1.0)) * np.float32(settings.range_db)
    magnitudes = np.power(np.float32(10.0), levels * np.float32(0.05)) * np.float32(full_scale)
    return np.where(plane > 0.0, magnitudes, np.float32(0.0)).astype(np.float32)


def _progress(ctx: Context, before: int, total: int) -> Callable[[int], None]:
    def report(done: int) -> None:
        ctx.progress(before + done, total)

    return report
